//! Takes out of a configuration what the server would refuse: one wrong name must not stop an import.

use std::collections::HashSet;

use super::contents::Misfits;
use crate::cli::table::plain;
use crate::cli::trouble::Trouble;
use crate::domain::model::name::{folded, permission_name, role_name};
use crate::domain::model::permission::{BUILT_IN_PREFIX, BUILT_INS};
use crate::limits::DESCRIPTION_BYTES_MAX;
use crate::wire::Configuration;

/// Returns a description as the server takes it. `what` names what it describes.
pub fn description(text: &str, what: &str, misfits: &mut Misfits) -> String {
    let text = text.replace('\0', "");
    if text.len() <= DESCRIPTION_BYTES_MAX {
        return text;
    }
    misfits.add("descriptions that are too long: cut", what);
    text[..text.floor_char_boundary(DESCRIPTION_BYTES_MAX)].into()
}

/// Drops permissions, roles and role mappings whose names the server would refuse, and what refers to them. A default role
/// cannot be dropped: that is an error.
pub fn fitted(mut from: Configuration, misfits: &mut Misfits) -> Result<Configuration, Trouble> {
    let mut permissions = HashSet::new();
    from.permissions.retain(|it| {
        let is_built_in = BUILT_INS.iter().any(|(name, _)| *name == it.name);
        let why = match permission_name(&it.name) {
            Err(why) => why.to_string(),
            Ok(()) if it.name.starts_with(BUILT_IN_PREFIX) && !is_built_in => {
                format!("must not begin with `{BUILT_IN_PREFIX}`")
            }
            Ok(()) if permissions.insert(it.name.clone()) => return true,
            Ok(()) => {
                misfits.add("permissions that are listed twice: the first one is used", &*it.name);
                return false;
            }
        };
        misfits.add("permissions with names that are not allowed: not imported", format!("{:?} {why}", it.name));
        false
    });
    permissions.extend(BUILT_INS.iter().map(|(name, _)| name.to_string()));
    let defaults =
        [("default_role", from.default_role.clone()), ("default_owner_role", from.default_owner_role.clone())];
    let kinds = [
        "roles with names that are not allowed: not imported",
        "roles with the name of another role, perhaps in another case: not imported",
    ];
    let mut names = Names::new(kinds, defaults.iter().map(|(_, name)| name));
    from.roles.retain(|it| names.take(&it.name, misfits));
    let roles = names.taken;
    if let Some((field, name)) = defaults.iter().find(|(_, name)| !roles.contains(name)) {
        let what = format!("`{field}` is `{}`, which is none of the roles that can be imported", plain(name));
        return Err(Trouble::new(what, "correct the files"));
    }
    let kinds = [
        "role mappings with names that are not allowed: not imported",
        "role mappings with the name of another one, perhaps in another case: not imported",
    ];
    let mut names = Names::new(kinds, [&from.default_role_mapping].into_iter());
    from.role_mappings.retain(|it| names.take(&it.name, misfits));
    if !names.taken.contains(&from.default_role_mapping) {
        let name = plain(&from.default_role_mapping);
        return Err(Trouble::new(format!("the default role mapping cannot be named `{name}`"), "correct the files"));
    }
    for role in &mut from.roles {
        let mut managed = HashSet::new();
        role.manages.retain(|name| {
            if !roles.contains(name) {
                misfits.add("managed roles that do not exist: left out", format!("{name} of {}", role.name));
            }
            roles.contains(name) && managed.insert(name.clone())
        });
    }
    for mapping in &mut from.role_mappings {
        mapping.disabled_roles.retain(|name| roles.contains(name));
        let mut granted = HashSet::new();
        mapping.grants.retain(|row| roles.contains(&row.role) && granted.insert(row.role.clone()));
        for row in &mut mapping.grants {
            row.permissions.retain(|name| permissions.contains(name));
        }
    }
    Ok(from)
}

/// Names of one noun that must differ, also in more than case (R1).
struct Names<'a> {
    /// The kinds of misfits: names that are not allowed, and names that another one has.
    kinds: [&'static str; 2],
    /// Names that come before others, wherever they are in the list.
    first: Vec<&'a String>,
    taken: HashSet<String>,
    folded: HashSet<String>,
}

impl<'a> Names<'a> {
    fn new(kinds: [&'static str; 2], first: impl Iterator<Item = &'a String>) -> Self {
        Self { kinds, first: first.collect(), taken: HashSet::new(), folded: HashSet::new() }
    }

    /// Returns true if an object can have the name.
    fn take(&mut self, name: &String, misfits: &mut Misfits) -> bool {
        if let Err(why) = role_name(name) {
            misfits.add(self.kinds[0], format!("{name:?} {why}"));
            return false;
        }
        let key = folded(name);
        let is_of_first = self.first.iter().any(|first| *first != name && folded(first) == key);
        let is_free = !is_of_first && self.folded.insert(key);
        if is_free {
            self.taken.insert(name.clone());
        } else {
            misfits.add(self.kinds[1], name.as_str());
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ConfiguredGrants, ConfiguredPermission, ConfiguredRole, ConfiguredRoleMapping};

    fn configuration() -> Configuration {
        let permission = |name: &str| ConfiguredPermission { name: name.into(), ..Default::default() };
        let role = |name: &str, manages: &[&str]| ConfiguredRole {
            name: name.into(),
            manages: manages.iter().map(|name| name.to_string()).collect(),
            ..Default::default()
        };
        let grants = |role: &str, permissions: &[&str]| ConfiguredGrants {
            role: role.into(),
            permissions: permissions.iter().map(|name| name.to_string()).collect(),
        };
        let mapping = |name: &str| ConfiguredRoleMapping {
            name: name.into(),
            disabled_roles: vec![" lead".into()],
            grants: vec![
                grants("Member", &["read", "read ", "rolecall::can_invite", "rolecall::fly"]),
                grants(" lead", &["read"]),
                grants("member", &["read"]),
            ],
            ..Default::default()
        };
        Configuration {
            default_role: "Member".into(),
            default_owner_role: "Owner".into(),
            default_role_mapping: "Default".into(),
            permissions: ["read", "read ", "read", "rolecall::can_invite", "rolecall::fly"].map(permission).into(),
            roles: vec![
                role("member", &[]),
                role(" lead", &[]),
                role("Owner", &["Member", "Nobody"]),
                role("Member", &[]),
            ],
            role_mappings: ["Default", "default", "Pro\n"].map(mapping).into(),
            ..Default::default()
        }
    }

    #[test]
    fn what_the_server_would_refuse_is_left_out_and_reported() {
        let mut misfits = Misfits::default();
        let Ok(fitted) = fitted(configuration(), &mut misfits) else { panic!("it was refused") };
        let names = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(",");
        assert_eq!(names(fitted.permissions.iter().map(|it| &it.name).collect()), "read,rolecall::can_invite");
        assert_eq!(names(fitted.roles.iter().map(|it| &it.name).collect()), "Owner,Member");
        assert_eq!(fitted.roles[0].manages, ["Member"]);
        let [mapping] = &fitted.role_mappings[..] else { panic!("{:?}", fitted.role_mappings) };
        assert_eq!((&*mapping.name, mapping.disabled_roles.len(), mapping.grants.len()), ("Default", 0, 1));
        assert_eq!(mapping.grants[0].permissions, ["read", "rolecall::can_invite"]);
        let reported: Vec<String> = misfits.kinds().flat_map(|(_, all)| all).cloned().collect();
        let expected = [
            "Nobody of Owner",
            "read",
            "\"read \" must not begin or end with white space",
            "\"rolecall::fly\" must not begin with `rolecall::`",
            "\"Pro\\n\" must not begin or end with white space",
            "default",
            "\" lead\" must not begin or end with white space",
            "member",
        ];
        assert_eq!(reported, expected);
    }

    #[test]
    fn a_default_role_that_cannot_be_imported_is_refused() {
        let from = Configuration { default_role: " lead".into(), ..configuration() };
        let refused = fitted(from, &mut Misfits::default()).err().unwrap();
        assert!(refused.what.contains("`default_role` is ` lead`"), "{refused:?}");
    }

    #[test]
    fn a_long_description_is_cut_between_characters() {
        let mut misfits = Misfits::default();
        assert_eq!(description("a\0b", "role x", &mut misfits), "ab");
        let cut = description(&"ä".repeat(600).replacen('ä', "a", 1), "role x", &mut misfits);
        assert_eq!((cut.len(), misfits.kinds().count()), (1_023, 1));
    }
}
