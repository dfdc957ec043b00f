//! Every RPC, service and error reason of the contract is tested.

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message;
use rolecall::engine::Token;
use rolecall::grpc::status;
use rolecall::wire::{self, ErrorReason, consistency::Requirement};

use crate::contract::{Contract, requests, shop};
use crate::refusals::REASONS;
use crate::server::on_both;

/// The field that every response has.
#[derive(Clone, PartialEq, Message)]
struct AnyResponse {
    #[prost(string, tag = "100")]
    revision: String,
}

/// Reasons that no client can cause: a commit that the database does not answer, and a bug. No test here reaches them.
const NOT_TESTED: [&str; 2] = ["OUTCOME_UNKNOWN", "INTERNAL"];

#[test]
fn every_rpc_returns_a_revision_that_at_least_accepts_and_revisions_grow() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let mut called = BTreeSet::new();
        let mut last = 0;
        let writes: BTreeSet<&str> = contract.writes().map(|method| method.path.as_str()).collect();
        for (method, request) in requests(server).await {
            let before = server.settled().await;
            let answer = raw.call(method, &request).await.unwrap_or_else(|status| panic!("{method}: {status:?}"));
            let revision = AnyResponse::decode(answer).unwrap().revision;
            let number = Token::decode(&revision).unwrap_or_else(|| panic!("{method}: {revision:?}")).number;
            called.insert(method.to_string());
            if is_past(method, &request) {
                assert!(number <= before.number, "{method}");
                continue;
            }
            assert!(number >= last, "{method} was read at {number}, after {last}");
            let own = u64::from(writes.contains(&method));
            assert_eq!(number, before.number + own, "{method}");
            let check = wire::CheckRequest {
                consistency: Some(wire::Consistency { requirement: Some(Requirement::AtLeast(revision)) }),
                ..server.single().asking("acme", "ann", "invoices.view")
            };
            server.check(check).await.unwrap();
            last = number;
        }
        let all: BTreeSet<String> = contract.methods.iter().map(|method| method.path.clone()).collect();
        assert_eq!(called, all, "every RPC of the descriptors is called");
    });
}

/// Returns true if a request asks about the past.
fn is_past(method: &str, request: &[u8]) -> bool {
    // The requests of these methods have the same fields.
    let asks = ["/Check", "/Explain", "/ExplainChange"].iter().any(|name| method.ends_with(name));
    let check = wire::CheckRequest::decode(request);
    asks && check.is_ok_and(|check| !check.as_of_revision.is_empty() || check.as_of_time.is_some())
}

#[test]
fn every_reason_has_its_code_and_a_test() {
    let reasons = (1..1_000).filter_map(|number| ErrorReason::try_from(number).ok());
    let table: Vec<_> = reasons.map(|reason| (reason.as_str_name(), status::code(reason))).collect();
    assert_eq!(table, REASONS, "reasons and their codes are part of the API");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc");
    let mut tests = String::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Folders contain helpers, not tests.
        if path.is_file() && !["refusals.rs", "coverage.rs"].contains(&name) {
            tests += &std::fs::read_to_string(path).unwrap();
        }
    }
    for (reason, _) in REASONS {
        let tested = tests.contains(&format!("\"{reason}\""));
        assert_eq!(tested, !NOT_TESTED.contains(reason), "{reason}");
    }
}
