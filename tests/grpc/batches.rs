//! The forms of a batch check: items, defaults and columns (K3).

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use prost::Message;
use rolecall::grpc::layers::bounded::Bounded;
use rolecall::grpc::layers::calls::{Budget, Calls};
use rolecall::grpc::methods::Methods;
use rolecall::grpc::routes;
use rolecall::limits::Limits;
use rolecall::metrics::calls::CallMetrics;
use rolecall::wire::{self, CheckColumns, CheckItem, Decision};
use tokio::sync::watch;

use crate::fixture::{Project, roles, texts};
use crate::random::Random;
use crate::raw::framed;
use crate::refusals::refused;
use crate::server::{Server, on_both, on_both_with};

type Row = (&'static str, &'static str, &'static str);

/// The decision, or the malformed field.
type Answer = Result<Decision, &'static str>;

const ITEM_FIELDS: [&str; 3] = ["org_id", "user_id", "permission"];
const TABLES: [&str; 3] = ["columns.orgs", "columns.users", "columns.permissions"];

const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/// Known, unknown and malformed ones.
const ORGS: [&str; 6] = ["acme", "Zürich", "nowhere", "", "a b", LONG];
const USERS: [&str; 8] = ["ann", "bob", "blocked", "stranger", "", " ann", "a\u{85}", LONG];
const PERMISSIONS: [&str; 6] = ["p", "q", "unknown", "", "p ", "Cafe\u{301}"];

async fn shop(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    for (role, permission) in [("P", "p"), ("Q", "q")] {
        project.permission(permission).await;
        project.role(role).await;
        project.grant("Default", role, &[permission]).await;
    }
    for org in ["acme", "Zürich"] {
        project.org(org, "").await;
        project.add(org, "bob", &roles(&["Q"])).await;
    }
    project.add("acme", "ann", &roles(&["P"])).await;
    project.add("acme", "blocked", &roles(&["P"])).await;
    let block = wire::BlockUserRequest { project: project.key.into(), user_id: "blocked".into(), ..Default::default() };
    server.block_user(block).await.unwrap();
    project
}

fn item((org_id, user_id, permission): Row) -> CheckItem {
    CheckItem { org_id: org_id.into(), user_id: user_id.into(), permission: permission.into() }
}

fn columns_of(rows: &[Row]) -> CheckColumns {
    let mut columns = CheckColumns::default();
    let index = |table: &mut Vec<String>, text: &str| {
        let at = table.iter().position(|known| known == text).unwrap_or_else(|| {
            table.push(text.into());
            table.len() - 1
        });
        at as u32
    };
    for (org, user, permission) in rows {
        columns.org_ix.push(index(&mut columns.orgs, org));
        columns.user_ix.push(index(&mut columns.users, user));
        columns.permission_ix.push(index(&mut columns.permissions, permission));
    }
    columns
}

/// Returns the answers of a batch. `columns_from` is the first check of columns.
fn answers(response: &wire::BatchCheckResponse, columns_from: usize) -> Vec<Answer> {
    let mut answers: Vec<Answer> = response.decisions().map(Ok).collect();
    assert_eq!(response.errors.len().min(100), response.errors_total.min(100) as usize);
    for error in &response.errors {
        let at = error.index as usize;
        assert_eq!(answers[at], Ok(Decision::Unspecified));
        assert!(error.reason == "INVALID_FIELD" && !error.description.is_empty(), "{error:?}");
        let fields = if at < columns_from { ITEM_FIELDS } else { TABLES };
        let field = fields.iter().position(|field| *field == error.field).unwrap_or_else(|| panic!("{error:?}"));
        answers[at] = Err(ITEM_FIELDS[field]);
    }
    answers
}

#[test]
fn k3_items_defaults_and_columns_answer_what_single_checks_answer() {
    on_both(async |server| {
        let project = shop(server).await;
        let key = || project.key.to_owned();
        let mut single: BTreeMap<Row, Answer> = BTreeMap::new();
        for org in ORGS {
            for user in USERS {
                for permission in PERMISSIONS {
                    let answer = match server.check(project.asking(org, user, permission)).await {
                        Ok(answer) => Ok(answer.decision()),
                        error => {
                            let refused = refused(error, "INVALID_FIELD");
                            Err(*ITEM_FIELDS.iter().find(|field| refused.fields() == [**field]).unwrap())
                        }
                    };
                    single.insert((org, user, permission), answer);
                }
            }
        }
        assert!(single.values().any(|answer| *answer == Ok(Decision::UserBlocked)));
        let all: Vec<Row> = single.keys().copied().collect();
        let mut random = Random(7);
        for round in 0..40 {
            // An answer lists at most 100 errors.
            let rows: Vec<Row> = (0..100).map(|_| all[random.below(all.len())]).collect();
            let expected: Vec<Answer> = rows.iter().map(|row| single[row]).collect();
            let batch = |items: &[Row], columns: &[Row]| wire::BatchCheckRequest {
                project: key(),
                items: items.iter().copied().map(item).collect(),
                columns: Some(columns_of(columns)),
                ..Default::default()
            };
            for middle in [0, 100, random.below(100)] {
                let (items, columns) = rows.split_at(middle);
                let answer = server.batch_check(batch(items, columns)).await.unwrap();
                assert_eq!(answers(&answer, middle), expected, "round {round}, {middle} items");
            }
            let defaults = all[random.below(all.len())];
            let own = |own: &'static str, default| if own == default { String::new() } else { own.into() };
            // An item cannot say that a field is empty if the default is not.
            let rows = rows.into_iter().map(|(org, user, permission)| {
                let filled = |own: &'static str, default| if own.is_empty() { default } else { own };
                (filled(org, defaults.0), filled(user, defaults.1), filled(permission, defaults.2))
            });
            let rows: Vec<Row> = rows.collect();
            let request = wire::BatchCheckRequest {
                project: key(),
                items: rows
                    .iter()
                    .map(|row| CheckItem {
                        org_id: own(row.0, defaults.0),
                        user_id: own(row.1, defaults.1),
                        permission: own(row.2, defaults.2),
                    })
                    .collect(),
                defaults: Some(item(defaults)),
                ..Default::default()
            };
            let answer = server.batch_check(request).await.unwrap();
            let expected: Vec<Answer> = rows.iter().map(|row| single[row]).collect();
            assert_eq!(answers(&answer, 100), expected, "round {round}, defaults {defaults:?}");
        }
    });
}

#[test]
fn k3_an_index_out_of_range_is_an_error_of_its_check_alone() {
    on_both(async |server| {
        let project = shop(server).await;
        let columns = CheckColumns {
            orgs: texts(&["acme"]),
            users: texts(&["ann", "bob"]),
            permissions: texts(&["p", "q"]),
            org_ix: vec![0, 1, 0, 0, 0],
            user_ix: vec![0, 9, 2, 1, u32::MAX],
            permission_ix: vec![0, 9, 0, 2, 9],
        };
        let asking = |columns| wire::BatchCheckRequest {
            project: project.key.into(),
            items: vec![item(("acme", "bob", "q"))],
            columns: Some(columns),
            ..Default::default()
        };
        let answer = server.batch_check(asking(columns)).await.unwrap();
        let (allowed, none) = (Decision::Allowed, Decision::Unspecified);
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [allowed, allowed, none, none, none, none]);
        let errors: Vec<_> = answer.errors.iter().map(|error| (error.index, error.field.as_str())).collect();
        let fields = ["columns.org_ix", "columns.user_ix", "columns.permission_ix", "columns.user_ix"];
        assert_eq!(errors, [(2, fields[0]), (3, fields[1]), (4, fields[2]), (5, fields[3])]);
        assert!(answer.errors[1].description.contains("2"), "{}", answer.errors[1].description);
        // Tables without strings.
        let columns = CheckColumns { user_ix: vec![0, 5], ..Default::default() };
        let answer = server.batch_check(asking(columns)).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [allowed, none, none]);
        assert!(answer.errors.iter().all(|error| error.field == "columns.org_ix"));
        let columns =
            CheckColumns { orgs: texts(&["acme"]), users: texts(&["ann"]), user_ix: vec![0, 5], ..Default::default() };
        let answer = server.batch_check(asking(columns)).await.unwrap();
        let errors: Vec<_> = answer.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(errors, ["columns.permission_ix", "columns.user_ix"]);
    });
}

#[test]
fn k3_an_empty_index_array_means_index_0_for_every_check() {
    on_both(async |server| {
        let project = shop(server).await;
        let columns = || CheckColumns {
            orgs: texts(&["acme", "nowhere"]),
            users: texts(&["ann", "bob"]),
            permissions: texts(&["p", "q"]),
            ..Default::default()
        };
        let asking = |columns| {
            let request = wire::BatchCheckRequest {
                project: project.key.into(),
                // Defaults do not apply.
                defaults: Some(item(("nowhere", "nobody", "nothing"))),
                columns: Some(columns),
                ..Default::default()
            };
            async { server.batch_check(request).await }
        };
        let (allowed, missing) = (Decision::Allowed, Decision::MissingPermission);
        let user_ix = vec![0, 0, 1, 1];
        let permission_ix = vec![0, 1, 0, 1];
        let matrix = CheckColumns { user_ix: user_ix.clone(), permission_ix: permission_ix.clone(), ..columns() };
        let answer = asking(matrix).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [allowed, missing, missing, allowed]);
        let answer = asking(CheckColumns { permission_ix: permission_ix.clone(), ..columns() }).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [allowed, missing, allowed, missing]);
        let answer = asking(CheckColumns { org_ix: vec![1, 0], ..columns() }).await.unwrap();
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [Decision::OrgNotFound, allowed]);
        // Without indices there are no checks.
        assert!(asking(columns()).await.unwrap().decisions.is_empty());
        let org_ix = vec![0; 3];
        let uneven = CheckColumns { org_ix, user_ix, permission_ix, ..columns() };
        let refused = refused(asking(uneven).await, "INVALID_FIELD");
        assert_eq!(refused.fields(), ["columns.org_ix"]);
        assert!(refused.message.contains("4 entries") && refused.message.ends_with("has 3"), "{}", refused.message);
    });
}

#[test]
fn p7_items_and_columns_together_are_bounded_and_so_is_each_table() {
    on_both_with(Limits { batch_check_items: 3, ..Limits::default() }, async |server| {
        let asking = |items: usize, columns: CheckColumns| {
            let request = wire::BatchCheckRequest {
                items: vec![item(("acme", "ann", "p")); items],
                columns: Some(columns),
                ..Default::default()
            };
            async { server.batch_check(request).await }
        };
        let indices = |count: usize| CheckColumns { user_ix: vec![0; count], ..Default::default() };
        assert_eq!(asking(1, indices(2)).await.unwrap().decisions.len(), 3);
        for (items, columns, field, number) in [
            (2, indices(2), "columns", "has 4"),
            (0, indices(4), "columns", "has 4"),
            (4, indices(0), "items", "has 4"),
            (0, CheckColumns { orgs: texts(&["a"; 5]), ..indices(1) }, "columns.orgs", "has 5"),
            (0, CheckColumns { users: texts(&["a"; 6]), ..indices(1) }, "columns.users", "has 6"),
            (0, CheckColumns { permissions: texts(&["a"; 7]), ..indices(0) }, "columns.permissions", "has 7"),
        ] {
            let refused = refused(asking(items, columns).await, "TOO_MANY_ROWS");
            assert_eq!(refused.fields(), [field]);
            assert!(refused.message.contains("at most 3 ") && refused.message.ends_with(number), "{}", refused.message);
        }
    });
}

#[test]
fn k3_a_request_in_parts_is_merged() {
    on_both(async |server| {
        let project = shop(server).await;
        let raw = server.raw().await;
        let part = |key: &str, request: wire::BatchCheckRequest| {
            wire::BatchCheckRequest { project: key.into(), ..request }.encode_to_vec()
        };
        let columns = |columns| wire::BatchCheckRequest { columns: Some(columns), ..Default::default() };
        let items = |items, defaults| wire::BatchCheckRequest { items, defaults, ..Default::default() };
        let with_user = CheckItem { user_id: "ann".into(), ..Default::default() };
        let with_org = CheckItem { org_id: "acme".into(), ..Default::default() };
        let with_permission = CheckItem { permission: "q".into(), ..Default::default() };
        let tables = CheckColumns { orgs: texts(&["acme"]), users: texts(&["ann"]), ..Default::default() };
        let indices = CheckColumns { user_ix: vec![0, 1], ..Default::default() };
        let more =
            CheckColumns { users: texts(&["bob"]), permissions: texts(&["q"]), user_ix: vec![1], ..Default::default() };
        let message = [
            part("nowhere", columns(indices)),
            part("", items(vec![with_permission], Some(with_user))),
            part("", columns(tables)),
            part(project.key, items(vec![CheckItem { permission: "p".into(), ..Default::default() }], Some(with_org))),
            part("", columns(more)),
            // A field that no contract has.
            vec![0x7a, 1, 0xff],
        ];
        let answer = raw.call("rolecall.v1.CheckService/BatchCheck", &message.concat()).await.unwrap();
        let answer = wire::BatchCheckResponse::decode(answer).unwrap();
        let (allowed, missing) = (Decision::Allowed, Decision::MissingPermission);
        assert_eq!(answer.decisions().collect::<Vec<_>>(), [missing, allowed, missing, allowed, allowed]);
        // One string that is not UTF-8, or one length that lies, fails the whole call.
        let good = part(project.key, items(vec![item(("acme", "ann", "p")); 2], None));
        for bad in [&b"\x12\x03\x0a\x01\xff"[..], b"\x12\x03\x0a\x05a", b"\x22\x03\x0a\x01\xff", b"\x22\x02\x22\x05"] {
            let answer = raw.call("rolecall.v1.CheckService/BatchCheck", &[&good, bad].concat()).await;
            refused(answer, "MALFORMED_REQUEST");
        }
    });
}

#[test]
fn k3_a_hundred_thousand_checks_of_columns_are_answered_and_one_more_is_refused() {
    on_both(async |server| {
        let project = shop(server).await;
        let asking = |checks: u32| {
            let mut users: Vec<String> = (0..1_000).map(|number| format!("u{number}")).collect();
            users[999] = "ann".into();
            let request = wire::BatchCheckRequest {
                project: project.key.into(),
                columns: Some(CheckColumns {
                    orgs: texts(&["acme"]),
                    users,
                    permissions: texts(&["p", "q"]),
                    user_ix: (0..checks).map(|at| at % 1_000).collect(),
                    permission_ix: (0..checks).map(|at| at % 2).collect(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            async { server.batch_check(request).await }
        };
        let answer = asking(100_000).await.unwrap();
        assert_eq!((answer.decisions.len(), answer.errors.len()), (100_000, 0));
        for (at, decision) in answer.decisions().enumerate() {
            let expected = if at % 1_000 == 999 { Decision::MissingPermission } else { Decision::NotAMember };
            assert_eq!(decision, expected, "check {at}");
        }
        let refused = refused(asking(100_001).await, "TOO_MANY_ROWS");
        assert_eq!(refused.fields(), ["columns"]);
    });
}

#[test]
fn a_large_batch_yields_between_its_checks_to_other_calls() {
    on_both(async |server| {
        let project = shop(server).await;
        let items = vec![item(("acme", "ann", "p")); 100_000];
        let columns = CheckColumns {
            orgs: vec!["acme".into()],
            users: vec!["ann".into()],
            permissions: vec!["p".into()],
            org_ix: vec![0; 100_000],
            ..Default::default()
        };
        for (what, items, columns) in [("items", items, None), ("columns", Vec::new(), Some(columns))] {
            let request = wire::BatchCheckRequest { project: project.key.into(), items, columns, ..Default::default() };
            // The whole body is there, so the call waits for nothing.
            let body = Full::new(framed(0, &request.encode_to_vec()));
            let request = http::Request::post("/rolecall.v1.CheckService/BatchCheck").body(body).unwrap();
            let app = server.app();
            let calls = Bounded {
                inner: Methods::new(app.checks.clone(), None, routes(&app)),
                calls: Calls::new(Budget::new(256 << 20), Arc::new(CallMetrics::new(false, []))),
                body_timeout: Duration::from_secs(60),
                stop: watch::channel(false).1,
            };
            let (mut call, mut turns) = (calls.call(request), 0);
            let answer = poll_fn(|cx| {
                turns += 1;
                Pin::new(&mut call).poll(cx)
            });
            let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
            let answer = wire::BatchCheckResponse::decode(body.slice(5..)).unwrap();
            assert_eq!(answer.decisions, vec![Decision::Allowed as i32; 100_000], "{what}");
            assert!(turns > 20, "{what}: {turns} turns");
        }
    });
}
