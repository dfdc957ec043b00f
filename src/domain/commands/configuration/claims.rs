//! Finds which object of the project each entry of a configuration means. Renames are said, never guessed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    claims.renames(wanted);
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

    /// Claims by 1. A chain of renames frees one name after the other, and its entries may be in any order.
    fn renames(&mut self, wanted: &[&WantedNames<I::Name>]) {
        let mut ready = VecDeque::new();
        // Each waits until the object that has its name is claimed.
        let mut waiting: BTreeMap<&I::Name, Vec<usize>> = BTreeMap::new();
        for (at, names) in wanted.iter().enumerate().filter(|(_, names)| names.renamed_from.is_some()) {
            match self.current(&names.name) {
                Some(_) => waiting.entry(&names.name).or_default().push(at),
                None => ready.push_back(at),
            }
        }
        while let Some(at) = ready.pop_front() {
            let id = wanted[at].renamed_from.as_ref().and_then(|from| self.current(from));
            let freed = id.filter(|id| self.claim(at, *id)).and_then(|id| I::names(self.project, id));
            ready.extend(freed.and_then(|(name, _)| waiting.remove(name)).unwrap_or_default());
        }
    }

    /// Claims for each entry without an object what `find` returns.
    fn pass(&mut self, wanted: &[&WantedNames<I::Name>], find: impl Fn(&Self, &WantedNames<I::Name>) -> Option<I>) {
        for (at, names) in wanted.iter().enumerate() {
            if self.of[at].is_none()
                && let Some(id) = find(self, names)
            {
                self.claim(at, id);
            }
        }
    }

    /// Claims an object for an entry. Returns false if another entry has it.
    fn claim(&mut self, at: usize, id: I) -> bool {
        let is_free = self.claimed.insert(id);
        if is_free {
            self.of[at] = Some(id);
        }
        is_free
    }
}
