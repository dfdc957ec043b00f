//! That members are named as they were before a command, whatever came before it in its group.

use super::*;
use crate::domain::collections::hash::HashKey;
use crate::domain::commands::command::{
    CreateOrg, CreatePermissions, CreateProject, CreateRole, CreateRoleMapping, GrantEdit, MemberWrite, NewPermission,
    OnDisabled, Place as RolePlace, RoleAssignment, RoleMappingEdits, SubscribeOrg, SubscribeTo, UpdateRoleMapping,
    Write, WriteMember,
};
use crate::domain::commands::group::{Known, Work, decide_group};
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::{
    Call, Command, OrgId, PermissionName, Project, ProjectKey, RequestKey, RoleMappingName, RoleName, Time,
};
use crate::limits::Limits;

/// What the database holds before a group.
struct Stored {
    /// In the order of the users.
    members: Vec<(RoleSetId, UserId)>,
    /// The sets that it was asked for, and for how many.
    asked: Vec<(RoleSetId, usize)>,
}

impl MemberIds for Stored {
    async fn first_of(
        &mut self,
        MembersWith { role_set, .. }: MembersWith,
        after: Option<&UserId>,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.asked.push((role_set, at_most));
        let having = self.members.iter().filter(|(set, user)| *set == role_set && after.is_none_or(|it| user > it));
        Ok(having.map(|(_, user)| user.clone()).take(at_most).collect())
    }
}

fn shop() -> ProjectKey {
    ProjectKey::stored("shop")
}

fn role(name: &str) -> RoleName {
    RoleName::stored(name)
}

fn write(user: &str, write: Write) -> Command {
    let row = MemberWrite { org_id: OrgId::stored("acme"), user_id: UserId::stored(user), write };
    Command::WriteMember(WriteMember { project: shop(), row, allow_ownerless: false })
}

fn clerk(user: &str) -> Command {
    write(user, Write::Add(vec![RoleAssignment { role: role("Clerk"), expire_time: None, permanent: false }]))
}

fn downgrade() -> Command {
    moved("Free", "Clerk", "Member")
}

/// Moves the org to a mapping in which a role is disabled, another in its place.
fn moved(mapping: &str, from: &str, to: &str) -> Command {
    Command::SubscribeOrg(SubscribeOrg {
        project: shop(),
        org_id: OrgId::stored("acme"),
        to: SubscribeTo::RoleMapping(RoleMappingName::stored(mapping)),
        on_disabled: OnDisabled::Remap { replacements: vec![(role(from), role(to))], default_replacement: None },
    })
}

/// Lets members of Free do one thing more.
fn grant() -> Command {
    granted("Free", "Member")
}

fn granted(mapping: &str, name: &str) -> Command {
    let add = vec![PermissionName::stored("shop.sell")];
    let grants = vec![GrantEdit { role: role(name), add, remove: vec![] }];
    Command::UpdateRoleMapping(UpdateRoleMapping {
        project: shop(),
        name: RoleMappingName::stored(mapping),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits: RoleMappingEdits { grants, ..RoleMappingEdits::default() },
        on_disabled: OnDisabled::Reject,
    })
}

fn mapping(name: &str, disable: &[&str]) -> Command {
    Command::CreateRoleMapping(CreateRoleMapping {
        project: shop(),
        name: RoleMappingName::stored(name),
        description: String::new(),
        duplicate_of: None,
        edits: RoleMappingEdits { disable: disable.iter().map(|it| role(it)).collect(), ..RoleMappingEdits::default() },
        subscribe: vec![],
        on_disabled: OnDisabled::Reject,
    })
}

fn run(state: State, commands: Vec<(Command, Call)>) -> Group {
    let work = commands.into_iter().map(|(command, call)| Work { command, call, tag: 0 });
    let group = decide_group(state, &work.collect::<Vec<_>>(), &Known::default(), Time(1), &Limits::default());
    for verdict in &group.verdicts {
        if let Verdict::Refused(refusal) = verdict {
            panic!("{refusal}");
        }
    }
    group
}

fn plain(commands: Vec<Command>) -> Vec<(Command, Call)> {
    commands.into_iter().map(|command| (command, Call::plain("test", ""))).collect()
}

/// The org acme, in which ann, bob and cat are clerks, and what the database knows of them.
fn world() -> (State, Stored) {
    world_of(["cat", "ann", "bob"].map(String::from).into())
}

fn world_of(mut users: Vec<String>) -> (State, Stored) {
    let permissions = vec![NewPermission { name: PermissionName::stored("shop.sell"), description: String::new() }];
    let created = vec![
        Command::CreateProject(CreateProject {
            key: shop(),
            display_name: String::new(),
            environment: Environment::Test,
            role_structure: RoleStructure::MultiRole,
            reuse_deleted_key: false,
        }),
        Command::CreateRole(CreateRole {
            project: shop(),
            name: role("Clerk"),
            description: String::new(),
            internal: false,
            place: RolePlace::Last,
            disabled_in: vec![],
            manages: vec![],
        }),
        Command::CreatePermissions(CreatePermissions { project: shop(), permissions, batch: false }),
        mapping("Free", &["Clerk"]),
        mapping("Tiny", &["Clerk", "Admin"]),
        Command::CreateOrg(CreateOrg {
            project: shop(),
            org_id: OrgId::stored("acme"),
            display_name: String::new(),
            metadata: String::new(),
            role_mapping: None,
            creator: None,
            reuse_deleted_id: false,
        }),
    ];
    let members = users.iter().map(|user| clerk(user));
    let state = run(State::new(HashKey::new([7; 16])), plain(created.into_iter().chain(members).collect())).next;
    users.sort_unstable();
    let set = |user: &UserId| {
        let project: &Project = state.project(&shop()).unwrap();
        project.membership(project.org("acme").unwrap(), user).unwrap().role_set
    };
    let users = users.into_iter().map(UserId::stored);
    let members = users.map(|user| (set(&user), user)).collect();
    (state, Stored { members, asked: vec![] })
}

fn told(verdict: &Verdict) -> Vec<String> {
    let Verdict::Done { impact, .. } = verdict else { panic!("refused") };
    let user = |row: &MemberImpact| match &row.who {
        Who::Member(user) => user.to_string(),
        Who::SomeOf { .. } => "somebody".into(),
    };
    impact.sample.iter().map(user).collect()
}

#[tokio::test]
async fn r9_members_are_named_as_they_were_before_the_command_and_not_before_its_group() {
    let (state, mut stored) = world();
    let commands = vec![write("ann", Write::Remove), clerk("dan"), downgrade(), write("bob", Write::Remove), grant()];
    let mut group = run(state, plain(commands));
    assert!(told(&group.verdicts[2]).contains(&"somebody".to_string()), "the State does not know them");
    name(&mut stored, &mut group).await.unwrap();
    let told: Vec<Vec<String>> = group.verdicts.iter().map(told).collect();
    // Dan is in no database yet; who was remapped is there with the set that was.
    assert_eq!(told, [vec!["ann"], vec!["dan"], vec!["bob", "cat", "dan"], vec!["bob"], vec!["cat", "dan"]]);
}

#[tokio::test]
async fn r9_what_is_remembered_and_what_a_repeat_is_told_names_the_same() {
    let (state, mut stored) = world();
    let request = RequestKey { caller: "test".into(), request_id: "once".into() };
    let call = Call { request: Some(request), ..Call::plain("test", "") };
    let mut group = run(state, vec![(downgrade(), call.clone()), (downgrade(), call)]);
    name(&mut stored, &mut group).await.unwrap();
    for verdict in &group.verdicts {
        assert_eq!(told(verdict), ["ann", "bob", "cat"]);
    }
    assert!(matches!(group.verdicts[1], Verdict::Done { replayed: true, .. }));
    let remembered = group.commits[0].request.as_ref().unwrap();
    let Verdict::Done { impact, .. } = &group.verdicts[0] else { panic!() };
    assert!(Arc::ptr_eq(&remembered.impact, impact));
}

#[tokio::test]
async fn r9_members_are_named_through_every_remap_of_their_org() {
    let (state, mut stored) = world();
    let others =
        write("bob", Write::Set(vec![RoleAssignment { role: role("Owner"), expire_time: None, permanent: false }]));
    let moves =
        vec![moved("Free", "Clerk", "Admin"), moved("Tiny", "Admin", "Member"), others, granted("Tiny", "Member")];
    let mut group = run(state, plain(moves));
    name(&mut stored, &mut group).await.unwrap();
    let all: Vec<Vec<String>> = group.verdicts.iter().map(told).collect();
    assert_eq!(all, [vec!["ann", "bob", "cat"], vec!["ann", "bob", "cat"], vec!["bob"], vec!["ann", "cat"]]);
    // Where a remap may have led to a set, the sets that it came from are looked through too; where Bob is
    // left out, one more page.
    let sets: Vec<usize> = [0..1, 1..3, 3..7]
        .map(|asked| stored.asked[asked].iter().map(|(set, _)| set).collect::<BTreeSet<_>>().len())
        .into();
    assert_eq!((sets, stored.asked.len()), (vec![1, 2, 3], 7));
}

#[tokio::test]
async fn r9_who_came_left_or_changed_earlier_in_the_group_is_told_apart() {
    let (state, mut stored) = world();
    let admin = vec![RoleAssignment { role: role("Admin"), expire_time: None, permanent: false }];
    let commands = vec![clerk("abe"), write("ann", Write::Remove), write("bob", Write::Set(admin)), downgrade()];
    let mut group = run(state, plain(commands));
    name(&mut stored, &mut group).await.unwrap();
    assert_eq!(told(&group.verdicts[3]), ["abe", "cat", "bob"], "bob as who he is by now");
}

#[tokio::test]
async fn r9_those_who_left_before_do_not_make_the_sample_short() {
    let many = (0..60).map(|number| format!("a{number:02}"));
    let (state, mut stored) = world_of(many.chain(["ann".into(), "bob".into()]).collect());
    let mut commands: Vec<Command> = (0..50).map(|number| write(&format!("a{number:02}"), Write::Remove)).collect();
    commands.push(downgrade());
    let mut group = run(state, plain(commands));
    name(&mut stored, &mut group).await.unwrap();
    let expected: Vec<String> =
        (50..60).map(|number| format!("a{number:02}")).chain(["ann".into(), "bob".into()]).collect();
    assert_eq!(told(&group.verdicts[50]), expected);
    assert_eq!(stored.asked.len(), 2, "all that are there are read");
}

#[tokio::test]
async fn r9_newcomers_of_whom_a_preview_knows_nothing_do_not_make_its_sample_short() {
    for (newcomers, expected, pages) in [(1_500, &["ann", "bob", "cat"][..], 3), (50_000, &[], PAGES_MAX)] {
        let (state, mut stored) = world();
        let set = stored.members[0].0;
        stored.members.splice(0..0, (0..newcomers).map(|number| (set, UserId::stored(format!("a{number:06}")))));
        let mut group = run(state, plain(vec![downgrade()]));
        name(&mut stored, &mut group).await.unwrap();
        assert_eq!(told(&group.verdicts[0]), expected);
        assert_eq!(stored.asked.len(), pages);
    }
}

#[tokio::test]
async fn r9_for_ordinary_writes_the_database_is_asked_nothing() {
    let (state, mut stored) = world();
    let commands = vec![clerk("dan"), write("ann", Write::Remove), grant(), mapping("Huge", &[])];
    let mut group = run(state, plain(commands));
    name(&mut stored, &mut group).await.unwrap();
    assert_eq!(group.verdicts.iter().map(told).collect::<Vec<_>>(), [&["dan"][..], &["ann"], &[], &[]]);
    assert_eq!(stored.asked, []);
}
