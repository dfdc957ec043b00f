//! Temporary roles: B5.

use std::time::{Duration, Instant};

use rolecall::clock;
use rolecall::limits::EXPIRED_SECONDS;
use rolecall::wire::{self, Decision, consistency::Requirement};

use crate::fixture::{Project, after, in_an_hour, micros, permanent, role, roles, shown, soon, temporary, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

/// Checks until after the expiry. Every check before it must return the first decision, every later one the second.
async fn changes_at(
    project: Project<'_>,
    user: &str,
    permission: &str,
    expiry: &prost_types::Timestamp,
    decisions: [Decision; 2],
) {
    let (mut before, mut since) = (0, 0);
    while since < 3 {
        let answer = project.server.check(project.asking("acme", user, permission)).await.unwrap();
        let expired = micros(answer.evaluated_at.as_ref().unwrap()) >= micros(expiry);
        assert_eq!(answer.decision(), decisions[usize::from(expired)], "expired: {expired}");
        *if expired { &mut since } else { &mut before } += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(before > 0, "the role had expired before the first check");
}

#[test]
fn b5_from_its_expiry_on_a_role_grants_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let expiry = soon();
        let member = project.add("acme", "ann", &[temporary("Admin", expiry)]).await;
        assert_eq!((member.roles[0].expire_time, shown(&member)), (Some(expiry), "Admin live".into()));
        let head = server.head().await;
        changes_at(project, "ann", "rolecall::can_invite", &expiry, [Decision::Allowed, Decision::RoleExpired]).await;
        assert_eq!(server.head().await, head, "without any commit");
        assert_eq!(project.check("acme", "ann", "rolecall::can_delete_org").await, Decision::MissingPermission);

        // A user whose roles have all expired is not a member and can be added again.
        refused(project.member("acme", "ann").await, "MEMBER_NOT_FOUND");
        refused(server.remove_member(project.removing("acme", "ann")).await, "MEMBER_NOT_FOUND");
        refused(server.set_member_roles(project.setting("acme", "ann", &roles(&["Admin"]))).await, "MEMBER_NOT_FOUND");
        let members = server.list_members(wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() });
        assert!(members.await.unwrap().members.is_empty());
        assert_eq!(shown(&project.add("acme", "ann", &roles(&["Admin"])).await), "Admin live");
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
    });
}

#[test]
fn b5_a_temporary_role_overrides_the_permanent_role_until_it_expires() {
    on_both(async |server| {
        let project = server.single();
        project.permission("view").await;
        project.grant("Default", "Member", &["view"]).await;
        project.org("acme", "").await;
        let expiry = soon();
        let member = project.add("acme", "ann", &[role("Member"), temporary("Admin", expiry)]).await;
        assert_eq!(shown(&member), "Admin live, Member overridden");
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        changes_at(project, "ann", "view", &expiry, [Decision::MissingPermission, Decision::Allowed]).await;
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::RoleExpired);
        assert_eq!(project.roles_of("acme", "ann").await, "Admin expired, Member live");
    });
}

#[test]
fn b5_a_suspended_temporary_role_overrides_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &[role("Member"), temporary("Admin", in_an_hour())]).await;
        project.disable("Default", &["Admin"]).await;
        assert_eq!(project.roles_of("acme", "ann").await, "Admin suspended, Member live");
        let permission = "rolecall::can_view_other_members";
        assert_eq!(project.check("acme", "ann", permission).await, Decision::Allowed);
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::RoleDisabled);
    });
}

#[test]
fn b5_an_expiry_in_the_past_is_refused() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        let past = [role("Member"), temporary("Admin", prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 })];
        server
            .storing_nothing(async {
                let adding = server.add_member(project.adding("acme", "bob", &past)).await;
                assert_eq!(refused(adding, "END_IN_THE_PAST").fields(), ["roles[1].expire_time"]);
                let setting = server.set_member_roles(project.setting("acme", "ann", &past)).await;
                assert_eq!(refused(setting, "END_IN_THE_PAST").fields(), ["roles[1].expire_time"]);
            })
            .await;
    });
}

#[test]
fn b2_a_repeated_role_keeps_its_expiry_unless_the_request_sets_another_or_permanent() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "bob").await;
        let (first, second) = (in_an_hour(), after(Duration::from_secs(7_200)));
        let expiry_of =
            |member: &wire::Member, name: &str| member.roles.iter().find(|role| role.role == name).unwrap().expire_time;
        let added = project.add("acme", "ann", &[role("Member"), temporary("Admin", first)]).await;
        assert_eq!((expiry_of(&added, "Admin"), expiry_of(&added, "Member")), (Some(first), None));
        let kept = project.set("acme", "ann", &[role("Admin"), role("Owner")]).await;
        assert_eq!((expiry_of(&kept, "Admin"), expiry_of(&kept, "Owner")), (Some(first), None));
        let moved = project.set("acme", "ann", &[temporary("Admin", second)]).await;
        assert_eq!(expiry_of(&moved, "Admin"), Some(second));
        let without = project.set("acme", "ann", &[permanent("Admin")]).await;
        assert_eq!(expiry_of(&without, "Admin"), None);
        // For a new role `permanent` changes nothing.
        let new = project.set("acme", "ann", &[permanent("Owner")]).await;
        assert_eq!(expiry_of(&new, "Owner"), None);
        assert_eq!(project.member("acme", "ann").await.unwrap().roles, new.roles);
    });
}

#[test]
fn b5_an_expiry_is_cut_to_microseconds_and_survives_a_restart() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let fine = prost_types::Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 };
        let member = project.add("acme", "ann", &[temporary("Admin", fine)]).await;
        let kept = Some(prost_types::Timestamp { nanos: 999_999_000, ..fine });
        assert_eq!(member.roles[0].expire_time, kept);
        let soon = soon();
        project.add("acme", "bob", &[temporary("Admin", soon)]).await;
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!(project.member("acme", "ann").await.unwrap().roles[0].expire_time, kept);
        wait_until(&soon).await;
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        assert_eq!(project.check("acme", "bob", "rolecall::can_invite").await, Decision::RoleExpired);
    });
}

#[test]
fn g5_expiries_are_judged_by_the_clock_even_after_a_commit_by_a_clock_that_was_ahead() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &[temporary("Admin", in_an_hour())]).await;
        let behind =
            async |server: &Server| server.get_server_info(wire::GetServerInfoRequest {}).await.unwrap().clock_behind;
        assert_eq!(behind(server).await, None);
        let day = 24 * 60 * 60;
        let ahead = format!(
            r#"UPDATE head SET "at" = "at" + {day}000000; UPDATE commits SET "at" = "at" + {day}000000
                WHERE revision = (SELECT revision FROM head)"#
        );
        let server = server.restarted_after(&ahead).await;
        let project = server.single();
        let behind = behind(&server).await.unwrap();
        assert!((day - 60..=day).contains(&behind.seconds), "{behind:?}");
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        // The role is still held, so it is removed with its holder.
        project.add("acme", "bob", &[temporary("Admin", in_an_hour())]).await;
        assert_eq!(project.check("acme", "bob", "rolecall::can_invite").await, Decision::Allowed);
        project.remove("acme", "ann").await;
        let kept = project.set("acme", "bob", &[role("Admin")]).await;
        assert!(kept.roles[0].expire_time.is_some());
    });
}

#[test]
fn b5_the_system_removes_roles_that_expired_30_days_ago() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        project.add("acme", "bob", &[temporary("Admin", in_an_hour())]).await;
        let before = server.head().await;
        let micros = (clock::now().0 - (EXPIRED_SECONDS + 60) * 1_000_000).to_string();
        let server = server.restarted_after(&format!("UPDATE temporary_roles SET expire_time = {micros}")).await;
        let began = Instant::now();
        let removal = loop {
            assert!(began.elapsed() < Duration::from_secs(60), "the role is not removed");
            match server.commits_since(before).await.pop() {
                Some(commit) => break commit,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!((removal.kind.as_ref(), removal.actor.as_ref()), ("RemoveExpired", "system"));
        for (user, decision) in [("bob", Decision::NotAMember), ("ann", Decision::Allowed)] {
            let latest = wire::CheckRequest {
                consistency: Some(wire::Consistency { requirement: Some(Requirement::Latest(true)) }),
                ..server.single().asking("acme", user, "rolecall::can_invite")
            };
            assert_eq!(server.check(latest).await.unwrap().decision(), decision);
        }
    });
}
