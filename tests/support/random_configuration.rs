//! A random change of a project's own configuration, for the random histories of the domain and of the store.

use rolecall::domain::Project;
use rolecall::wire::{self, DisabledRoleStrategy, RoleStructure};

/// The names that a change may use.
pub struct Names<'a> {
    pub permissions: &'a [&'a str],
    pub roles: &'a [&'a str],
    pub role_mappings: &'a [&'a str],
}

/// Returns a request to apply the configuration of a project with some changes. `below` returns a random number below another.
pub fn random_request(
    project: &Project,
    names: &Names<'_>,
    below: &mut dyn FnMut(usize) -> usize,
) -> wire::ApplyConfigurationRequest {
    let key = project.record.key.to_string();
    let request = wire::ApplyConfigurationRequest { project: key, ..Default::default() };
    let mut change = Change { wanted: wire::configuration::configuration(project), request, names, below };
    for _ in 0..change.below(6) {
        change.make_one();
    }
    let has_strategy = change.below(4) > 0;
    for at in (0..change.wanted.role_mappings.len()).filter(|_| has_strategy) {
        change.wanted.role_mappings[at].on_disabled = change.on_disabled();
    }
    let (prune, allow_ownerless) = (change.below(2) == 0, change.below(3) > 0);
    let Change { wanted, request, .. } = change;
    wire::ApplyConfigurationRequest { configuration: Some(wanted), prune, allow_ownerless, ..request }
}

struct Change<'a> {
    wanted: wire::Configuration,
    request: wire::ApplyConfigurationRequest,
    names: &'a Names<'a>,
    below: &'a mut dyn FnMut(usize) -> usize,
}

impl Change<'_> {
    fn below(&mut self, sides: usize) -> usize {
        (self.below)(sides)
    }

    /// Returns a name that is mostly not in use.
    fn new_name(&mut self, names: &[&str], used: &[String]) -> String {
        let mut name = "";
        for _ in 0..4 {
            name = names[self.below(names.len())];
            if !used.iter().any(|used| used == name) {
                break;
            }
        }
        name.into()
    }

    fn new_permission(&mut self) -> String {
        let used: Vec<String> = self.wanted.permissions.iter().map(|it| it.name.clone()).collect();
        self.new_name(self.names.permissions, &used)
    }

    fn new_role(&mut self) -> String {
        let used: Vec<String> = self.wanted.roles.iter().map(|it| it.name.clone()).collect();
        self.new_name(self.names.roles, &used)
    }

    fn new_role_mapping(&mut self) -> String {
        let used: Vec<String> = self.wanted.role_mappings.iter().map(|it| it.name.clone()).collect();
        self.new_name(self.names.role_mappings, &used)
    }

    /// Returns the name of a role, mostly of the configuration.
    fn role(&mut self) -> String {
        let (len, names) = (self.wanted.roles.len(), self.names.roles);
        if len == 0 || self.below(15) == 0 {
            return names[self.below(names.len())].into();
        }
        let at = self.below(len);
        self.wanted.roles[at].name.clone()
    }

    /// Returns a position in the list of roles, mostly not that of a default role. `None` if there are no roles.
    fn other_role(&mut self) -> Option<usize> {
        let len = self.wanted.roles.len();
        let mut at = self.below(len.max(1));
        for _ in 0..4 {
            let is_default =
                |name: &String| [&self.wanted.default_role, &self.wanted.default_owner_role].contains(&name);
            if len == 0 || !is_default(&self.wanted.roles[at].name) {
                break;
            }
            at = self.below(len);
        }
        (len > 0).then_some(at)
    }

    fn role_mapping(&mut self) -> Option<usize> {
        let len = self.wanted.role_mappings.len();
        (len > 0).then(|| self.below(len))
    }

    fn on_disabled(&mut self) -> Option<wire::OnDisabled> {
        let suspend = DisabledRoleStrategy::Suspend.into();
        let (role, replacement) = (self.role(), self.role());
        match self.below(4) {
            0 => None,
            1 => Some(wire::OnDisabled { strategy: suspend, ..Default::default() }),
            2 => Some(wire::OnDisabled { strategy: suspend, fallback_role: role, ..Default::default() }),
            _ => Some(wire::OnDisabled {
                strategy: DisabledRoleStrategy::Remap.into(),
                replacements: (self.below(3) == 0)
                    .then(|| wire::RoleReplacement { role: role.clone(), replacement })
                    .into_iter()
                    .collect(),
                default_replacement: role,
                ..Default::default()
            }),
        }
    }

    fn make_one(&mut self) -> Option<()> {
        match self.below(30) {
            0 | 1 => self.rename_role(),
            2 => self.rename_permission(),
            3 => self.rename_role_mapping(),
            4 | 5 => {
                let (at, name) = (self.below(self.wanted.roles.len() + 1), self.new_role());
                let internal = self.below(4) == 0;
                self.wanted.roles.insert(at, wire::ConfiguredRole { name, internal, ..Default::default() });
                Some(())
            }
            6 => {
                let (name, description) = (self.new_permission(), "configured".into());
                self.wanted.permissions.push(wire::ConfiguredPermission { name, description, ..Default::default() });
                Some(())
            }
            7 => {
                let name = self.new_role_mapping();
                self.wanted.role_mappings.push(wire::ConfiguredRoleMapping { name, ..Default::default() });
                Some(())
            }
            8..=10 => self.drop_role(),
            11 => self.drop_permission(),
            12 | 13 => self.drop_role_mapping(),
            14..=17 => self.toggle_grant(),
            18..=21 => {
                let (role, mapping) = (self.other_role()?, self.role_mapping()?);
                let name = self.wanted.roles[role].name.clone();
                toggle(&mut self.wanted.role_mappings[mapping].disabled_roles, name);
                Some(())
            }
            22 => {
                let at = self.other_role()?;
                let role = &mut self.wanted.roles[at];
                role.description = format!("{} again", role.name);
                role.internal = !role.internal;
                Some(())
            }
            23 => {
                let (role, mapping) = (self.role(), self.role_mapping()?);
                match self.below(3) {
                    0 => self.wanted.default_role = role,
                    1 => self.wanted.default_owner_role = role,
                    _ => self.wanted.default_role_mapping = self.wanted.role_mappings[mapping].name.clone(),
                }
                self.wanted.display_name = "Configured".into();
                Some(())
            }
            24 => {
                let (one, other) = (self.other_role()?, self.other_role()?);
                self.wanted.roles.swap(one, other);
                Some(())
            }
            25 | 26 => {
                let (at, managed) = (self.other_role()?, self.role());
                if self.wanted.role_structure() == RoleStructure::MultiRole {
                    toggle(&mut self.wanted.roles[at].manages, managed);
                }
                Some(())
            }
            27 if self.below(2) == 0 => {
                let is_single = self.wanted.role_structure() == RoleStructure::SingleRole;
                let to = if is_single { RoleStructure::MultiRole } else { RoleStructure::SingleRole };
                self.wanted.set_role_structure(to);
                self.wanted.roles.iter_mut().for_each(|role| role.manages.clear());
                Some(())
            }
            _ => {
                let (at, alias) = (self.other_role()?, self.new_role());
                let aliases = &mut self.wanted.roles[at].aliases;
                if aliases.pop().is_none() {
                    aliases.push(alias);
                }
                Some(())
            }
        }
    }

    fn rename_role(&mut self) -> Option<()> {
        let (at, new) = (self.below(self.wanted.roles.len().max(1)), self.new_role());
        let role = self.wanted.roles.get_mut(at)?;
        let old = std::mem::replace(&mut role.name, new.clone());
        (role.renamed_from, role.description) = (old.clone(), format!("{old} before"));
        let wanted = &mut self.wanted;
        let managed = wanted.roles.iter_mut().flat_map(|role| &mut role.manages);
        let mappings = wanted.role_mappings.iter_mut();
        let in_mappings =
            mappings.flat_map(|it| it.disabled_roles.iter_mut().chain(it.grants.iter_mut().map(|row| &mut row.role)));
        let defaults = [&mut wanted.default_role, &mut wanted.default_owner_role];
        managed.chain(in_mappings).chain(defaults).filter(|name| **name == old).for_each(|name| *name = new.clone());
        Some(())
    }

    fn rename_permission(&mut self) -> Option<()> {
        let (at, new) = (self.below(self.wanted.permissions.len().max(1)), self.new_permission());
        let permission = self.wanted.permissions.get_mut(at)?;
        let old = std::mem::replace(&mut permission.name, new.clone());
        (permission.renamed_from, permission.description) = (old.clone(), format!("{old} before"));
        let rows = self.wanted.role_mappings.iter_mut().flat_map(|mapping| &mut mapping.grants);
        let granted = rows.flat_map(|row| &mut row.permissions).filter(|name| **name == old);
        granted.for_each(|name| *name = new.clone());
        Some(())
    }

    fn rename_role_mapping(&mut self) -> Option<()> {
        let (at, new) = (self.role_mapping()?, self.new_role_mapping());
        let mapping = &mut self.wanted.role_mappings[at];
        mapping.renamed_from = std::mem::replace(&mut mapping.name, new.clone());
        if self.wanted.default_role_mapping == mapping.renamed_from {
            self.wanted.default_role_mapping = new;
        }
        Some(())
    }

    fn drop_role(&mut self) -> Option<()> {
        let at = self.other_role()?;
        let name = self.wanted.roles.remove(at).name;
        self.wanted.roles.iter_mut().for_each(|role| role.manages.retain(|other| *other != name));
        for mapping in &mut self.wanted.role_mappings {
            mapping.disabled_roles.retain(|other| *other != name);
            mapping.grants.retain(|row| row.role != name);
        }
        let replacement = match self.below(3) {
            0 => return None,
            1 => String::new(),
            _ => self.role(),
        };
        self.request.deleted_roles.push(wire::DeletedRole { name, replacement });
        Some(())
    }

    fn drop_permission(&mut self) -> Option<()> {
        let at = self.below(self.wanted.permissions.len().max(1));
        self.wanted.permissions.get(at)?;
        let name = self.wanted.permissions.remove(at).name;
        for row in self.wanted.role_mappings.iter_mut().flat_map(|mapping| &mut mapping.grants) {
            row.permissions.retain(|other| *other != name);
        }
        if self.below(2) == 0 {
            self.request.deleted_permissions.push(name);
        }
        Some(())
    }

    fn drop_role_mapping(&mut self) -> Option<()> {
        let at = self.role_mapping()?;
        let name = self.wanted.role_mappings[at].name.clone();
        if name == self.wanted.default_role_mapping && self.below(4) > 0 {
            return None;
        }
        self.wanted.role_mappings.remove(at);
        let to = self.role_mapping().filter(|_| self.below(4) > 0)?;
        let move_subscribers_to = self.wanted.role_mappings[to].name.clone();
        let on_disabled = self.on_disabled();
        self.request.deleted_role_mappings.push(wire::DeletedRoleMapping { name, move_subscribers_to, on_disabled });
        Some(())
    }

    fn toggle_grant(&mut self) -> Option<()> {
        let (mapping, role) = (self.role_mapping()?, self.role());
        let at = self.below(self.wanted.permissions.len().max(1));
        let permission = self.wanted.permissions.get(at)?.name.clone();
        let grants = &mut self.wanted.role_mappings[mapping].grants;
        match grants.iter_mut().find(|row| row.role == role) {
            Some(row) => toggle(&mut row.permissions, permission),
            None => grants.push(wire::ConfiguredGrants { role, permissions: vec![permission] }),
        }
        Some(())
    }
}

/// Removes a name from a list, or adds it.
fn toggle(names: &mut Vec<String>, name: String) {
    let len = names.len();
    names.retain(|other| *other != name);
    if names.len() == len {
        names.push(name);
    }
}
