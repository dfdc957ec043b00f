//! What the workspace refuses beyond other projects (W7, W8).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::commands::call::{LOCAL, SYSTEM};
use crate::domain::commands::command::Command;
use crate::domain::commands::draft::Terms;
use crate::domain::model::fallback::Fallback;
use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::invitation::InvitationRecord;
use crate::domain::model::membership::{MembershipRecord, expiry_of};
use crate::domain::model::name::{PermissionName, UserId};
use crate::domain::model::org_domain::OrgDomain;
use crate::domain::model::permission::{PermissionSet, TEAM_MANAGE};
use crate::domain::model::project::{BOOTSTRAP, ProjectRecord, TEAM};
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::time::{Time, lasts_longer};
use crate::domain::rules::delegation::Acting;
use crate::domain::state::change::{Change, Edit};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// What the owner role grants always. Without them nobody could repair the workspace.
const OWNERS_KEEP: [&str; 3] = ["team.view", TEAM_MANAGE, "team.settings"];

/// Returns the org of the operators.
pub fn team(workspace: &Project) -> Result<&Arc<Org>, Refusal> {
    workspace.org(TEAM).ok_or_else(|| Refusal::NotFound(Noun::Org, TEAM.into()))
}

/// Refuses a command that no caller may send to the workspace (W8.b), and one about an operator whom the caller may not
/// manage (W7.a).
pub fn check_command(workspace: &Project, command: &Command, terms: &Terms<'_>) -> Result<(), Refusal> {
    if *terms.call.actor == *SYSTEM {
        return Ok(());
    }
    let fixed = match command {
        Command::CreateOrg(_) => Some("has only the org `team`"),
        Command::DeleteOrg(_) => Some("keeps its org"),
        Command::SubscribeOrg(_) | Command::BatchSubscribeOrgs(_) => Some("keeps its subscription"),
        Command::ConvertRoleStructure(_) => Some("keeps its role structure"),
        Command::ApplyConfiguration(command)
            if command.role_structure.is_some_and(|to| to != workspace.record.role_structure) =>
        {
            Some("keeps its role structure")
        }
        command if command.allows_ownerless() => Some("does not accept `allow_ownerless`"),
        _ => None,
    };
    if let Some(why) = fixed {
        return Err(Refusal::WorkspaceFixed { why });
    }
    let target = match command {
        Command::BlockUser(command) => &command.user_id,
        Command::UnblockUser(command) => &command.user_id,
        Command::DeleteUser(command) => &command.user_id,
        _ => return Ok(()),
    };
    match &terms.call.acting_user {
        Some(caller) => check_manages(workspace, caller, target, terms.now).map(|_| ()),
        None => Ok(()),
    }
}

/// Refuses a caller who may not manage every role of another operator. Returns these roles, with the
/// fallback roles of suspended ones.
pub fn check_manages(
    workspace: &Project,
    caller: &UserId,
    other: &UserId,
    now: Time,
) -> Result<BTreeSet<RoleId>, Refusal> {
    let team = team(workspace)?;
    let acting = Acting::new(workspace, team, caller, now)?;
    acting.check_ability(TEAM_MANAGE)?;
    let record = workspace.membership(team, other);
    let mut roles = roles_of(&[workspace], record.as_ref().map(|record| record.role_set));
    let fallbacks: Vec<RoleId> = roles.iter().filter_map(|&role| workspace.fallback_of(team, role)).collect();
    roles.extend(fallbacks);
    roles.iter().try_for_each(|&role| acting.check_scope(TEAM_MANAGE, role))?;
    Ok(roles)
}

/// Refuses a caller who may not manage another operator, or lacks a permission of that operator (W7.b). Returns when the roles
/// expire by which the caller may: the earliest time. `None` if they do not, or the caller is `bootstrap`.
pub fn check_may_create_key_for(
    workspace: &Project,
    caller: &UserId,
    other: &UserId,
    now: Time,
) -> Result<Option<Time>, Refusal> {
    let roles = check_manages(workspace, caller, other, now)?;
    let caller_grants = CallerGrants::of(workspace, caller, now)?;
    roles.iter().try_for_each(|&role| caller_grants.check_role(workspace, role))?;
    if caller.as_str() == BOOTSTRAP {
        return Ok(None);
    }
    let acting = Acting::new(workspace, team(workspace)?, caller, now)?;
    Ok(roles.iter().filter_map(|&role| acting.expiry_max(TEAM_MANAGE, role).flatten()).min())
}

/// Refuses a command that takes the last owner away (W7.c), or gives what the caller lacks (W7.b).
pub fn check_effects(
    before: &Project,
    after: &Project,
    command: &Command,
    changes: &[Change],
    terms: &Terms<'_>,
) -> Result<(), Refusal> {
    if has_owner(before)? && !has_owner(after)? {
        return Err(Refusal::LastOperatorOwner { role: after.role_name(after.record.default_owner_role) });
    }
    if *terms.call.actor == *SYSTEM {
        return Ok(());
    }
    if let Some(name) = changes.iter().find_map(reserved) {
        return Err(Refusal::ReservedName { reserved: name });
    }
    let owners = granted(after, after.record.default_owner_role, true)?;
    if let Some(lost) = OWNERS_KEEP.into_iter().find(|kept| !owners.iter().any(|name| name.as_str() == *kept)) {
        return Err(Refusal::OwnersKeep { permission: lost });
    }
    let Some(caller) = &terms.call.acting_user else { return Ok(()) };
    let caller_grants = CallerGrants::of(before, caller, terms.now)?;
    // Other writes of members check this before, and let operators step down.
    if matches!(command, Command::ProvisionMember(_) | Command::AcceptInvitation(_)) {
        let acting = Acting::new(before, team(before)?, caller, terms.now)?;
        let members = changes.iter().filter(|change| matches!(change, Change::Membership(_)));
        let given: BTreeSet<RoleId> = members.flat_map(|change| roles_given(before, after, change)).collect();
        given.iter().try_for_each(|&role| acting.check_give(TEAM_MANAGE, role, None))?;
    }
    if !caller_grants.owner && owner_settings(before, after) != owner_settings(after, before) {
        return Err(Refusal::OwnersOnly { role: before.role_name(before.record.default_owner_role) });
    }
    let given: BTreeSet<RoleId> = changes.iter().flat_map(|change| roles_given(before, after, change)).collect();
    given.iter().try_for_each(|&role| caller_grants.check_role(after, role))?;
    for (role, _) in after.roles.entries() {
        let had = granted(before, role, true)?;
        caller_grants.check(granted(after, role, true)?.difference(&had))?;
    }
    Ok(())
}

/// Returns what only owners may change: which role the owner role is, and the order of roles, which decides who manages whom.
/// Roles that the `other` version of the workspace does not have are left out.
fn owner_settings(workspace: &Project, other: &Project) -> (RoleId, bool, Vec<RoleId>) {
    let owner = workspace.record.default_owner_role;
    let both = workspace.role_order.iter().copied().filter(|&role| other.roles.get(role).is_some());
    // A new role above it would manage it.
    (owner, workspace.role_order.first() == Some(&owner), both.collect())
}

/// Returns the names, old ones included, by which a role grants permissions to operators. Comparing names finds a permission
/// that was renamed to another. The built-in ones allow nothing here: `team.manage` takes their place.
fn granted(workspace: &Project, role: RoleId, enabled_only: bool) -> Result<BTreeSet<PermissionName>, Refusal> {
    let mapping = workspace.role_mappings.get(team(workspace)?.record.role_mapping).ok_or(Refusal::Bug)?;
    let row = mapping.row(role).filter(|_| !enabled_only || mapping.enabled(role));
    Ok(row.map(|row| names(workspace, row)).unwrap_or_default())
}

fn names(workspace: &Project, permissions: &PermissionSet) -> BTreeSet<PermissionName> {
    let permissions = permissions.iter().filter_map(|permission| workspace.permissions.get(permission));
    let own = permissions.filter(|permission| !permission.built_in);
    own.flat_map(|permission| std::iter::once(&permission.name).chain(permission.aliases.iter())).cloned().collect()
}

/// Returns true if an operator who is not blocked holds the owner role permanently.
fn has_owner(workspace: &Project) -> Result<bool, Refusal> {
    // The first start creates the org after the project.
    let Some(team) = workspace.org(TEAM) else { return Ok(false) };
    let owner = workspace.record.default_owner_role;
    Ok(workspace.any_member(team, |user, recorded| recorded.holds_permanently(owner) && !workspace.is_blocked(user)))
}

/// Returns the reserved id of an operator to whom a change gives roles. `None` for another id. `bootstrap` gets its role from the
/// service only: it may do more than its role, so that it can give the first lasting one.
fn reserved(change: &Change) -> Option<&'static str> {
    let Change::Membership(Edit { key, after: Some(_), .. }) = change else { return None };
    [SYSTEM, LOCAL, BOOTSTRAP].into_iter().find(|reserved| *reserved == key.user.as_str())
}

/// The permissions that a caller may give to others.
struct CallerGrants {
    /// A caller with the owner role may give everything.
    owner: bool,
    permissions: BTreeSet<PermissionName>,
}

impl CallerGrants {
    fn of(workspace: &Project, caller: &UserId, now: Time) -> Result<Self, Refusal> {
        let team = team(workspace)?;
        let owner = Acting::new(workspace, team, caller, now)?.has_live(workspace.record.default_owner_role);
        let permissions = names(workspace, &workspace.operator_permissions(team, caller, now));
        Ok(Self { owner, permissions })
    }

    /// Refuses a role that grants a permission which the caller lacks. A disabled role counts as if it were enabled.
    fn check_role(&self, workspace: &Project, role: RoleId) -> Result<(), Refusal> {
        self.check(granted(workspace, role, false)?.iter())
    }

    fn check<'a>(&self, mut given: impl Iterator<Item = &'a PermissionName>) -> Result<(), Refusal> {
        match given.find(|name| !self.owner && !self.permissions.contains(name)) {
            Some(name) => Err(Refusal::ExceedsCaller { permission: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Returns the roles of a set, which may be new or deleted.
fn roles_of(projects: &[&Project], set: Option<RoleSetId>) -> BTreeSet<RoleId> {
    let set = set.and_then(|set| projects.iter().find_map(|project| project.role_sets.get(set)));
    set.map(|set| set.roles.iter().copied().collect()).unwrap_or_default()
}

/// Returns the roles that a change gives to operators, invitations and e-mail domains, or for longer.
fn roles_given(before: &Project, after: &Project, change: &Change) -> BTreeSet<RoleId> {
    let of = |set| roles_of(&[after, before], set);
    let more = |had: BTreeSet<RoleId>, has: BTreeSet<RoleId>| has.difference(&had).copied().collect();
    match change {
        Change::Membership(edit) => {
            let had = of(edit.before.as_ref().map(|record| record.role_set));
            let has = of(edit.after.as_ref().map(|record| record.role_set));
            let expiry = |record: &Option<MembershipRecord>, role| {
                record.as_ref().and_then(|record| expiry_of(&record.temporary, role))
            };
            let longer = |&role: &RoleId| {
                !had.contains(&role) || lasts_longer(expiry(&edit.after, role), expiry(&edit.before, role))
            };
            has.into_iter().filter(longer).collect()
        }
        Change::RoleSet(Edit { before: Some(before), after: Some(after), .. }) => {
            more(before.roles.iter().copied().collect(), after.roles.iter().copied().collect())
        }
        Change::Remap(Edit { before: Some(before), after: Some(after), .. }) => {
            before.iter().zip(after.iter()).flat_map(|(&had, &has)| more(of(Some(had)), of(Some(has)))).collect()
        }
        Change::Fallbacks(edit) => {
            let roles = |edit: &Option<Arc<[_]>>| {
                let fallbacks = edit.iter().flat_map(|fallbacks| fallbacks.iter());
                fallbacks.map(|fallback: &Fallback| fallback.fallback_role).collect()
            };
            more(roles(&edit.before), roles(&edit.after))
        }
        Change::Invitation(edit) => {
            let roles = |record: &Option<_>| of(record.as_ref().and_then(InvitationRecord::role_set));
            more(roles(&edit.before), roles(&edit.after))
        }
        Change::OrgDomains(edit) => {
            let had: Vec<&OrgDomain> = edit.before.iter().flat_map(|domains| domains.iter()).collect();
            let new = edit.after.iter().flat_map(|domains| domains.iter()).filter(|domain| !had.contains(domain));
            new.flat_map(|domain| match domain.role_set {
                Some(set) => of(Some(set)),
                None => BTreeSet::from([after.record.default_role]),
            })
            .collect()
        }
        Change::Block(Edit { key, before: Some(_), after: None }) => {
            let record = after.org(TEAM).and_then(|team| after.membership(team, &key.user));
            of(record.map(|record| record.role_set))
        }
        Change::Project(Edit { before: Some(before), after: Some(after), .. }) => {
            let roles = |record: &ProjectRecord| BTreeSet::from([record.default_role, record.default_owner_role]);
            more(roles(before), roles(after))
        }
        _ => BTreeSet::new(),
    }
}
