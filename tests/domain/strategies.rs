//! Random histories: few names, so that collisions, repeats and names that nobody has all happen.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use rolecall::domain::command::*;
use rolecall::domain::hash::HashKey;
use rolecall::domain::project::{Environment, RoleStructure};
use rolecall::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, State, Time, UserId};
use rolecall::limits::Limits;

/// Commands of one history, beside those that set it up.
pub const STEPS: usize = 50;

pub const PROJECTS: [&str; 2] = ["single", "multi"];
pub const ORGS: [&str; 4] = ["acme", "Acme", "globex", "nowhere"];
pub const USERS: [&str; 5] = ["ann", "bob", "cid", "Ann", "nobody"];
/// `rolecall::can_fly` is reserved and never there.
pub const PERMISSIONS: [&str; 5] = ["read", "Read", "write", "rolecall::can_invite", "rolecall::can_fly"];
const ROLES: [&str; 8] = ["Owner", "Admin", "Member", "Auditor", "auditor", "Straße", "STRASSE", "Ghost"];
const MAPPINGS: [&str; 6] = ["Default", "Free", "free", "Paid", "Trial", "Nothing"];

/// Commands one after another, at instants of a clock that may also go back.
#[derive(Clone, Debug)]
pub struct History {
    pub limits: Limits,
    pub steps: Vec<Step>,
    /// Instants at which everything is asked in the end.
    pub asked_at: Vec<Time>,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// By how much the clock goes on before the command.
    pub advance: i64,
    pub command: Command,
}

/// As many cases as the environment says, else `cases`.
pub fn config(cases: u32) -> ProptestConfig {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() };
    ProptestConfig { cases: if said { config.cases } else { cases }, ..config }
}

/// The hash key of the tests.
pub fn hash_key() -> HashKey {
    HashKey::new(*b"a key for tests.")
}

pub fn empty_state() -> State {
    State::new(hash_key())
}

pub fn history() -> impl Strategy<Value = History> {
    let set_up = prop_oneof![9 => Just(true), 1 => Just(false)];
    let asked_at = vec((0i64..600).prop_map(Time), 2);
    (limits(), set_up, vec(step(), STEPS), asked_at).prop_map(|(limits, set_up, steps, asked_at)| {
        let before = begin().into_iter().chain(if set_up { furnish() } else { Vec::new() });
        let steps = before.map(|command| Step { advance: 0, command }).chain(steps).collect();
        History { limits, steps, asked_at }
    })
}

/// Each limit is tight now and then, so that it is met.
fn limits() -> impl Strategy<Value = Limits> {
    let limit = |tight: std::ops::Range<u64>, default| prop_oneof![3 => Just(default), 1 => tight];
    let defaults = Limits::default();
    let tight = (
        limit(3..7, defaults.roles),
        limit(9..13, defaults.permissions),
        limit(1..5, defaults.role_mappings),
        limit(17..50, defaults.grants),
        limit(1..6, defaults.role_sets),
        limit(1..4, defaults.member_roles),
    );
    tight.prop_map(move |(roles, permissions, role_mappings, grants, role_sets, member_roles)| Limits {
        roles,
        permissions,
        role_mappings,
        grants,
        role_sets,
        member_roles,
        ..defaults
    })
}

fn step() -> impl Strategy<Value = Step> {
    let advance = prop_oneof![5 => 0i64..4, 5 => 0i64..40, 1 => -60i64..0];
    (advance, command()).prop_map(|(advance, command)| Step { advance, command })
}

/// The two projects that every history has.
fn begin() -> Vec<Command> {
    let create = |key, role_structure| {
        Command::CreateProject(CreateProject {
            key: ProjectKey::stored(key),
            display_name: "One".into(),
            environment: Environment::Live,
            role_structure,
        })
    };
    vec![create("single", RoleStructure::SingleRole), create("multi", RoleStructure::MultiRole)]
}

/// Something in each project, so that more of what follows is accepted.
fn furnish() -> Vec<Command> {
    let mut commands = Vec::new();
    for key in PROJECTS {
        let project = ProjectKey::stored(key);
        let new = |name| NewPermission { name: PermissionName::stored(name), description: String::new() };
        commands.push(Command::CreatePermissions(CreatePermissions {
            project: project.clone(),
            permissions: vec![new("read"), new("write")],
            batch: true,
        }));
        commands.push(Command::CreateRole(CreateRole {
            project: project.clone(),
            name: RoleName::stored("Auditor"),
            description: String::new(),
            internal: false,
            place: Place::Above(RoleName::stored("Member")),
            disabled_in: vec![],
        }));
        let grant = |role, add: &[&'static str]| GrantEdit {
            role: RoleName::stored(role),
            add: add.iter().map(|&name| PermissionName::stored(name)).collect(),
            remove: vec![],
        };
        commands.push(Command::CreateRoleMapping(CreateRoleMapping {
            project: project.clone(),
            name: RoleMappingName::stored("Free"),
            description: String::new(),
            duplicate_of: None,
            edits: RoleMappingEdits {
                grants: vec![grant("Auditor", &["read"]), grant("Admin", &["write"]), grant("Member", &["read"])],
                enable: vec![],
                disable: vec![RoleName::stored("Admin")],
            },
            subscribe: vec![],
        }));
        commands.push(Command::CreateRoleMapping(CreateRoleMapping {
            project: project.clone(),
            name: RoleMappingName::stored("Paid"),
            description: String::new(),
            duplicate_of: Some(RoleMappingName::stored("Default")),
            edits: RoleMappingEdits { grants: vec![grant("Admin", &["read", "write"])], ..RoleMappingEdits::default() },
            subscribe: vec![],
        }));
        for (org, mapping) in [("acme", "Free"), ("globex", "Paid")] {
            commands.push(Command::CreateOrg(CreateOrg {
                project: project.clone(),
                org_id: OrgId::stored(org),
                display_name: org.to_uppercase(),
                metadata: String::new(),
                role_mapping: None,
            }));
            commands.push(Command::SubscribeOrg(SubscribeOrg {
                project: project.clone(),
                org_id: OrgId::stored(org),
                to: SubscribeTo::RoleMapping(RoleMappingName::stored(mapping)),
            }));
            for (user, role) in [("ann", None), ("bob", Some("Auditor"))] {
                let row = MemberWrite {
                    org_id: OrgId::stored(org),
                    user_id: UserId::stored(user),
                    write: Write::Add(role.into_iter().map(lasting).collect()),
                };
                commands.push(Command::WriteMember(WriteMember { project: project.clone(), row }));
            }
        }
    }
    commands
}

fn lasting(role: &'static str) -> GivenRole {
    GivenRole { role: RoleName::stored(role), until: None, permanent: false }
}

fn command() -> BoxedStrategy<Command> {
    let project = || prop_oneof![20 => select(&PROJECTS[..]), 1 => Just("third")].prop_map(ProjectKey::stored);
    let structure = select(&[RoleStructure::SingleRole, RoleStructure::MultiRole][..]);
    prop_oneof![
        1 => (select(&["single", "third"][..]), structure).prop_map(|(key, role_structure)| {
            Command::CreateProject(CreateProject {
                key: ProjectKey::stored(key),
                display_name: "Other".into(),
                environment: Environment::Test,
                role_structure,
            })
        }),
        3 => (project(), vec(new_permission(), 0..4), any::<bool>()).prop_map(|(project, permissions, batch)| {
            Command::CreatePermissions(CreatePermissions { project, permissions, batch })
        }),
        4 => create_role(project()),
        4 => create_role_mapping(project()),
        12 => (project(), role_mapping(), edits()).prop_map(|(project, name, edits)| {
            Command::UpdateRoleMapping(UpdateRoleMapping { project, name, edits })
        }),
        2 => (project(), role_mapping()).prop_map(|(project, name)| {
            Command::PromoteRoleMapping(PromoteRoleMapping { project, name })
        }),
        4 => (project(), org(), some(role_mapping())).prop_map(|(project, org_id, role_mapping)| {
            let (display_name, metadata) = (format!("{org_id}!"), "{}".into());
            Command::CreateOrg(CreateOrg { project, org_id, display_name, metadata, role_mapping })
        }),
        5 => (project(), org(), some(role_mapping())).prop_map(|(project, org_id, to)| {
            let to = to.map_or(SubscribeTo::Default, SubscribeTo::RoleMapping);
            Command::SubscribeOrg(SubscribeOrg { project, org_id, to })
        }),
        34 => (project(), member_write()).prop_map(|(project, row)| Command::WriteMember(WriteMember { project, row })),
        8 => (project(), prop_oneof![vec(member_write(), 0..3), vec(member_write(), 0..6)]).prop_map(|(project, rows)| {
            Command::BatchWriteMembers(BatchWriteMembers { project, rows })
        }),
    ]
    .boxed()
}

fn create_role(project: impl Strategy<Value = ProjectKey>) -> impl Strategy<Value = Command> {
    let place = prop_oneof![Just(Place::Last), role().prop_map(Place::Above), role().prop_map(Place::Below),];
    let name = select(&ROLES[2..7]).prop_map(RoleName::stored);
    (project, name, any::<bool>(), place, vec(role_mapping(), 0..3)).prop_map(
        |(project, name, internal, place, disabled_in)| {
            let description = "a role".into();
            Command::CreateRole(CreateRole { project, name, description, internal, place, disabled_in })
        },
    )
}

fn create_role_mapping(project: impl Strategy<Value = ProjectKey>) -> impl Strategy<Value = Command> {
    let name = select(&MAPPINGS[1..5]).prop_map(RoleMappingName::stored);
    let edits = prop_oneof![Just(RoleMappingEdits::default()), edits()];
    (project, name, some(role_mapping()), edits, vec(org(), 0..3)).prop_map(
        |(project, name, duplicate_of, edits, subscribe)| {
            let description = "a mapping".into();
            let command = CreateRoleMapping { project, name, description, duplicate_of, edits, subscribe };
            Command::CreateRoleMapping(command)
        },
    )
}

fn edits() -> impl Strategy<Value = RoleMappingEdits> {
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
    (vec(grant, 0..2), enable, disable).prop_map(|(grants, enable, disable)| RoleMappingEdits {
        grants,
        enable,
        disable,
    })
}

fn member_write() -> impl Strategy<Value = MemberWrite> {
    let write = prop_oneof![
        4 => vec(given_role(), 0..3).prop_map(Write::Add),
        2 => vec(given_role(), 1).prop_map(Write::Set),
        5 => vec(given_role(), 1..4).prop_map(Write::Set),
        1 => Just(Write::Remove),
    ];
    // Few of them, so that most writes meet somebody who is a member already.
    let user = select(&["ann", "bob", "ann", "bob", "cid", "Ann"][..]).prop_map(UserId::stored);
    let org = prop_oneof![30 => select(&["acme", "globex"][..]), 2 => Just("Acme"), 1 => Just("nowhere")];
    (org.prop_map(OrgId::stored), user, write).prop_map(|(org_id, user_id, write)| MemberWrite {
        org_id,
        user_id,
        write,
    })
}

fn given_role() -> impl Strategy<Value = GivenRole> {
    let until = prop_oneof![3 => Just(None), 2 => (0i64..500).prop_map(|at| Some(Time(at)))];
    let permanent = prop_oneof![5 => Just(false), 1 => Just(true)];
    (role(), until, permanent).prop_map(|(role, until, permanent)| GivenRole { role, until, permanent })
}

fn new_permission() -> impl Strategy<Value = NewPermission> {
    let name = select(&["read", "Read", "write", "read", "Read", "write", "rolecall::can_fly"][..]);
    name.prop_map(|name| NewPermission { name: PermissionName::stored(name), description: "a permission".into() })
}

fn role() -> impl Strategy<Value = RoleName> {
    let often = select(&ROLES[..4]);
    prop_oneof![15 => often, 1 => select(&ROLES[..])].prop_map(RoleName::stored)
}

fn role_mapping() -> impl Strategy<Value = RoleMappingName> {
    let often = select(&["Default", "Free", "Free", "Paid"][..]);
    prop_oneof![12 => often, 1 => select(&MAPPINGS[..])].prop_map(RoleMappingName::stored)
}

fn org() -> impl Strategy<Value = OrgId> {
    let often = select(&["acme", "globex", "Acme"][..]);
    prop_oneof![9 => often, 1 => Just("nowhere")].prop_map(OrgId::stored)
}

fn some<S: Strategy>(inner: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(inner)
}
