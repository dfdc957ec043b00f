//! 1,000 connections that never finish a TLS handshake, again and again, beside a client that checks.
//!
//! `ROLECALL_TEST_ATTACK_SECONDS` says how long. The test prints latencies and memory, and judges only memory and answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::ClientConnection;

use crate::attack::{Attack, Server, asked, set_up};
use crate::support::certificates::Ca;
use crate::support::{block_on, sqlite};

const CONNECTIONS: usize = 1_000;
/// What an unfinished handshake may take, in KiB.
const HANDSHAKE_KIB_MAX: u64 = 64;

/// Checks in a loop. Returns the median and the 99th percentile of the latencies, and the number of checks.
async fn checks(channel: &tonic::transport::Channel, time: Duration) -> (Duration, Duration, usize) {
    let (mut times, began) = (Vec::new(), Instant::now());
    while began.elapsed() < time {
        times.push(asked(channel, "member-1", None).await.1);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100], times.len())
}

#[test]
fn a_client_is_served_beside_handshakes_that_are_not_finished() {
    let seconds = std::env::var("ROLECALL_TEST_ATTACK_SECONDS").map_or(4, |seconds| seconds.parse().unwrap());
    block_on(async {
        let (ca, folder, database) = (Ca::new("ca"), tempfile::tempdir().unwrap(), sqlite());
        let own = ca.issue(&["rolecall.example"]);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (certificate, key) = (file("cert.pem", &own.certificate), file("key.pem", &own.key));
        let flags = format!("--tls-cert {certificate} --tls-key {key} --handshake-seconds 1");
        let server = Server::start_with(&database.url, 4_096, &flags).await;
        let channel = server.channel_over(|address| ca.connect(address, "rolecall.example")).await;
        set_up(&channel).await;
        let time = Duration::from_secs(seconds);
        println!("alone: {:?}", checks(&channel, time).await);

        let before = server.memory("VmRSS");
        let attack = Attack::on(&server);
        // One byte at least: the kernel of a busy server forgets a connection on which nothing is sent, and says nothing.
        // A whole ClientHello makes the server sign. Then it waits for the client.
        let config = Arc::new(ca.client_config());
        let mut hello = Vec::new();
        ClientConnection::new(config, "rolecall.example".try_into().unwrap()).unwrap().write_tls(&mut hello).unwrap();
        let opened = Arc::new(AtomicU64::new(0));
        let attackers: Vec<_> = (0..CONNECTIONS)
            .map(|at| {
                let (attack, opened) = (attack.clone(), opened.clone());
                let sent = hello[..[1, hello.len() / 2, hello.len()][at % 3]].to_vec();
                tokio::spawn(async move {
                    while !attack.is_over() {
                        let Some(mut stream) = attack.connect().await else { continue };
                        opened.fetch_add(1, Ordering::Relaxed);
                        // The server closes the connection, or its limit of connections does.
                        let _ = stream.write_all(&sent).await;
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                })
            })
            .collect();
        println!("under attack: {:?}", checks(&channel, time).await);
        let began = Instant::now();
        while opened.load(Ordering::Relaxed) < CONNECTIONS as u64 {
            assert!(began.elapsed() < Duration::from_secs(300), "the attack does not begin");
            checks(&channel, Duration::from_secs(1)).await;
        }
        attack.end();
        for attacker in attackers {
            attacker.await.unwrap();
        }
        let peak = server.memory("VmHWM");
        println!("{} handshakes; memory before {before} KiB, at most {peak} KiB", opened.load(Ordering::Relaxed));
        assert!(peak <= before + CONNECTIONS as u64 * HANDSHAKE_KIB_MAX, "{peak} KiB are too much");
    });
}
