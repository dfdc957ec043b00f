//! Names the objects of one noun: renames, and aliases.

use std::collections::BTreeMap;

use crate::domain::commands::command::Command;
use crate::domain::commands::command::configuration::WantedNames;
use crate::domain::commands::configuration::noun::Configured;
use crate::domain::model::name::ProjectKey;
use crate::domain::state::project::Project;

/// Returns the commands that give existing objects their names. `of` says which object each entry means.
///
/// They drop each alias that the configuration gives to another object, and with `prune` each that it does not name. Then they
/// rename objects, each once no other object has its new name.
pub fn renames<I: Configured>(
    key: &ProjectKey,
    project: &Project,
    wanted: &[&WantedNames<I::Name>],
    of: &[Option<I>],
    prune: bool,
) -> Vec<Command> {
    let naming = Naming::new(wanted, of, prune);
    let mut commands = Vec::new();
    let mut taken: BTreeMap<String, I> = BTreeMap::new();
    let mut renamed = Vec::new();
    for id in I::all(project) {
        let Some((name, aliases)) = I::names(project, id) else { continue };
        taken.insert(I::key(name), id);
        let kept: Vec<I::Name> = aliases.iter().filter(|alias| naming.keeps(id, alias)).cloned().collect();
        if kept.len() < aliases.len() {
            commands.push(I::rename(key, name, None, Some(kept.clone())));
        }
        if let Some(new) = naming.entries.get(&id).map(|names| &names.name).filter(|new| *new != name) {
            renamed.push((id, name, new, kept));
        }
    }
    let is_free = |taken: &BTreeMap<String, I>, id, new| taken.get(&I::key(new)).is_none_or(|by| *by == id);
    let (mut ready, waiting): (Vec<_>, Vec<_>) =
        renamed.into_iter().partition(|(id, _, new, _)| is_free(&taken, *id, *new));
    let mut waiting: BTreeMap<String, _> = waiting.into_iter().map(|rename| (I::key(rename.2), rename)).collect();
    // Each rename frees a name, which another one may wait for. One that waits for ever is refused, with the name that is
    // taken.
    while let Some((id, name, new, mut kept)) = ready.pop().or_else(|| waiting.pop_first().map(|(_, rename)| rename)) {
        commands.push(I::rename(key, name, Some(new.clone()), None));
        if !naming.keeps(id, name) {
            kept.retain(|alias| alias != new);
            commands.push(I::rename(key, new, None, Some(kept)));
        }
        ready.extend(waiting.remove(&I::key(name)));
    }
    commands
}

/// What the entries of one noun say about names.
struct Naming<'a, I: Configured> {
    entries: BTreeMap<I, &'a WantedNames<I::Name>>,
    /// The object that gets each name or alias. `None` is one that is yet to be created.
    owners: BTreeMap<String, Option<I>>,
    prune: bool,
}

impl<'a, I: Configured> Naming<'a, I> {
    fn new(wanted: &[&'a WantedNames<I::Name>], of: &[Option<I>], prune: bool) -> Self {
        let entries = of.iter().zip(wanted).filter_map(|(id, names)| Some(((*id)?, *names))).collect();
        let names = wanted.iter().zip(of).map(|(names, id)| (&names.name, *id));
        let aliases = wanted.iter().zip(of).flat_map(|(names, id)| names.aliases.iter().map(|alias| (alias, *id)));
        let mut owners = BTreeMap::new();
        // Names come before aliases.
        for (name, id) in names.chain(aliases) {
            owners.entry(I::key(name)).or_insert(id);
        }
        Self { entries, owners, prune }
    }

    /// Returns true if the object keeps an alias.
    fn keeps(&self, id: I, alias: &I::Name) -> bool {
        let is_own = self.owners.get(&I::key(alias)).is_none_or(|owner| *owner == Some(id));
        let is_named = |names: &&WantedNames<I::Name>| {
            names.name == *alias || names.aliases.contains(alias) || names.renamed_from.as_ref() == Some(alias)
        };
        is_own && (!self.prune || self.entries.get(&id).is_none_or(is_named))
    }
}

/// Returns the commands that give objects the aliases that they lack: a rename to each, and back.
pub fn missing_aliases<I: Configured>(
    key: &ProjectKey,
    project: &Project,
    wanted: &[&WantedNames<I::Name>],
) -> Vec<Command> {
    let mut commands = Vec::new();
    for names in wanted {
        let object = I::named(project, &names.name).and_then(|id| I::names(project, id));
        let Some((name, aliases)) = object else { continue };
        for alias in names.aliases.iter().filter(|&alias| alias != name && !aliases.contains(alias)) {
            commands.push(I::rename(key, name, Some(alias.clone()), None));
            commands.push(I::rename(key, alias, Some(name.clone()), None));
        }
    }
    commands
}
