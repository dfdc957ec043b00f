//! Random commands.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use rolecall::domain::commands::command::*;
use rolecall::domain::model::email::{EmailAddress, EmailDomain};
use rolecall::domain::model::id::{OrgNo, ProjectId};
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::{B2B, EMPTY};
use rolecall::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Time, UserId};

use super::{MAPPINGS, PERMISSIONS, PROJECTS, ROLES, USERS};
use crate::placeholders::{ALL_OTHERS, EMAILS, FRESH, STALE, random_configuration};

pub fn command() -> BoxedStrategy<Command> {
    prop_oneof![
        13 => of_projects(),
        11 => of_permissions(),
        18 => of_roles(),
        24 => of_role_mappings(),
        22 => of_orgs(),
        56 => of_members(),
        10 => of_users(),
        20 => of_domains(),
        30 => of_invitations(),
        6 => (project(), etag(), any::<u64>())
            .prop_map(|(project, etag, seed)| random_configuration(project, etag, seed))
            .boxed(),
        3 => purge().boxed(),
        1 => project().prop_map(|project| Command::RemoveExpired(RemoveExpired { project })).boxed(),
    ]
    .boxed()
}

fn project() -> impl Strategy<Value = ProjectKey> {
    prop_oneof![20 => select(&PROJECTS[..]), 1 => Just("third")].prop_map(ProjectKey::stored)
}

fn of_projects() -> BoxedStrategy<Command> {
    let structure = select(&[RoleStructure::SingleRole, RoleStructure::MultiRole][..]);
    let key = || select(&["single", "multi", "third", "third", "third", "third", "default"][..]);
    let update = (project(), etag(), option_of("Renamed"), option_of_role(), option_of_role(), any::<bool>());
    let update = update.prop_map(|(project, etag, display_name, default_role, default_owner_role, allow_ownerless)| {
        Command::UpdateProject(UpdateProject {
            project,
            etag,
            display_name,
            default_role,
            default_owner_role,
            allow_ownerless,
        })
    });
    let to_single = order().prop_map(|order| (RoleStructure::SingleRole, order));
    let convert = prop_oneof![1 => Just((RoleStructure::MultiRole, vec![])), 2 => to_single];
    let convert = (project(), etag(), convert, any::<bool>());
    let convert = convert.prop_map(|(project, etag, (to, order), allow_ownerless)| {
        Command::ConvertRoleStructure(ConvertRoleStructure { project, etag, to, order, allow_ownerless })
    });
    let confirmed = prop_oneof![3 => Just(true), 1 => Just(false)];
    let template = prop_oneof![
        4 => Just((&B2B, None)),
        1 => Just((&EMPTY, None)),
        1 => Just((&EMPTY, Some(RoleName::stored("Boss")))),
    ];
    prop_oneof![
        6 => (select(&["third", "single", "multi", "third", "third", "third", "third", "workspace"][..]), structure, reuse_deleted(), template).prop_map(|(key, role_structure, reuse_deleted_key, (template, owner_role))| {
            Command::CreateProject(CreateProject {
                key: ProjectKey::stored(key),
                display_name: "Other".into(),
                environment: Environment::Test,
                role_structure,
                reuse_deleted_key,
                template,
                owner_role,
            })
        }),
        6 => update.boxed(),
        4 => convert.boxed(),
        4 => (key(), etag(), confirmed, any::<bool>()).prop_map(|(key, etag, confirmed, force)| {
            let confirm = if confirmed { key.into() } else { "another".into() };
            Command::DeleteProject(DeleteProject { project: ProjectKey::stored(key), etag, confirm, force })
        }),
    ]
    .boxed()
}

fn of_permissions() -> BoxedStrategy<Command> {
    let name =
        || prop_oneof![8 => select(&PERMISSIONS[..4]), 1 => select(&PERMISSIONS[..])].prop_map(PermissionName::stored);
    let new_name = some(name());
    let aliases = some(vec(name(), 0..2));
    prop_oneof![
        3 => (project(), vec(new_permission(), 0..4), any::<bool>()).prop_map(|(project, permissions, batch)| {
            Command::CreatePermissions(CreatePermissions { project, permissions, batch })
        }),
        4 => (project(), name(), new_name, option_of("other"), aliases).prop_map(
            |(project, name, new_name, description, aliases)| {
                Command::UpdatePermission(UpdatePermission { project, name, new_name, description, aliases })
            }
        ),
        2 => (project(), name()).prop_map(|(project, name)| {
            Command::DeletePermission(DeletePermission { project, name })
        }),
    ]
    .boxed()
}

fn of_roles() -> BoxedStrategy<Command> {
    let aliases = prop_oneof![7 => Just(None), 1 => Just(Some(vec![])), 1 => vec(role(), 1..3).prop_map(Some)];
    let internal = prop_oneof![3 => Just(None), 2 => any::<bool>().prop_map(Some)];
    let update = (project(), role(), etag(), option_of_role(), option_of("other"), internal, aliases, managed());
    let update = update.prop_map(|(project, name, etag, new_name, description, internal, aliases, manages)| {
        Command::UpdateRole(UpdateRole { project, name, etag, new_name, description, internal, aliases, manages })
    });
    let replacement = select(&["Admin", "Admin", "Member", "Owner", "Boss"][..]).prop_map(RoleName::stored);
    let replacement = prop_oneof![2 => Just(None), 3 => replacement.prop_map(Some)];
    let deleted = select(&["Admin", "Auditor", "Boss", "Admin", "Auditor", "auditor", "Straße", "Ghost", "Member"][..]);
    prop_oneof![
        4 => create_role(project()).boxed(),
        4 => create_roles().boxed(),
        7 => update.boxed(),
        2 => (project(), order(), etag()).prop_map(|(project, roles, etag)| {
            Command::ReorderRoles(ReorderRoles { project, roles, etag })
        }),
        7 => (project(), deleted.prop_map(RoleName::stored), etag(), replacement).prop_map(
            |(project, name, etag, replacement)| {
                Command::DeleteRole(DeleteRole { project, name, etag, replacement })
            }
        ),
    ]
    .boxed()
}

/// One or two roles. Some names repeat or are taken.
fn create_roles() -> impl Strategy<Value = Command> {
    let new = (create_role(project()), vec((role_mapping(), vec(new_permission(), 0..3)), 0..3));
    (project(), vec(new, 1..3)).prop_map(|(project, new)| {
        let roles = new.into_iter().filter_map(|(create, grants)| {
            let names = |new: Vec<NewPermission>| new.into_iter().map(|new| new.name).collect();
            let grants = grants.into_iter().map(|(mapping, permissions)| (mapping, names(permissions))).collect();
            let Command::CreateRole(create) = create else { return None };
            let CreateRole { name, description, internal, disabled_in, manages, .. } = create;
            Some(NewRole { name, description, internal, disabled_in, manages, grants })
        });
        Command::BatchCreateRoles(BatchCreateRoles { project, roles: roles.collect() })
    })
}

/// Mostly `None`.
fn managed() -> impl Strategy<Value = Option<Vec<RoleName>>> {
    prop_oneof![6 => Just(None), 1 => Just(Some(vec![])), 3 => vec(role(), 1..5).prop_map(Some)]
}

/// Mostly some roles and then all others.
fn order() -> impl Strategy<Value = Vec<RoleName>> {
    let rest = prop_oneof![4 => Just(true), 1 => Just(false)];
    (vec(role(), 0..4), rest).prop_map(|(mut roles, rest)| {
        roles.extend(rest.then(|| RoleName::stored(ALL_OTHERS)));
        roles
    })
}

fn of_role_mappings() -> BoxedStrategy<Command> {
    let aliases = prop_oneof![12 => Just(None), 1 => Just(Some(vec![])), 1 => vec(role_mapping(), 1).prop_map(Some)];
    let new_name = prop_oneof![7 => Just(None), 1 => role_mapping().prop_map(Some)];
    let naming = (new_name, option_of("other"), aliases);
    let update = (project(), role_mapping(), etag(), naming, prop_oneof![4 => edits(), 1 => Just(Default::default())]);
    let update = (update, on_disabled()).prop_map(|((project, name, etag, naming, edits), on_disabled)| {
        let (new_name, description, aliases) = naming;
        Command::UpdateRoleMapping(UpdateRoleMapping {
            project,
            name,
            etag,
            new_name,
            description,
            aliases,
            edits,
            on_disabled,
        })
    });
    let delete = (project(), role_mapping(), etag(), some(role_mapping()), on_disabled());
    let delete = delete.prop_map(|(project, name, etag, move_subscribers_to, on_disabled)| {
        Command::DeleteRoleMapping(DeleteRoleMapping { project, name, etag, move_subscribers_to, on_disabled })
    });
    prop_oneof![
        5 => create_role_mapping(project()).boxed(),
        14 => update.boxed(),
        2 => (project(), role_mapping()).prop_map(|(project, name)| {
            Command::PromoteRoleMapping(PromoteRoleMapping { project, name })
        }),
        4 => delete.boxed(),
    ]
    .boxed()
}

fn of_orgs() -> BoxedStrategy<Command> {
    let create = (project(), org(), some(role_mapping()), some(user()), reuse_deleted());
    let create = create.prop_map(|(project, org_id, role_mapping, creator, reuse_deleted_id)| {
        let (display_name, metadata) = (format!("{org_id}!"), "{}".into());
        Command::CreateOrg(CreateOrg {
            project,
            org_id,
            display_name,
            metadata,
            role_mapping,
            creator,
            reuse_deleted_id,
        })
    });
    let to = || some(role_mapping()).prop_map(|to| to.map_or(SubscribeTo::Default, SubscribeTo::RoleMapping));
    prop_oneof![
        5 => create.boxed(),
        2 => (project(), org(), option_of("Renamed"), option_of("{1}")).prop_map(
            |(project, org_id, display_name, metadata)| {
                Command::UpdateOrg(UpdateOrg { project, org_id, display_name, metadata })
            }
        ),
        2 => (project(), org()).prop_map(|(project, org_id)| Command::DeleteOrg(DeleteOrg { project, org_id })),
        6 => (project(), org(), to(), on_disabled()).prop_map(|(project, org_id, to, on_disabled)| {
            Command::SubscribeOrg(SubscribeOrg { project, org_id, to, on_disabled })
        }),
        5 => (project(), vec(org(), 0..3), to(), on_disabled()).prop_map(|(project, org_ids, to, on_disabled)| {
            Command::BatchSubscribeOrgs(BatchSubscribeOrgs { project, org_ids, to, on_disabled })
        }),
    ]
    .boxed()
}

fn of_members() -> BoxedStrategy<Command> {
    let ownerless = || prop_oneof![2 => Just(false), 1 => Just(true)];
    prop_oneof![
        5 => (project(), member_write(), ownerless(), any::<bool>()).prop_map(
            |(project, row, allow_ownerless, keep_invitations)| {
                Command::WriteMember(WriteMember { project, row, allow_ownerless, keep_invitations })
            }
        ),
        1 => (project(), prop_oneof![vec(member_write(), 0..3), vec(member_write(), 0..6)], ownerless(), any::<bool>())
            .prop_map(|(project, rows, allow_ownerless, keep_invitations)| {
                Command::BatchWriteMembers(BatchWriteMembers { project, rows, allow_ownerless, keep_invitations })
            }),
    ]
    .boxed()
}

fn of_domains() -> BoxedStrategy<Command> {
    let org = || prop_oneof![6 => select(&["acme", "globex"][..]), 1 => Just("nowhere")].prop_map(OrgId::stored);
    let domain = || select(&["a.example", "a.example", "a.example", "b.example"][..]);
    let roles = prop_oneof![4 => Just(vec![]), 3 => vec(role(), 1), 1 => vec(role(), 0..3)];
    let new = (domain(), roles, any::<bool>()).prop_map(|(domain, roles, apply_to_existing)| NewOrgDomain {
        domain: EmailDomain::stored(domain),
        roles,
        apply_to_existing,
    });
    let often = prop_oneof![6 => Just(true), 1 => Just(false)];
    prop_oneof![
        5 => (project(), org(), prop_oneof![4 => vec(new.clone(), 1), 1 => vec(new, 0..3)]).prop_map(|(project, org_id, domains)| {
            Command::SetOrgDomains(SetOrgDomains { project, org_id, domains })
        }),
        2 => (project(), org(), domain()).prop_map(|(project, org_id, domain)| {
            Command::VerifyOrgDomain(VerifyOrgDomain { project, org_id, domain: EmailDomain::stored(domain) })
        }),
        9 => (project(), org(), user(), domain(), often, any::<bool>()).prop_map(
            |(project, org_id, user_id, domain, email_verified, allow_provisioning)| {
                let email = EmailAddress::stored(format!("x@{domain}"));
                Command::ProvisionMember(ProvisionMember {
                    project,
                    org_id,
                    user_id,
                    email,
                    email_verified,
                    allow_provisioning,
                })
            }
        ),
    ]
    .boxed()
}

fn of_invitations() -> BoxedStrategy<Command> {
    let org = || prop_oneof![9 => Just("acme"), 3 => Just("globex"), 1 => Just("nowhere")].prop_map(OrgId::stored);
    let given = || role().prop_map(|role| RoleAssignment { role, expire_time: None, permanent: true });
    let roles = prop_oneof![3 => Just(vec![]), 5 => vec(given(), 1), 2 => vec(given(), 0..3)];
    let far = Time(100 * 24 * 60 * 60 * 1_000_000);
    let expire_time =
        prop_oneof![6 => Just(None), 6 => (0i64..500).prop_map(|at| Some(Time(at))), 1 => Just(Some(far))];
    // Mostly the same address, so that its invitation is met again.
    let email = prop_oneof![2 => Just(EMAILS[0]), 1 => select(&EMAILS[..])];
    let new = (email, roles, expire_time, any::<bool>());
    let new = new.prop_map(|(email, roles, expire_time, replace)| NewInvitation {
        id: InvitationId(0),
        email: EmailAddress::stored(email),
        roles,
        expire_time,
        replace,
    });
    let which = || prop_oneof![9 => Just(0), 4 => 1..EMAILS.len() as u128, 1 => Just(EMAILS.len() as u128)];
    let often = || prop_oneof![8 => Just(true), 1 => Just(false)];
    prop_oneof![
        9 => (project(), org(), new.clone()).prop_map(|(project, org_id, row)| {
            Command::CreateInvitations(CreateInvitations { project, org_id, rows: vec![row], batch: false })
        }),
        3 => (project(), org(), vec(new, 0..4)).prop_map(|(project, org_id, rows)| {
            Command::CreateInvitations(CreateInvitations { project, org_id, rows, batch: true })
        }),
        4 => (project(), org(), which()).prop_map(|(project, org_id, id)| {
            Command::RevokeInvitation(RevokeInvitation { project, org_id, id: InvitationId(id) })
        }),
        11 => (project(), org(), which(), user(), often(), often()).prop_map(
            |(project, org_id, which, user_id, email_verified, fits)| {
                let at = if fits { which } else { which + 1 };
                let email = EmailAddress::stored(EMAILS[at as usize % EMAILS.len()]);
                let id = InvitationId(which);
                Command::AcceptInvitation(AcceptInvitation { project, org_id, id, user_id, email, email_verified })
            }
        ),
    ]
    .boxed()
}

fn of_users() -> BoxedStrategy<Command> {
    // Mostly a user on whom little depends, and unblocked as often as blocked.
    let user = || prop_oneof![3 => Just(UserId::stored("bob")), 1 => user()];
    prop_oneof![
        4 => (project(), user()).prop_map(|(project, user_id)| Command::BlockUser(BlockUser { project, user_id })),
        4 => (project(), user()).prop_map(|(project, user_id)| Command::UnblockUser(UnblockUser { project, user_id })),
        2 => (project(), user(), any::<bool>()).prop_map(|(project, user_id, keep_invitations)| {
            Command::DeleteUser(DeleteUser { project, user_id, keep_invitations })
        }),
    ]
    .boxed()
}

/// Purges members that are deleted, existing or unknown.
fn purge() -> impl Strategy<Value = Command> {
    let member =
        (1u32..5, select(&USERS[..])).prop_map(|(no, user)| (OrgNo::new(no).expect("a number"), UserId::stored(user)));
    (2u32..5, vec(member, 0..15), any::<bool>()).prop_map(|(project, members, last)| {
        Command::Purge(Purge { project: ProjectId::new(project).expect("a number"), members, last })
    })
}

fn etag() -> impl Strategy<Value = Option<String>> {
    let placeholder = |word: &str| Just(Some(word.to_string()));
    prop_oneof![9 => Just(None), 4 => placeholder(FRESH), 1 => placeholder(STALE)]
}

/// Whether a deleted id or key may be reused.
fn reuse_deleted() -> impl Strategy<Value = bool> {
    prop_oneof![3 => Just(false), 1 => Just(true)]
}

fn on_disabled() -> impl Strategy<Value = OnDisabled> {
    let fallback_role = || prop_oneof![8 => select(&["Member", "Auditor", "Owner"][..]), 1 => select(&ROLES[..])];
    let fallback_role = || fallback_role().prop_map(RoleName::stored);
    let entry = (role(), fallback_role());
    let default_replacement = prop_oneof![1 => Just(None), 3 => fallback_role().prop_map(Some)];
    prop_oneof![
        2 => Just(OnDisabled::Reject),
        3 => Just(OnDisabled::Suspend { fallback_role: None }),
        5 => fallback_role().prop_map(|role| OnDisabled::Suspend { fallback_role: Some(role) }),
        4 => (vec(entry, 0..3), default_replacement).prop_map(|(replacements, default_replacement)| OnDisabled::Remap { replacements, default_replacement }),
    ]
}

fn option_of(text: &'static str) -> impl Strategy<Value = Option<String>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(text.to_string())), 1 => Just(Some(String::new()))]
}

fn option_of_role() -> impl Strategy<Value = Option<RoleName>> {
    prop_oneof![3 => Just(None), 2 => role().prop_map(Some)]
}

fn create_role(project: impl Strategy<Value = ProjectKey>) -> impl Strategy<Value = Command> {
    let place = prop_oneof![Just(Place::Last), role().prop_map(Place::Above), role().prop_map(Place::Below),];
    let name = select(&ROLES[2..8]).prop_map(RoleName::stored);
    (project, name, any::<bool>(), place, vec(role_mapping(), 0..3), managed()).prop_map(
        |(project, name, internal, place, disabled_in, manages)| {
            let (description, manages) = ("a role".into(), manages.unwrap_or_default());
            Command::CreateRole(CreateRole { project, name, description, internal, place, disabled_in, manages })
        },
    )
}

fn create_role_mapping(project: impl Strategy<Value = ProjectKey>) -> impl Strategy<Value = Command> {
    let name = select(&MAPPINGS[1..6]).prop_map(RoleMappingName::stored);
    let edits = prop_oneof![Just(RoleMappingEdits::default()), edits()];
    (project, name, some(role_mapping()), edits, vec(org(), 0..3), on_disabled()).prop_map(
        |(project, name, duplicate_of, edits, subscribe, on_disabled)| {
            let description = "a mapping".into();
            Command::CreateRoleMapping(CreateRoleMapping {
                project,
                name,
                description,
                duplicate_of,
                edits,
                subscribe,
                on_disabled,
            })
        },
    )
}

fn edits() -> BoxedStrategy<RoleMappingEdits> {
    let often = || select(&["read", "write", "rolecall::can_invite"][..]);
    let names = move || vec(prop_oneof![12 => often(), 1 => Just("Read")], 0..3);
    let names = move || names().prop_map(|names| names.into_iter().map(PermissionName::stored).collect());
    let grant = (role(), names(), names()).prop_map(|(role, add, remove)| GrantEdit { role, add, remove });
    let enable = prop_oneof![6 => Just(vec![]), 2 => vec(role(), 1), 1 => vec(role(), 2)];
    let disable = prop_oneof![
        2 => Just(vec![]),
        4 => vec(select(&["Admin", "Auditor"][..]).prop_map(RoleName::stored), 1..3),
        1 => vec(role(), 1),
    ];
    (vec(grant, 0..2), enable, disable)
        .prop_map(|(grants, enable, disable)| RoleMappingEdits { grants, enable, disable })
        .boxed()
}

fn member_write() -> BoxedStrategy<MemberWrite> {
    let write = prop_oneof![
        4 => vec(given_role(), 0..3).prop_map(Write::Add),
        2 => vec(given_role(), 1).prop_map(Write::Set),
        5 => vec(given_role(), 1..4).prop_map(Write::Set),
        1 => Just(Write::Remove),
    ];
    let org = prop_oneof![30 => select(&["acme", "globex"][..]), 2 => Just("Acme"), 1 => Just("nowhere")];
    (org.prop_map(OrgId::stored), user(), write)
        .prop_map(|(org_id, user_id, write)| MemberWrite { org_id, user_id, write })
        .boxed()
}

/// Few users, so that most writes change an existing member.
fn user() -> impl Strategy<Value = UserId> {
    select(&["ann", "bob", "ann", "bob", "cid", "Ann"][..]).prop_map(UserId::stored)
}

fn given_role() -> impl Strategy<Value = RoleAssignment> {
    // Some last longer than a history.
    let time = prop_oneof![3 => 0i64..500, 1 => 0i64..3_000].prop_map(|at| Some(Time(at)));
    let expire_time = prop_oneof![3 => Just(None), 2 => time];
    let permanent = prop_oneof![5 => Just(false), 1 => Just(true)];
    (role(), expire_time, permanent).prop_map(|(role, expire_time, permanent)| RoleAssignment {
        role,
        expire_time,
        permanent,
    })
}

fn new_permission() -> impl Strategy<Value = NewPermission> {
    let name = select(&["read", "Read", "write", "read", "Read", "write", "rolecall::can_fly"][..]);
    name.prop_map(|name| NewPermission { name: PermissionName::stored(name), description: "a permission".into() })
}

fn role() -> impl Strategy<Value = RoleName> {
    let often = select(&ROLES[..5]);
    prop_oneof![15 => often, 1 => select(&ROLES[..])].prop_map(RoleName::stored)
}

fn role_mapping() -> impl Strategy<Value = RoleMappingName> {
    let often = select(&["Default", "Free", "Free", "Paid", "Gold"][..]);
    prop_oneof![12 => often, 1 => select(&MAPPINGS[..])].prop_map(RoleMappingName::stored)
}

fn org() -> impl Strategy<Value = OrgId> {
    let often = select(&["acme", "globex", "Acme"][..]);
    prop_oneof![19 => often, 1 => Just("nowhere")].prop_map(OrgId::stored)
}

fn some<S: Strategy>(inner: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(inner)
}
