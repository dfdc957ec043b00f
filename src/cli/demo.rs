//! `rolecall serve --demo`: prints the example as a table, and the grpcurl calls to try on it.

use std::io::Write;
use std::net::SocketAddr;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use super::shell;
use crate::clock;
use crate::demo::{self, EXPLAIN, ExampleCall, Filled, HEALTH, Row};
use crate::domain::rules::invitation::Invitation;
use crate::domain::{Decision, ProjectKey, State, Time};
use crate::server::{Listen, Running};

/// Fills an empty store with the example. Prints the example if the store holds it.
pub async fn run(server: &Running) -> Result<(), String> {
    let now = clock::now();
    let filled = demo::fill(&server.app.engine, &server.app.writer, now).await?;
    let published = server.app.engine.pin();
    let mut text = String::from(match filled {
        Filled::Wrote => "The store was empty: it holds the example now.\n",
        Filled::Completed => "An earlier demo was interrupted: the rest of its example is written now.\n",
        Filled::Nothing => "The store holds data already: the demo changed nothing.\n",
    });
    let project = published.state.project(&ProjectKey::default_project());
    match project.filter(|project| demo::is_there(project)) {
        Some(project) => {
            let table = table(demo::decisions(project, now));
            text.push_str(&format!("\nWho may do what, as this server decides it now:\n{table}\n"));
            text.push_str("yes: allowed; no: denied; off: the role would grant it, but is disabled on this plan\n");
            text.push_str(&demo::invitation(project, now).map(invited).unwrap_or_default());
            text.push_str(&calls(&server.addresses, &published.state, now));
        }
        None => text.push_str("The data is not the example, so there is nothing to show.\n"),
    }
    // The server runs on if nobody reads its standard output.
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(())
}

fn table(rows: Vec<Row>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    // `anstream` removes the colours if the output takes none.
    table.enforce_styling();
    let permissions = demo::PERMISSIONS.iter().map(|(name, _)| name.replace('.', ".\n"));
    let headings = ["org", "plan", "user", "role"].into_iter().map(String::from).chain(permissions);
    table.set_header(headings.map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    for row in rows {
        let texts = [row.org_id.to_string(), row.role_mapping, row.user_id.to_string(), row.roles.join(", ")];
        table.add_row(texts.into_iter().map(Cell::new).chain(row.decisions.into_iter().map(answer)));
    }
    table
}

fn invited(invitation: Invitation) -> String {
    let Invitation { org_id, email, unacceptable, .. } = invitation;
    let roles = invitation.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let now = if unacceptable.is_some() { ", but cannot accept now" } else { "" };
    format!("{email} is invited to {org_id} as {roles}{now}\n")
}

fn answer(decision: Decision) -> Cell {
    match decision {
        Decision::Allowed => Cell::new("yes").fg(Color::Green),
        Decision::RoleDisabled => Cell::new("off").fg(Color::Yellow),
        _ => Cell::new("no").fg(Color::DarkGrey),
    }
}

/// Returns the calls with their answers, in the colours of a terminal.
fn calls(addresses: &[Listen], state: &State, now: Time) -> String {
    let dim = anstyle::Style::new().dimmed();
    let tcp = addresses.iter().find(|address| matches!(address, Listen::Tcp(_)));
    let unix = addresses.iter().find(|address| matches!(address, Listen::Unix(_)));
    let mut text = String::from("\nAsk it yourself; grpcurl needs no proto files, the server describes itself:\n");
    let mut add = |says: &str, line: String| text.push_str(&format!("\n{dim}# {says}{dim:#}\n{line}\n"));
    if let Some(address) = tcp.or(unix) {
        for ExampleCall { says, body, method } in demo::calls(state, now) {
            add(&says, line(address, Some(&body), method));
            if method == EXPLAIN {
                add("the same as a tree", explain(address));
            }
        }
        let describe = line(address, None, "describe rolecall.v1.CheckService.Check");
        add("what a method does, from the comments of its contract", describe);
        add("health, for probes", line(address, Some(r#"{"service":"rolecall.v1.CheckService"}"#), HEALTH));
    }
    if let (Some(_), Some(unix)) = (tcp, unix) {
        add("the same server over its unix socket", line(unix, Some("{}"), HEALTH));
    }
    text.push_str(&format!("\n{dim}# Ctrl-C stops the server{dim:#}\n"));
    text
}

/// Returns a call as a line of shell.
fn line(address: &Listen, body: Option<&str>, what: &str) -> String {
    let body = body.map_or_else(String::new, |body| format!("-d '{body}' "));
    match address {
        Listen::Tcp(address) => format!("grpcurl -plaintext {body}{} {what}", reachable(address)),
        // A path is no valid authority of HTTP/2, so give one.
        Listen::Unix(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let path = shell::word(&path.to_string_lossy());
            format!("grpcurl -plaintext -unix -authority localhost {body}{path} {what}")
        }
    }
}

/// Returns the explanation of the command line, by the path of this program.
fn explain(address: &Listen) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "rolecall".into());
    let server = match address {
        Listen::Tcp(address) => reachable(address),
        Listen::Unix(_) => shell::word(&address.to_string()),
    };
    format!("{} explain bea billing.manage --org acme --server {server}", shell::word(&program))
}

/// Returns the address at which a client on this machine reaches a server that listens on `address`.
fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(v4)) if v4.ip().is_unspecified() => format!("127.0.0.1:{}", v4.port()),
        Ok(SocketAddr::V6(v6)) if v6.ip().is_unspecified() => shell::word(&format!("[::1]:{}", v6.port())),
        _ => shell::word(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_printed_as_a_client_on_this_machine_can_use_them() {
        let tcp = |address: &str| line(&Listen::Tcp(address.into()), Some("{}"), "S/M");
        assert_eq!(tcp("127.0.0.1:50051"), "grpcurl -plaintext -d '{}' 127.0.0.1:50051 S/M");
        assert_eq!(tcp("0.0.0.0:7"), "grpcurl -plaintext -d '{}' 127.0.0.1:7 S/M");
        assert_eq!(tcp("[::]:7"), "grpcurl -plaintext -d '{}' '[::1]:7' S/M");
        assert_eq!(
            line(&Listen::Unix("/run/a socket".into()), None, "describe S"),
            "grpcurl -plaintext -unix -authority localhost '/run/a socket' describe S"
        );
    }
}
