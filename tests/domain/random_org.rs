//! A random project with one org. Its members have several roles: permanent, temporary, internal, or suspended with
//! fallback roles. Also random writes of acting users in this org.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use rolecall::domain::commands::command::*;
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::B2B;
use rolecall::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Time, UserId};
use rolecall::limits::Limits;

use crate::history_runner::{HistoryRunner, call_options};
use crate::model::Model;
use crate::random_history::{ABILITIES, Step};

pub const PROJECT: &str = "random_org";
pub const ORG: &str = "acme";
pub const USERS: [&str; 5] = ["ann", "bob", "cid", "Ann", "nobody"];
pub const VISIBLE: [&str; 5] = ["Owner", "Admin", "Auditor", "Member", "Guest"];
pub const INTERNAL: [&str; 2] = ["Boss", "Spy"];
/// The time after the set-up. Expiries are before and after it.
pub const START: i64 = 1_000;

/// The set-up, as commands. Some of them may be refused.
#[derive(Clone, Debug)]
pub struct RandomOrg {
    pub structure: RoleStructure,
    /// The project with its visible roles, and what they grant and manage.
    pub visible: Vec<Command>,
    /// The internal roles, and what they grant and manage.
    pub internal: Vec<Command>,
    pub members: Vec<Command>,
    /// Edits that disable roles.
    pub disabled: Vec<Command>,
}

impl RandomOrg {
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.visible.iter().chain(&self.internal).chain(&self.members).chain(&self.disabled)
    }

    /// Runs the commands.
    pub fn run(&self) -> HistoryRunner {
        let mut runner = HistoryRunner::new(Limits::default());
        for command in self.commands() {
            runner.run(&Step::plain(1, command.clone()));
        }
        runner.clock = Time(START);
        runner
    }

    /// Runs the commands on the domain and on the model, and asserts that both give the same results.
    pub fn run_with_model(&self) -> (HistoryRunner, Model) {
        let (mut runner, mut model) = (HistoryRunner::new(Limits::default()), Model::default());
        for command in self.commands() {
            let step = Step::plain(1, command.clone());
            let outcome = runner.run(&step);
            let should = model.run(command, call_options(&step), outcome.commit_time, &runner.limits);
            assert_eq!(outcome.result, should, "{command:?}");
        }
        runner.clock = Time(START);
        (runner, model)
    }
}

pub fn project() -> ProjectKey {
    ProjectKey::stored(PROJECT)
}

pub fn org() -> OrgId {
    OrgId::stored(ORG)
}

fn names(roles: Vec<&'static str>) -> Vec<RoleName> {
    roles.into_iter().map(RoleName::stored).collect()
}

fn new_role(name: &'static str, internal: bool, place: Place) -> Command {
    Command::CreateRole(CreateRole {
        project: project(),
        name: RoleName::stored(name),
        description: String::new(),
        internal,
        place,
        disabled_in: vec![],
        manages: vec![],
    })
}

fn manages(name: &'static str, managed: Vec<&'static str>) -> Command {
    Command::UpdateRole(UpdateRole {
        project: project(),
        name: RoleName::stored(name),
        etag: None,
        new_name: None,
        description: None,
        internal: None,
        aliases: None,
        manages: Some(names(managed)),
    })
}

pub fn edit(edits: RoleMappingEdits, on_disabled: OnDisabled) -> Command {
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project: project(),
        name: RoleMappingName::stored("Default"),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits,
        on_disabled,
    })
}

/// Grants exactly these of the permissions in `ABILITIES`.
fn grants(name: &'static str, abilities: Vec<&'static str>) -> Command {
    let permission = |name: &&str| PermissionName::stored(*name);
    let remove = ABILITIES.iter().filter(|name| !abilities.contains(name)).map(permission).collect();
    let grant = GrantEdit { role: RoleName::stored(name), add: abilities.iter().map(permission).collect(), remove };
    edit(RoleMappingEdits { grants: vec![grant], ..RoleMappingEdits::default() }, OnDisabled::Reject)
}

pub fn write(user: &str, write: Write) -> Command {
    let row = MemberWrite { org_id: org(), user_id: UserId::stored(user), write };
    Command::WriteMember(WriteMember { project: project(), row, allow_ownerless: false, keep_invitations: false })
}

/// Grants and managed roles of each role. Only MULTI_ROLE uses the managed roles.
fn described(names: &'static [&'static str]) -> BoxedStrategy<Vec<Command>> {
    let one = |&name: &&'static str| {
        let abilities = prop_oneof![3 => Just(ABILITIES.to_vec()), 2 => subsequence(ABILITIES.to_vec(), 0..5)];
        let managed = subsequence(VISIBLE.to_vec(), 0..4);
        (abilities, managed).prop_map(move |(abilities, managed)| vec![grants(name, abilities), manages(name, managed)])
    };
    names.iter().map(one).collect::<Vec<_>>().prop_map(|all| all.concat()).boxed()
}

pub fn random_org() -> BoxedStrategy<RandomOrg> {
    let structure = select(&[RoleStructure::SingleRole, RoleStructure::MultiRole][..]);
    let place = || {
        prop_oneof![
            1 => Just(Place::Last),
            2 => select(&VISIBLE[..4]).prop_map(|name| Place::Above(RoleName::stored(name))),
        ]
    };
    let places = (place(), place());
    let off = subsequence(vec!["Admin", "Auditor", "Guest", "Boss", "Spy"], 0..3);
    let disabled = (off, suspend());
    let roles = (described(&VISIBLE), described(&INTERNAL), places);
    (structure, roles, members(&["Boss", "Spy"]), vec(disabled, 0..3))
        .prop_map(|(structure, (visible, internal, places), members, disabled)| {
            let create = Command::CreateProject(CreateProject {
                key: project(),
                display_name: String::new(),
                environment: Environment::Live,
                role_structure: structure,
                reuse_deleted_key: false,
                template: &B2B,
                owner_role: None,
            });
            let create_org = Command::CreateOrg(CreateOrg {
                project: project(),
                org_id: org(),
                display_name: String::new(),
                metadata: String::new(),
                role_mapping: None,
                creator: None,
                reuse_deleted_id: false,
            });
            let multi =
                |command: &Command| structure == RoleStructure::MultiRole || !matches!(command, Command::UpdateRole(_));
            let above = Place::Above(RoleName::stored("Member"));
            let guest = new_role("Guest", false, Place::Last);
            let start = vec![create, create_org, new_role("Auditor", false, above), guest];
            let disabled = disabled.into_iter().map(|(off, on_disabled)| {
                edit(RoleMappingEdits { disable: names(off), ..RoleMappingEdits::default() }, on_disabled)
            });
            RandomOrg {
                structure,
                visible: start.into_iter().chain(visible.into_iter().filter(multi)).collect(),
                internal: [new_role("Boss", true, places.0), new_role("Spy", true, places.1)]
                    .into_iter()
                    .chain(internal.into_iter().filter(multi))
                    .collect(),
                members: members.iter().map(|member| member.command(structure)).collect(),
                disabled: disabled.collect(),
            }
        })
        .boxed()
}

fn suspend() -> impl Strategy<Value = OnDisabled> {
    let fallback_role = proptest::option::weighted(
        0.75,
        select(&["Member", "Owner", "Auditor", "Guest"][..]).prop_map(RoleName::stored),
    );
    fallback_role.prop_map(|fallback_role| OnDisabled::Suspend { fallback_role })
}

/// The roles of one member.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    user: &'static str,
    permanent: &'static str,
    temporary: Option<(&'static str, Time)>,
    /// More roles, in MULTI_ROLE only.
    more: Vec<(&'static str, Option<Time>)>,
    /// In SINGLE_ROLE it replaces the permanent or the temporary role.
    internal: Option<(&'static str, Option<Time>)>,
}

impl MemberSpec {
    /// Returns the write that adds the member, with the roles that the structure allows.
    pub fn command(&self, structure: RoleStructure) -> Command {
        let temporary = self.temporary.map(|(role, expire_time)| (role, Some(expire_time)));
        let mut roles = vec![(self.permanent, None)];
        match structure {
            RoleStructure::SingleRole => {
                roles.extend(temporary);
                if let Some((role, expire_time)) = self.internal {
                    roles.retain(|(_, other)| other.is_some() != expire_time.is_some());
                    roles.push((role, expire_time));
                }
            }
            RoleStructure::MultiRole => roles.extend(self.more.iter().copied().chain(temporary).chain(self.internal)),
        }
        let mut given: Vec<RoleAssignment> = Vec::new();
        for (role, expire_time) in roles {
            if !given.iter().any(|it| it.role.as_str() == role) {
                given.push(RoleAssignment { role: RoleName::stored(role), expire_time, permanent: false });
            }
        }
        write(self.user, Write::Add(given))
    }
}

/// `ann` and `bob`, mostly with roles in the middle of the order, and some other users.
pub fn members(internal: &'static [&'static str]) -> BoxedStrategy<Vec<MemberSpec>> {
    let spec = move |user: &'static str, roles: [&'static str; 6]| {
        let role = move || select(roles.to_vec());
        let expiries = select(&[START - 100, START + 5, START + 20, START + 20, START + 1_000][..]).prop_map(Time);
        let temporary = proptest::option::weighted(0.35, (role(), expiries));
        let more = vec((role(), expiry()), 0..3);
        let internal = match internal {
            [] => Just(None).boxed(),
            names => proptest::option::weighted(0.25, (select(names), expiry())).boxed(),
        };
        (role(), temporary, more, internal).prop_map(move |(permanent, temporary, more, internal)| MemberSpec {
            user,
            permanent,
            temporary,
            more,
            internal,
        })
    };
    let often = ["Admin", "Admin", "Auditor", "Auditor", "Guest", "Owner"];
    let any = ["Owner", "Admin", "Auditor", "Member", "Guest", "Owner"];
    let others = USERS[2..4].iter().map(|&user| proptest::option::weighted(0.8, spec(user, any)).boxed());
    let all: Vec<_> = USERS[..2].iter().map(|&user| spec(user, often).prop_map(Some).boxed()).chain(others).collect();
    all.prop_map(|members| members.into_iter().flatten().collect()).boxed()
}

/// Mostly `None`. Some expiries pass during the set-up or the test.
pub fn expiry() -> impl Strategy<Value = Option<Time>> {
    let expiries = select(&[START - 100, START + 5, START + 20, START + 20, START + 1_000][..]);
    prop_oneof![3 => Just(None), 2 => expiries.prop_map(|at| Some(Time(at)))]
}

/// A random member write of an acting user.
pub fn acting_user_write(actors: &'static [&'static str], names: &'static [&'static str]) -> BoxedStrategy<Step> {
    let given = move || {
        (select(names), expiry(), prop_oneof![4 => Just(false), 1 => Just(true)]).prop_map(
            |(role, expire_time, permanent)| RoleAssignment { role: RoleName::stored(role), expire_time, permanent },
        )
    };
    let random_write = prop_oneof![
        4 => vec(given(), 0..3).prop_map(Write::Add),
        8 => vec(given(), 1..4).prop_map(Write::Set),
        2 => Just(Write::Remove),
    ];
    let advance = prop_oneof![3 => 0i64..3, 1 => 3i64..12];
    (select(actors), select(&USERS[..]), random_write, advance)
        .prop_map(|(acting, user, random_write, advance)| Step {
            acting_user: Some(UserId::stored(acting)),
            ..Step::plain(advance, write(user, random_write))
        })
        .boxed()
}
