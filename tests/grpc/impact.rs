//! Impact reports: R9. That every write has a preview is in `previews.rs`.

use rolecall::wire::{self, MemberImpact};

use crate::fixture::{
    Project, add, role_changes, roles, row, sampled, set, suspending, suspending_with_fallback, texts, without_sample,
};
use crate::refusals::refused;
use crate::server::{Server, on_both};

/// Creates org acme on the mapping Paid, with three clerks, 25 members and an owner. Free disables Clerk and grants Member less.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.single();
    project.role("Clerk").await;
    for permission in ["sell", "buy"] {
        project.permission(permission).await;
    }
    for mapping in ["Paid", "Free"] {
        project.mapping(mapping).await;
    }
    project.grant("Paid", "Clerk", &["sell"]).await;
    project.grant("Paid", "Member", &["buy"]).await;
    project.disable("Free", &["Clerk"]).await;
    project.org("acme", "Paid").await;
    let clerks = ["clerk-2", "clerk-1", "clerk-3"].map(|user| row("acme", user, add(&["Clerk"])));
    let users: Vec<String> = (0..25).map(|number| format!("user-{number:02}")).collect();
    let users = users.iter().map(|user| row("acme", user, add(&["Member"])));
    let rows = clerks.into_iter().chain(users).chain([row("acme", "olga", add(&["Owner"]))]);
    server.batch_write_members(project.writing(rows.collect())).await.unwrap();
    project
}

fn downgrade(project: Project<'_>) -> wire::SubscribeOrgRequest {
    wire::SubscribeOrgRequest { on_disabled: suspending(), ..project.moving("acme", "Free") }
}

fn first(permissions: &Option<wire::PermissionNames>) -> Vec<&str> {
    let Some(permissions) = permissions else { return vec![] };
    assert_eq!(permissions.total, permissions.first.len() as i32);
    assert_ne!(permissions.total, 0, "absent if there are none");
    permissions.first.iter().map(String::as_str).collect()
}

fn grants(grants: &Option<wire::GrantImpacts>) -> Vec<String> {
    let Some(grants) = grants else { return vec![] };
    let shown = |grant: &wire::GrantImpact| format!("{} {} {}", grant.role_mapping, grant.role, grant.permission);
    assert_eq!(grants.total, grants.first.len() as i32);
    assert_ne!(grants.total, 0, "absent if there are none");
    grants.first.iter().map(shown).collect()
}

#[test]
fn r9_a_preview_samples_members_and_the_real_call_returns_the_rest() {
    on_both(async |server| {
        let project = shop(server).await;
        let dry = wire::SubscribeOrgRequest { validate_only: true, ..downgrade(project) };
        let dry = server.storing_nothing(server.subscribe_org(dry)).await.unwrap();
        let impact = dry.impact.clone().unwrap();
        assert_eq!((impact.orgs, impact.members, role_changes(&dry.impact).as_str()), (1, 28, "Clerk suspended 3"));
        let expected: Vec<String> = (1..=3)
            .map(|number| format!("clerk-{number}"))
            .chain((0..17).map(|number| format!("user-{number:02}")))
            .collect();
        let mut named = sampled(&dry.impact);
        named.sort_unstable();
        assert_eq!(named, expected, "of each role set the first by user id, 20 in all");
        let clerk = impact.sample.iter().find(|member| member.user_id == "clerk-1").unwrap();
        assert_eq!((clerk.org_id.as_str(), &clerk.roles_suspended[..]), ("acme", &texts(&["Clerk"])[..]));
        assert_eq!((first(&clerk.permissions_lost), first(&clerk.permissions_gained)), (vec!["sell"], vec![]));
        let user = impact.sample.iter().find(|member| member.user_id == "user-00").unwrap();
        assert_eq!((first(&user.permissions_lost), user.roles_suspended.len()), (vec!["buy"], 0));
        let real = wire::SubscribeOrgRequest { impact_digest: impact.digest.clone(), ..downgrade(project) };
        let real = server.subscribe_org(real).await.unwrap();
        assert_eq!(real.impact, without_sample(&dry.impact));
        // Moving back, the same members gain what they lost.
        let back = wire::SubscribeOrgRequest { validate_only: true, ..project.moving("acme", "Paid") };
        let back = server.subscribe_org(back).await.unwrap();
        assert_eq!(role_changes(&back.impact), "Clerk reactivated 3");
        let back = back.impact.unwrap();
        let clerk: &MemberImpact = back.sample.iter().find(|member| member.user_id == "clerk-1").unwrap();
        assert_eq!(
            (&clerk.roles_reactivated[..], first(&clerk.permissions_gained)),
            (&texts(&["Clerk"])[..], vec!["sell"])
        );
    });
}

#[test]
fn r9_a_digest_that_no_longer_matches_aborts_the_write() {
    on_both(async |server| {
        let project = shop(server).await;
        let dry = wire::SubscribeOrgRequest { validate_only: true, ..downgrade(project) };
        let shown = server.subscribe_org(dry.clone()).await.unwrap().impact.unwrap();
        project.add("acme", "clerk-4", &roles(&["Clerk"])).await;
        let real = wire::SubscribeOrgRequest { impact_digest: shown.digest.clone(), ..downgrade(project) };
        let answer = server.storing_nothing(server.subscribe_org(real.clone())).await;
        let aborted = refused(answer, "IMPACT_CHANGED");
        assert_eq!(aborted.metadata("rule"), "R9");
        assert_eq!(project.mapping_of("acme").await, "Paid");
        let now = server.subscribe_org(dry.clone()).await.unwrap().impact.unwrap();
        assert_ne!(now.digest, shown.digest);
        assert_eq!(aborted.metadata("impact_digest"), now.digest);
        // The digest covers how many members are affected, not which ones: one clerk leaves, and another joins.
        project.remove("acme", "clerk-4").await;
        project.remove("acme", "clerk-1").await;
        project.add("acme", "clerk-9", &roles(&["Clerk"])).await;
        let again = server.subscribe_org(dry).await.unwrap();
        assert!(sampled(&again.impact).contains(&"clerk-9") && !sampled(&again.impact).contains(&"clerk-1"));
        let done = server.subscribe_org(real).await.unwrap();
        assert_eq!(done.impact.unwrap().digest, shown.digest);
    });
}

#[test]
fn r9_a_replayed_write_returns_the_first_impact_even_after_a_restart() {
    on_both(async |server| {
        let project = shop(server).await;
        let request = wire::SubscribeOrgRequest { request_id: "downgrade".into(), ..downgrade(project) };
        let first = server.subscribe_org(request.clone()).await.unwrap();
        assert_eq!(first.impact.as_ref().unwrap().members, 28);
        project.remove("acme", "clerk-1").await;
        let replayed = server.subscribe_org(request.clone()).await.unwrap();
        assert!(replayed.replayed);
        assert_eq!((replayed.impact, &replayed.revision), (first.impact.clone(), &first.revision));
        let restarted = server.restarted().await;
        assert_eq!(restarted.subscribe_org(request).await.unwrap().impact, first.impact);
        restarted.stop().await;
    });
}

#[test]
fn r9_a_write_of_one_member_reports_what_they_gain_and_lose() {
    on_both(async |server| {
        let project = shop(server).await;
        let adding = project.adding("acme", "zoe", &roles(&["Clerk"]));
        let preview = wire::AddMemberRequest { validate_only: true, ..adding.clone() };
        let preview = server.add_member(preview).await.unwrap();
        assert_eq!((role_changes(&preview.impact).as_str(), sampled(&preview.impact)), ("Clerk +1", vec!["zoe"]));
        assert_eq!(server.add_member(adding).await.unwrap().impact, without_sample(&preview.impact));
        let setting = project.setting("acme", "zoe", &roles(&["Member"]));
        let preview = wire::SetMemberRolesRequest { validate_only: true, ..setting.clone() };
        let changed = server.set_member_roles(preview).await.unwrap();
        assert_eq!(role_changes(&changed.impact), "Member +1, Clerk -1");
        assert_eq!(server.set_member_roles(setting).await.unwrap().impact, without_sample(&changed.impact));
        let impact = changed.impact.unwrap();
        let [zoe] = &impact.sample[..] else { panic!("{impact:?}") };
        assert_eq!((&zoe.roles_given, &zoe.roles_removed), (&texts(&["Member"]), &texts(&["Clerk"])));
        assert_eq!((first(&zoe.permissions_gained), first(&zoe.permissions_lost)), (vec!["buy"], vec!["sell"]));
        assert_eq!((impact.orgs, impact.members, impact.members_losing_at_least), (1, 1, 0));
        // A write that changes nothing affects nobody.
        let again = server.set_member_roles(project.setting("acme", "zoe", &roles(&["Member"]))).await.unwrap();
        let impact = again.impact.unwrap();
        assert_eq!((impact.orgs, impact.members, impact.sample.len()), (0, 0, 0));
        let rows = vec![row("acme", "zoe", set(&["Clerk"])), row("acme", "clerk-1", set(&["Member"]))];
        let written = server.batch_write_members(project.writing(rows)).await.unwrap();
        assert_eq!(role_changes(&written.impact), "Member +1 -1, Clerk +1 -1");
        let gone = server.remove_member(project.removing("acme", "zoe")).await.unwrap();
        assert_eq!(role_changes(&gone.impact), "Clerk -1");
    });
}

#[test]
fn r9_grants_role_pairs_and_ownerless_orgs_are_listed() {
    on_both(async |server| {
        let project = shop(server).await;
        let edit = wire::GrantEdit { role: "Clerk".into(), add: texts(&["buy"]), remove: texts(&["sell"]) };
        let request = wire::UpdateRoleMappingRequest { edits: vec![edit], ..project.updating("Paid") };
        let impact = server.update_role_mapping(request).await.unwrap().impact.unwrap();
        assert_eq!(grants(&impact.grants_gained), ["Paid Clerk buy"]);
        assert_eq!(grants(&impact.grants_lost), ["Paid Clerk sell"]);
        assert_eq!((impact.orgs, impact.members), (1, 3));
        // A change of a role that is not live affects nobody. The report still lists the grants.
        let edit = wire::GrantEdit { role: "Clerk".into(), add: texts(&["buy"]), remove: vec![] };
        let request = wire::UpdateRoleMappingRequest { edits: vec![edit], ..project.updating("Free") };
        let impact = server.update_role_mapping(request).await.unwrap().impact.unwrap();
        assert_eq!((grants(&impact.grants_gained), impact.members), (texts(&["Free Clerk buy"]), 0));
        let gone = server.delete_permission(project.deleting_permission("buy")).await.unwrap().impact.unwrap();
        assert_eq!(grants(&gone.grants_lost).len(), 3, "Paid Clerk, Paid Member, Free Clerk");
        assert_eq!(gone.members, 28);
        // A Clerk below Member loses "at least Member" and no longer manages Member.
        let ordered = server.reorder_roles(project.reordering(&["Owner", "Admin", "Clerk", "Member"])).await.unwrap();
        assert_eq!(ordered.impact.as_ref().unwrap().members_losing_at_least, 25);
        let back = server.reorder_roles(project.reordering(&["Owner", "Admin", "Member", "Clerk"])).await.unwrap();
        let back = back.impact.unwrap();
        assert_eq!(back.members_losing_at_least, 3);
        let pair = |pairs: Option<wire::RolePairs>| {
            let [pair] = &pairs.unwrap().first[..] else { panic!("one pair") };
            (pair.role.clone(), pair.other.clone())
        };
        assert_eq!(pair(back.at_least_lost), ("Clerk".into(), "Member".into()));
        assert_eq!(pair(back.manages_lost), ("Clerk".into(), "Member".into()));
        let leaving = wire::RemoveMemberRequest { allow_ownerless: true, ..project.removing("acme", "olga") };
        let ownerless = server.remove_member(leaving).await.unwrap().impact.unwrap().orgs_left_ownerless.unwrap();
        assert_eq!((ownerless.total, ownerless.first), (1, texts(&["acme"])));
    });
}

#[test]
fn r9_a_fallback_role_is_reported_as_given() {
    on_both(async |server| {
        let project = shop(server).await;
        let on_disabled = suspending_with_fallback("Admin");
        let preview = wire::SubscribeOrgRequest { validate_only: true, on_disabled, ..downgrade(project) };
        let impact = server.subscribe_org(preview).await.unwrap().impact;
        assert_eq!(role_changes(&impact), "Admin +3, Clerk suspended 3");
        let impact = impact.unwrap();
        let clerk = impact.sample.iter().find(|member| member.user_id == "clerk-1").unwrap();
        assert_eq!((&clerk.roles_given, &clerk.roles_suspended), (&texts(&["Admin"]), &texts(&["Clerk"])));
    });
}

#[test]
fn r9_deleting_a_role_reports_who_gets_the_replacement() {
    on_both(async |server| {
        let project = shop(server).await;
        let dry = wire::DeleteRoleRequest { validate_only: true, ..project.deleting_role("Clerk", "Member") };
        let dry = server.storing_nothing(server.delete_role(dry)).await.unwrap();
        let done = server.delete_role(project.deleting_role("Clerk", "Member")).await.unwrap();
        assert_eq!(done.impact, without_sample(&dry.impact));
        assert_eq!((role_changes(&done.impact).as_str(), done.migrated_members), ("Member +3, Clerk -3", 3));
        assert_eq!(sampled(&dry.impact), ["clerk-1", "clerk-2", "clerk-3"]);
    });
}
