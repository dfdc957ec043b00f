//! Random calls of operators.

use proptest::prelude::*;
use proptest::sample::Index;
use rolecall::domain::commands::command::{
    AcceptInvitation, ArchiveApiKey, BatchWriteMembers, BlockUser, CreateInvitations, CreatePermissions,
    DeletePermission, DeleteRole, DeleteUser, MemberWrite, NewInvitation, NewOrgDomain, NewPermission, ProvisionMember,
    RemoveExpired, ReorderRoles, SetOrgDomains, UnblockUser, UpdatePermission, UpdateProject, VerifyOrgDomain, Write,
};
use rolecall::domain::model::api_key::ApiKeyId;
use rolecall::domain::model::email::{EmailAddress, EmailDomain};
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::{Command, PermissionName, RoleName, UserId};

use super::world::{
    PERMISSIONS, ROLES, USERS, World, create_key, disable, grant, key, permanent, role_above, team, until, write,
};

#[derive(Clone, Debug)]
pub enum Step {
    Add(usize, usize),
    Set(usize, usize),
    Batch(usize, usize),
    Remove(usize),
    Block(usize),
    Unblock(usize),
    DeleteUser(usize),
    Grant(usize, usize),
    Disable(usize, usize),
    Rename(usize, usize),
    DropPermission(usize),
    NewPermission(usize),
    NewRole,
    DeleteRole(usize, usize),
    Reorder(Index),
    Defaults(usize, usize),
    Invite(usize),
    Accept(usize),
    Domain(usize),
    Verify,
    Provision(usize),
    Key(usize, Option<i64>),
    Archive(Index),
    /// Gives a role for some hours, besides a permanent one or not.
    Temporary(usize, usize, Option<usize>, i64),
    /// Lets hours pass.
    Wait(i64),
    /// Removes what expired long ago.
    RemoveExpired,
}

pub fn steps() -> impl Strategy<Value = Step> {
    let (user, role, permission) = (0..USERS.len(), 0..ROLES.len(), 0..PERMISSIONS.len());
    let hours = prop::sample::select(vec![1, 24, 40 * 24]);
    prop_oneof![
        3 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Add(user, role)),
        1 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Set(user, role)),
        1 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Batch(user, role)),
        1 => user.clone().prop_map(Step::Remove),
        1 => user.clone().prop_map(Step::Block),
        1 => user.clone().prop_map(Step::Unblock),
        1 => user.clone().prop_map(Step::DeleteUser),
        3 => (role.clone(), permission.clone()).prop_map(|(role, permission)| Step::Grant(role, permission)),
        1 => (role.clone(), role.clone()).prop_map(|(role, fallback)| Step::Disable(role, fallback)),
        3 => (permission.clone(), permission.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => permission.clone().prop_map(Step::DropPermission),
        2 => permission.prop_map(Step::NewPermission),
        1 => Just(Step::NewRole),
        2 => (role.clone(), role.clone()).prop_map(|(role, replacement)| Step::DeleteRole(role, replacement)),
        1 => any::<Index>().prop_map(Step::Reorder),
        2 => (role.clone(), role.clone()).prop_map(|(member, owner)| Step::Defaults(member, owner)),
        2 => role.clone().prop_map(Step::Invite),
        2 => user.clone().prop_map(Step::Accept),
        1 => role.prop_map(Step::Domain),
        1 => Just(Step::Verify),
        1 => user.clone().prop_map(Step::Provision),
        4 => (user.clone(), prop::option::of(hours.clone())).prop_map(|(user, hours)| Step::Key(user, hours)),
        3 => any::<Index>().prop_map(Step::Archive),
        4 => (user, 0..ROLES.len(), prop::option::of(0..ROLES.len()), hours.clone())
            .prop_map(|(user, role, permanent, hours)| Step::Temporary(user, role, permanent, hours)),
        1 => hours.prop_map(Step::Wait),
        1 => Just(Step::RemoveExpired),
    ]
}

impl Step {
    /// Returns the command of the step. `None` for one without a call.
    pub fn command(&self, world: &mut World) -> Option<Command> {
        let role = |at: usize| RoleName::stored(ROLES[at]);
        let permission = |at: usize| PermissionName::stored(PERMISSIONS[at]);
        let user = |at: usize| UserId::stored(USERS[at]);
        let email = || EmailAddress::parse("friend@acme.example").unwrap();
        let id = InvitationId(7);
        Some(match *self {
            Self::Add(at, role) => write(USERS[at], Write::Add(vec![permanent(ROLES[role])])),
            Self::Set(at, role) => write(USERS[at], Write::Set(vec![permanent(ROLES[role])])),
            Self::Batch(at, role) => {
                let writes = Write::Set(vec![permanent(ROLES[role])]);
                let rows = vec![MemberWrite { org_id: team(), user_id: user(at), write: writes }];
                let (allow_ownerless, keep_invitations) = (false, false);
                Command::BatchWriteMembers(BatchWriteMembers {
                    project: key(),
                    rows,
                    allow_ownerless,
                    keep_invitations,
                })
            }
            Self::Remove(at) => write(USERS[at], Write::Remove),
            Self::Block(at) => Command::BlockUser(BlockUser { project: key(), user_id: user(at) }),
            Self::Unblock(at) => Command::UnblockUser(UnblockUser { project: key(), user_id: user(at) }),
            Self::DeleteUser(at) => {
                Command::DeleteUser(DeleteUser { project: key(), user_id: user(at), keep_invitations: false })
            }
            Self::Grant(at, permission) => grant(ROLES[at], &[PERMISSIONS[permission]], &[]),
            Self::Disable(at, fallback) => disable(ROLES[at], Some(ROLES[fallback])),
            Self::Rename(from, to) => Command::UpdatePermission(UpdatePermission {
                project: key(),
                name: permission(from),
                new_name: Some(permission(to)),
                description: None,
                aliases: Some(vec![]),
            }),
            Self::DropPermission(at) => {
                Command::DeletePermission(DeletePermission { project: key(), name: permission(at) })
            }
            Self::NewPermission(at) => Command::CreatePermissions(CreatePermissions {
                project: key(),
                permissions: vec![NewPermission { name: permission(at), description: String::new() }],
                batch: false,
            }),
            Self::NewRole => role_above("Extra", "Owner"),
            Self::DeleteRole(at, replacement) => Command::DeleteRole(DeleteRole {
                project: key(),
                name: role(at),
                etag: None,
                replacement: Some(role(replacement)),
            }),
            Self::Reorder(by) => {
                let workspace = world.workspace();
                let mut roles: Vec<RoleName> = workspace.role_order.iter().map(|&it| workspace.role_name(it)).collect();
                let by = by.index(roles.len());
                roles.rotate_left(by);
                Command::ReorderRoles(ReorderRoles { project: key(), roles, etag: None })
            }
            Self::Defaults(member, owner) => Command::UpdateProject(UpdateProject {
                project: key(),
                etag: None,
                display_name: None,
                default_role: Some(role(member)),
                default_owner_role: Some(role(owner)),
                allow_ownerless: false,
            }),
            Self::Invite(at) => Command::CreateInvitations(CreateInvitations {
                project: key(),
                org_id: team(),
                rows: vec![NewInvitation {
                    id,
                    email: email(),
                    roles: vec![permanent(ROLES[at])],
                    expire_time: None,
                    replace: true,
                }],
                batch: false,
            }),
            Self::Accept(at) => Command::AcceptInvitation(AcceptInvitation {
                project: key(),
                org_id: team(),
                id,
                user_id: user(at),
                email: email(),
                email_verified: true,
            }),
            Self::Domain(at) => Command::SetOrgDomains(SetOrgDomains {
                project: key(),
                org_id: team(),
                domains: vec![NewOrgDomain {
                    domain: EmailDomain::parse("acme.example").unwrap(),
                    roles: vec![role(at)],
                    apply_to_existing: true,
                }],
            }),
            Self::Verify => Command::VerifyOrgDomain(VerifyOrgDomain {
                project: key(),
                org_id: team(),
                domain: EmailDomain::parse("acme.example").unwrap(),
            }),
            Self::Provision(at) => Command::ProvisionMember(ProvisionMember {
                project: key(),
                org_id: team(),
                user_id: user(at),
                email: email(),
                email_verified: true,
                allow_provisioning: true,
            }),
            Self::Key(at, hours) => {
                world.hashes += 1;
                create_key(USERS[at], world.hashes, hours.map(|hours| world.in_hours(hours)))
            }
            Self::Archive(by) => {
                let mut ids: Vec<ApiKeyId> = Vec::new();
                world.workspace().api_keys.for_each(|id, _| ids.push(id));
                let id = *ids.get(by.index(ids.len().max(1)))?;
                Command::ArchiveApiKey(ArchiveApiKey { project: key(), id })
            }
            Self::Temporary(at, role, always, hours) => {
                let mut roles = vec![until(ROLES[role], world.in_hours(hours))];
                roles.extend(always.map(|role| permanent(ROLES[role])));
                let is_operator = world.role_of(USERS[at], world.now).is_some();
                write(USERS[at], if is_operator { Write::Set(roles) } else { Write::Add(roles) })
            }
            Self::Wait(hours) => {
                world.now = world.in_hours(hours);
                return None;
            }
            Self::RemoveExpired => {
                world.system(Command::RemoveExpired(RemoveExpired { project: key() }));
                return None;
            }
        })
    }
}
