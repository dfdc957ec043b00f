//! 1,000 connections that never finish a TLS handshake, again and again, beside a client that checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::ClientConnection;

use crate::attackers::{Attack, PATIENCE, Server, attack_time, caller, checks, set_up};
use crate::support::certificates::Ca;
use crate::support::{block_on, sqlite};

const CONNECTIONS: usize = 1_000;
/// What an unfinished handshake may take, in KiB.
const HANDSHAKE_KIB_MAX: u64 = 64;

#[test]
fn a_client_is_served_beside_handshakes_that_are_not_finished() {
    let time = attack_time(4);
    block_on(async {
        let (ca, folder, database) = (Ca::new("ca"), tempfile::tempdir().unwrap(), sqlite());
        let own = ca.issue(&["rolecall.example"]);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (certificate, key) = (file("cert.pem", &own.certificate), file("key.pem", &own.key));
        let flags = format!("--log error --tls-cert {certificate} --tls-key {key} --handshake-seconds 1");
        let server = Server::start(&database.url, 4_096, &flags).await;
        let channel = server.channel_over(|address| ca.connect(address, "rolecall.example")).await;
        let caller = caller(channel, None);
        set_up(&caller).await;
        checks("alone", &caller, time).await;

        let before = server.memory("VmRSS");
        let attack = Attack::on(&server);
        // One byte at least: the kernel of a busy server forgets a connection on which nothing is sent, and says nothing.
        // A whole ClientHello makes the server sign. Then it waits for the client.
        let config = Arc::new(ca.client_config());
        let mut hello = Vec::new();
        ClientConnection::new(config, "rolecall.example".try_into().unwrap()).unwrap().write_tls(&mut hello).unwrap();
        let opened = Arc::new(AtomicU64::new(0));
        let attacker = {
            let (attack, opened) = (attack.clone(), opened.clone());
            move |at: usize| {
                let (attack, opened) = (attack.clone(), opened.clone());
                let sent = hello[..[1, hello.len() / 2, hello.len()][at % 3]].to_vec();
                async move {
                    while !attack.is_over() {
                        let Some(mut stream) = attack.connect().await else { continue };
                        opened.fetch_add(1, Ordering::Relaxed);
                        // The server closes the connection, or its limit of connections does.
                        let _ = stream.write_all(&sent).await;
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                }
            }
        };
        let attackers = Attack::run((0..CONNECTIONS).map(attacker));
        let began = Instant::now();
        checks("under attack", &caller, time).await;
        let a_second = opened.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        println!("{a_second:.0} connections a second");
        while opened.load(Ordering::Relaxed) < CONNECTIONS as u64 {
            assert!(began.elapsed() < PATIENCE, "the attack does not begin");
            checks("under attack", &caller, Duration::from_secs(1)).await;
        }
        attack.end();
        attackers.join().unwrap();
        let peak = server.memory("VmHWM");
        println!("memory before {before} KiB, at most {peak} KiB");
        assert!(peak <= before + CONNECTIONS as u64 * HANDSHAKE_KIB_MAX, "{peak} KiB are too much");
    });
}
