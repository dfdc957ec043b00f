//! TLS by flags and variables, of the server and of its clients.

use std::path::Path;
use std::process::Command;

use crate::run::{Server, both, output, rolecall, serve};
use crate::support::certificates::{Ca, Identity};

const NAME: &str = "rolecall.example";

/// A folder with the files of a server and of its clients.
fn folder(server: &Identity, ca: &Ca) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "server", server);
    std::fs::write(folder.path().join("ca.pem"), &ca.certificate).unwrap();
    folder
}

fn write(folder: &Path, name: &str, identity: &Identity) {
    std::fs::write(folder.join(format!("{name}.pem")), &identity.certificate).unwrap();
    std::fs::write(folder.join(format!("{name}-key.pem")), &identity.key).unwrap();
}

fn start(folder: &Path, args: &[&str]) -> Server {
    Server::start(folder, &[&["--tls-cert", "server.pem", "--tls-key", "server-key.pem"], args].concat())
}

/// `rolecall health`, and a command that asks for a list.
fn commands(folder: &Path, address: &str) -> [Command; 2] {
    let mut commands = [rolecall(folder), rolecall(folder)];
    commands[0].args(["health", "--address", address]);
    commands[1].args(["mappings", "list", "--server", address]);
    commands
}

fn works(folder: &Path, address: &str, args: &[&str]) {
    for mut command in commands(folder, address) {
        let asked = output(command.args(args));
        assert_eq!(asked.status.code(), Some(0), "{args:?}: {}", both(&asked));
    }
}

/// The reason contains `what`, and what to do contains `next`.
fn fails(folder: &Path, address: &str, args: &[&str], what: &str, next: &str) {
    for (mut command, code) in commands(folder, address).into_iter().zip([1, 2]) {
        let asked = output(command.args(args));
        let printed = both(&asked);
        assert_eq!(asked.status.code(), Some(code), "{args:?}: {printed}");
        for part in [what, next] {
            assert!(printed.contains(part), "{args:?}: `{part}` is not in: {printed}");
        }
    }
}

#[test]
fn every_client_speaks_tls() {
    let ca = Ca::new("ca");
    let folder = folder(&ca.issue(&["127.0.0.1", NAME]), &ca);
    let folder = folder.path();
    let server = start(folder, &["--listen", "unix:r.sock"]);
    let address = &server.address;
    works(folder, address, &["--ca", "ca.pem"]);
    works(folder, address, &["--ca", "ca.pem", "--server-name", NAME]);
    // A variable for all connections does not hinder one to a unix socket.
    works(folder, "unix:r.sock", &["--ca", "ca.pem"]);
    for mut command in commands(folder, address) {
        let asked = output(command.env("ROLECALL_CA", "ca.pem").env("ROLECALL_SERVER_NAME", NAME));
        assert_eq!(asked.status.code(), Some(0), "{}", both(&asked));
    }
    // The CAs of this system.
    for mut command in commands(folder, address) {
        let asked = output(command.arg("--tls").env("SSL_CERT_FILE", folder.join("ca.pem")));
        assert_eq!(asked.status.code(), Some(0), "{}", both(&asked));
    }
    let small = "--memberships 100 --checks 100 --batch 10 --rounds 1 --seconds 0.05 --mode batch --ca ca.pem";
    let bench = output(rolecall(folder).args(["bench", "--server", address]).args(small.split(' ')));
    assert_eq!(bench.status.code(), Some(0), "{}", both(&bench));
    server.stop();
}

#[test]
fn a_failed_handshake_says_what_to_do() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let folder = folder(&ca.issue(&[NAME]), &ca);
    let folder = folder.path();
    std::fs::write(folder.join("other.pem"), &other.certificate).unwrap();
    let server = start(folder, &[]);
    let trusting = ["--ca", "ca.pem", "--server-name", NAME];
    works(folder, &server.address, &trusting);
    fails(folder, &server.address, &[], "takes only connections with TLS", "--ca");
    let wrong_ca = ["--ca", "other.pem", "--server-name", NAME];
    fails(folder, &server.address, &wrong_ca, "is of another CA", "--ca");
    fails(folder, &server.address, &["--ca", "ca.pem"], "is not for `127.0.0.1`", "--server-name");
    for (ca, why) in [("absent.pem", "No such file"), ("server-key.pem", "no certificate")] {
        fails(folder, &server.address, &["--ca", ca], why, "--ca");
    }
    let without_tls = ["--cert", "server.pem", "--cert-key", "server-key.pem"];
    fails(folder, &server.address, &without_tls, "needs TLS", "--ca");
    let other_key = ["--ca", "ca.pem", "--cert", "ca.pem", "--cert-key", "server-key.pem"];
    fails(folder, &server.address, &other_key, "do not make a client certificate", "--cert-key");
    server.stop();

    let plain = Server::start::<&str>(folder, &[]);
    fails(folder, &plain.address, &trusting, "does not speak TLS", "leave out");
    plain.stop();

    write(folder, "server", &ca.issue_for_day(&[NAME], -1));
    let expired = start(folder, &[]);
    assert!(expired.logs().contains("a certificate of the server has expired"), "{}", expired.logs());
    fails(folder, &expired.address, &trusting, "is not valid now", "renew");
    expired.stop();
}

#[test]
fn a_client_certificate_is_demanded_and_given() {
    let (ca, clients) = (Ca::new("ca"), Ca::new("clients"));
    let folder = folder(&ca.issue(&["127.0.0.1"]), &ca);
    let folder = folder.path();
    std::fs::write(folder.join("clients.pem"), &clients.certificate).unwrap();
    write(folder, "own", &clients.issue(&["spiffe://prod.example/billing"]));
    write(folder, "foreign", &ca.issue(&["spiffe://prod.example/billing"]));
    let server = start(folder, &["--tls-client-ca", "clients.pem", "--tls-client-cert", "required", "--auth", "off"]);
    let address = &server.address;
    let own = ["--ca", "ca.pem", "--cert", "own.pem", "--cert-key", "own-key.pem"];
    works(folder, address, &own);
    fails(folder, address, &own[..2], "takes only clients with a certificate", "--cert");
    let foreign = ["--ca", "ca.pem", "--cert", "foreign.pem", "--cert-key", "foreign-key.pem"];
    fails(folder, address, &foreign, "refuses the handshake: UnknownCA", "--cert");
    for mut command in commands(folder, address) {
        let variables = [("ROLECALL_CA", "ca.pem"), ("ROLECALL_CERT", "own.pem"), ("ROLECALL_CERT_KEY", "own-key.pem")];
        let asked = output(command.envs(variables));
        assert_eq!(asked.status.code(), Some(0), "{}", both(&asked));
    }
    server.stop();
}

#[test]
fn new_files_are_read_at_sighup_and_without() {
    let (ca, next) = (Ca::new("ca"), Ca::new("next"));
    let folder = folder(&ca.issue(&["127.0.0.1"]), &ca);
    let folder = folder.path();
    let variables = [("ROLECALL_TLS_CERT", "server.pem"), ("ROLECALL_TLS_KEY", "server-key.pem")];
    let mut server = Server::listening(serve(folder).args(["--listen", "127.0.0.1:0"]).envs(variables));
    let used = |count: usize| move |server: &Server| server.logs().matches("new TLS files are used").count() == count;
    write(folder, "server", &next.issue(&["127.0.0.1"]));
    server.signal("-HUP");
    server.wait_for("new files are used", used(1));
    let address = server.address.clone();
    fails(folder, &address, &["--ca", "ca.pem"], "is of another CA", "--ca");
    let not_used = |server: &Server| server.logs().matches("the new TLS files cannot be used").count();
    std::fs::write(folder.join("server-key.pem"), "no key").unwrap();
    server.wait_for("the key is read", |server| not_used(server) == 1);
    fails(folder, &address, &["--ca", "ca.pem"], "is of another CA", "--ca");
    write(folder, "server", &ca.issue(&["127.0.0.1"]));
    server.wait_for("new files are used", used(2));
    works(folder, &address, &["--ca", "ca.pem"]);
    assert_eq!(not_used(&server), 1, "{}", server.logs());
    server.stop();
}
