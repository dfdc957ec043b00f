//! Replacing the role sets of many members, in groups with other changes. What is stored does not depend on how commits are
//! grouped.

use std::collections::BTreeSet;
use std::sync::Arc;

use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::fallback::Fallback;
use rolecall::domain::model::id::{OrgNo, RoleId, RoleSetId};
use rolecall::domain::model::membership::{MembershipRecord, Origin, RoleOrigin, TemporaryRole};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::model::role_set::RoleSet;
use rolecall::domain::state::change::MembershipKey;
use rolecall::domain::{Change, Command, Edit, Project, Revision, Scoped, State};
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::agreement::{agrees, shows_members, undoes};
use crate::desk::{
    Desk, START, answering, create_mapping, create_org, create_project, create_role, delete_mapping, given, hash_key,
    key, member, remap, role, subscribe, user, write_member, write_members,
};
use crate::on_both;
use crate::random::Dice;
use crate::support::{TestDatabase, sqlite};

on_both! {
    m7_members_with_and_without_temporary_roles_are_remapped_in_one_commit
    remaps_in_one_group_equal_remaps_one_by_one
    m7_a_thousand_orgs_are_remapped_at_once
}

const USERS: [&str; 6] = ["ann", "bob", "cid", "dan", "eve", "fay"];

async fn m7_members_with_and_without_temporary_roles_are_remapped_in_one_commit(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let disable = |names: &[&str]| RoleMappingEdits {
        disable: names.iter().map(|name| role(name)).collect(),
        ..RoleMappingEdits::default()
    };
    let add = |user, roles: &[&str]| member("acme", user, Write::Add(given(roles, now)));
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_role("shop", "Editor", Place::Last, &[]),
        create_role("shop", "Author", Place::Last, &[]),
        create_role("shop", "Staff", Place::Last, &[]),
        create_mapping("shop", "Paid", Some("Default"), RoleMappingEdits::default()),
        create_mapping("shop", "Free", Some("Default"), disable(&["Editor", "Author"])),
        create_org("shop", "acme", Some("Paid")),
        create_org("shop", "made-by-globex", Some("Paid")),
        write_members(
            "shop",
            vec![
                add("ann", &["Editor"]),
                add("bob", &["Editor", "Member"]),
                add("cid", &["Editor for 900", "Author for 800"]),
                add("dan", &["Editor", "Staff for 5"]),
                add("eve", &["Member"]),
                member("made-by-globex", "ann", Write::Add(given(&["Author"], now))),
            ],
        ),
        write_member("shop", "made-by-globex", "creator", Write::Set(given(&["Owner", "Editor"], now))),
    ])
    .await;
    desk.now = desk.now.plus_seconds(10);
    let downgrade = |id| answering(subscribe("shop", id, "Free"), remap(&[("Editor", "Member")], Some("Admin")));
    let commits = desk.write(vec![downgrade("acme"), downgrade("made-by-globex")]).await;
    agrees(&desk).await;
    shows_members(&desk, &[&USERS[..], &["creator"]].concat()).await;
    let shown = async |id: &str, name: &str| {
        let found = desk.member("shop", id, name).await.unwrap();
        let roles = found.member.roles.iter().map(|it| (it.role.to_string(), it.expire_time.is_some(), it.origin));
        (roles.collect::<Vec<_>>(), found.member.origin.unwrap(), found.revision.unwrap())
    };
    use Origin::{Creator, Direct, Migration};
    let is = |name: &str, ends: bool, origin: Origin| (name.to_string(), ends, origin);
    let here = commits[0].revision;
    assert_eq!(shown("acme", "ann").await, (vec![is("Member", false, Migration)], Migration, here));
    assert_eq!(shown("acme", "bob").await, (vec![is("Member", false, Direct)], Migration, here));
    let both = vec![is("Admin", true, Migration), is("Member", true, Migration)];
    assert_eq!(shown("acme", "cid").await, (both, Migration, here));
    let (eve, origin, revision) = shown("acme", "eve").await;
    assert_eq!((eve, origin), (vec![is("Member", false, Direct)], Direct));
    assert!(revision.number < here.number);
    let owner = vec![is("Owner", false, Creator), is("Member", false, Migration)];
    assert_eq!(shown("made-by-globex", "creator").await, (owner, Migration, commits[1].revision));
    // Back on the old plan the replacements stay. A member who is written again shows that.
    desk.write(vec![
        subscribe("shop", "acme", "Paid"),
        write_member("shop", "acme", "ann", Write::Set(given(&["Editor"], now))),
        downgrade("acme"),
        write_member("shop", "acme", "bob", Write::Remove),
        subscribe("shop", "acme", "Paid"),
        write_member("shop", "acme", "bob", Write::Add(given(&["Author"], now))),
        answering(delete_mapping("shop", "Paid", Some("Free")), remap(&[], Some("Owner"))),
    ])
    .await;
    agrees(&desk).await;
    shows_members(&desk, &[&USERS[..], &["creator"]].concat()).await;
    undoes(&desk).await;
}

async fn m7_a_thousand_orgs_are_remapped_at_once(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let disable = RoleMappingEdits { disable: vec![role("Admin")], ..RoleMappingEdits::default() };
    let mut commands = vec![
        create_project("shop", RoleStructure::MultiRole),
        create_mapping("shop", "Paid", Some("Default"), RoleMappingEdits::default()),
        create_mapping("shop", "Free", Some("Default"), disable),
    ];
    let ids: Vec<String> = (0..1_000).map(|number| format!("org-{number:04}")).collect();
    commands.extend(ids.iter().map(|id| create_org("shop", id, Some("Paid"))));
    let rows = ids.iter().enumerate().flat_map(|(number, id)| {
        let second: &[&str] = if number.is_multiple_of(10) { &["Admin for 60"] } else { &["Admin", "Owner"] };
        [
            member(id, "ann", Write::Add(given(&["Admin"], now))),
            member(id, "bob", Write::Add(given(second, now))),
            member(id, "cid", Write::Add(given(&["Member"], now))),
        ]
    });
    commands.push(write_members("shop", rows.collect()));
    desk.write(commands).await;
    let all = delete_mapping("shop", "Paid", Some("Free"));
    desk.write(vec![answering(all, remap(&[("Admin", "Member")], None))]).await;
    agrees(&desk).await;
    let found = desk.member("shop", "org-0777", "bob").await.unwrap();
    let roles: Vec<&str> = found.member.roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(roles, ["Owner", "Member"]);
    assert_eq!(found.revision, Some(desk.revision()));
}

/// The changes are more than callers can cause: sets that are replaced, replaced once more, given up, or taken again by a
/// write, in any order.
async fn remaps_in_one_group_equal_remaps_one_by_one(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let mut one = Desk::new(sqlite()).await;
    for desk in [&mut desk, &mut one] {
        desk.write(beginning()).await;
    }
    assert!(desk.state == one.state);
    let mut history = History { dice: Dice(2_026), remapped: 0 };
    for _ in 0..80 {
        let mut commits = Vec::new();
        for _ in 0..history.dice.below(9) + 1 {
            let commit = history.commit(&desk.state);
            desk.state.apply_commit(commit.revision, &commit.changes);
            commits.push(commit);
        }
        desk.persist(&commits).await;
        for commit in &commits {
            one.persist(std::slice::from_ref(commit)).await;
        }
        assert!(desk.store.load(hash_key()).await.unwrap() == desk.state, "at {:?}", desk.revision());
        assert!(one.store.load(hash_key()).await.unwrap() == desk.state, "one by one, at {:?}", desk.revision());
        for table in ["memberships", "temporary_roles", "role_origins", "role_sets", "role_set_roles", "fallback_roles"]
        {
            assert_eq!(rows(&desk, table).await, rows(&one, table).await, "{table} at {:?}", desk.revision());
        }
    }
    assert!(history.remapped > 500, "only {} members got another set", history.remapped);
    agrees(&desk).await;
    undoes(&desk).await;
}

const ORGS: [&str; 3] = ["acme", "globex", "initech"];

fn beginning() -> Vec<Command> {
    let mut commands = vec![create_project("shop", RoleStructure::MultiRole)];
    commands.extend(["Guest", "Staff"].map(|name| create_role("shop", name, Place::Last, &[])));
    commands.extend(ORGS.map(|id| create_org("shop", id, None)));
    let kinds: [&[&str]; 6] =
        [&["Owner"], &["Admin"], &["Member", "Guest"], &["Guest for 60"], &["Staff"], &["Member", "Staff for 90"]];
    commands.extend(ORGS.into_iter().flat_map(|id| {
        let each = USERS.into_iter().zip(kinds);
        each.map(move |(user, roles)| write_member("shop", id, user, Write::Add(given(roles, START))))
    }));
    commands
}

/// Random commits.
struct History {
    dice: Dice,
    /// Members whose set was replaced.
    remapped: usize,
}

impl History {
    fn commit(&mut self, state: &State) -> Commit {
        let last = state.revision();
        let mut next = state.clone();
        let mut changes = Vec::new();
        for _ in 0..self.dice.below(6) + 1 {
            let project = next.project(&key("shop")).unwrap().clone();
            let edits = match self.dice.below(10) {
                0..=3 => self.remap(&project),
                4 => self.fallbacks(&project),
                _ => self.membership(&project),
            };
            edits.iter().for_each(|change| next.apply(change));
            changes.extend(edits);
        }
        let revision = Revision { number: last.number + 1, tag: last.tag + 1, at: last.at.plus_seconds(1) };
        let (kind, actor, reason) = (Arc::from("Test"), Arc::from("ann"), Arc::from(""));
        Commit { revision, kind, actor, reason, key: None, acting_user: None, request: None, changes }
    }

    fn org(&mut self, project: &Project) -> OrgNo {
        project.org(ORGS[self.dice.below(ORGS.len())]).unwrap().no
    }

    /// Returns at least one role of the project.
    fn roles(&mut self) -> RoleSet {
        let first = self.dice.below(5);
        RoleSet::new([first, self.dice.below(5)].map(|at| RoleId::new(at as u32 + 1).unwrap()))
    }

    /// Replaces existing sets by new ones.
    fn remap(&mut self, project: &Project) -> Vec<Change> {
        let id = self.org(project);
        let (mut changes, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let first = project.role_sets.next_id().number();
        // Some sets of members, and one that may have no members.
        let org = project.org_numbered(id).unwrap();
        let records: Vec<_> = USERS.iter().filter_map(|name| project.membership(org, &user(name))).collect();
        let held = records.iter().map(|record| record.role_set).filter(|_| self.dice.below(2) == 0);
        let mut sets: BTreeSet<RoleSetId> = held.collect();
        let all: Vec<RoleSetId> = project.role_sets.entries().map(|(set, _)| set).collect();
        sets.insert(all[self.dice.below(all.len())]);
        for set in sets {
            let other = RoleSetId::new(first + after.len() as u32).unwrap();
            let key = Scoped { project: project.id, id: other };
            let roles = RoleSet { migrated: true, ..self.roles() };
            changes.push(Change::RoleSet(Edit { key, before: None, after: Some(roles) }));
            before.push(set);
            after.push(other);
        }
        let records = records.iter().filter(|record| record.temporary.is_empty() && before.contains(&record.role_set));
        self.remapped += records.count();
        let key = Scoped { project: project.id, id };
        changes.push(Change::Remap(Edit { key, before: Some(before.into()), after: Some(after.into()) }));
        changes
    }

    /// Adds, removes or changes a member, sometimes back to a set that was replaced for others.
    fn membership(&mut self, project: &Project) -> Vec<Change> {
        let org = self.org(project);
        let user = user(USERS[self.dice.below(USERS.len())]);
        let before = project.membership(project.org_numbered(org).unwrap(), &user);
        let sets: Vec<_> = project.role_sets.entries().filter(|(_, set)| !set.migrated).collect();
        let (role_set, set) = sets[self.dice.below(sets.len())];
        let role = set.roles[0];
        let temporary: &[TemporaryRole] = match self.dice.below(4) {
            0 => &[TemporaryRole { role, expire_time: START.plus_seconds(600) }],
            _ => &[],
        };
        let origins: &[RoleOrigin] = match self.dice.below(4) {
            0 => &[RoleOrigin { role, origin: Origin::Creator }],
            _ => &[],
        };
        let record =
            MembershipRecord { role_set, origin: Origin::Direct, temporary: temporary.into(), origins: origins.into() };
        let after = Some(record).filter(|_| self.dice.below(5) > 0);
        if before.is_none() && after.is_none() {
            return Vec::new();
        }
        let key = MembershipKey { project: project.id, org, user };
        vec![Change::Membership(Edit { key, before, after })]
    }

    fn fallbacks(&mut self, project: &Project) -> Vec<Change> {
        let id = self.org(project);
        let before = project.org_numbered(id).unwrap().fallbacks.clone();
        let roles = self.roles().roles;
        let fallback_role = RoleId::new(self.dice.below(5) as u32 + 1).unwrap();
        let all: Vec<Fallback> = roles.iter().map(|&role| Fallback { role, fallback_role }).collect();
        let after = Some(all.into()).filter(|_| before.is_none() || self.dice.below(2) == 0);
        vec![Change::Fallbacks(Edit { key: Scoped { project: project.id, id }, before, after })]
    }
}

/// Returns all rows of a table as texts.
async fn rows(desk: &Desk, table: &str) -> Vec<String> {
    let direct = Database::connect(&desk.database.url).await.unwrap();
    let columns = match table {
        "memberships" => {
            "project, org, user_id, role_set, origin, revision, CAST(temporary AS integer), CAST(other_origins AS integer)"
        }
        "temporary_roles" => "project, org, user_id, role, expire_time",
        "role_origins" => "project, org, user_id, role, origin",
        "role_sets" => "project, id, CAST(migrated AS integer), revision",
        "role_set_roles" => "project, role_set, role",
        _ => "project, org, role, fallback_role",
    };
    let text = columns.split(", ").map(|column| format!("CAST({} AS text)", column.trim())).collect::<Vec<_>>();
    let sql = format!("SELECT {} FROM {table}", text.join(" || ' ' || "));
    let found = direct.query_all_raw(Statement::from_string(direct.get_database_backend(), sql)).await.unwrap();
    let mut rows: Vec<String> = found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    direct.close().await.unwrap();
    rows.sort_unstable();
    rows
}
