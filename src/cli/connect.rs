//! A connection to a running server: over TCP, with or without TLS, or over a unix socket.

pub mod tls;

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport::{Channel, Endpoint, Uri};

use super::key::{Key, KeyArgs, Transport};
use super::trouble::Trouble;
use crate::server::{Listen, Stream};
use tls::TlsArgs;

/// The first byte of every answer of a server with TLS to a client without.
const TLS_ALERT: u8 = 0x15;
/// How often to ask whether the server is there, and how long to wait for its answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const START: &str = "start one with `rolecall serve`, or give its address with --server";

/// A server, and how to connect to it.
#[derive(Clone)]
pub struct Remote {
    pub address: Listen,
    /// Sent with each call.
    pub key: Key,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Remote {
    /// Reads the files of TLS. A unix socket needs none.
    pub fn new(address: Listen, args: &TlsArgs) -> Result<Self, Trouble> {
        let tls = match &address {
            Listen::Tcp(address) => args.connector(address)?,
            Listen::Unix(_) => None,
        };
        Ok(Self { address, key: Key::default(), tls })
    }

    pub fn without_tls(address: Listen) -> Self {
        Self { address, key: Key::default(), tls: None }
    }

    /// Returns the server at `HOST:PORT`, with what makes the handshakes with it.
    pub fn with_tls(address: String, tls: (TlsConnector, ServerName<'static>)) -> Self {
        Self { address: Listen::Tcp(address), key: Key::default(), tls: Some(tls) }
    }

    /// Refuses to send a key to another machine without TLS.
    pub fn with_key(self, args: &KeyArgs) -> Result<Self, Trouble> {
        let key = args.read()?;
        let readable = self.tls.is_none() && !is_local(&self.address) && !args.key_without_tls;
        if key.header().is_some() && readable {
            let what = format!("the API key would be sent to {} without TLS, where others can read it", self.address);
            return Err(Trouble::new(what, "give --ca or --tls; if something else encrypts it, --key-without-tls"));
        }
        Ok(Self { key, ..self })
    }

    /// Connects, and waits for the first bytes of the server: only they prove that it takes this client's certificate, or
    /// a client without TLS.
    pub async fn connect(&self) -> Result<Transport, Trouble> {
        Ok(Transport::new(self.channel().await?, self.key.clone()))
    }

    /// Connects like [`Self::connect`], without the key.
    pub async fn channel(&self) -> Result<Channel, Trouble> {
        let (says, first) = oneshot::channel();
        let says = Arc::new(Mutex::new(Some(says)));
        let remote = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let (remote, says) = (remote.clone(), says.lock().unwrap_or_else(PoisonError::into_inner).take());
            async move {
                let opened = remote.open().await;
                let mut first = First { says, remote };
                match opened {
                    Ok(stream) => Ok(TokioIo::new(Watched { stream, first })),
                    Err(error) => {
                        first.is(Err(&error));
                        Err(error)
                    }
                }
            }
        });
        let connected = match Endpoint::from_shared(self.uri()) {
            // A server that no longer answers, without closing the connection, is noticed also during a long call.
            Ok(endpoint) => {
                let endpoint = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE);
                endpoint.connect_with_connector(connector).await
            }
            Err(error) => Err(error),
        };
        let answered = first.await;
        let channel = connected.map_err(|error| self.no_answer(&cause(&error)));
        match answered {
            Ok(Err(trouble)) => Err(trouble),
            Ok(Ok(())) => channel,
            Err(_) => channel.and(Err(self.no_answer(&"it has closed the connection"))),
        }
    }

    /// Opens a connection, with the handshake of TLS.
    pub async fn open(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match (&self.address, &self.tls) {
            (Listen::Unix(path), _) => Box::new(UnixStream::connect(path).await?),
            (Listen::Tcp(address), tls) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                match tls {
                    None => Box::new(stream),
                    Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
                }
            }
        })
    }

    /// Returns what requests go to. Nothing resolves the authority for a unix socket.
    pub fn uri(&self) -> String {
        match (&self.address, &self.tls) {
            (Listen::Unix(_), _) => "http://localhost".into(),
            (Listen::Tcp(address), None) => format!("http://{address}"),
            (Listen::Tcp(address), Some(_)) => format!("https://{address}"),
        }
    }

    /// Returns why a connection fails, and what to do.
    pub fn trouble(&self, error: &io::Error) -> Trouble {
        let explained = self.tls.as_ref().and_then(|(_, name)| tls::explain(error, &self.address, name));
        explained.unwrap_or_else(|| self.no_answer(&error))
    }

    fn no_answer(&self, why: &dyn std::fmt::Display) -> Trouble {
        Trouble::new(format!("{} does not answer: {why}", self.address), START)
    }
}

/// Returns true if the address is of this machine.
pub fn is_local(address: &Listen) -> bool {
    let Listen::Tcp(address) = address else { return true };
    let host = address.rsplit_once(':').map_or(&**address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Returns the innermost message. A transport error itself says only that it is one.
fn cause(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Takes what is first heard of the server.
struct First {
    remote: Remote,
    says: Option<oneshot::Sender<Result<(), Trouble>>>,
}

impl First {
    fn is(&mut self, read: Result<&[u8], &io::Error>) {
        let Some(says) = self.says.take() else { return };
        // Nobody waits any longer if the timeout has passed.
        let _ = says.send(match read {
            Err(error) => Err(self.remote.trouble(error)),
            Ok([]) => Err(self.remote.no_answer(&"it has closed the connection")),
            Ok([TLS_ALERT, ..]) => {
                let what = format!("{} takes only connections with TLS", self.remote.address);
                Err(Trouble::new(what, "give the file of its CA with --ca, or use the CAs of this system with --tls"))
            }
            Ok(_) => Ok(()),
        });
    }
}

/// A stream whose first read is looked at.
struct Watched {
    stream: Box<dyn Stream>,
    first: First,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.first.is(read.as_ref().map(|()| &buf.filled()[before..]));
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        for own in ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/r.sock"] {
            assert!(is_local(&own.parse().unwrap()), "{own}");
        }
        for other in ["rolecall.example:1", "10.0.0.1:1", "[fe80::1]:1", "localhost.example:1"] {
            assert!(!is_local(&other.parse().unwrap()), "{other}");
        }
    }
}
