//! Old names: what was renamed is found by them until they are dropped (R3).

use std::fmt::Display;
use std::sync::Arc;

use crate::domain::commands::draft::Draft;
use crate::domain::model::name::folded;
use crate::domain::model::refusal::{Noun, Refusal};

/// What an update says of a thing's names.
#[derive(Clone, Copy)]
pub struct Naming<'a, N> {
    pub name: &'a N,
    pub new_name: Option<&'a N>,
    /// The old names that are kept; `None`: all.
    pub kept: Option<&'a [N]>,
}

impl<N: Clone + PartialEq + Display> Naming<'_, N> {
    /// The old names after the update, oldest first. Going back to an old name makes it a name again.
    pub fn aliases(&self, draft: &Draft<'_>, present: &Arc<[N]>) -> Result<Arc<[N]>, Refusal> {
        if let Some(unknown) = self.kept.into_iter().flatten().find(|alias| !present.contains(alias)) {
            return Err(Refusal::UnknownAlias { name: unknown.to_string() });
        }
        let stays = |alias: &&N| self.kept.is_none_or(|kept| kept.contains(alias)) && self.new_name != Some(*alias);
        let mut aliases: Vec<N> = present.iter().filter(stays).cloned().collect();
        if self.new_name.is_some_and(|new| new != self.name) {
            aliases.push(self.name.clone());
        }
        if aliases == **present {
            return Ok(present.clone());
        }
        draft.within("aliases", crate::limits::ALIASES_MAX, aliases.len())?;
        Ok(aliases.into())
    }
}

/// Why a name cannot be given: `by` has it, also where they differ in case alone, or is still found by it (R1, R3).
pub fn taken(noun: Noun, name: &str, by: &str) -> Refusal {
    if folded(by) == folded(name) {
        Refusal::AlreadyExists(noun, by.to_string())
    } else {
        Refusal::AliasOf { noun, name: name.to_string(), of: by.to_string() }
    }
}
