//! Aliases: renamed records are found by their old names until these are removed (R3).

use std::fmt::Display;
use std::sync::Arc;

use crate::domain::commands::draft::Draft;
use crate::domain::model::name::folded;
use crate::domain::model::refusal::{Noun, Refusal};

/// The names in an update.
#[derive(Clone, Copy)]
pub struct Naming<'a, N> {
    pub name: &'a N,
    pub new_name: Option<&'a N>,
    /// The aliases to keep. `None` keeps all.
    pub kept: Option<&'a [N]>,
}

impl<N: Clone + PartialEq + Display> Naming<'_, N> {
    /// Returns the aliases after the update, oldest first. Renaming back to an alias removes it from the aliases.
    pub fn aliases(&self, draft: &Draft<'_>, present: &Arc<[N]>) -> Result<Arc<[N]>, Refusal> {
        if let Some(unknown) = self.kept.into_iter().flatten().find(|alias| !present.contains(alias)) {
            return Err(Refusal::UnknownAlias { name: unknown.to_string() });
        }
        let is_kept = |alias: &&N| self.kept.is_none_or(|kept| kept.contains(alias)) && self.new_name != Some(*alias);
        let mut aliases: Vec<N> = present.iter().filter(is_kept).cloned().collect();
        if self.new_name.is_some_and(|new| new != self.name) {
            aliases.push(self.name.clone());
        }
        if aliases == **present {
            return Ok(present.clone());
        }
        draft.check_limit("aliases", crate::limits::ALIASES_MAX, aliases.len())?;
        Ok(aliases.into())
    }
}

/// Returns the refusal of a name that `by` has, up to case, or has as an alias (R1, R3).
pub fn taken(noun: Noun, name: &str, by: &str) -> Refusal {
    if folded(by) == folded(name) {
        Refusal::AlreadyExists(noun, by.to_string())
    } else {
        Refusal::AliasOf { noun, name: name.to_string(), of: by.to_string() }
    }
}
