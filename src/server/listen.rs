//! Addresses and the sockets behind them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Where to listen: `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(String),
    Unix(PathBuf),
}

/// A bound socket.
pub enum Bound {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err("`unix:` needs a path".into()) } else { Ok(Self::Unix(path.into())) };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Self::Tcp(text.into())),
            _ => Err("give `HOST:PORT` or `unix:PATH`".into()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// Binds the socket. Replaces a socket file on which no server answers.
    pub async fn bind(&self) -> io::Result<Bound> {
        match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                Ok(Bound::Tcp(listener, address))
            }
            Self::Unix(path) => {
                if UnixStream::connect(path).await.is_ok() {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                match std::fs::symlink_metadata(path) {
                    Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                        std::fs::remove_file(path)?;
                    }
                    // Do not remove another kind of file. Binding fails.
                    _ => {}
                }
                Ok(Bound::Unix(UnixListener::bind(path)?, path.clone()))
            }
        }
    }
}

impl Bound {
    /// Returns the address for clients, with the actual port in the place of 0.
    pub fn address(&self) -> Listen {
        match self {
            Self::Tcp(_, address) => Listen::Tcp(address.to_string()),
            Self::Unix(_, path) => Listen::Unix(path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports_or_socket_paths() {
        assert_eq!("127.0.0.1:0".parse(), Ok(Listen::Tcp("127.0.0.1:0".into())));
        assert_eq!("[::1]:50051".parse(), Ok(Listen::Tcp("[::1]:50051".into())));
        assert_eq!("unix:/run/r.sock".parse(), Ok(Listen::Unix("/run/r.sock".into())));
        for bad in ["", "localhost", ":50051", "localhost:x", "localhost:70000", "unix:"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_socket_file_is_replaced_unless_a_server_answers_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let listen = Listen::Unix(folder.path().join("r.sock"));
        let existing = listen.bind().await.unwrap();
        assert_eq!(listen.bind().await.map(|_| ()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(existing);
        assert!(listen.bind().await.is_ok());
    }
}
