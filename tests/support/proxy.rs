//! A TCP proxy: a name that can lead to another server while old connections live.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

pub struct Proxy {
    pub port: u16,
    target: Arc<AtomicU16>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let here = listener.local_addr().expect("it is bound").port();
        let target = Arc::new(AtomicU16::new(port));
        let task = tokio::spawn(serve(listener, target.clone()));
        Self { port: here, target, task }
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: Arc<AtomicU16>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let port = target.load(Ordering::SeqCst);
        tokio::spawn(async move {
            // A refused connection closes that of the client.
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
