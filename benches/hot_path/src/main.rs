//! Answers the same checks again and again, for `run`, which counts the instructions: `hot-path MODE ROUNDS`.

use std::error::Error;
use std::hint::black_box;

use domain::rules::check::{Ask, Question};
use domain::rules::check_batch::{Columns, Item};
use domain::{Project, Time};
use prost::Message;
use prost::encoding::{bytes, string, uint32};
use state::{MEMBERS, PERMISSIONS, PROJECT, ROLES, Random, id, permission, state};
use wire::batch_check::{BatchCheckBody, FieldLimits};

// `state.rs` is also part of benches that import the library.
extern crate self as rolecall;

#[path = "../../../src/domain"]
pub mod domain {
    pub mod collections;
    pub mod commands;
    pub mod impact;
    pub mod model;
    pub mod rules;
    pub mod state;

    pub use model::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
    pub use model::time::Time;
    pub use state::State;
    pub use state::change::{Change, Edit, Scoped};
    pub use state::project::Project;
}
#[path = "../../../src/limits.rs"]
pub mod limits;
#[path = "../../memory/state.rs"]
mod state;
#[path = "../../../src/wire"]
pub mod wire {
    pub mod batch_check;
    pub mod consistency;

    pub use consistency::Consistency;
}

const MEMBERSHIPS: u32 = 10_000;
const ITEMS: usize = 1_000;
/// Users, and permissions, of a request by columns.
const SIDE: u32 = 100;
const LIMITS: FieldLimits =
    FieldLimits { top_level: limits::REQUEST_FIELDS_MAX, all: limits::REQUEST_NESTED_FIELDS_MAX };

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, rounds] = &arguments[..] else { return Err("usage: hot-path MODE ROUNDS".into()) };
    let rounds: usize = rounds.parse()?;
    let state = state(MEMBERSHIPS, |random| 1 + random.below(ROLES));
    let project = state.project_numbered(PROJECT).ok_or("no project")?;
    match mode.as_str() {
        "items" => items(project, rounds),
        "columns" => columns(project, rounds),
        "single" => {
            single(project, rounds);
            Ok(())
        }
        _ => Err("MODE is items, columns or single".into()),
    }
}

fn items(project: &Project, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut encoded = Vec::new();
    for row in rows() {
        let mut item = Vec::new();
        (1..).zip(&row).for_each(|(tag, text)| string::encode(tag, text, &mut item));
        bytes::encode(2, &item, &mut encoded);
    }
    let request = BatchCheckBody::decode(&encoded[..])?;
    let mut decisions = Vec::with_capacity(ITEMS);
    for _ in 0..rounds {
        decisions.clear();
        let asked = black_box(&request).read(LIMITS).map_err(|why| format!("{why:?}"))?;
        let items = asked.items().map(|[org_id, user_id, permission]| Item { org_id, user_id, permission });
        project.check_batch(items, Time(0), &mut decisions, |member| {
            black_box(member.org);
        });
        black_box(&decisions);
    }
    Ok(())
}

fn columns(project: &Project, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut columns = Vec::new();
    string::encode(1, &id(1, 7), &mut columns);
    (0..SIDE).for_each(|user| string::encode(2, &id(2, 7 * MEMBERS + user), &mut columns));
    (0..SIDE).for_each(|number| string::encode(3, &permission(number), &mut columns));
    let indices = |at: fn(u32) -> u32| (0..SIDE * SIDE).map(at).collect::<Vec<_>>();
    uint32::encode_packed(5, &indices(|at| at / SIDE), &mut columns);
    uint32::encode_packed(6, &indices(|at| at % SIDE), &mut columns);
    let mut encoded = Vec::new();
    bytes::encode(4, &columns, &mut encoded);
    let request = BatchCheckBody::decode(&encoded[..])?;
    let mut decisions = Vec::with_capacity((SIDE * SIDE) as usize);
    for _ in 0..rounds {
        decisions.clear();
        let asked = black_box(&request).read(LIMITS).map_err(|why| format!("{why:?}"))?;
        let columns = asked.columns()?;
        let mut found = Columns::default();
        found.add_orgs(project, columns.table(0));
        found.add_users(project, columns.table(1));
        found.add_permissions(project, columns.table(2));
        project.check_columns(&found, columns.rows(), Time(0), &mut decisions, |member| {
            black_box(member.org);
        });
        black_box(&decisions);
    }
    Ok(())
}

fn single(project: &Project, rounds: usize) {
    let rows: Vec<_> = rows().collect();
    for [org_id, user_id, permission] in rows.iter().cycle().take(rounds * ITEMS) {
        let ask = Ask { org_id, user_id, question: Question::Permission(permission) };
        black_box(project.check_noting(black_box(&ask), Time(0), |member| {
            black_box(member.org);
        }));
    }
}

/// Returns the ids of random members, and permissions.
fn rows() -> impl Iterator<Item = [String; 3]> {
    let mut random = Random(7);
    (0..ITEMS).map(move |_| {
        let member = random.below(MEMBERSHIPS);
        [id(1, member / MEMBERS), id(2, member), permission(random.below(PERMISSIONS))]
    })
}
