//! A TCP proxy: a name that can lead to another server while old connections live.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The bytes after which the open connections are cut off.
type Last = Arc<Mutex<Option<&'static [u8]>>>;

/// Leads to nobody: the connection stays open, and no byte passes.
const SILENT: u16 = 0;

/// What ends connections.
#[derive(Clone)]
struct Cuts {
    cut_off: watch::Sender<u32>,
    closed: watch::Sender<u32>,
    last: Last,
}

pub struct Proxy {
    pub port: u16,
    targets: Arc<Mutex<Vec<u16>>>,
    /// Counts how often the open connections were cut off.
    cut_off: watch::Sender<u32>,
    /// Counts how often the open connections were closed.
    closed: watch::Sender<u32>,
    last: Last,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let here = listener.local_addr().expect("it is bound").port();
        let targets = Arc::new(Mutex::new(vec![port]));
        let cut_off = watch::Sender::new(0);
        let closed = watch::Sender::new(0);
        let last = Last::default();
        let cuts = Cuts { cut_off: cut_off.clone(), closed: closed.clone(), last: last.clone() };
        let task = tokio::spawn(serve(listener, targets.clone(), cuts));
        Self { port: here, targets, cut_off, closed, last, task }
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        self.lead_in_turn(&[port]);
    }

    /// Forwards nothing on the open connections any more, as if the server's machine had vanished. They stay open.
    pub fn cut_off(&self) {
        self.cut_off.send_modify(|times| *times += 1);
    }

    /// Closes the open connections, and closes new ones at once.
    pub fn refuse(&self) {
        self.lead_in_turn(&[]);
        self.closed.send_modify(|times| *times += 1);
    }

    /// Forwards nothing any more, neither on open connections nor on new ones. All stay open.
    pub fn be_silent(&self) {
        self.lead_to(SILENT);
        self.cut_off();
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

async fn serve(listener: TcpListener, targets: Arc<Mutex<Vec<u16>>>, cuts: Cuts) {
    for turn in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let target = {
            let targets = targets.lock().expect("no test panics here");
            (!targets.is_empty()).then(|| targets[turn % targets.len()])
        };
        // Without a target the connection is closed at once.
        let Some(port) = target else { continue };
        let cuts = cuts.clone();
        tokio::spawn(async move {
            let mut is_closed = cuts.closed.subscribe();
            let passing = async {
                if port == SILENT {
                    return std::future::pending().await;
                }
                // A refused connection closes that of the client.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    // An error of one side closes the other.
                    let _ = forward(client, server, &cuts).await;
                }
            };
            tokio::select! {
                _ = is_closed.changed() => {}
                () = passing => {}
            }
        });
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, cuts: &Cuts) -> std::io::Result<()> {
    let mut is_cut_off = cuts.cut_off.subscribe();
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
        if locks && cuts.last.lock().expect("no test panics here").take_if(|last| has(last)).is_some() {
            cuts.cut_off.send_modify(|times| *times += 1);
        }
        to.write_all(passing).await?;
    }
}
