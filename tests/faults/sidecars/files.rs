//! The file of a sidecar: restarts without an upstream, damage, and growth.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rolecall::engine::Token;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::wire::{self, member_write};
use tokio::time::timeout;
use tonic::transport::Channel;

use super::{Fixture, ORG, add, has, is_member, token};
use crate::processes::{PATIENCE, Process};

/// Damaged files that are tried, cut and changed.
const DAMAGES: usize = 12;
/// Members of one bulk write, and the length of their ids.
const ROWS: usize = 10_000;
const USER_BYTES: usize = 128;

fn age(info: &wire::GetServerInfoResponse) -> Duration {
    let age = info.age.expect("it is always set");
    Duration::new(age.seconds as u64, age.nanos as u32)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_upstream_answers_from_the_file_and_tells_the_age_since_the_last_contact() {
    let fixture = Fixture::new().await;
    let sidecar = fixture.sidecar(&[]).started().await;
    let newest = add(&fixture.server, "ann").await;
    has(&sidecar, newest).await;
    let (asked, before) = (Instant::now(), age(&sidecar.info().await.unwrap()));
    fixture.server.kill();
    let last_contact = Instant::now();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    sidecar.kill();
    sidecar.start();
    sidecar.wait_until_answering().await;
    let at_least = last_contact.elapsed();
    let info = sidecar.info().await.unwrap();
    // Ages have whole milliseconds.
    let slack = Duration::from_millis(5);
    assert!(age(&info) + slack >= at_least, "{:?}, not {at_least:?}", age(&info));
    assert!(age(&info) <= before + asked.elapsed() + slack, "{:?}", age(&info));
    assert!(!info.following && token(&info.revision) == newest, "{info:?}");
    assert_eq!(is_member(&sidecar, "ann").await.unwrap(), (true, newest));
    assert_eq!(is_member(&sidecar, "bob").await.unwrap(), (false, newest));
    // The clock of the file does not begin again with each restart.
    sidecar.kill();
    sidecar.start();
    sidecar.wait_until_answering().await;
    let at_least = last_contact.elapsed();
    assert!(age(&sidecar.info().await.unwrap()) + slack >= at_least);
    fixture.server.start();
    sidecar.wait_until("follows again", |info| info.following && age(info) < Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_used_up_to_the_damage_or_replaced() {
    let fixture = Fixture::new().await;
    let sidecar = fixture.sidecar(&[]).started().await;
    let mut members: Vec<(String, Token)> = Vec::new();
    for number in 0..8 {
        let user = format!("user-{number}");
        let at = add(&fixture.server, &user).await;
        members.push((user, at));
        has(&sidecar, at).await;
    }
    let newest = members.last().unwrap().1;
    sidecar.kill();
    let file = fixture.folder().join("sidecar.snapshot");
    let whole = std::fs::read(&file).unwrap();
    let (mut used, mut replaced) = (0, 0);
    for damage in 0..DAMAGES {
        // Half of the damages are near the end, where the commits are.
        let from_end = (whole.len() - 1) * (damage / 2 + 1) / (DAMAGES / 2 + 1) / if damage % 4 < 2 { 1 } else { 8 };
        let at = whole.len() - 1 - from_end;
        let mut damaged = whole.clone();
        match damage % 2 {
            0 => damaged.truncate(at),
            _ => damaged[at] ^= 0x10,
        }
        std::fs::write(&file, damaged).unwrap();
        std::fs::write(sidecar.log_file(), "").unwrap();
        fixture.way.refuse();
        sidecar.start();
        match answers_or_waits(&sidecar).await {
            true => {
                // What it has left is right for its revision.
                let at = token(&sidecar.info().await.unwrap().revision);
                for (user, added) in &members {
                    assert_eq!(is_member(&sidecar, user).await.unwrap(), (added.number <= at.number, at), "{damage}");
                }
                used += 1;
            }
            false => replaced += 1,
        }
        fixture.join();
        has(&sidecar, newest).await;
        for (user, _) in &members {
            assert_eq!(is_member(&sidecar, user).await.unwrap(), (true, newest), "{damage}");
        }
        sidecar.kill();
    }
    println!("{DAMAGES} damaged files of {} bytes: {used} used up to the damage, {replaced} replaced", whole.len());
    assert!(used > 0 && replaced > 0);
}

/// Returns true once the sidecar answers, and false once it says that it needs an upstream.
async fn answers_or_waits(sidecar: &Process) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        // While it waits it accepts no connection.
        if matches!(timeout(Duration::from_millis(500), sidecar.info()).await, Ok(Ok(_))) {
            return true;
        }
        if sidecar.log().contains("reading a snapshot from an upstream") {
            return false;
        }
        assert_eq!(sidecar.ended(), None, "{}", sidecar.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it neither answers nor waits: {}", sidecar.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_grown_is_written_again() {
    let fixture = Fixture::new().await;
    let sidecar = fixture.sidecar(&[]).started().await;
    let file = fixture.folder().join("sidecar.snapshot");
    let first = std::fs::metadata(&file).unwrap().ino();
    let mut largest = 0;
    let mut newest = None;
    for round in 0..40 {
        let role = if round % 2 == 0 { "Member" } else { "Admin" };
        let at = set_members(fixture.server.channel(), role, round == 0).await;
        has(&sidecar, at).await;
        newest = Some(at);
        largest = largest.max(std::fs::metadata(&file).unwrap().len());
        if round == 3 {
            // It then writes a new snapshot for the sidecars, and not the one of the beginning again.
            fixture.server.kill();
            fixture.server.start();
            fixture.server.wait_until_answering().await;
        }
        if largest > 20 << 20 || std::fs::metadata(&file).unwrap().ino() != first {
            break;
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while std::fs::metadata(&file).unwrap().ino() == first {
        assert!(Instant::now() < deadline, "the file of {largest} bytes was not written again: {}", sidecar.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let newest = newest.unwrap();
    let bytes = std::fs::metadata(&file).unwrap().len();
    println!("the file had {largest} bytes, and has {bytes}");
    assert!(bytes < largest / 2);
    // It is complete.
    fixture.way.refuse();
    sidecar.kill();
    sidecar.start();
    sidecar.wait_until_answering().await;
    assert_eq!(token(&sidecar.info().await.unwrap().revision), newest);
}

/// Sets the role of many members in one write. Returns the revision.
async fn set_members(channel: Channel, role: &str, first: bool) -> Token {
    let roles =
        || wire::RoleAssignments { roles: vec![wire::RoleAssignment { role: role.into(), ..Default::default() }] };
    let row = |number: usize| wire::MemberWrite {
        org_id: ORG.into(),
        user_id: format!("{number:0>USER_BYTES$}"),
        write: Some(match first {
            true => member_write::Write::Add(roles()),
            false => member_write::Write::Set(roles()),
        }),
    };
    let request = wire::BatchWriteMembersRequest {
        rows: (0..ROWS).map(row).collect(),
        allow_ownerless: true,
        ..Default::default()
    };
    let answer = MembershipServiceClient::new(channel).batch_write_members(request).await.unwrap();
    token(&answer.into_inner().revision)
}
