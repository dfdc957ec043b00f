//! Calls to try on the example. Each works as printed, in this order.

use super::example::{ACME, GLOBEX, PAID, move_acme};
use crate::domain::commands::command::OnDisabled;
use crate::domain::{Ask, Call, ProjectKey, Question, State, Terms, Time, decide};
use crate::limits::Limits;
use crate::wire;

const BILLING: &str = "billing.manage";
const CHECK: &str = "rolecall.v1.CheckService/Check";
pub const EXPLAIN: &str = "rolecall.v1.CheckService/Explain";
/// The method that says whether a service answers.
pub const HEALTH: &str = "grpc.health.v1.Health/Check";

/// A call, with what it asks and what the server answers.
pub struct ExampleCall {
    pub says: String,
    pub body: String,
    pub method: &'static str,
}

/// Returns the calls, with the decisions that the server makes from this State.
pub fn calls(state: &State, now: Time) -> Vec<ExampleCall> {
    let call = |says: &str, body: &str, method| ExampleCall { says: says.into(), body: body.into(), method };
    let check = |says: &str, state: &State, org_id: &str, user_id: &str, permission: &str| {
        let says = format!("{says} {}", decision(state, org_id, user_id, permission, now));
        let body = format!(r#"{{"org_id":"{org_id}","user_id":"{user_id}","permission":"{permission}"}}"#);
        ExampleCall { says, body, method: CHECK }
    };
    vec![
        check("may bob, Billing Manager of globex, change the payment method?", state, GLOBEX, "bob", BILLING),
        check("may bea, Billing Manager of acme, whose plan does not have that role?", state, ACME, "bea", BILLING),
        call(
            "why is that, and on which plans may she?",
            r#"{"org_id":"acme","user_id":"bea","permission":"billing.manage"}"#,
            EXPLAIN,
        ),
        call(
            "many checks at once, all answered from one revision",
            r#"{"defaults":{"org_id":"globex","user_id":"bob"},"items":[{"permission":"reports.view"},{"permission":"sso.configure"},{"user_id":"gil","permission":"sso.configure"}]}"#,
            "rolecall.v1.CheckService/BatchCheck",
        ),
        check(
            "may max, Member of acme and its Admin for 30 days, remove people?",
            state,
            ACME,
            "max",
            "members.manage",
        ),
        check("may eve, whom the product has blocked, see reports?", state, ACME, "eve", "reports.view"),
        call(
            "zoe signs up: acme has verified the domain of her address",
            r#"{"org_id":"acme","user_id":"zoe","email":"zoe@acme.example","email_verified":true}"#,
            "rolecall.v1.MembershipService/ProvisionMember",
        ),
        call("who is in acme?", r#"{"org_id":"acme"}"#, "rolecall.v1.MembershipService/ListMembers"),
        call(
            "who is invited? dora can accept once acme upgrades",
            r#"{"org_id":"acme","states":["INVITATION_STATE_PENDING"]}"#,
            "rolecall.v1.InvitationService/ListInvitations",
        ),
        call(
            "acme upgrades",
            r#"{"org_id":"acme","role_mapping":"Paid","reason":"upgraded"}"#,
            "rolecall.v1.SubscriptionService/SubscribeOrg",
        ),
        check("and bea now?", &upgraded(state, now), ACME, "bea", BILLING),
        call(
            "what would going back change for members? the answer has it in `impact`; nothing is stored",
            r#"{"org_id":"acme","role_mapping":"Free","on_disabled":{"strategy":"DISABLED_ROLE_STRATEGY_SUSPEND","fallback_role":"Member"},"validate_only":true}"#,
            "rolecall.v1.SubscriptionService/SubscribeOrg",
        ),
    ]
}

/// Returns the State with acme on the paid plan. Returns it unchanged if acme cannot move.
fn upgraded(state: &State, now: Time) -> State {
    let call = Call::plain("demo", "");
    let limits = Limits::default();
    let terms = Terms::new(&call, now, &limits);
    decide(state, &move_acme(PAID, OnDisabled::Reject), &terms).map_or_else(|_| state.clone(), |decided| decided.next)
}

fn decision(state: &State, org_id: &str, user_id: &str, permission: &str, now: Time) -> &'static str {
    let Some(project) = state.project(&ProjectKey::default_project()) else { return "" };
    let decision = project.check(&Ask { org_id, user_id, question: Question::Permission(permission) }, now);
    wire::Decision::try_from(decision as i32).map_or("", |decision| decision.as_str_name())
}
