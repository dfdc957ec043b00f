//! The requests of a kind of calls, ready to send, and the decisions that they must get.

use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;

use super::drive::Compared;
use super::workload::{Member, Workload};
use crate::wire::frame::{HEADER_BYTES, frame, unframe};
use crate::wire::{
    BatchCheckRequest, BatchCheckResponse, CheckColumns, CheckItem, CheckRequest, CheckResponse, Decision,
    NumberedAnswer, NumberedCheck, StreamCheckRequest, check_request,
};

/// The largest number of different requests with one check each. They are enough to visit most of the data.
const SINGLE_CHECKS_MAX: u64 = 100_000;

/// The members and the permissions of a call by columns.
const GRID: u64 = 100;

/// What one call asks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// BatchCheck of random rows.
    Batch,
    /// Check: one check a call.
    Check,
    /// BatchCheck by columns: 100 members of an org, and 100 permissions.
    Columns,
    /// StreamCheck: all checks that may be sent in one message. Beside Check, in turn.
    Stream,
    /// StreamCheck: one check in each message. Beside Check, in turn.
    StreamSingles,
}

/// Calls of one method, ready to send.
pub struct Calls {
    pub path: String,
    /// One request each.
    pub frames: Vec<Bytes>,
}

pub struct Requests {
    pub mode: Mode,
    pub calls: Arc<Calls>,
    /// The decisions of each request, in order.
    pub expected: Vec<Box<[u8]>>,
    pub checks_per_call: u64,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Check => "check",
            Self::Columns => "columns",
            Self::Stream => "stream",
            Self::StreamSingles => "stream-singles",
        }
    }

    /// Returns requests with about `checks` different checks, `rows` in a batch.
    pub fn requests(self, workload: &Workload, project: &str, checks: u64, rows: u64) -> Requests {
        let (path, calls, checks_per_call) = match self {
            Self::Batch => ("/rolecall.v1.CheckService/BatchCheck", checks.div_ceil(rows), rows),
            Self::Check => ("/rolecall.v1.CheckService/Check", checks.min(SINGLE_CHECKS_MAX), 1),
            Self::Stream | Self::StreamSingles => {
                ("/rolecall.v1.CheckService/StreamCheck", checks.min(SINGLE_CHECKS_MAX), 1)
            }
            Self::Columns => ("/rolecall.v1.CheckService/BatchCheck", checks.div_ceil(GRID * GRID), GRID * GRID),
        };
        let (frames, expected) = (0..calls)
            .map(|call| match self {
                Self::Batch => batch(workload, project, call * rows..(call + 1) * rows),
                Self::Check => {
                    let (check, expected) = single(workload, project, call);
                    (frame(&check), expected)
                }
                Self::Stream | Self::StreamSingles => numbered(workload, project, call),
                Self::Columns => columns(workload, project, call),
            })
            .unzip();
        Requests { mode: self, calls: Arc::new(Calls { path: path.into(), frames }), expected, checks_per_call }
    }
}

fn batch(workload: &Workload, project: &str, numbers: std::ops::Range<u64>) -> (Bytes, Box<[u8]>) {
    let mut expected = Vec::new();
    let mut request = BatchCheckRequest { project: project.into(), ..Default::default() };
    for check in numbers.map(|number| workload.check(number)) {
        expected.push(check.expected as u8);
        request.items.push(CheckItem {
            org_id: check.org_id,
            user_id: check.user_id,
            permission: workload.model.permissions[check.permission].clone(),
        });
    }
    (frame(&request), expected.into())
}

/// Returns a message of a stream, without its frame: several of them one after the other are one message with all checks.
fn numbered(workload: &Workload, project: &str, number: u64) -> (Bytes, Box<[u8]>) {
    let (check, expected) = single(workload, project, number);
    let checks = vec![NumberedCheck { number, check: Some(check) }];
    (frame(&StreamCheckRequest { checks }).slice(HEADER_BYTES..), expected)
}

fn single(workload: &Workload, project: &str, number: u64) -> (CheckRequest, Box<[u8]>) {
    let check = workload.check(number);
    let request = CheckRequest {
        project: project.into(),
        org_id: check.org_id,
        user_id: check.user_id,
        question: Some(check_request::Question::Permission(workload.model.permissions[check.permission].clone())),
        ..Default::default()
    };
    (request, [check.expected as u8].into())
}

/// Asks about members of one org. If it or the project has too few, some are asked about again.
fn columns(workload: &Workload, project: &str, number: u64) -> (Bytes, Box<[u8]>) {
    let model = &workload.model;
    let org = workload.org_of(workload.checked_member(number));
    let users: Vec<Member> =
        workload.members_of(org).cycle().take(GRID as usize).map(|member| workload.member(member)).collect();
    let permissions: Vec<usize> =
        (number..number + GRID).map(|permission| permission as usize % model.permissions.len()).collect();
    // The only org needs no index.
    let mut columns = CheckColumns { orgs: vec![workload.org_id(org)], ..Default::default() };
    let mut expected = Vec::new();
    for (user, user_ix) in users.iter().zip(0..) {
        for (&permission, permission_ix) in permissions.iter().zip(0..) {
            expected.push(model.decision(workload.mapping(org), user.role, permission) as u8);
            columns.user_ix.push(user_ix);
            columns.permission_ix.push(permission_ix);
        }
    }
    columns.permissions = permissions.iter().map(|&permission| model.permissions[permission].clone()).collect();
    columns.users = users.into_iter().map(|user| user.user_id).collect();
    let request = BatchCheckRequest { project: project.into(), columns: Some(columns), ..Default::default() };
    (frame(&request), expected.into())
}

impl Requests {
    /// Compares the answer to a request with what it must be. Fails if it is no answer.
    pub fn compare(&self, at: usize, answer: &[u8]) -> Result<Compared, String> {
        let error = |error| format!("the answer cannot be read: {error}");
        let decisions = match self.mode {
            Mode::Batch | Mode::Columns => unframe::<BatchCheckResponse>(answer).map_err(error)?.decisions,
            Mode::Stream | Mode::StreamSingles => {
                vec![unframe::<NumberedAnswer>(answer).map_err(error)?.decision]
            }
            Mode::Check => vec![unframe::<CheckResponse>(answer).map_err(error)?.decision],
        };
        let expected = &self.expected[at];
        if decisions.len() != expected.len() {
            return Err(format!("{} checks got {} decisions", expected.len(), decisions.len()));
        }
        let mut compared = Compared { checks: expected.len() as u64, ..Default::default() };
        for (row, (&decision, &expected)) in decisions.iter().zip(expected).enumerate() {
            if decision != i32::from(expected) {
                let name = |number| Decision::try_from(number).map_or("unknown", |decision| decision.as_str_name());
                compared.wrong += 1;
                compared.mismatches.push(format!(
                    "{} request {at}, row {row}: {} and not {}",
                    self.mode.name(),
                    name(decision),
                    name(i32::from(expected)),
                ));
            }
        }
        Ok(compared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(requests: &Requests, change: impl Fn(&mut Vec<i32>)) -> Result<Compared, String> {
        let mut decisions = requests.expected[0].iter().map(|&decision| i32::from(decision)).collect();
        change(&mut decisions);
        requests.compare(0, &frame(&BatchCheckResponse { decisions, ..Default::default() }))
    }

    #[test]
    fn a_wrong_decision_is_found_and_named() {
        let requests = Mode::Batch.requests(&Workload::generated(200), "bench-200", 20, 10);
        assert_eq!((requests.calls.frames.len(), requests.checks_per_call), (2, 10));
        let correct = answer(&requests, |_| {}).unwrap();
        assert_eq!((correct.checks, correct.wrong), (10, 0));
        let wrong = answer(&requests, |decisions| decisions[7] = Decision::UserBlocked as i32).unwrap();
        assert_eq!((wrong.checks, wrong.wrong), (10, 1));
        assert!(wrong.mismatches[0].contains("row 7: DECISION_USER_BLOCKED and not "), "{:?}", wrong.mismatches);
    }

    #[test]
    fn columns_ask_about_members_of_one_org() {
        let workload = Workload::generated(150);
        let requests = Mode::Columns.requests(&workload, "bench-150", 10, 10);
        assert_eq!(
            (requests.calls.frames.len(), requests.expected[0].len(), requests.checks_per_call),
            (1, 10_000, 10_000)
        );
        let asked = unframe::<BatchCheckRequest>(&requests.calls.frames[0]).unwrap().columns.unwrap();
        assert_eq!((asked.orgs.len(), asked.users.len(), asked.permissions.len()), (1, 100, 100));
        assert_eq!((asked.user_ix[101], asked.permission_ix[101]), (1, 1));
    }

    #[test]
    fn an_answer_with_too_few_decisions_is_no_answer() {
        let requests = Mode::Batch.requests(&Workload::generated(200), "bench-200", 10, 10);
        let few = answer(&requests, |decisions| decisions.truncate(9));
        assert_eq!(few.err().unwrap(), "10 checks got 9 decisions");
        assert!(requests.compare(0, b"\0\0\0\0\x01\xff").is_err());
        assert_eq!(requests.compare(0, b"").err().unwrap(), "10 checks got 0 decisions");
    }
}
