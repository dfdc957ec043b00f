//! The grpcurl calls that the demo prints: each works as printed, in the order printed.

use std::net::SocketAddr;

use super::example::{ACME, GLOBEX, PAID, move_acme};
use crate::domain::commands::command::OnDisabled;
use crate::domain::{Ask, Call, ProjectKey, Question, State, Terms, Time, decide};
use crate::limits::Limits;
use crate::server::{Listen, shell};
use crate::wire;

const CHECK: &str = "rolecall.v1.CheckService/Check";

/// The calls with what each answers, in the colours of a terminal.
pub fn text(addresses: &[Listen], state: &State, now: Time) -> String {
    let dim = anstyle::Style::new().dimmed();
    let tcp = addresses.iter().find(|address| matches!(address, Listen::Tcp(_)));
    let unix = addresses.iter().find(|address| matches!(address, Listen::Unix(_)));
    let mut text = String::from("\nAsk it yourself; grpcurl needs no proto files, the server describes itself:\n");
    let mut add = |says: &str, line: String| text.push_str(&format!("\n{dim}# {says}{dim:#}\n{line}\n"));
    if let Some(address) = tcp.or(unix) {
        for (says, body, method) in calls(state, now) {
            add(&says, line(address, Some(&body), method));
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

const HEALTH: &str = "grpc.health.v1.Health/Check";

fn calls(state: &State, now: Time) -> Vec<(String, String, &'static str)> {
    let check = |org_id: &str, user_id: &str, permission: &str| {
        format!(r#"{{"org_id":"{org_id}","user_id":"{user_id}","permission":"{permission}"}}"#)
    };
    let moved = moved(state, now);
    let at_globex = decision(state, GLOBEX, "bob", "billing.manage", now);
    let at_acme = decision(state, ACME, "bea", "billing.manage", now);
    let then_at_acme = decision(&moved, ACME, "bea", "billing.manage", now);
    vec![
        (
            format!("may bob, Billing Manager of globex, change the payment method? {at_globex}"),
            check(GLOBEX, "bob", "billing.manage"),
            CHECK,
        ),
        (
            format!("may bea, Billing Manager of acme, whose plan may not have that role? {at_acme}"),
            check(ACME, "bea", "billing.manage"),
            CHECK,
        ),
        (
            "many checks at once, all answered from one revision".into(),
            r#"{"defaults":{"org_id":"globex","user_id":"bob"},"items":[{"permission":"reports.view"},{"permission":"sso.configure"},{"user_id":"gil","permission":"sso.configure"}]}"#.into(),
            "rolecall.v1.CheckService/BatchCheck",
        ),
        (
            "who is in acme?".into(),
            r#"{"org_id":"acme"}"#.into(),
            "rolecall.v1.MembershipService/ListMembers",
        ),
        (
            "acme upgrades".into(),
            r#"{"org_id":"acme","role_mapping":"Paid","reason":"upgraded"}"#.into(),
            "rolecall.v1.SubscriptionService/SubscribeOrg",
        ),
        (format!("and bea now? {then_at_acme}"), check(ACME, "bea", "billing.manage"), CHECK),
        (
            "what would going back do to whom? `impact` says it; nothing is stored".into(),
            r#"{"org_id":"acme","role_mapping":"Free","on_disabled":{"strategy":"DISABLED_ROLE_STRATEGY_SUSPEND","fallback_role":"Member"},"validate_only":true}"#.into(),
            "rolecall.v1.SubscriptionService/SubscribeOrg",
        ),
    ]
}

/// The state as the calls above leave it; nothing is stored. Where acme cannot move, it stays as it is.
fn moved(state: &State, now: Time) -> State {
    let call = Call::plain("demo", "");
    let terms = Terms { call: &call, now, limits: &Limits::default() };
    decide(state, &move_acme(PAID, OnDisabled::Reject), &terms).map_or_else(|_| state.clone(), |decided| decided.next)
}

fn decision(state: &State, org_id: &str, user_id: &str, permission: &str, now: Time) -> &'static str {
    let Some(project) = state.project(&ProjectKey::default_project()) else { return "" };
    let decision = project.check(&Ask { org_id, user_id, question: Question::Permission(permission) }, now);
    wire::Decision::try_from(decision as i32).map_or("", |decision| decision.as_str_name())
}

/// One call as a shell takes it.
fn line(address: &Listen, body: Option<&str>, what: &str) -> String {
    let body = body.map_or_else(String::new, |body| format!("-d '{body}' "));
    match address {
        Listen::Tcp(address) => format!("grpcurl -plaintext {body}{} {what}", reachable(address)),
        // A path is no valid authority of HTTP/2, so one has to be given.
        Listen::Unix(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            format!(
                "grpcurl -plaintext -unix -authority localhost {body}{} {what}",
                shell::word(&path.to_string_lossy())
            )
        }
    }
}

/// Where a client on this machine finds a server that listens there.
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
            line(&Listen::Unix("/run/it's.sock".into()), None, "describe S"),
            r"grpcurl -plaintext -unix -authority localhost '/run/it'\''s.sock' describe S"
        );
    }
}
