//! Deciding a check allocates nothing, and neither does reading the items of a batch. (A call of Check itself allocates for
//! its strings and its response.) The first check after a change of roles may allocate: the State keeps the decisions that it
//! computes (`rules/decision_row.rs`). So each test runs once before it counts. Allocations of other threads do not count.

use allocation_counter::measure;
use prost::Message;
use rolecall::domain::model::name::{own_id, permission_name, role_name};
use rolecall::domain::rules::activity::AllowedMember;
use rolecall::domain::{Ask, Columns, Decision, Item, Project, Question};
use rolecall::engine::activity::Activity;
use rolecall::limits::{REQUEST_FIELDS_MAX, REQUEST_NESTED_FIELDS_MAX};
use rolecall::wire::batch_check::{BatchCheckBody, FieldLimits};
use rolecall::wire::{BatchCheckRequest, CheckColumns, CheckItem};

use crate::fixture::{World, seconds, world};

const FIELDS: FieldLimits = FieldLimits { top_level: REQUEST_FIELDS_MAX, all: REQUEST_NESTED_FIELDS_MAX };
const NOW: i64 = 100;

/// User, org, permission, and the decision.
const CHECKS: [(&str, &str, &str, Decision); 15] = [
    ("live", "acme", "p", Decision::Allowed),
    ("live", "acme", "q", Decision::MissingPermission),
    ("live", "globex", "p", Decision::NotAMember),
    ("live", "nowhere", "p", Decision::OrgNotFound),
    ("live", "acme", "unknown", Decision::UnknownPermission),
    ("several", "acme", "p", Decision::Allowed),
    ("several", "acme", "q", Decision::MissingPermission),
    ("temporary", "acme", "p", Decision::Allowed),
    ("temporary", "acme", "q", Decision::MissingPermission),
    ("expired", "acme", "p", Decision::RoleExpired),
    ("disabled", "acme", "p", Decision::RoleDisabled),
    ("suspended", "initech", "p", Decision::Allowed),
    ("blocked", "acme", "p", Decision::UserBlocked),
    ("nobody-ü", "acme", "p", Decision::NotAMember),
    ("", "", "", Decision::OrgNotFound),
];

/// Returns worlds of both role structures in which `CHECKS` are true.
fn worlds() -> [World; 2] {
    let world_with = |project: &str, several: &str| {
        let mut world = world(&format!(
            "{project}
            permission p, q
            role Reader\n role Guest\n role Off\n role Gone
            edit Default: Reader +p; Off +p; Gone +p
            mapping Paid like Default
            org acme\n org globex\n org initech on Paid
            add live to acme: Reader
            add several to acme: {several}
            add temporary to acme: Guest, Reader until 1000
            add expired to acme: Gone until 50
            add disabled to acme: Off
            add suspended to initech: Gone
            add blocked to acme: Reader\n block blocked
            suspending edit Default: off Off
            suspending:Reader edit Paid: off Gone"
        ));
        world.at(NOW);
        world
    };
    [world_with("", "Guest, Reader until 1000"), world_with("project shop MULTI", "Guest, Reader, Off")]
}

/// Runs once, then again. The second run must allocate nothing.
#[track_caller]
fn allocates_nothing<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, mut run: impl FnMut() -> T) {
    assert_eq!(run(), expected, "{what}");
    let mut again = None;
    let counted = measure(|| again = Some(run()));
    assert_eq!(counted.count_total, 0, "allocations of {what}");
    assert_eq!(again, Some(expected), "{what}, the second time");
}

/// Notes activity as the service does.
fn note(activity: &Activity, project: &Project, member: AllowedMember<'_>) {
    let now = seconds(NOW);
    activity.note(activity.load().of(project.id), now.day(), member, now);
}

#[test]
fn allocations_are_counted() {
    assert_eq!(measure(|| drop(std::hint::black_box("a text").to_owned())).count_total, 1);
}

#[test]
fn k1_a_check_allocates_nothing() {
    for world in worlds() {
        let (project, activity) = (world.project(), Activity::default());
        let check = |ask: &Ask<'_>| project.check_noting(ask, seconds(NOW), |member| note(&activity, project, member));
        for (user, org, permission, decision) in CHECKS {
            let what = format!("{user} {org} {permission}");
            allocates_nothing(&what, decision, || {
                let _ = (own_id(org), own_id(user), permission_name(permission));
                check(&Ask { org_id: org, user_id: user, question: Question::Permission(permission) })
            });
            let names = ["q", permission].map(String::from);
            for question in [Question::AllOf(&names), Question::AnyOf(&names)] {
                let ask = Ask { org_id: org, user_id: user, question };
                let decision = project.check(&ask, seconds(NOW));
                allocates_nothing(&format!("{what} {question:?}"), decision, || check(&ask));
            }
            for role in ["Reader", "Guest", "Off", "Gone", "Nobody"] {
                for question in [Question::Role(role), Question::AtLeastRole(role)] {
                    let ask = Ask { org_id: org, user_id: user, question };
                    let decision = project.check(&ask, seconds(NOW));
                    allocates_nothing(&format!("{what} {question:?}"), decision, || {
                        let _ = role_name(role);
                        check(&ask)
                    });
                }
            }
        }
    }
}

#[test]
fn k3_a_batch_is_read_and_decided_without_allocations() {
    let item = |(user, org, permission, _): (&str, &str, &str, Decision)| CheckItem {
        org_id: org.into(),
        user_id: user.into(),
        permission: permission.into(),
    };
    let mut encoded = BatchCheckRequest { items: CHECKS.map(item).into(), ..Default::default() }.encode_to_vec();
    // Items of a form that prost does not write: the fields in another order, an unknown field, the length as two bytes.
    encoded.extend(b"\x12\x0e\x12\x04live\x0a\x04acme\x1a\x00");
    encoded.extend(b"\x12\x91\x00\x78\x01\x0a\x04acme\x12\x04live\x1a\x01p");
    let request = BatchCheckBody::decode(&encoded[..]).unwrap();
    let mut decisions = CHECKS.map(|(.., decision)| decision).to_vec();
    decisions.extend([Decision::UnknownPermission, Decision::Allowed]);
    for world in worlds() {
        let (project, activity) = (world.project(), Activity::default());
        let mut out = Vec::with_capacity(decisions.len());
        allocates_nothing("a batch of items", true, || {
            out.clear();
            let asked = request.read(FIELDS).unwrap();
            let items = asked.items().map(|[org_id, user_id, permission]| Item { org_id, user_id, permission });
            project.check_batch(items, seconds(NOW), &mut out, |member| note(&activity, project, member));
            out == decisions
        });
    }
}

#[test]
fn k3_rows_of_columns_are_decided_without_allocations() {
    let column = |at: fn(&(&str, &str, &str, Decision)) -> String| CHECKS.iter().map(at).collect();
    let all: Vec<u32> = (0..CHECKS.len() as u32).collect();
    let request = |repeated: usize| {
        let columns = CheckColumns {
            orgs: column(|check| check.1.into()),
            users: column(|check| check.0.into()),
            permissions: column(|check| check.2.into()),
            org_ix: all.repeat(repeated),
            user_ix: all.repeat(repeated),
            permission_ix: all.repeat(repeated),
        };
        BatchCheckRequest { columns: Some(columns), ..Default::default() }.encode_to_vec()
    };
    for world in worlds() {
        let (project, activity) = (world.project(), Activity::default());
        let allocations = [1, 50].map(|repeated| {
            let encoded = request(repeated);
            let body = BatchCheckBody::decode(&encoded[..]).unwrap();
            let asked = body.read(FIELDS).unwrap();
            allocates_nothing("reading the sizes", true, || body.read(FIELDS).is_ok());
            let mut columns = None;
            let counted = measure(|| columns = asked.columns().ok());
            let (columns, mut found) = (columns.unwrap(), Columns::default());
            found.add_orgs(project, columns.table(0));
            found.add_users(project, columns.table(1));
            found.add_permissions(project, columns.table(2));
            let expected = CHECKS.map(|(.., decision)| decision).repeat(repeated);
            let mut out = Vec::with_capacity(expected.len());
            allocates_nothing("rows of columns", true, || {
                out.clear();
                project.check_columns(&found, columns.rows(), seconds(NOW), &mut out, |member| {
                    note(&activity, project, member);
                });
                out == expected
            });
            counted.count_total
        });
        assert_eq!(allocations[0], allocations[1], "reading columns allocates for each table, and not for each row");
    }
}
