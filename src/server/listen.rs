//! Addresses and the sockets behind them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
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
    /// The file is dropped first.
    Unix(SocketFile, UnixListener),
}

/// The file of a bound unix socket. Removes it when dropped, unless another server has replaced it. Drop it before the
/// listener is closed: until then the file's inode number is not reused, and no other server replaces the file.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode. `None` if another process owns the file.
    made: Option<(u64, u64)>,
}

impl FromStr for Listen {
    type Err = String;

    /// Drops blanks and line ends around the address: files and variables often end with them.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("`unix:` needs a path".into()),
                _ if path.trim_start() != path || path.contains(char::is_control) => {
                    Err("a path has no control characters, and no blanks after `unix:`".into())
                }
                _ => Ok(Self::Unix(path.into())),
            };
        }
        match text.rsplit_once(':') {
            Some((host, port))
                if !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok() =>
            {
                Ok(Self::Tcp(text.into()))
            }
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
    /// Binds the socket. Replaces a socket file on which no server listens.
    pub async fn bind(&self) -> io::Result<Bound> {
        match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                Ok(Bound::Tcp(listener, address))
            }
            Self::Unix(path) => {
                remove_unused(path).await?;
                let listener = UnixListener::bind(path)?;
                Ok(Bound::Unix(SocketFile { path: path.clone(), made: identity(path) }, listener))
            }
        }
    }
}

/// Removes a socket file that a stopped server left. Only a refused connection proves that nobody listens: a server whose
/// backlog is full, or whose file this user may not open, answers otherwise. Other kinds of files remain, and binding fails.
async fn remove_unused(path: &Path) -> io::Result<()> {
    let found = identity(path);
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Another server may have replaced the file since.
            if found.is_some() && identity(path) == found { std::fs::remove_file(path) } else { Ok(()) }
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

/// Returns device and inode of a socket file. `None` if there is none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    found.file_type().is_socket().then(|| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            // A file that cannot be removed is replaced by the next server.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// Accepts on a TCP socket that another process has bound.
    pub fn inherited_tcp(socket: std::net::TcpListener) -> Result<Self, String> {
        let bound = || -> io::Result<Self> {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(Self::Tcp(TcpListener::from_std(socket)?, address))
        };
        bound().map_err(|error| error.to_string())
    }

    /// Accepts on a unix socket that another process has bound. That process owns the file: it is not removed.
    pub fn inherited_unix(socket: std::os::unix::net::UnixListener) -> Result<Self, String> {
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        let path = address.as_pathname().ok_or("a unix socket needs a path")?.to_path_buf();
        let listener = socket.set_nonblocking(true).and_then(|()| UnixListener::from_std(socket));
        let listener = listener.map_err(|error| error.to_string())?;
        Ok(Self::Unix(SocketFile { path, made: None }, listener))
    }

    /// Returns true if only clients on this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(_, address) => !beyond_this_machine(address),
            Self::Unix(..) => true,
        }
    }

    /// Returns the address for clients, with the actual port in the place of 0.
    pub fn address(&self) -> Listen {
        match self {
            Self::Tcp(_, address) => Listen::Tcp(address.to_string()),
            Self::Unix(file, _) => Listen::Unix(file.path.clone()),
        }
    }
}

/// Returns an address that other machines may reach, and what connections to it lack. `None` if they lack nothing.
pub fn unprotected<'a>(
    bound: impl IntoIterator<Item = &'a Bound>,
    tls: bool,
    credentials: bool,
) -> Option<(SocketAddr, &'static str)> {
    let mut addresses = bound.into_iter().filter_map(|bound| match bound {
        Bound::Tcp(_, address) => Some(*address),
        Bound::Unix(..) => None,
    });
    let address = addresses.find(beyond_this_machine)?;
    match (tls, credentials) {
        (true, true) => None,
        (false, true) => Some((address, "TLS")),
        (false, false) => Some((address, "TLS and no authentication")),
        (true, false) => Some((address, "authentication")),
    }
}

fn beyond_this_machine(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_of_this_machine() {
        for own in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!beyond_this_machine(&own.parse().unwrap()), "{own}");
        }
        for other in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "192.0.2.1:1", "[fe80::1]:1", "[::ffff:0.0.0.0]:1"] {
            assert!(beyond_this_machine(&other.parse().unwrap()), "{other}");
        }
    }

    #[tokio::test]
    async fn w3_a_socket_beyond_this_machine_needs_tls_and_authentication() {
        let folder = tempfile::tempdir().unwrap();
        let mut bound = Vec::new();
        for listen in [Listen::Tcp("127.0.0.1:0".into()), Listen::Unix(folder.path().join("r.sock"))] {
            bound.push(listen.bind().await.unwrap());
        }
        assert_eq!(unprotected(&bound, false, false), None);
        bound.push(Listen::Tcp("0.0.0.0:0".into()).bind().await.unwrap());
        assert_eq!(unprotected(&bound, false, true).unwrap().1, "TLS");
        assert_eq!(unprotected(&bound, false, false).unwrap().1, "TLS and no authentication");
        assert_eq!(unprotected(&bound, true, false).unwrap().1, "authentication");
        assert_eq!(unprotected(&bound, true, true), None);
    }

    #[test]
    fn addresses_are_hosts_with_ports_or_socket_paths() {
        assert_eq!("127.0.0.1:0".parse(), Ok(Listen::Tcp("127.0.0.1:0".into())));
        assert_eq!("[::1]:50051".parse(), Ok(Listen::Tcp("[::1]:50051".into())));
        assert_eq!("unix:/run/r.sock".parse(), Ok(Listen::Unix("/run/r.sock".into())));
        for bad in ["", "localhost", ":50051", "localhost:x", "localhost:70000", "unix:"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn blanks_around_an_address_are_dropped_and_others_refused() {
        assert_eq!(" 127.0.0.1:0\n".parse(), Ok(Listen::Tcp("127.0.0.1:0".into())));
        assert_eq!("\tunix:/run/r.sock \r\n".parse(), Ok(Listen::Unix("/run/r.sock".into())));
        assert_eq!("unix:/run/my server.sock".parse(), Ok(Listen::Unix("/run/my server.sock".into())));
        for bad in ["unix: /r.sock", "unix:/r\n.sock", "unix:\n", "local host:1", "localhost\n:1", "localhost :1"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_socket_file_is_replaced_unless_a_server_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.sock");
        let listen = Listen::Unix(path.clone());
        let existing = listen.bind().await.unwrap();
        assert_eq!(listen.bind().await.map(|_| ()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(existing);
        assert!(!path.exists(), "a server removes its file");
        // A killed server leaves its file.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(listen.bind().await.is_ok());
    }

    #[tokio::test]
    async fn a_server_with_a_full_backlog_uses_its_socket_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.sock");
        let socket = tokio::net::UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let _busy = socket.listen(0).unwrap();
        let _waiting = UnixStream::connect(&path).await.unwrap();
        assert!(Listen::Unix(path.clone()).bind().await.is_err());
        assert!(path.exists());
    }

    #[tokio::test]
    async fn only_the_own_socket_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.sock");
        let first = Listen::Unix(path.clone()).bind().await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = Listen::Unix(path.clone()).bind().await.unwrap();
        drop(first);
        assert!(path.exists(), "the file of another server was removed");
    }
}
