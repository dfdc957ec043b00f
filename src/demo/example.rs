//! The example of the demo: a small analytics product with two plans and two customers.

use crate::domain::Command;
use crate::domain::commands::command::{
    BatchWriteMembers, BlockUser, CreateInvitations, CreateOrg, CreatePermissions, CreateRole, CreateRoleMapping,
    GrantEdit, MemberWrite, NewInvitation, NewOrgDomain, NewPermission, OnDisabled, Place, RoleAssignment,
    RoleMappingEdits, SetOrgDomains, SubscribeOrg, SubscribeTo, Write,
};
use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::project::WORKSPACE;
use crate::domain::state::invitation::Invitation;
use crate::domain::{Call, OrgId, PermissionName, Project, ProjectKey, RoleMappingName, RoleName, State, Time, UserId};

/// The revision of a store after its first start, which creates the project `default` and the workspace with its org.
const FIRST_START: u64 = 3;
/// The commits that give `bootstrap` its role and its key.
const BOOTSTRAP_COMMITS: u64 = 2;

/// The permissions that the product checks.
pub const PERMISSIONS: [(&str, &str); 6] = [
    ("reports.view", "See reports."),
    ("reports.export", "Download reports."),
    ("billing.view", "See invoices."),
    ("billing.manage", "Change the payment method."),
    ("members.manage", "Invite and remove people."),
    ("sso.configure", "Set up single sign-on."),
];

pub const ACME: &str = "acme";
pub const GLOBEX: &str = "globex";
pub const FREE: &str = "Free";
pub const PAID: &str = "Paid";
const BILLING_MANAGER: &str = "Billing Manager";
/// Users with a verified address there may join acme.
const ACME_DOMAIN: &str = "acme.example";
/// A member whom the product has blocked.
const BLOCKED: &str = "eve";
/// Acme invites this address.
const INVITED: &str = "dora@mail.example";
const INVITER: &str = "ann";
/// A Member who is Admin for 30 days.
const TEMPORARY_ADMIN: &str = "max";
const THIRTY_DAYS: i64 = 30 * 86_400 * 1_000_000;

const FREE_GRANTS: [(&str, &[&str]); 4] = [
    ("Owner", &["reports.view", "billing.view", "billing.manage", "members.manage"]),
    ("Admin", &["reports.view", "members.manage"]),
    // The role is disabled on this plan. `Paid` duplicates these grants and enables it.
    (BILLING_MANAGER, &["reports.view", "billing.view", "billing.manage"]),
    ("Member", &["reports.view"]),
];
const PAID_GRANTS_MORE: [(&str, &[&str]); 3] = [
    ("Owner", &["reports.export", "sso.configure"]),
    ("Admin", &["reports.export", "billing.view"]),
    (BILLING_MANAGER, &["reports.export"]),
];

const MEMBERS: [(&str, &str, &str); 10] = [
    (ACME, INVITER, "Owner"),
    (ACME, "ben", "Admin"),
    (ACME, "bea", BILLING_MANAGER),
    (ACME, TEMPORARY_ADMIN, "Member"),
    (ACME, "mia", "Member"),
    (ACME, BLOCKED, "Member"),
    (GLOBEX, "gil", "Owner"),
    (GLOBEX, "mia", "Admin"),
    (GLOBEX, "bob", BILLING_MANAGER),
    (GLOBEX, "meg", "Member"),
];

/// Returns the org and user of every member.
pub fn members() -> impl Iterator<Item = (&'static str, &'static str)> {
    MEMBERS.into_iter().map(|(org_id, user_id, _)| (org_id, user_id))
}

/// Returns the writes of the example, in order.
pub fn steps(now: Time) -> Vec<(Command, Call)> {
    let call =
        |step: &Step| Call { acting_user: step.acting_user.map(UserId::stored), ..Call::plain("demo", "example data") };
    script(now).into_iter().map(|step| (step.command.clone(), call(&step))).collect()
}

/// Returns how many steps an earlier demo wrote, or `None` if all are written or other data is.
///
/// A step is one command and takes one revision. If the first n steps have left their traces and the store is n revisions
/// past its first start, then only those steps were written. An interrupted demo continues there.
pub fn steps_done(state: &State, now: Time) -> Option<usize> {
    let project = state.project(&ProjectKey::default_project())?;
    let script = script(now);
    let done = script.iter().take_while(|step| (step.left_trace)(project)).count();
    let has_keys = state.project_keyed(WORKSPACE).is_some_and(|workspace| !workspace.api_keys.is_empty());
    let first_start = FIRST_START + if has_keys { BOOTSTRAP_COMMITS } else { 0 };
    let untouched = state.revision().number == first_start + done as u64;
    (untouched && done < script.len()).then_some(done)
}

/// Returns true if the project holds the example, also with later writes.
pub fn is_there(project: &Project) -> bool {
    let permissions = PERMISSIONS.iter().all(|(name, _)| project.permission_named(name).is_some());
    permissions && [ACME, GLOBEX].into_iter().all(|org_id| project.org(org_id).is_some())
}

/// Returns the pending invitation of the example. `None` if it is no longer pending.
pub fn invitation(project: &Project) -> Option<&Invitation> {
    project.invitation_of(project.org(ACME)?, &EmailAddress::stored(INVITED)).map(AsRef::as_ref)
}

/// Returns the command that moves acme to a plan.
pub fn move_acme(plan: &str, on_disabled: OnDisabled) -> Command {
    let to = SubscribeTo::RoleMapping(RoleMappingName::stored(plan));
    Command::SubscribeOrg(SubscribeOrg {
        project: ProjectKey::default_project(),
        org_id: OrgId::stored(ACME),
        to,
        on_disabled,
    })
}

struct Step {
    command: Command,
    acting_user: Option<&'static str>,
    left_trace: fn(&Project) -> bool,
}

fn script(now: Time) -> [Step; 11] {
    let step = |command, left_trace| Step { command, acting_user: None, left_trace };
    [
        step(permissions(), |project| project.permission_named(PERMISSIONS[0].0).is_some()),
        step(billing_manager(), |project| project.role_named(BILLING_MANAGER).is_some()),
        step(free(), |project| project.role_mapping_named(FREE).is_some()),
        step(paid(), |project| project.role_mapping_named(PAID).is_some()),
        step(org(GLOBEX, "Globex Corporation"), |project| project.org(GLOBEX).is_some()),
        step(org(ACME, "Acme Inc."), |project| project.org(ACME).is_some()),
        step(all_members(now), |project| project.org(ACME).is_some_and(|acme| acme.memberships_len() > 0)),
        Step { acting_user: Some(INVITER), ..step(invite(), |project| invitation(project).is_some()) },
        // Acme has paid before, so it has a Billing Manager and has invited another. The free plan disables that role: both
        // wait until acme pays again.
        step(move_acme(FREE, OnDisabled::Suspend { fallback_role: None }), |project| {
            let plan = project.org(ACME).map(|acme| acme.record.role_mapping);
            plan.is_some() && plan == project.role_mapping_named(FREE)
        }),
        step(acme_domain(), |project| project.org(ACME).is_some_and(|acme| !acme.domains().is_empty())),
        step(block(), |project| project.block_of(BLOCKED).is_some()),
    ]
}

fn permissions() -> Command {
    let permission = |(name, description): (&str, &str)| NewPermission {
        name: PermissionName::stored(name),
        description: description.into(),
    };
    Command::CreatePermissions(CreatePermissions {
        project: ProjectKey::default_project(),
        permissions: PERMISSIONS.into_iter().map(permission).collect(),
        batch: true,
    })
}

fn billing_manager() -> Command {
    Command::CreateRole(CreateRole {
        project: ProjectKey::default_project(),
        name: RoleName::stored(BILLING_MANAGER),
        description: "Pays the invoices.".into(),
        internal: false,
        place: Place::Below(RoleName::stored("Admin")),
        disabled_in: Vec::new(),
        manages: Vec::new(),
    })
}

fn free() -> Command {
    let edits = RoleMappingEdits {
        grants: grants(&FREE_GRANTS),
        enable: Vec::new(),
        disable: vec![RoleName::stored(BILLING_MANAGER)],
    };
    mapping(FREE, "What everybody gets.", "Default", edits)
}

fn paid() -> Command {
    let edits = RoleMappingEdits {
        grants: grants(&PAID_GRANTS_MORE),
        enable: vec![RoleName::stored(BILLING_MANAGER)],
        disable: Vec::new(),
    };
    mapping(PAID, "What customers pay for.", FREE, edits)
}

fn mapping(name: &str, description: &str, duplicate_of: &str, edits: RoleMappingEdits) -> Command {
    Command::CreateRoleMapping(CreateRoleMapping {
        project: ProjectKey::default_project(),
        name: RoleMappingName::stored(name),
        description: description.into(),
        duplicate_of: Some(RoleMappingName::stored(duplicate_of)),
        edits,
        subscribe: Vec::new(),
        on_disabled: OnDisabled::Reject,
    })
}

fn grants(rows: &[(&str, &[&str])]) -> Vec<GrantEdit> {
    let row = |&(role, permissions): &(&str, &[&str])| GrantEdit {
        role: RoleName::stored(role),
        add: permissions.iter().map(|&name| PermissionName::stored(name)).collect(),
        remove: Vec::new(),
    };
    rows.iter().map(row).collect()
}

fn org(org_id: &str, display_name: &str) -> Command {
    Command::CreateOrg(CreateOrg {
        project: ProjectKey::default_project(),
        org_id: OrgId::stored(org_id),
        display_name: display_name.into(),
        metadata: String::new(),
        role_mapping: Some(RoleMappingName::stored(PAID)),
        creator: None,
        reuse_deleted_id: false,
    })
}

fn all_members(now: Time) -> Command {
    let assignment =
        |role: &str, expire_time| RoleAssignment { role: RoleName::stored(role), expire_time, permanent: false };
    let in_thirty_days = Time(now.0.saturating_add(THIRTY_DAYS));
    let row = |(org_id, user_id, role): (&str, &str, &str)| {
        let temporary = (user_id == TEMPORARY_ADMIN).then(|| assignment("Admin", Some(in_thirty_days)));
        MemberWrite {
            org_id: OrgId::stored(org_id),
            user_id: UserId::stored(user_id),
            write: Write::Add([assignment(role, None)].into_iter().chain(temporary).collect()),
        }
    };
    Command::BatchWriteMembers(BatchWriteMembers {
        project: ProjectKey::default_project(),
        rows: MEMBERS.into_iter().map(row).collect(),
        allow_ownerless: false,
        keep_invitations: false,
    })
}

fn invite() -> Command {
    Command::CreateInvitations(CreateInvitations {
        project: ProjectKey::default_project(),
        org_id: OrgId::stored(ACME),
        rows: vec![NewInvitation {
            id: InvitationId(uuid::Uuid::now_v7().as_u128()),
            email: EmailAddress::stored(INVITED),
            roles: vec![RoleAssignment {
                role: RoleName::stored(BILLING_MANAGER),
                expire_time: None,
                permanent: false,
            }],
            expire_time: None,
            replace: false,
        }],
        batch: false,
    })
}

fn acme_domain() -> Command {
    Command::SetOrgDomains(SetOrgDomains {
        project: ProjectKey::default_project(),
        org_id: OrgId::stored(ACME),
        domains: vec![NewOrgDomain {
            domain: EmailDomain::stored(ACME_DOMAIN),
            roles: Vec::new(),
            apply_to_existing: false,
        }],
    })
}

fn block() -> Command {
    Command::BlockUser(BlockUser { project: ProjectKey::default_project(), user_id: UserId::stored(BLOCKED) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::collections::hash::HashKey;
    use crate::domain::commands::command::CreateProject;
    use crate::domain::model::project::{Environment, RoleStructure};
    use crate::domain::model::template::B2B;
    use crate::domain::{Revision, Terms, Time, decide};
    use crate::limits::Limits;

    const NOW: Time = Time(1_000_000);

    fn written(state: &State, command: &Command, call: &Call) -> State {
        let decided = decide(state, command, &Terms::new(call, NOW, &Limits::default())).unwrap();
        assert!(!decided.changes.is_empty(), "a step that changes nothing takes no revision");
        let mut next = decided.next;
        next.set_revision(Revision { number: state.revision().number + 1, tag: 0, at: NOW });
        next
    }

    fn first_start() -> State {
        let command = Command::CreateProject(CreateProject {
            key: ProjectKey::default_project(),
            display_name: "Default".into(),
            environment: Environment::Live,
            role_structure: RoleStructure::SingleRole,
            reuse_deleted_key: false,
            template: &B2B,
            owner_role: None,
        });
        let mut state = written(&State::new(HashKey::new([5; 16])), &command, &Call::plain("demo", ""));
        // The workspace does not matter here.
        state.set_revision(Revision { number: FIRST_START, ..state.revision() });
        state
    }

    #[test]
    fn a_demo_that_was_interrupted_after_any_step_continues_there() {
        let mut state = first_start();
        for (number, (command, call)) in steps(NOW).iter().enumerate() {
            assert_eq!(steps_done(&state, NOW), Some(number));
            state = written(&state, command, call);
        }
        assert_eq!(steps_done(&state, NOW), None);
    }

    #[test]
    fn a_store_with_other_writes_is_not_changed() {
        let other = org("initech", "Initech");
        let Command::CreateOrg(other) = other else { unreachable!() };
        let other = Command::CreateOrg(CreateOrg { role_mapping: None, ..other });
        let plain = Call::plain("demo", "");
        let mut state = first_start();
        assert_eq!(steps_done(&written(&state, &other, &plain), NOW), None);
        for (command, call) in steps(NOW) {
            state = written(&state, &command, &call);
            assert_eq!(steps_done(&written(&state, &other, &plain), NOW), None);
        }
    }

    #[test]
    fn every_name_is_valid() {
        for (name, _) in PERMISSIONS {
            PermissionName::parse(name).unwrap();
        }
        for (org_id, user_id, role) in MEMBERS {
            OrgId::parse(org_id).unwrap();
            UserId::parse(user_id).unwrap();
            RoleName::parse(role).unwrap();
        }
        EmailDomain::parse(ACME_DOMAIN).unwrap();
        EmailAddress::parse(INVITED).unwrap();
        for name in [FREE, PAID] {
            RoleMappingName::parse(name).unwrap();
        }
    }
}
