//! The impact of a write (R9), found by comparing everything before with everything after.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Command, Time};

use super::configuration::Renames;
use super::{InvitationModel, Member, Model, OrgModel, ProjectModel};

/// The same data as `rolecall::domain::impact::report::Impact`, but with complete lists and all affected members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub orgs: BTreeSet<String>,
    /// How many pending invitations are affected.
    pub invitations: u64,
    pub members_losing_at_least: u64,
    /// Numbers given, removed, suspended and reactivated, for roles where one is not zero.
    pub roles: BTreeMap<String, [u64; 4]>,
    /// Mapping, role and permission.
    pub grants_gained: BTreeSet<(String, String, String)>,
    pub grants_lost: BTreeSet<(String, String, String)>,
    pub at_least_lost: BTreeSet<(String, String)>,
    pub manages_lost: BTreeSet<(String, String)>,
    pub orgs_left_ownerless: BTreeSet<String>,
    /// Org and user.
    pub affected: BTreeMap<(String, String), AffectedMember>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AffectedMember {
    pub roles_given: BTreeSet<String>,
    pub roles_removed: BTreeSet<String>,
    pub roles_suspended: BTreeSet<String>,
    pub roles_reactivated: BTreeSet<String>,
    pub permissions_gained: BTreeSet<String>,
    pub permissions_lost: BTreeSet<String>,
    pub loses: bool,
}

/// Expiry, state, and the fallback role with its state.
type ShownRole = (Option<Time>, RoleState, Option<(String, RoleState)>);

/// The roles of a member and what the live ones grant.
#[derive(Default, PartialEq)]
struct MemberState {
    shown: BTreeMap<String, ShownRole>,
    held: BTreeMap<String, RoleState>,
    /// The permission rows of the live roles.
    rows: BTreeMap<String, BTreeSet<String>>,
}

impl MemberState {
    fn grants(&self) -> BTreeSet<String> {
        self.rows.values().flatten().cloned().collect()
    }
}

/// Returns the key of the project that a command changes or creates.
pub fn project_of(command: &Command) -> String {
    match command {
        Command::CreateProject(command) => command.key.to_string(),
        command => command.project().map(ToString::to_string).unwrap_or_default(),
    }
}

impl Model {
    /// Returns the impact of the command that led to `after`, with the names after the command.
    pub fn report(&self, command: &Command, after: &Model, visible_only: bool, now: Time) -> Report {
        let key = project_of(command);
        let mut before = self.projects.get(&key).cloned();
        let mut after = after.projects.get(&key).cloned();
        if let Some(project) = &mut before {
            project.apply_rename(command);
        }
        if visible_only {
            for project in before.iter_mut().chain(&mut after) {
                let orgs: Vec<_> =
                    project.orgs.iter().map(|(id, org)| (id.clone(), project.without_internal_roles(org))).collect();
                project.orgs = orgs.into_iter().collect();
            }
        }
        let mut report = compared(before.as_ref(), after.as_ref(), now);
        if let Some(project) = self.projects.get(&key) {
            project.use_old_names(command, &mut report);
        }
        report
    }
}

fn compared(before: Option<&ProjectModel>, after: Option<&ProjectModel>, now: Time) -> Report {
    let mut report = Report::default();
    let none = BTreeMap::new();
    let orgs = |project: Option<&ProjectModel>| project.map_or_else(|| none.clone(), |project| project.orgs.clone());
    let (were, are) = (orgs(before), orgs(after));
    for id in were.keys().chain(are.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (were.get(id), are.get(id));
        let profile = |org: &OrgModel| {
            (org.display_name.clone(), org.metadata.clone(), org.created, org.mapping.clone(), org.domains.clone())
        };
        let renamed = |org: Option<&OrgModel>| org.map(profile);
        if renamed(was) != renamed(is) {
            report.orgs.insert(id.clone());
        }
        let invitations = report.invitations;
        let users = was.into_iter().chain(is).flat_map(|org| org.members.keys()).collect::<BTreeSet<_>>();
        for user in users {
            let state_before =
                before.zip(was).map(|(project, org)| project.member_state(org, user, now)).unwrap_or_default();
            let state_after =
                after.zip(is).map(|(project, org)| project.member_state(org, user, now)).unwrap_or_default();
            let live = |role: &&String| state_before.rows.contains_key(*role) || state_after.rows.contains_key(*role);
            let row = |project: Option<&ProjectModel>, org: Option<&OrgModel>, role: &str| {
                let grants = project.zip(org).map(|(project, org)| &project.mappings[&org.mapping].grants);
                grants.and_then(|grants| grants.get(role).cloned()).unwrap_or_default()
            };
            let roles: BTreeSet<&String> = state_before.held.keys().chain(state_after.held.keys()).collect();
            let passed = |project: Option<&ProjectModel>, state: &MemberState| {
                let pairs = project.map(ProjectModel::at_least).unwrap_or_default();
                let passed = pairs.into_iter().filter(|(role, _)| state.rows.contains_key(role));
                // Count only roles that exist afterwards.
                let there = |role: &String| after.is_some_and(|it| it.roles.iter().any(|(other, _)| other == role));
                passed.map(|(_, asked)| asked).filter(there).collect::<BTreeSet<_>>()
            };
            report.members_losing_at_least +=
                u64::from(!passed(before, &state_before).is_subset(&passed(after, &state_after)));
            let differs = |role: &&String| row(before, was, role) != row(after, is, role);
            if state_before.shown == state_after.shown && !roles.iter().copied().filter(live).any(|role| differs(&role))
            {
                continue;
            }
            report.orgs.insert(id.clone());
            let mut affected = AffectedMember::default();
            for role in roles.iter().copied() {
                let column = match (state_before.held.get(role), state_after.held.get(role)) {
                    (None, _) => Some((0, &mut affected.roles_given)),
                    (_, None) => Some((1, &mut affected.roles_removed)),
                    (Some(was), Some(is)) => match (*was == RoleState::Suspended, *is == RoleState::Suspended) {
                        (false, true) => Some((2, &mut affected.roles_suspended)),
                        (true, false) => Some((3, &mut affected.roles_reactivated)),
                        _ => None,
                    },
                };
                if let Some((column, roles)) = column {
                    roles.insert(role.clone());
                    report.roles.entry(role.clone()).or_default()[column] += 1;
                }
            }
            let (had, has) = (state_before.grants(), state_after.grants());
            affected.permissions_gained = has.difference(&had).cloned().collect();
            affected.permissions_lost = had.difference(&has).cloned().collect();
            let less = state_before.rows.iter().any(|(role, granted)| !granted.is_subset(&row(after, is, role)));
            affected.loses = !affected.roles_removed.is_empty() || !affected.roles_suspended.is_empty() || less;
            report.affected.insert((id.clone(), user.clone()), affected);
        }
        let emails = was.into_iter().chain(is).flat_map(|org| org.invitations.keys()).collect::<BTreeSet<_>>();
        for email in emails {
            let state = |project: Option<&ProjectModel>, org: Option<&OrgModel>| {
                let (project, org) = project.zip(org)?;
                let invitation = org.invitations.get(email).filter(|invitation| !invitation.has_expired(now))?;
                Some((invitation.clone(), project.state_of(org, &invitation.as_member(), now)))
            };
            // A replaced invitation and its replacement are two.
            report.invitations += match (state(before, was), state(after, is)) {
                (None, None) => 0,
                (Some((was, before)), Some((is, after))) if same(&was, &is) => u64::from(before != after),
                (before, after) => u64::from(before.is_some()) + u64::from(after.is_some()),
            };
        }
        if report.invitations > invitations {
            report.orgs.insert(id.clone());
        }
        let owned = |project: Option<&ProjectModel>, org: Option<&OrgModel>| {
            project.zip(org).is_some_and(|(project, org)| project.has_owner(org))
        };
        if is.is_some() && owned(before, was) && !owned(after, is) {
            report.orgs_left_ownerless.insert(id.clone());
        }
    }
    let grants = |project: Option<&ProjectModel>| project.map(ProjectModel::all_grants).unwrap_or_default();
    report.grants_gained = grants(after).difference(&grants(before)).cloned().collect();
    report.grants_lost = grants(before).difference(&grants(after)).cloned().collect();
    if let Some((before, after)) = before.zip(after) {
        let there = |role: &String| after.roles.iter().any(|(other, _)| other == role);
        let lost = |were: BTreeSet<(String, String)>, are: BTreeSet<(String, String)>| {
            let lost = were.difference(&are).filter(|(role, other)| there(role) && there(other));
            lost.cloned().collect()
        };
        report.at_least_lost = lost(before.at_least(), after.at_least());
        report.manages_lost = lost(before.all_managed(), after.all_managed());
    }
    report
}

/// Returns true if both are the same invitation. Its roles may change. Two commits never have the same time.
fn same(one: &InvitationModel, other: &InvitationModel) -> bool {
    one.created == other.created
}

impl ProjectModel {
    /// Gives a renamed object its new name before the comparison.
    fn apply_rename(&mut self, command: &Command) {
        match command {
            Command::UpdateRole(command) => {
                if let Some((role, new_name)) = self.role(command.name.as_str()).ok().zip(command.new_name.as_ref()) {
                    self.rename_role(&role, new_name.as_str());
                }
            }
            Command::UpdatePermission(command) => {
                let found = self.permission(command.name.as_str()).ok();
                if let Some((name, new_name)) = found.zip(command.new_name.as_ref()) {
                    for row in self.mappings.values_mut().flat_map(|mapping| mapping.grants.values_mut()) {
                        if row.remove(&name) {
                            row.insert(new_name.to_string());
                        }
                    }
                }
            }
            Command::UpdateRoleMapping(command) => {
                let found = self.mapping(command.name.as_str()).ok();
                if let Some((name, new_name)) = found.zip(command.new_name.as_ref()) {
                    if let Some(mapping) = self.mappings.remove(&name) {
                        self.mappings.insert(new_name.to_string(), mapping);
                    }
                    for org in self.orgs.values_mut().filter(|org| org.mapping == name) {
                        org.mapping = new_name.to_string();
                    }
                }
            }
            Command::ApplyConfiguration(command) => self.rename_all(&self.renames(command)),
            _ => {}
        }
    }

    /// Lost pairs and grants are reported with the old names.
    fn use_old_names(&self, command: &Command, report: &mut Report) {
        match command {
            Command::UpdateRole(command) => {
                let old = self.role(command.name.as_str()).ok().zip(command.new_name.as_ref());
                let Some((old, new)) = old.map(|(old, new)| (old, new.to_string())) else { return };
                let called = |role: &String| if *role == new { old.clone() } else { role.clone() };
                let pairs =
                    |all: &BTreeSet<(String, String)>| all.iter().map(|(a, b)| (called(a), called(b))).collect();
                report.at_least_lost = pairs(&report.at_least_lost);
                report.manages_lost = pairs(&report.manages_lost);
            }
            Command::UpdateRoleMapping(command) => {
                let old = self.mapping(command.name.as_str()).ok().zip(command.new_name.as_ref());
                let Some((old, new)) = old.map(|(old, new)| (old, new.to_string())) else { return };
                let called = |name: &String| if *name == new { old.clone() } else { name.clone() };
                let lost =
                    report.grants_lost.iter().map(|(mapping, role, it)| (called(mapping), role.clone(), it.clone()));
                report.grants_lost = lost.collect();
            }
            Command::ApplyConfiguration(command) => {
                let Renames { permissions, roles, mappings } = self.renames(command);
                let called = |names: &BTreeMap<String, String>, new: &String| {
                    names.iter().find(|(_, other)| *other == new).map_or(new, |(old, _)| old).clone()
                };
                let pairs = |all: &BTreeSet<(String, String)>| {
                    all.iter().map(|(a, b)| (called(&roles, a), called(&roles, b))).collect()
                };
                report.at_least_lost = pairs(&report.at_least_lost);
                report.manages_lost = pairs(&report.manages_lost);
                for member in report.affected.values_mut() {
                    let lost = member.permissions_lost.iter().map(|name| called(&permissions, name));
                    member.permissions_lost = lost.collect();
                }
                let lost = report.grants_lost.iter().map(|(mapping, role, permission)| {
                    (called(&mappings, mapping), called(&roles, role), called(&permissions, permission))
                });
                report.grants_lost = lost.collect();
            }
            _ => {}
        }
    }

    fn member_state(&self, org_model: &OrgModel, user: &str, now: Time) -> MemberState {
        let member = org_model.members.get(user).filter(|member| member.is_member(now));
        member.map_or_else(MemberState::default, |member| self.state_of(org_model, member, now))
    }

    fn state_of(&self, org_model: &OrgModel, member: &Member, now: Time) -> MemberState {
        let shown = self.member_roles(org_model, member, now);
        let shown = shown.into_iter().filter(|(_, _, state, ..)| *state != RoleState::Expired);
        let shown =
            shown.map(|(role, expire_time, state, _, fallback_role)| (role, (expire_time, state, fallback_role)));
        let shown = shown.collect();
        let mut held: BTreeMap<String, RoleState> = BTreeMap::new();
        for (role, state) in self.state(org_model, member, now) {
            // A role can be held and be a fallback role at once.
            let best = held.get(&role).is_none_or(|other| *other != RoleState::Live);
            if state != RoleState::Expired && best {
                held.insert(role, state);
            }
        }
        let grants = &self.mappings[&org_model.mapping].grants;
        let live = held.iter().filter(|(_, state)| **state == RoleState::Live);
        let rows = live.map(|(role, _)| (role.clone(), grants.get(role).cloned().unwrap_or_default())).collect();
        MemberState { shown, held, rows }
    }

    fn all_grants(&self) -> BTreeSet<(String, String, String)> {
        let mut all = BTreeSet::new();
        for (mapping, rows) in &self.mappings {
            for (role, row) in &rows.grants {
                all.extend(row.iter().map(|permission| (mapping.clone(), role.clone(), permission.clone())));
            }
        }
        all
    }

    /// Returns the pairs of roles where holding the first passes an "at least" check for the second (K6).
    fn at_least(&self) -> BTreeSet<(String, String)> {
        let mut pairs = BTreeSet::new();
        for (at, (role, _)) in self.roles.iter().enumerate() {
            pairs.insert((role.clone(), role.clone()));
            if self.structure == RoleStructure::SingleRole {
                pairs.extend(self.roles[at..].iter().map(|(other, _)| (role.clone(), other.clone())));
            }
        }
        pairs
    }

    /// Returns the pairs of roles where the first manages the second (G2).
    fn all_managed(&self) -> BTreeSet<(String, String)> {
        let mut pairs = BTreeSet::new();
        for (role, _) in &self.roles {
            pairs.extend(self.scope(role).into_iter().map(|other| (role.clone(), other)));
        }
        pairs
    }
}
