//! The rules of `domain.md` once more, as slowly and plainly as they can be said: names for ids, ordered maps for tables.
//!
//! It shares no code with `src/domain`, only its vocabulary: commands, reasons, decisions, standings and limits.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::command::{
    BatchWriteMembers, Command, CreateOrg, CreatePermissions, CreateProject, CreateRole, CreateRoleMapping, GivenRole,
    MemberWrite, Place, PromoteRoleMapping, RoleMappingEdits, SubscribeOrg, SubscribeTo, UpdateRoleMapping, Write,
};
use rolecall::domain::membership::Standing;
use rolecall::domain::project::{Environment, RoleStructure};
use rolecall::domain::{Decision, Reason, Time};
use rolecall::limits::Limits;

/// All that can be seen of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub projects: BTreeMap<String, Space>,
}

/// All that can be seen of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    pub display_name: String,
    pub environment: Environment,
    pub structure: RoleStructure,
    pub created: Time,
    pub default_role: String,
    pub default_owner_role: String,
    pub default_mapping: String,
    pub permissions: BTreeMap<String, About>,
    /// From the highest to the lowest.
    pub roles: Vec<(String, About)>,
    pub mappings: BTreeMap<String, Mapping>,
    pub orgs: BTreeMap<String, Customer>,
    /// Every different set of roles that a member ever had.
    pub role_sets: BTreeSet<BTreeSet<String>>,
}

/// What a permission, a role or a mapping says of itself beside its name.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    pub description: String,
    /// Of a permission: built in. Of a role: internal.
    pub marked: bool,
    pub created: Time,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub about: About,
    pub disabled: BTreeSet<String>,
    /// Role to permissions; only rows that are not empty.
    pub grants: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    pub display_name: String,
    pub metadata: String,
    pub created: Time,
    pub mapping: String,
    pub members: BTreeMap<String, Roles>,
}

/// What is recorded of a member: roles, and until when.
pub type Roles = BTreeMap<String, Option<Time>>;

/// An accepted command.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutcome {
    /// Whether it takes a revision.
    pub changed: bool,
    pub answer: Answer,
}

/// What an accepted command is answered with, as far as it is more than the contents themselves.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Project(String),
    Permission(String),
    PermissionsCreated(usize),
    Role(String),
    RoleMapping(String),
    Org { org: String, mapping: String },
    Subscription { org: String, mapping: String },
    Member { org: String, user: String, roles: Vec<(String, Option<Time>, Standing)> },
    Removed,
    Tally { added: usize, set: usize, removed: usize, unchanged: usize },
}

impl Model {
    /// Does what the command asks, at `now`, or says why it is not done; then nothing is.
    pub fn run(&mut self, command: &Command, now: Time, limits: &Limits) -> Result<ModelOutcome, Reason> {
        let mut next = self.clone();
        let answer = next.execute(command, now, limits)?;
        let changed = next != *self;
        *self = next;
        Ok(ModelOutcome { changed, answer })
    }

    /// K1 and K2: the first that fits.
    pub fn check(&self, project: &str, org: &str, user: &str, permission: &str, now: Time) -> Decision {
        let space = &self.projects[project];
        let Some(customer) = space.orgs.get(org) else { return Decision::OrgNotFound };
        if !space.permissions.contains_key(permission) {
            return Decision::UnknownPermission;
        }
        let Some(roles) = customer.members.get(user) else { return Decision::NotAMember };
        let grants = &space.mappings[&customer.mapping].grants;
        let mut granting = Vec::new();
        for (role, _, standing) in space.shown(customer, roles, now) {
            if grants.get(&role).is_some_and(|row| row.contains(permission)) {
                granting.push(standing);
            }
        }
        if granting.contains(&Standing::Live) {
            Decision::Allowed
        } else if granting.contains(&Standing::Suspended) {
            Decision::RoleDisabled
        } else if granting.contains(&Standing::Ended) {
            Decision::RoleExpired
        } else {
            Decision::MissingPermission
        }
    }

    fn execute(&mut self, command: &Command, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        match command {
            Command::CreateProject(command) => self.create_project(command, now),
            Command::CreatePermissions(command) => {
                self.space(command.project.as_str())?.create_permissions(command, now, limits)
            }
            Command::CreateRole(command) => self.space(command.project.as_str())?.create_role(command, now, limits),
            Command::CreateRoleMapping(command) => {
                self.space(command.project.as_str())?.create_mapping(command, now, limits)
            }
            Command::UpdateRoleMapping(command) => {
                self.space(command.project.as_str())?.update_mapping(command, limits)
            }
            Command::PromoteRoleMapping(command) => self.space(command.project.as_str())?.promote(command),
            Command::CreateOrg(command) => self.space(command.project.as_str())?.create_org(command, now),
            Command::SubscribeOrg(command) => self.space(command.project.as_str())?.subscribe(command),
            Command::WriteMember(command) => {
                let space = self.space(command.project.as_str())?;
                space.write_member(&command.row, now, limits)?;
                Ok(space.member(&command.row, now))
            }
            Command::BatchWriteMembers(command) => {
                self.space(command.project.as_str())?.write_members(command, now, limits)
            }
        }
    }

    fn space(&mut self, key: &str) -> Result<&mut Space, Reason> {
        self.projects.get_mut(key).ok_or(Reason::ProjectNotFound)
    }

    /// P3, P4.
    fn create_project(&mut self, command: &CreateProject, now: Time) -> Result<Answer, Reason> {
        let key = command.key.to_string();
        if self.projects.contains_key(&key) {
            return Err(Reason::ProjectAlreadyExists);
        }
        let built_in = |text: &str| (format!("rolecall::{text}"), About::new("", true, now));
        let permissions = [
            "can_view_other_members",
            "can_invite",
            "can_change_roles",
            "can_remove_users",
            "can_manage_api_keys",
            "can_setup_sso",
            "can_delete_org",
            "can_edit_org_access",
            "can_update_org_metadata",
        ];
        let permissions: BTreeMap<String, About> = permissions.into_iter().map(built_in).collect();
        let all: BTreeSet<String> = permissions.keys().cloned().collect();
        let mut most = all.clone();
        most.remove("rolecall::can_delete_org");
        most.remove("rolecall::can_edit_org_access");
        let grants = [
            ("Owner".to_string(), all),
            ("Admin".to_string(), most),
            ("Member".to_string(), BTreeSet::from(["rolecall::can_view_other_members".to_string()])),
        ];
        let mapping =
            Mapping { about: About::new("", false, now), disabled: BTreeSet::new(), grants: BTreeMap::from(grants) };
        let role = |name: &str| (name.to_string(), About::new("", false, now));
        let space = Space {
            display_name: command.display_name.clone(),
            environment: command.environment,
            structure: command.role_structure,
            created: now,
            default_role: "Member".into(),
            default_owner_role: "Owner".into(),
            default_mapping: "Default".into(),
            permissions,
            roles: vec![role("Owner"), role("Admin"), role("Member")],
            mappings: BTreeMap::from([("Default".into(), mapping)]),
            orgs: BTreeMap::new(),
            role_sets: BTreeSet::new(),
        };
        self.projects.insert(key.clone(), space);
        Ok(Answer::Project(key))
    }
}

impl About {
    pub fn new(description: &str, marked: bool, created: Time) -> Self {
        Self { description: description.into(), marked, created }
    }
}

impl Space {
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|(role, _)| role == name)
    }

    /// (mapping, role, permission) triples.
    pub fn grant_count(&self) -> u64 {
        self.mappings.values().flat_map(|mapping| mapping.grants.values()).map(|row| row.len() as u64).sum()
    }

    /// The recorded roles of a member from the highest to the lowest, and how each stands.
    fn shown(&self, customer: &Customer, roles: &Roles, now: Time) -> Vec<(String, Option<Time>, Standing)> {
        let disabled = &self.mappings[&customer.mapping].disabled;
        let mut shown = Vec::new();
        for (name, _) in &self.roles {
            let Some(until) = roles.get(name) else { continue };
            let standing = if until.is_some_and(|until| now >= until) {
                Standing::Ended
            } else if disabled.contains(name) {
                Standing::Suspended
            } else {
                Standing::Live
            };
            shown.push((name.clone(), *until, standing));
        }
        // B5: in SINGLE a lent role lies over the base role.
        let lent = shown.iter().any(|(_, until, standing)| until.is_some() && *standing == Standing::Live);
        if self.structure == RoleStructure::SingleRole && lent {
            for (_, until, standing) in &mut shown {
                if until.is_none() && *standing == Standing::Live {
                    *standing = Standing::Shadowed;
                }
            }
        }
        shown
    }

    fn create_permissions(
        &mut self,
        command: &CreatePermissions,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        at_most(limits.permissions, self.permissions.len() + command.permissions.len())?;
        let mut created = Vec::new();
        for new in &command.permissions {
            let name = new.name.to_string();
            if name.starts_with("rolecall::") {
                return Err(Reason::ReservedName);
            }
            if self.permissions.contains_key(&name) {
                return Err(Reason::PermissionAlreadyExists);
            }
            self.permissions.insert(name.clone(), About::new(&new.description, false, now));
            created.push(name);
        }
        Ok(match created.pop() {
            Some(only) if !command.batch => Answer::Permission(only),
            _ => Answer::PermissionsCreated(command.permissions.len()),
        })
    }

    /// R1, R2.
    fn create_role(&mut self, command: &CreateRole, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let name = command.name.to_string();
        if self.roles.iter().any(|(other, _)| alike(other, &name)) {
            return Err(Reason::RoleAlreadyExists);
        }
        at_most(limits.roles, self.roles.len() + 1)?;
        for mapping in &command.disabled_in {
            let mapping = self.mappings.get_mut(mapping.as_str()).ok_or(Reason::RoleMappingNotFound)?;
            mapping.disabled.insert(name.clone());
        }
        let position = |wanted: &str| self.roles.iter().position(|(role, _)| role == wanted);
        let at = match &command.place {
            Place::Last => self.roles.len(),
            Place::Above(other) => position(other.as_str()).ok_or(Reason::RoleNotFound)?,
            Place::Below(other) => position(other.as_str()).ok_or(Reason::RoleNotFound)? + 1,
        };
        self.roles.insert(at, (name.clone(), About::new(&command.description, command.internal, now)));
        Ok(Answer::Role(name))
    }

    /// M2.
    fn create_mapping(&mut self, command: &CreateRoleMapping, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let name = command.name.to_string();
        if self.mappings.keys().any(|other| alike(other, &name)) {
            return Err(Reason::RoleMappingAlreadyExists);
        }
        at_most(limits.role_mappings, self.mappings.len() + 1)?;
        let about = About::new(&command.description, false, now);
        let mapping = match &command.duplicate_of {
            Some(original) => {
                let original = self.mappings.get(original.as_str()).ok_or(Reason::RoleMappingNotFound)?;
                Mapping { about, ..original.clone() }
            }
            None => Mapping { about, disabled: BTreeSet::new(), grants: BTreeMap::new() },
        };
        let grants = self.grant_count();
        self.mappings.insert(name.clone(), mapping);
        self.edit_mapping(&name, &command.edits)?;
        self.grants_at_most(limits, grants)?;
        for org in &command.subscribe {
            let customer = self.orgs.get_mut(org.as_str()).ok_or(Reason::OrgNotFound)?;
            customer.mapping = name.clone();
        }
        Ok(Answer::RoleMapping(name))
    }

    fn update_mapping(&mut self, command: &UpdateRoleMapping, limits: &Limits) -> Result<Answer, Reason> {
        let name = command.name.to_string();
        if !self.mappings.contains_key(&name) {
            return Err(Reason::RoleMappingNotFound);
        }
        let grants = self.grant_count();
        self.edit_mapping(&name, &command.edits)?;
        self.grants_at_most(limits, grants)?;
        Ok(Answer::RoleMapping(name))
    }

    fn edit_mapping(&mut self, name: &str, edits: &RoleMappingEdits) -> Result<(), Reason> {
        if edits.enable.iter().chain(&edits.disable).any(|role| !self.has_role(role.as_str())) {
            return Err(Reason::RoleNotFound);
        }
        if edits.enable.iter().any(|role| edits.disable.contains(role)) {
            return Err(Reason::Contradiction);
        }
        for role in &edits.disable {
            if role.as_str() == self.default_role || role.as_str() == self.default_owner_role {
                return Err(Reason::DefaultRoleDisabled);
            }
        }
        for edit in &edits.grants {
            if !self.has_role(edit.role.as_str()) {
                return Err(Reason::RoleNotFound);
            }
            if edit.add.iter().chain(&edit.remove).any(|name| !self.permissions.contains_key(name.as_str())) {
                return Err(Reason::PermissionNotFound);
            }
            if edit.add.iter().any(|name| edit.remove.contains(name)) {
                return Err(Reason::Contradiction);
            }
        }
        let mapping = self.mappings.get_mut(name).expect("the mapping is there");
        for role in &edits.enable {
            mapping.disabled.remove(role.as_str());
        }
        for role in &edits.disable {
            mapping.disabled.insert(role.to_string());
        }
        for edit in &edits.grants {
            let row = mapping.grants.entry(edit.role.to_string()).or_default();
            for name in &edit.remove {
                row.remove(name.as_str());
            }
            for name in &edit.add {
                row.insert(name.to_string());
            }
        }
        mapping.grants.retain(|_, row| !row.is_empty());
        Ok(())
    }

    fn grants_at_most(&self, limits: &Limits, before: u64) -> Result<(), Reason> {
        let grants = self.grant_count();
        if grants > before && grants > limits.grants { Err(Reason::LimitExceeded) } else { Ok(()) }
    }

    /// M1, M5.
    fn promote(&mut self, command: &PromoteRoleMapping) -> Result<Answer, Reason> {
        let name = command.name.to_string();
        if !self.mappings.contains_key(&name) {
            return Err(Reason::RoleMappingNotFound);
        }
        self.default_mapping = name.clone();
        Ok(Answer::RoleMapping(name))
    }

    /// S1, S5.
    fn create_org(&mut self, command: &CreateOrg, now: Time) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        if self.orgs.contains_key(&org) {
            return Err(Reason::OrgAlreadyExists);
        }
        let mapping = match &command.role_mapping {
            Some(name) => name.to_string(),
            None => self.default_mapping.clone(),
        };
        if !self.mappings.contains_key(&mapping) {
            return Err(Reason::RoleMappingNotFound);
        }
        let customer = Customer {
            display_name: command.display_name.clone(),
            metadata: command.metadata.clone(),
            created: now,
            mapping: mapping.clone(),
            members: BTreeMap::new(),
        };
        self.orgs.insert(org.clone(), customer);
        Ok(Answer::Org { org, mapping })
    }

    /// S2.
    fn subscribe(&mut self, command: &SubscribeOrg) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        let customer = self.orgs.get_mut(&org).ok_or(Reason::OrgNotFound)?;
        let mapping = match &command.to {
            SubscribeTo::RoleMapping(name) => name.to_string(),
            SubscribeTo::Default => self.default_mapping.clone(),
        };
        if !self.mappings.contains_key(&mapping) {
            return Err(Reason::RoleMappingNotFound);
        }
        customer.mapping = mapping.clone();
        Ok(Answer::Subscription { org, mapping })
    }

    /// B2: all or none, each (org, user) once.
    fn write_members(&mut self, command: &BatchWriteMembers, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let mut seen = BTreeSet::new();
        let (mut added, mut set, mut removed, mut unchanged) = (0, 0, 0, 0);
        for row in &command.rows {
            if !seen.insert((row.org_id.to_string(), row.user_id.to_string())) {
                return Err(Reason::RepeatedRow);
            }
            let changed = self.write_member(row, now, limits)?;
            match row.write {
                _ if !changed => unchanged += 1,
                Write::Add(_) => added += 1,
                Write::Set(_) => set += 1,
                Write::Remove => removed += 1,
            }
        }
        Ok(Answer::Tally { added, set, removed, unchanged })
    }

    /// Returns whether anything changed.
    fn write_member(&mut self, row: &MemberWrite, now: Time, limits: &Limits) -> Result<bool, Reason> {
        let (org, user) = (row.org_id.as_str(), row.user_id.as_str());
        let customer = self.orgs.get(org).ok_or(Reason::OrgNotFound)?;
        let recorded = customer.members.get(user).cloned();
        let mut held = recorded.clone().unwrap_or_default();
        held.retain(|_, until| !until.is_some_and(|until| now >= until));
        let after = match &row.write {
            Write::Add(_) if !held.is_empty() => return Err(Reason::MemberAlreadyExists),
            Write::Set(_) | Write::Remove if held.is_empty() => return Err(Reason::MemberNotFound),
            Write::Add(given) => Some(self.roles_given(customer, &held, &Roles::new(), given, now, limits)?),
            Write::Set(given) => {
                let recorded = recorded.clone().unwrap_or_default();
                Some(self.roles_given(customer, &held, &recorded, given, now, limits)?)
            }
            Write::Remove => None,
        };
        if let Some(roles) = &after {
            let set: BTreeSet<String> = roles.keys().cloned().collect();
            if !self.role_sets.contains(&set) {
                at_most(limits.role_sets, self.role_sets.len() + 1)?;
                self.role_sets.insert(set);
            }
        }
        let changed = after != recorded;
        let members = &mut self.orgs.get_mut(org).expect("looked up above").members;
        match after {
            Some(roles) => members.insert(user.to_string(), roles),
            None => members.remove(user),
        };
        Ok(changed)
    }

    /// B1, B2, B5, M3: the roles that a member holds after these are given to one who holds `held`.
    fn roles_given(
        &self,
        customer: &Customer,
        held: &Roles,
        recorded: &Roles,
        given: &[GivenRole],
        now: Time,
        limits: &Limits,
    ) -> Result<Roles, Reason> {
        let mut roles = Roles::new();
        if given.is_empty() {
            roles.insert(self.default_role.clone(), None);
        }
        for one in given {
            let name = one.role.to_string();
            if !self.has_role(&name) {
                return Err(Reason::RoleNotFound);
            }
            if roles.contains_key(&name) {
                return Err(Reason::RepeatedRole);
            }
            if one.until.is_some_and(|until| now >= until) {
                return Err(Reason::EndInThePast);
            }
            // A repeated role keeps its end, and an end in the past cannot be given.
            let kept = if one.permanent { None } else { recorded.get(&name).copied().flatten() };
            let until = one.until.or(kept);
            if until.is_some_and(|until| now >= until) {
                return Err(Reason::EndInThePast);
            }
            roles.insert(name, until);
        }
        if self.structure == RoleStructure::MultiRole {
            at_most(limits.member_roles, roles.len())?;
        } else {
            let lent = roles.values().filter(|until| until.is_some()).count();
            if lent > 1 || roles.len() - lent > 1 {
                return Err(Reason::TooManyRoles);
            }
        }
        let disabled = &self.mappings[&customer.mapping].disabled;
        if roles.keys().any(|name| disabled.contains(name) && !held.contains_key(name)) {
            return Err(Reason::RoleDisabled);
        }
        Ok(roles)
    }

    fn member(&self, row: &MemberWrite, now: Time) -> Answer {
        let (org, user) = (row.org_id.to_string(), row.user_id.to_string());
        let customer = &self.orgs[&org];
        match customer.members.get(&user) {
            Some(roles) => Answer::Member { roles: self.shown(customer, roles, now), org, user },
            None => Answer::Removed,
        }
    }
}

/// P7.
fn at_most(limit: u64, asked: usize) -> Result<(), Reason> {
    if asked as u64 > limit { Err(Reason::LimitExceeded) } else { Ok(()) }
}

/// Whether two names differ in case alone (R1).
fn alike(one: &str, other: &str) -> bool {
    one.to_uppercase() == other.to_uppercase()
}
