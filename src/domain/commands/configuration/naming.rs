//! Names the objects of one noun: renames, and aliases.

use std::collections::BTreeMap;

use crate::domain::commands::command::Command;
use crate::domain::commands::command::configuration::WantedNames;
use crate::domain::commands::configuration::noun::Configured;
use crate::domain::model::name::ProjectKey;
use crate::domain::state::project::Project;

/// Returns the next command of the first phase, which gives existing objects their names. `None` if they have them.
///
/// It drops each alias that the configuration gives to another object, and with `prune` each that it does not name. Then it
/// renames objects whose new name no other object has. `of` says which object each entry means.
pub fn next_rename<I: Configured>(
    key: &ProjectKey,
    project: &Project,
    wanted: &[&WantedNames<I::Name>],
    of: &[Option<I>],
    prune: bool,
) -> Option<Command> {
    let entries: BTreeMap<I, &WantedNames<I::Name>> =
        of.iter().zip(wanted).filter_map(|(id, names)| Some(((*id)?, *names))).collect();
    // Names come before aliases.
    let mut owners: BTreeMap<String, Option<I>> = BTreeMap::new();
    let names = wanted.iter().zip(of).map(|(names, id)| (&names.name, *id));
    let aliases = wanted.iter().zip(of).flat_map(|(names, id)| names.aliases.iter().map(|alias| (alias, *id)));
    for (name, id) in names.chain(aliases) {
        owners.entry(I::key(name)).or_insert(id);
    }
    for id in I::all(project) {
        let Some((name, aliases)) = I::names(project, id) else { continue };
        let entry = entries.get(&id);
        let is_kept = |alias: &&I::Name| {
            let is_own = owners.get(&I::key(alias)).is_none_or(|owner| *owner == Some(id));
            let is_named = |names: &WantedNames<I::Name>| {
                names.name == **alias || names.aliases.contains(alias) || names.renamed_from.as_ref() == Some(alias)
            };
            is_own && (!prune || entry.is_none_or(|names| is_named(names)))
        };
        let kept: Vec<I::Name> = aliases.iter().filter(is_kept).cloned().collect();
        if kept.len() < aliases.len() {
            return Some(I::rename(key, name, None, Some(kept)));
        }
    }
    let current = |id| I::names(project, id).map(|(name, _)| name);
    let renames = entries.iter().filter_map(|(&id, names)| Some((id, current(id)?, &names.name)));
    let renames: Vec<_> = renames.filter(|(_, name, new)| name != new).collect();
    let taken: BTreeMap<String, I> =
        I::all(project).into_iter().filter_map(|id| Some((I::key(current(id)?), id))).collect();
    let is_free = |(id, _, new): &&(I, &I::Name, &I::Name)| taken.get(&I::key(new)).is_none_or(|by| by == id);
    // If no new name is free, the rename is refused, and the refusal says which name is taken.
    let (_, name, new) = renames.iter().find(is_free).or(renames.first())?;
    Some(I::rename(key, name, Some((*new).clone()), None))
}

/// Returns the commands that give an object an alias: a rename to it, and back.
pub fn missing_aliases<I: Configured>(
    key: &ProjectKey,
    project: &Project,
    wanted: &[&WantedNames<I::Name>],
) -> Vec<Command> {
    let mut commands = Vec::new();
    for names in wanted {
        let Some((name, aliases)) = I::named(project, &names.name).and_then(|id| I::names(project, id)) else {
            continue;
        };
        for alias in names.aliases.iter().filter(|&alias| alias != name && !aliases.contains(alias)) {
            commands.push(I::rename(key, name, Some(alias.clone()), None));
            commands.push(I::rename(key, alias, Some(name.clone()), None));
        }
    }
    commands
}
