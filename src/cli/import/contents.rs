//! What the files of an import hold, in the terms of Rolecall, and the misfits: what cannot be imported as it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::names::CurrentNames;
use crate::domain::{OrgId, UserId};
use crate::limits::{DISPLAY_NAME_BYTES_MAX, METADATA_BYTES_MAX};
use crate::wire::{Configuration, Timestamp};

/// Everything that is imported.
#[derive(Default)]
pub struct Contents {
    /// The permissions, roles and role mappings. `None`: those of the project.
    pub configuration: Option<Configuration>,
    pub orgs: Vec<Org>,
    by_id: HashMap<String, usize>,
    /// The roles of each org and user.
    members: HashMap<(usize, String), usize>,
    role_sets: Vec<Vec<Role>>,
    by_roles: HashMap<Vec<Role>, usize>,
    pub misfits: Misfits,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Org {
    pub id: String,
    pub display_name: String,
    pub metadata: String,
    /// Empty: the default role mapping.
    pub role_mapping: String,
    /// True if the files have an entry of the org. False if only members name it.
    pub is_listed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role {
    pub name: String,
    /// Seconds and nanoseconds since 1970. `None`: permanent.
    pub expiry: Option<(i64, i32)>,
}

/// A user in an org.
pub struct Member {
    /// The place in `orgs`.
    pub org: usize,
    pub user_id: String,
    /// The number of the role set.
    pub roles: usize,
}

/// What cannot be imported as it is in the files, by kind.
#[derive(Default)]
pub struct Misfits(BTreeMap<&'static str, Vec<String>>);

impl Misfits {
    pub fn add(&mut self, kind: &'static str, what: impl Into<String>) {
        self.0.entry(kind).or_default().push(what.into());
    }

    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(kind, all)| (*kind, &all[..]))
    }
}

impl Role {
    pub fn permanent(name: impl Into<String>) -> Self {
        Self { name: name.into(), expiry: None }
    }

    pub fn expire_time(&self) -> Option<Timestamp> {
        self.expiry.map(|(seconds, nanos)| Timestamp { seconds, nanos })
    }
}

impl Contents {
    /// Returns true if the files had no entry.
    pub fn is_empty(&self) -> bool {
        self.configuration.is_none() && self.orgs.is_empty() && self.misfits.0.is_empty()
    }

    /// Replaces earlier names of roles and role mappings.
    pub fn rename(&mut self, names: &CurrentNames) {
        for org in &mut self.orgs {
            org.role_mapping = names.role_mapping(&org.role_mapping).clone();
        }
        let is_old = |role: &Role| names.role(&role.name) != &role.name;
        let old: HashSet<usize> =
            (0..self.role_sets.len()).filter(|&set| self.role_sets[set].iter().any(is_old)).collect();
        let of_old = |(key, set): (&(usize, String), &usize)| old.contains(set).then(|| (key.clone(), *set));
        let members: Vec<((usize, String), usize)> = self.members.iter().filter_map(of_old).collect();
        for ((org, user_id), set) in members {
            self.members.remove(&(org, user_id.clone()));
            let renamed = |role: &Role| Role { name: names.role(&role.name).clone(), ..role.clone() };
            let roles = self.role_sets[set].iter().map(renamed).collect();
            self.member(org, &user_id, roles);
        }
    }

    /// Returns the place of an org. Adds it if it is new. `None` if its id is not allowed.
    pub fn org(&mut self, id: &str) -> Option<usize> {
        if let Some(&at) = self.by_id.get(id) {
            return Some(at);
        }
        if let Err(why) = OrgId::parse(id) {
            self.misfits.add("ids of orgs that are not allowed: not imported", format!("{id:?} {why}"));
            return None;
        }
        self.by_id.insert(id.into(), self.orgs.len());
        self.orgs.push(Org { id: id.into(), ..Org::default() });
        Some(self.orgs.len() - 1)
    }

    /// Sets what is known about an org.
    pub fn describe(&mut self, at: usize, display_name: String, metadata: String, role_mapping: String) {
        let org = &mut self.orgs[at];
        if metadata.len() > METADATA_BYTES_MAX {
            self.misfits.add("metadata of orgs that is too long: not imported", &*org.id);
        } else {
            org.metadata = metadata;
        }
        org.role_mapping = role_mapping;
        org.is_listed = true;
        self.name(at, display_name);
    }

    /// Sets the name of an org, unless it is empty.
    pub fn name(&mut self, at: usize, display_name: String) {
        let org = &mut self.orgs[at];
        if display_name.len() > DISPLAY_NAME_BYTES_MAX {
            self.misfits.add("names of orgs that are too long: not imported", &*org.id);
        } else if display_name.contains('\0') {
            self.misfits.add("names of orgs that contain NUL: not imported", &*org.id);
        } else if !display_name.is_empty() {
            org.display_name = display_name;
        }
    }

    /// Adds roles of a member.
    pub fn member(&mut self, org: usize, user_id: &str, mut roles: Vec<Role>) {
        if let Err(why) = UserId::parse(user_id) {
            self.misfits.add("ids of users that are not allowed: not imported", format!("{user_id:?} {why}"));
            return;
        }
        let key = (org, user_id.to_string());
        roles.extend(self.members.get(&key).into_iter().flat_map(|&set| self.role_sets[set].clone()));
        // Of a role that is given twice, the one that ends last comes first.
        roles.sort_unstable_by(|one, other| {
            let expiry = |role: &Role| role.expiry.unwrap_or((i64::MAX, 0));
            one.name.cmp(&other.name).then_with(|| expiry(other).cmp(&expiry(one)))
        });
        roles.dedup_by(|shorter, longer| {
            let twice = shorter.name == longer.name;
            if twice && shorter.expiry != longer.expiry {
                let what = format!("{} of {user_id} in {}", longer.name, self.orgs[org].id);
                self.misfits.add("roles with several expiries: the last one is used", what);
            }
            twice
        });
        let set = self.role_set(roles);
        self.members.insert(key, set);
    }

    /// Returns the number of a role set.
    pub fn role_set(&mut self, mut roles: Vec<Role>) -> usize {
        roles.sort_unstable();
        roles.dedup();
        if let Some(&set) = self.by_roles.get(&roles) {
            return set;
        }
        self.by_roles.insert(roles.clone(), self.role_sets.len());
        self.role_sets.push(roles);
        self.role_sets.len() - 1
    }

    pub fn roles(&self, set: usize) -> &[Role] {
        &self.role_sets[set]
    }

    /// Takes the members, sorted by org and user, so that databases write neighbours together.
    pub fn take_members(&mut self) -> Vec<Member> {
        let members = std::mem::take(&mut self.members).into_iter();
        let mut members: Vec<Member> = members.map(|((org, user_id), roles)| Member { org, user_id, roles }).collect();
        members.sort_unstable_by(|one, other| {
            let key = |member: &Member| self.orgs[member.org].id.as_str();
            key(one).cmp(key(other)).then_with(|| one.user_id.cmp(&other.user_id))
        });
        members
    }
}
