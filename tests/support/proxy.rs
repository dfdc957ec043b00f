//! A TCP proxy in front of servers on unix sockets. A test decides where each new connection goes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};

/// Each new connection goes to the next of the targets in turn.
pub struct Proxy {
    pub port: u16,
    targets: Arc<Mutex<Vec<PathBuf>>>,
}

impl Proxy {
    pub async fn new(targets: Vec<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let targets = Arc::new(Mutex::new(targets));
        let mine = targets.clone();
        tokio::spawn(async move {
            for turn in 0.. {
                let (mut client, _) = listener.accept().await.unwrap();
                let target = {
                    let targets = mine.lock().unwrap();
                    targets[turn % targets.len()].clone()
                };
                tokio::spawn(async move {
                    if let Ok(mut server) = UnixStream::connect(target).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { port, targets }
    }

    /// Leads new connections elsewhere. Existing ones stay.
    pub fn lead_to(&self, targets: Vec<PathBuf>) {
        *self.targets.lock().unwrap() = targets;
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}
