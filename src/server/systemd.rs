//! What systemd gives a service and hears from it: bound sockets, readiness, and signs of life. Without systemd nothing happens.

use std::os::fd::AsFd;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::{Bound, Listen, StartError, bind};

/// Returns the sockets that systemd has bound for this process. Binds `listen` if there are none.
pub async fn inherited_or_bound(listen: &[Listen]) -> Result<Vec<Bound>, StartError> {
    let mut inherited = ListenFd::from_env();
    let taken: Result<Vec<Bound>, String> = (0..inherited.len()).map(|at| take(&mut inherited, at)).collect();
    let taken = taken.map_err(StartError::Inherited)?;
    if taken.is_empty() {
        return bind(listen, "--listen").await;
    }
    tracing::info!(sockets = taken.len(), "systemd has bound the sockets; --listen is not used");
    Ok(taken)
}

fn take(inherited: &mut ListenFd, at: usize) -> Result<Bound, String> {
    // It is left in place if it is no unix socket.
    if let Ok(Some(socket)) = inherited.take_unix_listener(at) {
        return listens(&socket).and_then(|()| Bound::inherited_unix(socket));
    }
    match inherited.take_tcp_listener(at) {
        Ok(Some(socket)) => listens(&socket).and_then(|()| Bound::inherited_tcp(socket)),
        Ok(None) => Err(format!("socket {at} is used twice")),
        Err(error) => Err(format!("{error}; give stream sockets with ListenStream=")),
    }
}

fn listens(socket: &impl AsFd) -> Result<(), String> {
    match rustix::net::sockopt::socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        Ok(false) => Err("it does not listen; a `.socket` unit needs Accept=no".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns true if systemd wants to hear the state of this process.
pub fn wants_reports() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Reports that the data is being loaded.
pub fn loading() {
    notify(&[NotifyState::Status("loading")]);
}

/// Reports that calls are answered. From then on a task reports that the process is alive, if the unit has WatchdogSec=.
pub fn ready(addresses: &[Listen]) {
    let addresses: Vec<String> = addresses.iter().map(Listen::to_string).collect();
    let status = format!("serving on {}", addresses.join(", "));
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    if let Some(period) = sd_notify::watchdog_enabled() {
        tokio::spawn(report_alive(period / 2));
    }
}

/// Reports that calls in flight finish, and no more are taken.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("finishing calls in flight")]);
}

async fn report_alive(period: Duration) {
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(period).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot report the state of the service to systemd");
    }
}
