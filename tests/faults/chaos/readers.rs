//! Readers: they ask servers and sidecars, and note every answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rolecall::engine::Token;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::wire::{self, Consistency, check_request, consistency::Requirement, explain_request};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use super::commands::{ORGS, PERMISSIONS, PROJECT, ROLES, USERS};
use super::observed::{Answer, Asked, Because, Check, Counts, RefusedToken};
use super::{SERVERS, World};
use crate::processes::CALL_MAX;
use crate::random::Random;

/// Checks of one batch.
const BATCH_MAX: usize = 12;

/// How new an answer has to be.
#[derive(Clone, Default)]
pub struct Wanted {
    /// What the call asks for.
    pub at_least: Option<Requirement>,
    /// What the answer must not be older than.
    pub not_before: Vec<(Token, Because)>,
}

/// The checks of an answer, and its revision.
type Answered = Result<(Vec<Check>, String), Status>;

/// Asks one process until `stop` is set.
pub async fn read(world: Arc<World>, process: usize, mut random: Random) {
    let channel = world.processes[process].channel();
    // The newest answer of this start of the process.
    let mut last: Option<(u32, Token)> = None;
    while !world.stop.load(Ordering::Relaxed) {
        let starts = world.processes[process].starts();
        let mut wanted = wanted(&world, &mut random);
        wanted.not_before.extend(last.filter(|(of, _)| *of == starts).map(|(_, at)| (at, Because::NeverBack)));
        let at = ask(&world, process, &channel, wanted, &mut random).await;
        // Only if the same start has answered.
        last = at.filter(|_| world.processes[process].starts() == starts).map(|at| (starts, at));
        if process < SERVERS && random.below(20) == 0 {
            ask_age(&world, process).await;
        }
        tokio::time::sleep(Duration::from_millis(1 + random.below(15) as u64)).await;
    }
}

fn wanted(world: &World, random: &mut Random) -> Wanted {
    let at_least = |token: Token| Wanted {
        at_least: Some(Requirement::AtLeast(token.encode())),
        not_before: vec![(token, Because::AtLeast)],
    };
    match random.below(10) {
        0..4 => Wanted::default(),
        // The newest write has hardly reached all others.
        4..6 => world.observed.recent(0).map(at_least).unwrap_or_default(),
        6..9 => world.observed.recent(random.below(40)).map(at_least).unwrap_or_default(),
        _ => Wanted {
            at_least: Some(Requirement::Latest(true)),
            not_before: world.observed.recent(0).map(|token| (token, Because::Latest)).into_iter().collect(),
        },
    }
}

/// Asks a process random checks, and notes the answer. Returns its revision.
pub async fn ask(
    world: &World,
    process: usize,
    channel: &Channel,
    wanted: Wanted,
    random: &mut Random,
) -> Option<Token> {
    let mut client = CheckServiceClient::new(channel.clone());
    let consistency = wanted.at_least.clone().map(|requirement| Consistency { requirement: Some(requirement) });
    let deadline = match random.below(3) {
        0 => Duration::from_millis(200),
        1 => Duration::from_secs(3),
        _ => CALL_MAX,
    };
    let sent = Instant::now();
    let answered = timeout(CALL_MAX * 2, async {
        match random.below(4) {
            0 | 1 => batch(&mut client, consistency, deadline, random).await,
            2 => check(&mut client, consistency, deadline, random).await,
            _ => explain(&mut client, consistency, deadline, random).await,
        }
    })
    .await;
    let received = Instant::now();
    let at_least = matches!(wanted.at_least, Some(Requirement::AtLeast(_)));
    let is_sidecar = process >= SERVERS;
    match answered {
        Ok(Ok((checks, revision))) => {
            let at = Token::decode(&revision).expect("a token");
            if at_least {
                Counts::add(&world.observed.counts.answers_at_least, 1);
                if is_sidecar {
                    world.observed.waits.lock().unwrap().push(received - sent);
                }
            }
            let answer = Answer { process, sent, received, at, not_before: wanted.not_before, checks };
            world.observed.answer(answer, is_sidecar);
            return Some(at);
        }
        Ok(Err(status)) => {
            let token = wanted.not_before.first().filter(|_| at_least).map(|(token, _)| *token);
            unanswered(world, process, status, token.map(|token| RefusedToken { process, sent, received, token }));
        }
        Err(_) => {}
    }
    Counts::add(&world.observed.counts.unanswered, 1);
    None
}

/// A call that cannot be answered in time is UNAVAILABLE.
fn unanswered(world: &World, process: usize, status: Status, refused: Option<RefusedToken>) {
    // Without a reason it is no answer of the process: the connection has ended, or the deadline has passed here.
    let Some(info) = status.get_details_error_info() else { return };
    match (&*info.reason, refused) {
        ("REVISION_OF_ANOTHER_HISTORY", Some(refused)) => world.observed.refused_tokens.lock().unwrap().push(refused),
        (
            "REVISION_NOT_REACHED" | "DATABASE_UNAVAILABLE" | "UPSTREAM_UNAVAILABLE" | "OVERLOADED" | "DEADLINE_PASSED",
            _,
        ) => {}
        _ => world.fail(format!("process {process} answered a check with {status:?}")),
    }
}

/// Compares the age that a server tells with the writes that were acknowledged before.
async fn ask_age(world: &World, process: usize) {
    let sent = Instant::now();
    let Ok(info) = world.processes[process].info().await else { return };
    let age = info.age.expect("it is always set");
    let age = Duration::new(age.seconds as u64, age.nanos as u32);
    // It has whole milliseconds.
    let newest_then = sent.checked_sub(age + Duration::from_millis(2));
    let before = newest_then.and_then(|time| world.observed.acknowledged_before(time));
    let at = Token::decode(&info.revision).expect("a token");
    let not_before = before.map(|token| (token, Because::Age)).into_iter().collect();
    let answer = Answer { process, sent, received: Instant::now(), at, not_before, checks: Vec::new() };
    world.observed.answer(answer, false);
}

type Client = CheckServiceClient<Channel>;

async fn batch(
    client: &mut Client,
    consistency: Option<Consistency>,
    deadline: Duration,
    random: &mut Random,
) -> Answered {
    let count = 1 + random.below(BATCH_MAX);
    let mut checks: Vec<Check> = (0..count)
        .map(|_| Check {
            org: random.pick(&ORGS),
            user: random.pick(&USERS),
            asked: Asked::Permission(random.pick(&PERMISSIONS)),
            decision: 0,
        })
        .collect();
    let (decisions, revision) = batch_of(client, consistency, deadline, &checks).await?;
    for (check, decision) in checks.iter_mut().zip(decisions) {
        check.decision = decision;
    }
    Ok((checks, revision))
}

/// Asks for permissions in one batch. Returns the decisions and the revision.
pub async fn batch_of(
    client: &mut Client,
    consistency: Option<Consistency>,
    deadline: Duration,
    checks: &[Check],
) -> Result<(Vec<i32>, String), Status> {
    let item = |check: &Check| wire::CheckItem {
        org_id: check.org.into(),
        user_id: check.user.into(),
        permission: match &check.asked {
            Asked::Permission(name) => (*name).into(),
            other => panic!("a batch cannot ask {other:?}"),
        },
    };
    let mut request = Request::new(wire::BatchCheckRequest {
        project: PROJECT.into(),
        items: checks.iter().map(item).collect(),
        consistency,
        ..Default::default()
    });
    request.set_timeout(deadline);
    let answer = client.batch_check(request).await?.into_inner();
    assert_eq!((answer.decisions.len(), answer.errors_total), (checks.len(), 0));
    Ok((answer.decisions, answer.revision))
}

fn random_check(random: &mut Random) -> Check {
    let mut names = || {
        let first = random.below(PERMISSIONS.len());
        (0..2).map(|at| PERMISSIONS[(first + at) % PERMISSIONS.len()].to_owned()).collect()
    };
    let (all, any) = (names(), names());
    let asked = match random.below(6) {
        0 | 1 => Asked::Permission(random.pick(&PERMISSIONS)),
        2 => Asked::Role(random.pick(&ROLES)),
        3 => Asked::AtLeastRole(random.pick(&ROLES)),
        4 => Asked::AllOf(all),
        _ => Asked::AnyOf(any),
    };
    Check { org: random.pick(&ORGS), user: random.pick(&USERS), asked, decision: 0 }
}

async fn check(
    client: &mut Client,
    consistency: Option<Consistency>,
    deadline: Duration,
    random: &mut Random,
) -> Answered {
    let mut check = random_check(random);
    let list = |names: &[String]| wire::PermissionList { permissions: names.to_vec() };
    let mut request = Request::new(wire::CheckRequest {
        project: PROJECT.into(),
        org_id: check.org.into(),
        user_id: check.user.into(),
        question: Some(match &check.asked {
            Asked::Permission(name) => check_request::Question::Permission((*name).into()),
            Asked::Role(name) => check_request::Question::Role((*name).into()),
            Asked::AtLeastRole(name) => check_request::Question::AtLeastRole((*name).into()),
            Asked::AllOf(names) => check_request::Question::AllOf(list(names)),
            Asked::AnyOf(names) => check_request::Question::AnyOf(list(names)),
        }),
        consistency,
        ..Default::default()
    });
    request.set_timeout(deadline);
    let answer = client.check(request).await.map(Response::into_inner)?;
    assert_eq!(answer.allowed, answer.decision() == wire::Decision::Allowed);
    check.decision = answer.decision;
    Ok((vec![check], answer.revision))
}

async fn explain(
    client: &mut Client,
    consistency: Option<Consistency>,
    deadline: Duration,
    random: &mut Random,
) -> Answered {
    let permission = random.pick(&PERMISSIONS);
    let mut check =
        Check { org: random.pick(&ORGS), user: random.pick(&USERS), asked: Asked::Permission(permission), decision: 0 };
    let mut request = Request::new(wire::ExplainRequest {
        project: PROJECT.into(),
        org_id: check.org.into(),
        user_id: check.user.into(),
        question: Some(explain_request::Question::Permission(permission.into())),
        consistency,
        ..Default::default()
    });
    request.set_timeout(deadline);
    let answer = client.explain(request).await.map(Response::into_inner)?;
    check.decision = answer.decision;
    Ok((vec![check], answer.revision))
}
