//! Which object each entry of a configuration means, and which names the objects get (R3).

use std::collections::BTreeMap;

use rolecall::domain::commands::command::configuration::WantedNames;

/// The aliases of each object of one noun.
pub type Objects = BTreeMap<String, Vec<String>>;

/// The names of an entry.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub aliases: Vec<String>,
    renamed_from: Option<String>,
}

/// The new names of objects, by their old names.
#[derive(Default)]
pub struct Renames {
    pub permissions: BTreeMap<String, String>,
    pub roles: BTreeMap<String, String>,
    pub mappings: BTreeMap<String, String>,
}

/// What the entries of one noun mean.
pub struct Meaning {
    pub entries: Vec<Entry>,
    /// The present name of the object of each entry. `None` for a new one.
    pub objects: Vec<Option<String>>,
}

pub fn entries<'a, N: ToString + 'a>(wanted: impl Iterator<Item = &'a WantedNames<N>>) -> Vec<Entry> {
    let entry = |names: &WantedNames<N>| Entry {
        name: names.name.to_string(),
        aliases: names.aliases.iter().map(N::to_string).collect(),
        renamed_from: names.renamed_from.as_ref().map(N::to_string),
    };
    wanted.map(entry).collect()
}

impl Meaning {
    /// A new name with `renamed_from` means the object of that name. Any other name means its object, or an object that had
    /// one of both names before.
    pub fn new(objects: &Objects, entries: Vec<Entry>) -> Self {
        let mut found: Vec<Option<String>> = vec![None; entries.len()];
        let is_claimed = |found: &[Option<String>], name: &String| found.iter().flatten().any(|other| other == name);
        // One rename may free the name of the next.
        for _ in 0..entries.len() {
            for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.renamed_from.is_some()) {
                let is_free = !objects.contains_key(&entry.name) || is_claimed(&found, &entry.name);
                let from = entry.renamed_from.clone().filter(|from| objects.contains_key(from));
                if found[at].is_none() && is_free {
                    found[at] = from.filter(|from| !is_claimed(&found, from));
                }
            }
        }
        for (at, entry) in entries.iter().enumerate() {
            if found[at].is_none() && objects.contains_key(&entry.name) && !is_claimed(&found, &entry.name) {
                found[at] = Some(entry.name.clone());
            }
        }
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| !objects.contains_key(&entry.name)) {
            let old = entry.renamed_from.iter().chain([&entry.name]);
            let had = |old: &String| {
                objects
                    .iter()
                    .find(|(name, aliases)| *name == old || aliases.contains(old))
                    .map(|(name, _)| name.clone())
            };
            if found[at].is_none() {
                found[at] = old.filter_map(had).find(|name| !is_claimed(&found, name));
            }
        }
        Self { entries, objects: found }
    }

    fn pairs(&self) -> impl Iterator<Item = (&Entry, &String)> {
        self.entries.iter().zip(&self.objects).filter_map(|(entry, object)| Some((entry, object.as_ref()?)))
    }

    pub fn renames(&self) -> BTreeMap<String, String> {
        self.pairs()
            .filter(|(entry, old)| entry.name != **old)
            .map(|(entry, old)| (old.clone(), entry.name.clone()))
            .collect()
    }

    pub fn new_names(&self) -> Vec<&str> {
        let new = self.entries.iter().zip(&self.objects).filter(|(_, object)| object.is_none());
        new.map(|(entry, _)| entry.name.as_str()).collect()
    }

    /// Returns the aliases that each object keeps or gets by a rename, by its new name. `None` if another object has
    /// a new name, or if objects swap their names: that can only be said of names that differ in case.
    pub fn names(&self, objects: &Objects, prune: bool, same: fn(&str, &str) -> bool) -> Option<Objects> {
        let mut after = Objects::new();
        for (old, aliases) in objects {
            let entry = self.pairs().find(|(_, object)| *object == old).map(|(entry, _)| entry);
            let keeps = |alias: &&String| {
                // A name counts before an alias, and the first entry with it before the others.
                let names = self.entries.iter().zip(&self.objects).find(|(it, _)| same(&it.name, alias));
                let mut all = self.entries.iter().zip(&self.objects);
                let owner = names.or_else(|| all.find(|(it, _)| it.aliases.iter().any(|other| same(other, alias))));
                let is_own = owner.is_none_or(|(_, object)| object.as_ref() == Some(old));
                let is_named = entry.is_none_or(|it| {
                    it.name == **alias || it.aliases.contains(alias) || it.renamed_from.as_ref() == Some(*alias)
                });
                is_own && (!prune || is_named)
            };
            let mut kept: Vec<String> = aliases.iter().filter(keeps).cloned().collect();
            let name = entry.map_or(old, |entry| &entry.name);
            if name != old {
                kept.retain(|alias| alias != name);
                kept.extend(Some(old).filter(keeps).cloned());
            }
            after.insert(name.clone(), kept);
        }
        for (entry, _) in self.pairs().filter(|(entry, old)| entry.name != **old) {
            let others = after.iter().filter(|(name, _)| **name != entry.name);
            if others.flat_map(|(name, aliases)| aliases.iter().chain([name])).any(|name| same(name, &entry.name)) {
                return None;
            }
        }
        let mut waiting: Vec<_> = self.renames().into_iter().collect();
        while !waiting.is_empty() {
            let has = |old: &String, name: &String| waiting.iter().any(|(other, _)| other != old && same(other, name));
            let free = waiting.iter().position(|(old, new)| !has(old, new))?;
            waiting.remove(free);
        }
        Some(after)
    }
}

pub fn equal(one: &str, other: &str) -> bool {
    one == other
}
