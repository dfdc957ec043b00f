//! A TCP proxy: a name that can lead to another server while old connections live.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The bytes after which the open connections are cut off.
type Last = Arc<Mutex<Option<&'static [u8]>>>;

pub struct Proxy {
    pub port: u16,
    targets: Arc<Mutex<Vec<u16>>>,
    /// Counts how often the open connections were cut off.
    cut_off: watch::Sender<u32>,
    last: Last,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let here = listener.local_addr().expect("it is bound").port();
        let targets = Arc::new(Mutex::new(vec![port]));
        let cut_off = watch::Sender::new(0);
        let last = Last::default();
        let task = tokio::spawn(serve(listener, targets.clone(), cut_off.clone(), last.clone()));
        Self { port: here, targets, cut_off, last, task }
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        self.lead_in_turn(&[port]);
    }

    /// Forwards nothing on the open connections any more, as if the server's machine had vanished. They stay open.
    pub fn cut_off(&self) {
        self.cut_off.send_modify(|times| *times += 1);
    }

    /// Cuts the open connections off as soon as these bytes have passed on one that has locked a row.
    pub fn cut_off_after(&self, last: &'static [u8]) {
        *self.last.lock().expect("no test panics here") = Some(last);
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

async fn serve(listener: TcpListener, targets: Arc<Mutex<Vec<u16>>>, cut_off: watch::Sender<u32>, last: Last) {
    for turn in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let port = {
            let targets = targets.lock().expect("no test panics here");
            targets[turn % targets.len()]
        };
        let (cut_off, last) = (cut_off.clone(), last.clone());
        tokio::spawn(async move {
            // A refused connection closes that of the client.
            if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                // An error of one side closes the other.
                let _ = forward(client, server, cut_off, last).await;
            }
        });
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    cut_off: watch::Sender<u32>,
    last: Last,
) -> std::io::Result<()> {
    let mut is_cut_off = cut_off.subscribe();
    let (mut sent, mut received) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut locks = false;
    loop {
        let (passing, to) = tokio::select! {
            biased;
            _ = is_cut_off.changed() => std::future::pending().await,
            length = client.read(&mut sent) => (&sent[..length?], &mut server),
            length = server.read(&mut received) => (&received[..length?], &mut client),
        };
        if passing.is_empty() {
            return Ok(());
        }
        let has = |bytes: &[u8]| passing.windows(bytes.len()).any(|part| part == bytes);
        locks |= has(b"FOR UPDATE");
        if locks && last.lock().expect("no test panics here").take_if(|last| has(last)).is_some() {
            cut_off.send_modify(|times| *times += 1);
        }
        to.write_all(passing).await?;
    }
}
