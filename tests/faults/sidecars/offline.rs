//! A sidecar without upstream answers as long as it must, and catches up afterwards.
//!
//! By hand with more checks: `ROLECALL_TEST_CHECKS=10000000 cargo test --release --test faults offline -- --nocapture`. After a
//! thousand missed changes it should catch up within a second of the first contact.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::wire::{self, Decision};

use super::{Fixture, ORG, add, has, is_member, token};

/// Checks without upstream, if `ROLECALL_TEST_CHECKS` is not set.
const CHECKS: usize = 20_000;
/// Checks of one batch, and the single checks between two batches.
const BATCH: usize = 5_000;
const SINGLE: usize = 50;
/// Changes that the sidecar misses.
const MISSED: usize = 1_000;
/// Writes that wait at the same time.
const IN_FLIGHT: usize = 16;
const PERMISSION: &str = "rolecall::can_view_other_members";

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_without_upstream_answers_and_then_catches_up() {
    let fixture = Fixture::new().await;
    let sidecar = fixture.sidecar(&[]).started().await;
    let newest = add(&fixture.server, "ann").await;
    has(&sidecar, newest).await;
    fixture.way.refuse();
    let cut_off = Instant::now();

    let asked = std::env::var("ROLECALL_TEST_CHECKS").ok().map(|text| text.parse().expect("a number"));
    let asked: usize = asked.unwrap_or(CHECKS);
    let mut answered = 0;
    let mut client = CheckServiceClient::new(sidecar.channel());
    while answered < asked {
        // Every second user is a member.
        let item = |at: usize| wire::CheckItem {
            user_id: if at.is_multiple_of(2) { "ann".into() } else { format!("user-{at}") },
            ..Default::default()
        };
        let request = wire::BatchCheckRequest {
            items: (0..BATCH).map(item).collect(),
            defaults: Some(wire::CheckItem { org_id: ORG.into(), permission: PERMISSION.into(), ..Default::default() }),
            ..Default::default()
        };
        let answer = client.batch_check(request).await.unwrap().into_inner();
        assert_eq!((token(&answer.revision), answer.decisions.len()), (newest, BATCH));
        for (at, decision) in answer.decisions.into_iter().enumerate() {
            let expected = if at.is_multiple_of(2) { Decision::Allowed } else { Decision::NotAMember };
            assert_eq!(decision, expected as i32, "check {at}");
        }
        for at in 0..SINGLE {
            let user = if at.is_multiple_of(2) { "ann" } else { "bob" };
            assert_eq!(is_member(&sidecar, user).await.unwrap(), (user == "ann", newest));
        }
        answered += BATCH + SINGLE;
    }
    let elapsed = cut_off.elapsed();
    println!("{answered} checks without upstream in {elapsed:?}, all right for their revision");
    let info = sidecar.info().await.unwrap();
    let age = info.age.unwrap();
    let age = Duration::new(age.seconds as u64, age.nanos as u32);
    assert!(age + Duration::from_millis(5) >= elapsed && !info.following, "{info:?}");

    let users: Vec<String> = (0..MISSED).map(|number| format!("missed-{number}")).collect();
    let adding = futures_util::stream::iter(users.iter().map(|user| add(&fixture.server, user)));
    let added: Vec<_> = adding.buffer_unordered(IN_FLIGHT).collect().await;
    let last = added.into_iter().max_by_key(|at| at.number).unwrap();
    assert_eq!(last.number, newest.number + MISSED as u64);
    assert_eq!(token(&sidecar.info().await.unwrap().revision), newest);
    let joined = Instant::now();
    fixture.join();
    sidecar.wait_until("follows", |info| info.following).await;
    let followed = Instant::now();
    has(&sidecar, last).await;
    println!(
        "caught up {MISSED} changes {:?} after the way was open, {:?} after it follows",
        joined.elapsed(),
        followed.elapsed()
    );
    for user in users.iter().step_by(100) {
        assert_eq!(is_member(&sidecar, user).await.unwrap(), (true, last));
    }
}
