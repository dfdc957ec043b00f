//! `rolecall import`: after an import, the server answers as the SDK of the other product does.
//!
//! The expected answers are computed here, so that the tests need no Node. Where the SDKs are installed, they are asked too.
//! The dumps have 3,000 members. `ROLECALL_TEST_IMPORT_MEMBERS` sets another number, and there are as many questions.

mod existing;
mod files;
mod fitting;
mod propelauth;
mod rows;
mod sdk;
mod stytch;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::wire::check_request::Question;
use rolecall::wire::{CheckRequest, Decision};
use tokio::task::JoinSet;

use crate::lifecycle::channel;
use crate::run::{Server, both, rolecall};

/// Questions in flight.
const CALLS: usize = 32;

/// Random numbers from a seed: Marsaglia's xorshift.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Returns true once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

pub fn members() -> usize {
    std::env::var("ROLECALL_TEST_IMPORT_MEMBERS").map_or(3_000, |number| number.parse().unwrap())
}

/// Runs the command against a server. Returns its exit code and what it printed.
pub fn import(folder: &Path, server: &Server, args: &[&str]) -> (Option<i32>, String) {
    let server = ["--server", &server.address, "--timeout", "50"];
    // With a hundred thousand members it takes longer than `run::output` waits.
    let done = rolecall(folder).arg("import").args(args).args(server).stdin(Stdio::null()).output().unwrap();
    (done.status.code(), both(&done))
}

/// A question, and the answer of the SDK.
pub struct Asked {
    pub org_id: String,
    pub user_id: String,
    pub question: Question,
    pub expected: bool,
}

/// Asks the server everything, and compares. There must be enough questions with either answer.
pub async fn compare(server: &Server, project: &str, asked: Vec<Asked>) {
    let allowed = asked.iter().filter(|it| it.expected).count();
    assert!(allowed > asked.len() / 10 && allowed < asked.len() * 9 / 10, "{allowed} of {} prove little", asked.len());
    let client = CheckServiceClient::new(channel(server).await);
    let (asked, project) = (Arc::new(asked), project.to_string());
    let mut running = JoinSet::new();
    for first in 0..CALLS {
        let (mut client, asked, project) = (client.clone(), asked.clone(), project.clone());
        running.spawn(async move {
            for it in asked.iter().skip(first).step_by(CALLS) {
                let request = CheckRequest {
                    project: project.clone(),
                    org_id: it.org_id.clone(),
                    user_id: it.user_id.clone(),
                    question: Some(it.question.clone()),
                    ..Default::default()
                };
                let answer = client.check(request).await.unwrap().into_inner();
                let what = (&it.org_id, &it.user_id, &it.question, answer.decision());
                assert_eq!(answer.allowed, it.expected, "{what:?}");
                // An error is no denial: the question was understood.
                let unknown = [Decision::UnknownPermission, Decision::UnknownRole, Decision::Unspecified];
                assert!(!unknown.contains(&answer.decision()), "{what:?}");
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}
