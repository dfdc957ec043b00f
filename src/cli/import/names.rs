//! Earlier names of roles and role mappings: files may use them as requests do (R3.a).

use std::collections::HashMap;

use crate::wire::Configuration;

/// The present name of each earlier name.
#[derive(Default)]
pub struct CurrentNames {
    roles: HashMap<String, String>,
    role_mappings: HashMap<String, String>,
}

impl CurrentNames {
    /// `present` is the project, and `wanted` is what the files say about it.
    pub fn new(present: &Configuration, wanted: &Configuration) -> Self {
        let roles = present.roles.iter().map(|it| (&it.name, &it.aliases[..]));
        let role_mappings = present.role_mappings.iter().map(|it| (&it.name, &it.aliases[..]));
        let wanted_roles: Vec<&String> = wanted.roles.iter().map(|it| &it.name).collect();
        let wanted_role_mappings: Vec<&String> = wanted.role_mappings.iter().map(|it| &it.name).collect();
        Self { roles: of(roles, &wanted_roles), role_mappings: of(role_mappings, &wanted_role_mappings) }
    }

    pub fn role<'a>(&'a self, name: &'a String) -> &'a String {
        self.roles.get(name).unwrap_or(name)
    }

    pub fn role_mapping<'a>(&'a self, name: &'a String) -> &'a String {
        self.role_mappings.get(name).unwrap_or(name)
    }
}

/// Returns the present name of each earlier name. Leaves out those that `wanted` gives to a new object: ApplyConfiguration
/// takes an entry for the object with its name, and only then for one that had it before.
fn of<'a>(present: impl Iterator<Item = (&'a String, &'a [String])>, wanted: &[&'a String]) -> HashMap<String, String> {
    let mut current = HashMap::new();
    for (name, aliases) in present {
        let by_alias = || wanted.iter().find(|wanted| aliases.contains(wanted));
        let meant_by = wanted.iter().find(|wanted| **wanted == name).or_else(by_alias);
        let kept = aliases.iter().filter(|alias| !wanted.contains(alias) || meant_by == Some(alias));
        current.extend(kept.map(|alias| (alias.clone(), name.clone())));
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3_an_earlier_name_means_the_role_unless_the_files_have_a_new_one_with_it() {
        let administrator = ("Administrator".to_string(), ["Admin".to_string(), "Boss".to_string()]);
        for (wanted, current) in [
            (&[][..], [Some("Administrator"), Some("Administrator")]),
            (&["Owner", "Admin"], [Some("Administrator"), Some("Administrator")]),
            (&["Administrator", "Admin"], [None, Some("Administrator")]),
            (&["Boss", "Admin"], [None, Some("Administrator")]),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|name| name.to_string()).collect();
            let wanted: Vec<&String> = wanted.iter().collect();
            let names = of([(&administrator.0, &administrator.1[..])].into_iter(), &wanted);
            assert_eq!(["Admin", "Boss"].map(|name| names.get(name).map(String::as_str)), current, "{wanted:?}");
        }
    }
}
