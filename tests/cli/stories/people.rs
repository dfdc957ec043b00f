//! People come and go: invited, by the domain of their address, for an hour, blocked, and after their role was deleted.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

const INVITE_ADDRESS: &str = "InvitationService/CreateInvitation";
const GET_INVITATION: &str = "InvitationService/GetInvitation";
const ACCEPT: &str = "InvitationService/AcceptInvitation";
const ADD: &str = "MembershipService/AddMember";
const SET: &str = "MembershipService/SetMemberRoles";
const GET: &str = "MembershipService/GetMember";
const REMOVE: &str = "MembershipService/RemoveMember";
const PROVISION: &str = "MembershipService/ProvisionMember";
const JOINABLE: &str = "OrgService/ListJoinableOrgs";
const SET_DOMAINS: &str = "OrgService/SetOrgDomains";
const INVITE: &str = "rolecall::can_invite";

#[test]
fn v2_an_invitation_belongs_to_one_address_on_sqlite() {
    on_sqlite(the_wrong_address);
}

#[tokio::test]
async fn v2_an_invitation_belongs_to_one_address_on_postgres() {
    on_postgres(the_wrong_address).await;
}

#[test]
fn v3_an_invitation_waits_for_the_upgrade_on_sqlite() {
    on_sqlite(an_invitation_waits);
}

#[tokio::test]
async fn v3_an_invitation_waits_for_the_upgrade_on_postgres() {
    on_postgres(an_invitation_waits).await;
}

#[test]
fn v6_the_invitations_of_a_member_who_leaves_are_revoked_on_sqlite() {
    on_sqlite(an_inviter_leaves);
}

#[tokio::test]
async fn v6_the_invitations_of_a_member_who_leaves_are_revoked_on_postgres() {
    on_postgres(an_inviter_leaves).await;
}

#[test]
fn j1_j2_a_user_joins_by_a_verified_domain_on_sqlite() {
    on_sqlite(zoe_signs_up);
}

#[tokio::test]
async fn j1_j2_a_user_joins_by_a_verified_domain_on_postgres() {
    on_postgres(zoe_signs_up).await;
}

#[test]
fn j3_a_removed_member_does_not_join_again_on_sqlite() {
    on_sqlite(a_removed_member_stays_out);
}

#[tokio::test]
async fn j3_a_removed_member_does_not_join_again_on_postgres() {
    on_postgres(a_removed_member_stays_out).await;
}

#[test]
fn b5_a_role_for_an_hour_expires_on_sqlite() {
    on_sqlite(a_role_for_an_hour);
}

#[tokio::test]
async fn b5_a_role_for_an_hour_expires_on_postgres() {
    on_postgres(a_role_for_an_hour).await;
}

#[test]
fn u1_a_blocked_user_may_do_nothing_in_any_org_on_sqlite() {
    on_sqlite(a_blocked_user);
}

#[tokio::test]
async fn u1_a_blocked_user_may_do_nothing_in_any_org_on_postgres() {
    on_postgres(a_blocked_user).await;
}

#[test]
fn r4_members_invitations_and_domains_of_a_deleted_role_get_the_replacement_on_sqlite() {
    on_sqlite(a_deleted_role);
}

#[tokio::test]
async fn r4_members_invitations_and_domains_of_a_deleted_role_get_the_replacement_on_postgres() {
    on_postgres(a_deleted_role).await;
}

fn org(story: Story<'_>, org_id: &str) {
    story
        .step(&format!("Ann creates {org_id}."))
        .call("OrgService/CreateOrg", json!({"org_id": org_id, "creator_user_id": "ann"}))
        .works();
}

/// The domain of acme, set without an acting user, which makes it verified.
fn verified_domain(story: Story<'_>, roles: &[&str]) {
    story
        .step("The product knows that acme.example belongs to acme.")
        .call(SET_DOMAINS, json!({"org_id": "acme", "domains": [{"domain": "acme.example", "roles": roles}]}))
        .answers(json!({"domains": [{"domain": "acme.example", "verified": true}]}));
}

fn joining(user_id: &str) -> Value {
    let email = format!("{user_id}@acme.example");
    json!({"org_id": "acme", "user_id": user_id, "email": email, "email_verified": true})
}

/// Invites the address that a user has at acme.example. Returns what names the invitation in later calls.
#[track_caller]
fn invited(story: Story<'_>, inviter: &str, user_id: &str, role: &str) -> Value {
    let email = format!("{user_id}@acme.example");
    let body = json!({"org_id": "acme", "email": email, "roles": [role], "acting_user_id": inviter});
    let text = format!("{inviter} invites {email} as {role}.");
    let answer = story.step(&text).call(INVITE_ADDRESS, body).answers(json!({"invitation": {"acceptable": true}}));
    json!({"org_id": "acme", "invitation_id": answer["invitation"]["invitationId"]})
}

fn accepting(invitation: &Value, user_id: &str) -> Value {
    let mut body = joining(user_id);
    body["invitation_id"] = invitation["invitation_id"].clone();
    body
}

/// Asserts the state of the invitation, and why it cannot be accepted. An empty reason means that it can.
#[track_caller]
fn waits(story: Story<'_>, invitation: &Value, unacceptable_reason: &str) {
    let answer = story.step("The invitation is pending.").call(GET_INVITATION, invitation.clone());
    let answer = answer.answers(json!({"invitation": {"state": "INVITATION_STATE_PENDING"}}));
    let reason = answer["invitation"]["unacceptableReason"].as_str().unwrap_or_default();
    assert_eq!(reason, unacceptable_reason, "{answer}");
    assert_eq!(answer["invitation"]["acceptable"] == true, unacceptable_reason.is_empty(), "{answer}");
}

fn the_wrong_address(story: Story<'_>) {
    org(story, "acme");
    let invitation = invited(story, "ann", "dora", "Admin");
    let accepted_as = |email: &str, email_verified: bool| {
        let mut body = accepting(&invitation, "dora");
        (body["email"], body["email_verified"]) = (json!(email), json!(email_verified));
        story.step(&format!("Dora accepts as {email}.")).call(ACCEPT, body)
    };
    for email in ["dora@mail.example", "dora@mail.acme.example", "dora+1@acme.example"] {
        accepted_as(email, true).refused_with("EMAIL_MISMATCH", "");
    }
    accepted_as("dora@acme.example", false).refused_with("EMAIL_NOT_VERIFIED", "");
    waits(story, &invitation, "");
    story.may("dora", "acme", INVITE, "NOT_A_MEMBER");

    accepted_as("Dora@ACME.example", true)
        .answers(json!({"member": {"roles": [{"role": "Admin"}], "origin": "MEMBERSHIP_ORIGIN_INVITATION"}}));
    story.may("dora", "acme", INVITE, "ALLOWED");
    accepted_as("dora@acme.example", true).refused_with("INVITATION_NOT_PENDING", "");
}

fn an_invitation_waits(story: Story<'_>) {
    org(story, "acme");
    story
        .step("Paid is like Default.")
        .call("RoleMappingService/CreateRoleMapping", json!({"name": "Paid", "duplicate_of": "Default"}))
        .works();
    let subscribe = |mapping: &str, strategy: &str| {
        let on_disabled = json!({"strategy": format!("DISABLED_ROLE_STRATEGY_{strategy}")});
        let body = json!({"org_id": "acme", "role_mapping": mapping, "on_disabled": on_disabled});
        story.step(&format!("Acme moves to {mapping}.")).call("SubscriptionService/SubscribeOrg", body)
    };
    subscribe("Paid", "REJECT").works();
    story
        .step("Default has no Admin any more.")
        .call("RoleMappingService/UpdateRoleMapping", json!({"name": "Default", "disable_roles": ["Admin"]}))
        .works();
    let invitation = invited(story, "ann", "dora", "Admin");
    subscribe("Default", "REJECT").refused_with("ROLES_WOULD_BE_DISABLED", "1 pending invitation");
    subscribe("Default", "SUSPEND").works();
    waits(story, &invitation, "ROLE_DISABLED");
    let accept = || story.step("Dora accepts.").call(ACCEPT, accepting(&invitation, "dora"));
    accept().refused_with("ROLE_DISABLED", "");
    waits(story, &invitation, "ROLE_DISABLED");

    subscribe("Paid", "REJECT").works();
    waits(story, &invitation, "");
    accept().answers(json!({"member": {"roles": [{"role": "Admin"}]}}));
    story.may("dora", "acme", INVITE, "ALLOWED");
}

fn an_inviter_leaves(story: Story<'_>) {
    org(story, "acme");
    for (user_id, keep_invitations) in [("ben", false), ("bob", true)] {
        story
            .step("An Admin may invite.")
            .call(ADD, json!({"org_id": "acme", "user_id": user_id, "roles": [{"role": "Admin"}]}))
            .works();
        let invitation = invited(story, user_id, "dora", "Member");
        story
            .step("Ann removes the Admin.")
            .call(
                REMOVE,
                json!({"org_id": "acme", "user_id": user_id, "acting_user_id": "ann", "keep_invitations": keep_invitations}),
            )
            .works();
        let accept = || story.step("Dora accepts.").call(ACCEPT, accepting(&invitation, "dora"));
        if !keep_invitations {
            accept().refused_with("INVITATION_NOT_PENDING", "");
            continue;
        }
        accept().refused_with("INVITER_MAY_NOT", "");
        waits(story, &invitation, "INVITER_MAY_NOT");
        story
            .step("Ann takes him back.")
            .call(ADD, json!({"org_id": "acme", "user_id": user_id, "roles": [{"role": "Admin"}]}))
            .works();
        accept().works();
    }
}

fn zoe_signs_up(story: Story<'_>) {
    org(story, "acme");
    let zoe = json!({"email": "Zoe@ACME.example", "email_verified": true});
    story
        .step("Ann says that acme.example is hers. Nobody has verified it.")
        .call(SET_DOMAINS, json!({"org_id": "acme", "domains": [{"domain": "acme.example"}], "acting_user_id": "ann"}))
        .works();
    let joinable = story.step("Zoe signs up. She cannot join acme yet.").call(JOINABLE, zoe.clone()).works();
    assert_eq!(joinable.get("orgs"), None);
    story.step("She is refused if she tries.").call(PROVISION, joining("zoe")).refused_with("DOMAIN_NOT_VERIFIED", "");

    story
        .step("The product verifies the domain.")
        .call("OrgService/VerifyOrgDomain", json!({"org_id": "acme", "domain": "acme.example"}))
        .works();
    story.step("Now Zoe may join acme.").call(JOINABLE, zoe).answers(json!({"orgs": [{"orgId": "acme"}]}));
    story
        .step("She must have shown that the address is hers.")
        .call(PROVISION, json!({"org_id": "acme", "user_id": "zoe", "email": "zoe@acme.example"}))
        .refused_with("EMAIL_NOT_VERIFIED", "");
    story
        .step("A subdomain is another domain.")
        .call(
            PROVISION,
            json!({"org_id": "acme", "user_id": "zoe", "email": "zoe@mail.acme.example", "email_verified": true}),
        )
        .refused_with("DOMAIN_NOT_LISTED", "");
    story
        .step("She joins with the default role.")
        .call(PROVISION, joining("zoe"))
        .answers(json!({"member": {"roles": [{"role": "Member"}], "origin": "MEMBERSHIP_ORIGIN_DOMAIN"}}));
    story.may("zoe", "acme", "rolecall::can_view_other_members", "ALLOWED");
}

fn a_removed_member_stays_out(story: Story<'_>) {
    org(story, "acme");
    verified_domain(story, &[]);
    story.step("Zoe joins.").call(PROVISION, joining("zoe")).works();
    story
        .step("She leaves on her own.")
        .call(REMOVE, json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "zoe"}))
        .works();
    story.step("So she may come back.").call(PROVISION, joining("zoe")).works();
    story
        .step("Ann removes her.")
        .call(REMOVE, json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "ann"}))
        .works();
    story.step("Now her address is not enough.").call(PROVISION, joining("zoe")).refused_with("REMOVED_BEFORE", "");
    story.may("zoe", "acme", "rolecall::can_view_other_members", "NOT_A_MEMBER");
    story
        .step("Ann takes her back.")
        .call(ADD, json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "ann"}))
        .works();
    story.may("zoe", "acme", "rolecall::can_view_other_members", "ALLOWED");

    let remove = json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "ann"});
    story.step("Ann removes her again.").call(REMOVE, remove).works();
    let invitation = invited(story, "ann", "zoe", "Member");
    story.step("An invitation is enough.").call(ACCEPT, accepting(&invitation, "zoe")).works();
    let leave = json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "zoe"});
    story.step("She leaves on her own.").call(REMOVE, leave).works();
    story.step("The removal is forgotten.").call(PROVISION, joining("zoe")).works();
}

fn a_role_for_an_hour(story: Story<'_>) {
    org(story, "acme");
    story.step("Max is a Member.").call(ADD, json!({"org_id": "acme", "user_id": "max"})).works();
    let admin_until = |expiry: SystemTime| {
        let roles = json!([{"role": "Member"}, {"role": "Admin", "expire_time": Timestamp::from(expiry).to_string()}]);
        json!({"org_id": "acme", "user_id": "max", "roles": roles, "acting_user_id": "ann"})
    };
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    story.step("Ann makes him Admin for an hour.").call(SET, admin_until(in_an_hour)).works();
    story.may("max", "acme", INVITE, "ALLOWED");
    story.check("max", "acme", "role", "Member", "MISSING_PERMISSION");

    // An expiry in the past is refused, so a slow machine gets a later one.
    let expiry = [1, 10, 60].into_iter().find_map(|seconds| {
        let expiry = SystemTime::now() + Duration::from_secs(seconds);
        let shortened = story.step("Ann shortens the hour.").call(SET, admin_until(expiry));
        shortened.answer.is_ok().then_some(expiry)
    });
    let wait = expiry.expect("no expiry was accepted").duration_since(SystemTime::now());
    sleep(wait.unwrap_or_default() + Duration::from_millis(2));
    story.may("max", "acme", INVITE, "ROLE_EXPIRED");
    story.check("max", "acme", "role", "Member", "ALLOWED");
}

fn a_blocked_user(story: Story<'_>) {
    let everywhere = |decision: &str| {
        for org_id in ["acme", "globex"] {
            story.may("eve", org_id, INVITE, decision);
        }
    };
    for org_id in ["acme", "globex"] {
        org(story, org_id);
        story
            .step("Eve is an Admin there.")
            .call(ADD, json!({"org_id": org_id, "user_id": "eve", "roles": [{"role": "Admin"}]}))
            .works();
    }
    everywhere("ALLOWED");
    story.step("The product blocks her.").call("UserService/BlockUser", json!({"user_id": "eve"})).works();
    everywhere("USER_BLOCKED");
    story
        .step("Nobody writes on her behalf.")
        .call(ADD, json!({"org_id": "globex", "user_id": "mallory", "acting_user_id": "eve"}))
        .refused_with("ACTING_USER_BLOCKED", "");
    story.step("She is unblocked.").call("UserService/UnblockUser", json!({"user_id": "eve"})).works();
    everywhere("ALLOWED");
}

fn a_deleted_role(story: Story<'_>) {
    org(story, "acme");
    for role in ["Trainee", "Analyst"] {
        story.step(&format!("There are {role}s.")).call("RoleService/CreateRole", json!({"name": role})).works();
    }
    verified_domain(story, &["Trainee"]);
    story
        .step("Tim joins as Trainee.")
        .call(PROVISION, joining("tim"))
        .answers(json!({"member": {"roles": [{"role": "Trainee"}]}}));
    let invitation = invited(story, "ann", "tess", "Trainee");
    story
        .step("Trainees become Analysts.")
        .call("RoleService/DeleteRole", json!({"name": "Trainee", "replacement": "Analyst"}))
        .works();
    story
        .step("So is Tim.")
        .call(GET, json!({"org_id": "acme", "user_id": "tim"}))
        .answers(json!({"member": {"roles": [{"role": "Analyst"}]}}));
    story
        .step("The domain gives Analyst.")
        .call("OrgService/GetOrg", json!({"org_id": "acme"}))
        .answers(json!({"org": {"domains": [{"domain": "acme.example", "roles": ["Analyst"]}]}}));
    story
        .step("Tom joins as Analyst.")
        .call(PROVISION, joining("tom"))
        .answers(json!({"member": {"roles": [{"role": "Analyst"}]}}));
    story
        .step("Tess accepts as Analyst.")
        .call(ACCEPT, accepting(&invitation, "tess"))
        .answers(json!({"member": {"roles": [{"role": "Analyst"}]}}));
}
