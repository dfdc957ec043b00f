//! A TCP proxy: a name that can lead to another server while old connections live.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub port: u16,
    targets: Arc<Mutex<Vec<u16>>>,
    /// Counts how often the open connections were cut off.
    cut_off: watch::Sender<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let here = listener.local_addr().expect("it is bound").port();
        let targets = Arc::new(Mutex::new(vec![port]));
        let cut_off = watch::Sender::new(0);
        let task = tokio::spawn(serve(listener, targets.clone(), cut_off.clone()));
        Self { port: here, targets, cut_off, task }
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        self.lead_in_turn(&[port]);
    }

    /// Forwards nothing on the open connections any more, as if the server's machine had vanished. They stay open.
    pub fn cut_off(&self) {
        self.cut_off.send_modify(|times| *times += 1);
    }

    /// Leads new connections to these ports in turn.
    pub fn lead_in_turn(&self, ports: &[u16]) {
        *self.targets.lock().expect("no test panics here") = ports.to_vec();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, targets: Arc<Mutex<Vec<u16>>>, cut_off: watch::Sender<u32>) {
    for turn in 0.. {
        let Ok((mut client, _)) = listener.accept().await else { return };
        let port = {
            let targets = targets.lock().expect("no test panics here");
            targets[turn % targets.len()]
        };
        let mut cut_off = cut_off.subscribe();
        tokio::spawn(async move {
            // A refused connection closes that of the client.
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    Ok(()) = cut_off.changed() => std::future::pending().await,
                }
            }
        });
    }
}
