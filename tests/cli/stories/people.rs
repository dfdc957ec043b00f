//! People come and go: by the domain of their address, for an hour, blocked, and after their role was deleted.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::{Story, on_postgres, on_sqlite};

const ADD: &str = "MembershipService/AddMember";
const SET: &str = "MembershipService/SetMemberRoles";
const GET: &str = "MembershipService/GetMember";
const PROVISION: &str = "MembershipService/ProvisionMember";
const JOINABLE: &str = "OrgService/ListJoinableOrgs";
const SET_DOMAINS: &str = "OrgService/SetOrgDomains";
const INVITE: &str = "rolecall::can_invite";

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
fn r4_members_and_domains_of_a_deleted_role_get_the_replacement_on_sqlite() {
    on_sqlite(a_deleted_role);
}

#[tokio::test]
async fn r4_members_and_domains_of_a_deleted_role_get_the_replacement_on_postgres() {
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
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "zoe"}))
        .works();
    story.step("So she may come back.").call(PROVISION, joining("zoe")).works();
    story
        .step("Ann removes her.")
        .call("MembershipService/RemoveMember", json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "ann"}))
        .works();
    story.step("Now her address is not enough.").call(PROVISION, joining("zoe")).refused_with("REMOVED_BEFORE", "");
    story.may("zoe", "acme", "rolecall::can_view_other_members", "NOT_A_MEMBER");
    story
        .step("Ann takes her back.")
        .call(ADD, json!({"org_id": "acme", "user_id": "zoe", "acting_user_id": "ann"}))
        .works();
    story.may("zoe", "acme", "rolecall::can_view_other_members", "ALLOWED");
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
}
