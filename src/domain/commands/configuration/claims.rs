//! Finds which object of the project each entry of a configuration means. Renames are said, never guessed.

use std::collections::BTreeSet;

use crate::domain::commands::command::configuration::WantedNames;
use crate::domain::commands::configuration::noun::Configured;
use crate::domain::state::project::Project;

/// For each entry of a list the object that it means. `None` if the object must be created.
///
/// 1. An entry whose name no object has, or whose object another entry claims by 1, means the object named in
///    `renamed_from`.
/// 2. Of the rest, an entry means the object with its name.
/// 3. Of the rest, an entry means the object that had its `renamed_from` or its name as a name before.
pub fn claims<I: Configured>(project: &Project, wanted: &[&WantedNames<I::Name>]) -> Vec<Option<I>> {
    let mut claims = Claims { project, claimed: BTreeSet::new(), of: vec![None; wanted.len()] };
    // A chain of renames frees one name after the other. Its entries may be in any order.
    while claims.pass(wanted, |claims, names| {
        let is_free = |name| claims.current(name).is_none_or(|id| claims.claimed.contains(&id));
        names.renamed_from.as_ref().filter(|_| is_free(&names.name)).and_then(|from| claims.current(from))
    }) {}
    claims.pass(wanted, |claims, names| claims.current(&names.name));
    claims.pass(wanted, |claims, names| {
        let old = names.renamed_from.iter().chain([&names.name]);
        old.filter_map(|name| I::named(claims.project, name)).find(|id| !claims.claimed.contains(id))
    });
    claims.of
}

struct Claims<'a, I> {
    project: &'a Project,
    claimed: BTreeSet<I>,
    of: Vec<Option<I>>,
}

impl<I: Configured> Claims<'_, I> {
    /// Returns the object that has this name now.
    fn current(&self, name: &I::Name) -> Option<I> {
        let id = I::named(self.project, name)?;
        I::names(self.project, id).filter(|(now, _)| *now == name).map(|_| id)
    }

    /// Claims for each entry without an object what `find` returns. Returns true if one was claimed.
    fn pass(
        &mut self,
        wanted: &[&WantedNames<I::Name>],
        find: impl Fn(&Self, &WantedNames<I::Name>) -> Option<I>,
    ) -> bool {
        let before = self.claimed.len();
        for (at, names) in wanted.iter().enumerate() {
            if self.of[at].is_some() {
                continue;
            }
            let found = find(self, names).filter(|id| !self.claimed.contains(id));
            self.claimed.extend(found);
            self.of[at] = found;
        }
        self.claimed.len() > before
    }
}
