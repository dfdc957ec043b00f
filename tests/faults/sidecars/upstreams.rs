//! Several upstreams: failover, and an upstream that has not noticed a restore.

use std::time::{Duration, Instant};

use super::{add, create_org, has, is_member, token};
use crate::processes::{Address, PATIENCE, Process};
use crate::support::cluster::{Cluster, psql, url};
use crate::support::postgres;
use crate::support::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_goes_to_the_next_upstream_when_one_dies() {
    let Some(database) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let first = Process::server("first", &database, folder.path()).started().await;
    create_org(&first).await;
    let second = Process::server("second", &database, folder.path()).started().await;
    let upstreams = [first.address.text(), second.address.text()];
    let sidecar = Process::sidecar("sidecar", &upstreams, Address::free(), folder.path(), &[]).started().await;
    for round in 0..4 {
        let (dies, stays) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        dies.kill();
        let user = format!("user-{round}");
        let at = add(stays, &user).await;
        let began = Instant::now();
        has(&sidecar, at).await;
        println!("the sidecar has followed the other server after {:?}", began.elapsed());
        assert!(is_member(&sidecar, &user).await.unwrap().0);
        dies.start();
        dies.wait_until_answering().await;
    }
}

/// The second server cannot reach the database, so it does not notice that it was restored. It still has the lost history, and
/// a snapshot of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_never_goes_back_to_the_lost_history() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let way = Proxy::to(cluster.port).await;
    let folder = tempfile::tempdir().unwrap();
    let first = Process::server("first", &cluster.url(), folder.path()).started().await;
    create_org(&first).await;
    let second = Process::server("second", &url(way.port), folder.path()).started().await;
    let kept = add(&first, "kept").await;
    let lost = add(&first, "lost").await;
    has(&second, lost).await;
    let upstreams = [second.address.text(), first.address.text()];
    // It reads the snapshot of the second server, which keeps it for some minutes.
    let sidecar = Process::sidecar("sidecar", &upstreams, Address::free(), folder.path(), &[]).started().await;
    has(&sidecar, lost).await;
    way.be_silent();
    // This looks like a restored backup to a server that keeps running.
    let sql = format!(
        "BEGIN; DELETE FROM changes WHERE revision > {kept}; DELETE FROM commits WHERE revision > {kept};
         DELETE FROM memberships WHERE user_id = 'lost';
         UPDATE head SET revision = {kept}, tag = (SELECT tag FROM commits WHERE revision = {kept}),
             at = (SELECT at FROM commits WHERE revision = {kept}); COMMIT",
        kept = kept.number
    );
    psql(&cluster.url(), &sql);
    first.wait_until("has the restored history", |info| token(&info.revision) == kept).await;
    let new = add(&first, "new").await;
    assert_eq!(new.number, lost.number);
    // The second server is away for a moment, so the sidecar goes to the first.
    let sidecar_at = async |what: &str, at| sidecar.wait_until(what, |info| token(&info.revision) == at).await;
    stop_for_a_while(&second, async || sidecar_at("has the restored history", new).await).await;
    first.kill();
    // It tries the second server again and again, and does not take its history.
    let tried = || std::fs::read_to_string(sidecar.log_file()).unwrap().matches("reading a new snapshot").count();
    let (before, deadline) = (tried(), Instant::now() + PATIENCE);
    while tried() < before + 2 {
        let (is_lost, at) = is_member(&sidecar, "lost").await.unwrap();
        assert!(!is_lost && at == new, "it went back to {at:?}");
        assert!(Instant::now() < deadline, "it does not try: {}", sidecar.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for user in ["kept", "new"] {
        assert_eq!(is_member(&sidecar, user).await.unwrap(), (true, new));
    }
    assert_eq!(is_member(&sidecar, "lost").await.unwrap(), (false, new));
}

/// Stops a process with a signal, so that it keeps its memory, and lets it go on afterwards.
async fn stop_for_a_while(process: &Process, meanwhile: impl AsyncFnOnce()) {
    process.signal(rustix::process::Signal::STOP);
    meanwhile().await;
    process.signal(rustix::process::Signal::CONT);
}
