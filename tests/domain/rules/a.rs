//! Repeated requests (A4), and the rules that refusals name.

use rolecall::domain::commands::group::{Known, KnownRequest, Verdict, Work, decide_group};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Call, ProjectKey, RequestKey, Revision, Time};

use super::plans;
use crate::fixture::{World, world};
use crate::history_runner::call;
use crate::model::Answer;
use crate::state_to_model::answer_of;

fn work(world: &mut World, line: &str, request: &str, fingerprint: u128) -> Work {
    let request = RequestKey { caller: "ops".into(), project: ProjectKey::stored("shop"), request_id: request.into() };
    let call = Call { request: Some(request), fingerprint, ..call() };
    Work { command: world.command(line), call, tag: 3 }
}

fn verdict_texts(verdicts: &[Verdict]) -> Vec<String> {
    let text = |verdict: &Verdict| match verdict {
        Verdict::Done { revision, replayed: false, .. } => format!("done at {}", revision.number),
        Verdict::Done { revision, outcome, replayed: true, .. } => {
            format!("replayed from {}: {:?}", revision.number, answer_of(outcome))
        }
        Verdict::Remembered { revision, outcome } => {
            format!("remembered from {}: {}", revision.number, String::from_utf8_lossy(outcome))
        }
        Verdict::Refused(refusal) => format!("{:?}", refusal.reason()),
    };
    verdicts.iter().map(text).collect()
}

#[test]
fn a4_a_repeated_request_id_is_answered_as_before_and_changes_nothing() {
    let mut world = world("org acme");
    let group = [
        work(&mut world, "add ann to acme", "1", 10),
        work(&mut world, "add ann to acme", "1", 10), // else MemberAlreadyExists
        work(&mut world, "add ann to acme", "1", 11), // another body
        work(&mut world, "add bob to nowhere", "2", 10), // refused: not remembered
        work(&mut world, "add bob to acme", "2", 11),
        work(&mut world, "set bob in acme: Member", "3", 10), // changes nothing: not remembered
        work(&mut world, "set bob in acme: Admin", "3", 11),
        work(&mut world, "add cid to acme", "earlier", 10),
        work(&mut world, "add cid to acme", "earlier", 11),
    ];
    let key = RequestKey { caller: "ops".into(), project: ProjectKey::stored("shop"), request_id: "earlier".into() };
    let revision = Revision { number: 1, tag: 3, at: Time(1) };
    let known = Known::from([(key, KnownRequest { fingerprint: 10, revision, outcome: b"stored outcome".to_vec() })]);
    assert_eq!(world.state.revision().number, 2);
    let group = decide_group(world.state.clone(), &group, &known, world.now, &world.limits);
    let ann = Answer::Member {
        org: "acme".into(),
        user: "ann".into(),
        roles: vec![("Member".into(), None, RoleState::Live, Origin::Direct, None)],
        origin: Some(Origin::Direct),
    };
    assert_eq!(
        verdict_texts(&group.verdicts),
        [
            "done at 3".to_string(),
            format!("replayed from 3: {ann:?}"),
            "RequestIdReused".into(),
            "OrgNotFound".into(),
            "done at 4".into(),
            "done at 4".into(),
            "done at 5".into(),
            "remembered from 1: stored outcome".into(),
            "RequestIdReused".into(),
        ]
    );
    assert_eq!(group.commits.len(), 3);
    assert_eq!(group.next.revision().number, 5);
}

#[test]
fn a4_request_ids_of_different_callers_are_independent() {
    let mut world = world("org acme");
    let mut group = vec![work(&mut world, "add ann to acme", "1", 10), work(&mut world, "add bob to acme", "1", 11)];
    group[1].call.request =
        Some(RequestKey { caller: "billing".into(), project: ProjectKey::stored("shop"), request_id: "1".into() });
    let group = decide_group(world.state.clone(), &group, &Known::new(), world.now, &world.limits);
    assert_eq!(verdict_texts(&group.verdicts), ["done at 3", "done at 4"]);
}

#[test]
fn refusals_name_their_rule() {
    let mut world = plans();
    let table = [
        ("project default SINGLE", "P1"),
        ("permission rolecall::x", "P4"),
        ("role owner", "R1"),
        ("org acme", "S5"),
        ("add ann to acme", "B2"),
        ("edit Free: off Owner", "M4"),
        ("add cid to acme: Billing Manager", "M3"),
        ("add cid to acme: Owner, Admin", "B1"),
        ("add cid to acme: Owner until 0", "B5"),
        ("edit Free: on Admin; off Admin", "M2"),
        ("write: remove ann from acme | remove ann from acme", "B2"),
        ("delete permission rolecall::can_invite", "P4"),
        ("delete role Member", "R5"),
        ("update role Billing Manager: internal", "R10"),
        ("order Owner, Admin", "R6"),
        ("order Owner, Owner", "R6"),
        ("delete role Admin for Admin", "R4"),
        ("delete mapping Default", "M5"),
        ("delete mapping Paid", "M6"),
        ("subscribe globex to Free", "M7"),
        ("subscribe acme, acme to Free", "S2"),
        ("etag:1.1 update role Admin: text What?", "M9"),
    ];
    for (line, rule) in table {
        let command = world.command(line);
        let refusal = world.decide(&command).err().unwrap_or_else(|| panic!("`{line}` is accepted"));
        assert_eq!(refusal.rule(), rule, "{line}");
        let text = refusal.to_string();
        assert!(
            !text.ends_with('.') && text.chars().next().is_some_and(|c| c.is_lowercase() || c.is_numeric()),
            "{text}"
        );
    }
}
