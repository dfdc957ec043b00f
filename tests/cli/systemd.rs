//! The protocol of systemd: inherited sockets, readiness, signs of life. `packaging/systemd/test` starts the real units.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::run::{PATIENCE, both, output, rolecall, serve};

/// A process that has inherited a socket and reports its state. It is killed when dropped.
struct Service {
    child: Child,
    reports: UnixDatagram,
}

impl Service {
    fn start(folder: &Path, socket: OwnedFd) -> Self {
        let path = folder.join("notify");
        let reports = UnixDatagram::bind(&path).unwrap();
        reports.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = inheriting(folder);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
        let child = command.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, reports }
    }

    /// Waits for a report with this line. Returns the whole report.
    fn reports(&self, line: &str) -> String {
        let mut bytes = [0; 4096];
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let len = self.reports.recv(&mut bytes).unwrap();
            let report = String::from_utf8(bytes[..len].to_vec()).unwrap();
            if report.lines().any(|reported| reported == line) {
                return report;
            }
        }
        panic!("{line} was not reported");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a `serve` that finds its standard input as the first inherited socket. `--listen` names a port that it cannot bind.
fn inheriting(folder: &Path) -> Command {
    let serve = serve(folder);
    let mut command = Command::new("bash");
    let line = r#"exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" "$@""#;
    command.args(["-c", line]).arg(serve.get_program()).args(serve.get_args()).args(["--listen", "192.0.2.1:1"]);
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(folder);
    command
}

fn serves_until_stopped(folder: &Path, socket: OwnedFd, address: &str) {
    let mut service = Service::start(folder, socket);
    service.reports("STATUS=loading");
    assert!(service.reports("READY=1").contains(&format!("STATUS=serving on {address}")));
    let serves = || {
        let asked = output(rolecall(folder).args(["health", "--address", address]));
        assert_eq!(asked.status.code(), Some(0), "{}", both(&asked));
    };
    serves();
    service.signal("-HUP");
    for _ in 0..2 {
        service.reports("WATCHDOG=1");
    }
    serves();
    service.signal("-TERM");
    service.reports("STOPPING=1");
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_inherited_tcp_socket_is_served_and_the_state_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    serves_until_stopped(folder.path(), socket.into(), &address);
}

#[test]
fn an_inherited_unix_socket_is_served_and_its_file_remains() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sock");
    let socket = UnixListener::bind(&path).unwrap();
    serves_until_stopped(folder.path(), socket.into(), &format!("unix:{}", path.display()));
    assert!(path.exists(), "the file belongs to systemd");
}

#[test]
fn other_inherited_sockets_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (connected, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let beyond = TcpListener::bind("0.0.0.0:0").unwrap();
    for (socket, says) in [
        (OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()), "ListenStream="),
        (connected.into(), "Accept=no"),
        (beyond.into(), "have no TLS"),
    ] {
        let child = inheriting(folder.path()).stdin(Stdio::from(socket)).stderr(Stdio::piped()).spawn().unwrap();
        let finished = child.wait_with_output().unwrap();
        assert_eq!(finished.status.code(), Some(1), "{}", both(&finished));
        assert!(both(&finished).contains(says), "`{says}` is not in: {}", both(&finished));
    }
}
