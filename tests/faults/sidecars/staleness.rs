//! `--max-staleness` and `--refuse-stale`.

use std::time::{Duration, Instant};

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Fixture, add, has, is_member, reason};
use crate::processes::{PATIENCE, Process};

async fn wait_for_health(process: &Process, wanted: ServingStatus) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = HealthCheckRequest { service: "rolecall.v1.CheckService".into() };
        let answer = HealthClient::new(process.channel()).check(request).await;
        if answer.is_ok_and(|answer| answer.into_inner().status() == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "health is not {wanted:?}: {}", process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_too_old_turns_health_off_and_answers_if_asked_to() {
    let fixture = Fixture::new().await;
    let newest = add(&fixture.server, "ann").await;
    let refusing = fixture.sidecar(&["--max-staleness", "2s", "--refuse-stale"]);
    let refusing = refusing.started().await;
    let upstreams = [fixture.way_address()];
    let address = crate::processes::Address::free();
    let answering = Process::sidecar("answering", &upstreams, address, fixture.folder(), &["--max-staleness", "2s"]);
    let answering = answering.started().await;
    for round in 0..2 {
        for sidecar in [&refusing, &answering] {
            has(sidecar, newest).await;
            wait_for_health(sidecar, ServingStatus::Serving).await;
        }
        match round {
            0 => fixture.way.be_silent(),
            _ => fixture.way.refuse(),
        }
        for sidecar in [&refusing, &answering] {
            wait_for_health(sidecar, ServingStatus::NotServing).await;
        }
        let refused = is_member(&refusing, "ann").await.unwrap_err();
        assert_eq!((refused.code(), &*reason(&refused)), (Code::Unavailable, "STATE_TOO_OLD"), "{refused:?}");
        assert_eq!(is_member(&answering, "ann").await.unwrap(), (true, newest));
        fixture.join();
        for sidecar in [&refusing, &answering] {
            wait_for_health(sidecar, ServingStatus::Serving).await;
        }
        // It becomes old again only if the upstream falls silent, so on a slow machine too it answers in the end.
        let deadline = Instant::now() + PATIENCE;
        while is_member(&refusing, "ann").await.ok() != Some((true, newest)) {
            assert!(Instant::now() < deadline, "it does not answer again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
