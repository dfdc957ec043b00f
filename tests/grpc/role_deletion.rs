//! Deleting roles: R4, and R5 of the default ones.

use std::sync::atomic::{AtomicBool, Ordering};

use rolecall::wire::{self, Decision, MembershipOrigin};

use crate::fixture::{Project, add, in_an_hour, role, roles, row, shown, soon, temporary, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn origins(member: &wire::Member) -> (MembershipOrigin, Vec<(&str, MembershipOrigin)>) {
    (member.origin(), member.roles.iter().map(|role| (role.role.as_str(), role.origin())).collect())
}

#[test]
fn r4_members_get_the_named_replacement() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.role("Clerk").await;
        project.grant("Default", "Clerk", &["p"]).await;
        project.mapping("Paid").await;
        project.org("acme", "").await;
        project.org("globex", "Paid").await;
        for (org, user, name) in
            [("acme", "ann", "Clerk"), ("acme", "bob", "Clerk"), ("acme", "cat", "Owner"), ("globex", "ann", "Clerk")]
        {
            project.add(org, user, &roles(&[name])).await;
        }
        let before = server.head().await;
        let cat = project.member("acme", "cat").await.unwrap();
        let answer = server.delete_role(project.deleting_role("Clerk", "Admin")).await.unwrap();
        assert_eq!((answer.migrated_members, answer.replayed), (3, false));
        assert_eq!(server.head().await.number, before.number + 1, "all in one commit");

        let is_done = async |server: &Server| {
            let project = server.single();
            for (org, user) in [("acme", "ann"), ("acme", "bob"), ("globex", "ann")] {
                let member = project.member(org, user).await.unwrap();
                assert_eq!(shown(&member), "Admin live");
                let migration = MembershipOrigin::Migration;
                assert_eq!(origins(&member), (migration, vec![("Admin", migration)]));
                assert_eq!(member.revision, answer.revision, "the deletion is the latest change of the membership");
            }
            assert_eq!(project.member("acme", "cat").await.unwrap(), cat, "a member without the role is unchanged");
            assert_eq!(project.holders("acme", "Admin").await, ["ann", "bob"]);
            assert_eq!(project.check("acme", "ann", "p").await, Decision::MissingPermission);
            assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
            refused(project.get_role("Clerk").await, "ROLE_NOT_FOUND");
            assert_eq!(project.role_order().await, ["Owner", "Admin", "Member"]);
            let request = wire::ListUserMembershipsRequest { user_id: "ann".into(), ..Default::default() };
            let memberships = server.list_user_memberships(request).await.unwrap().memberships;
            assert!(
                memberships.iter().all(|member| shown(member) == "Admin live" && member.revision == answer.revision)
            );
        };
        is_done(server).await;
        is_done(&server.restarted().await).await;
    });
}

#[test]
fn r4_without_a_named_replacement_members_get_the_default_role() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        assert_eq!(project.delete_role("Admin", "").await, 1);
        assert_eq!(project.roles_of("acme", "ann").await, "Member live");
        // Nobody holds the role, so nobody is migrated.
        project.role("Clerk").await;
        assert_eq!(project.delete_role("Clerk", "").await, 0);
        assert_eq!(project.role_order().await, ["Owner", "Member"]);
    });
}

#[test]
fn r4_a_multi_role_member_who_holds_the_replacement_only_loses_the_role() {
    on_both(async |server| {
        let project = server.multi().await;
        project.permission("p").await;
        project.role("Clerk").await;
        project.grant("Default", "Clerk", &["p"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin", "Clerk"])).await;
        project.add("acme", "bob", &roles(&["Clerk", "Member"])).await;
        project.add("acme", "cat", &roles(&["Admin"])).await;
        assert_eq!(project.delete_role("Clerk", "Admin").await, 2);
        let ann = project.member("acme", "ann").await.unwrap();
        let (direct, migration) = (MembershipOrigin::Direct, MembershipOrigin::Migration);
        assert_eq!(origins(&ann), (migration, vec![("Admin", direct)]));
        let bob = project.member("acme", "bob").await.unwrap();
        assert_eq!(origins(&bob), (migration, vec![("Admin", migration), ("Member", direct)]));
        let cat = project.member("acme", "cat").await.unwrap();
        assert_eq!(origins(&cat), (direct, vec![("Admin", direct)]));
        for user in ["ann", "bob"] {
            assert_eq!(project.check("acme", user, "p").await, Decision::MissingPermission);
        }
        assert_eq!(project.holders("acme", "Admin").await, ["ann", "bob", "cat"]);
    });
}

#[test]
fn r4_the_expiry_is_kept_and_the_later_of_two_applies() {
    on_both(async |server| {
        let project = server.multi().await;
        project.role("Clerk").await;
        project.org("acme", "").await;
        let (sooner, later) = (in_an_hour(), crate::fixture::after(std::time::Duration::from_secs(7_200)));
        project.add("acme", "keeps", &[role("Member"), temporary("Clerk", sooner)]).await;
        project.add("acme", "later", &[temporary("Admin", sooner), temporary("Clerk", later)]).await;
        project.add("acme", "sooner", &[temporary("Admin", later), temporary("Clerk", sooner)]).await;
        project.add("acme", "permanent", &[role("Admin"), temporary("Clerk", sooner)]).await;
        project.add("acme", "gains", &[temporary("Admin", sooner), role("Clerk")]).await;
        assert_eq!(project.delete_role("Clerk", "Admin").await, 5);
        let expiries_are_right = async |server: &Server| {
            let project = Project { server, key: "multi" };
            for (user, expiry) in [
                ("keeps", Some(sooner)),
                ("later", Some(later)),
                ("sooner", Some(later)),
                ("permanent", None),
                ("gains", None),
            ] {
                let member = project.member("acme", user).await.unwrap();
                let admin = member.roles.iter().find(|role| role.role == "Admin").unwrap();
                assert_eq!(admin.expire_time, expiry, "{user}");
                assert!(member.roles.iter().all(|role| role.role == "Admin" || role.expire_time.is_none()), "{user}");
            }
        };
        expiries_are_right(server).await;
        expiries_are_right(&server.restarted().await).await;
    });
}

#[test]
fn r4_in_a_single_role_project_a_temporary_and_a_permanent_role_can_become_one() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.org("acme", "").await;
        let expiry = in_an_hour();
        project.add("acme", "ann", &[role("Member"), temporary("Clerk", expiry)]).await;
        project.add("acme", "bob", &[role("Clerk"), temporary("Admin", expiry)]).await;
        project.add("acme", "cat", &[role("Clerk"), temporary("Owner", expiry)]).await;
        assert_eq!(project.delete_role("Clerk", "Admin").await, 3);
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live, Member overridden");
        let ann = project.member("acme", "ann").await.unwrap();
        assert_eq!(ann.roles[0].expire_time, Some(expiry));
        let merged = project.member("acme", "bob").await.unwrap();
        assert_eq!((shown(&merged).as_str(), merged.roles[0].expire_time), ("Admin live", None));
        assert_eq!(project.roles_of("acme", "cat").await, "Owner live, Admin overridden");
    });
}

#[test]
fn r4_an_expired_role_gets_no_replacement() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.org("acme", "").await;
        let expiry = soon();
        project.add("acme", "ann", &[role("Member"), temporary("Clerk", expiry)]).await;
        project.add("acme", "bob", &[temporary("Clerk", expiry)]).await;
        crate::fixture::wait_until(&expiry).await;
        assert_eq!(project.delete_role("Clerk", "Admin").await, 0);
        assert_eq!(project.roles_of("acme", "ann").await, "Member live");
        refused(project.member("acme", "bob").await, "MEMBER_NOT_FOUND");
        assert_eq!(project.check("acme", "bob", "rolecall::can_invite").await, Decision::NotAMember);
    });
}

#[test]
fn r4_a_replacement_that_is_disabled_where_members_would_get_it_is_refused() {
    on_both(async |server| {
        let project = server.single();
        for name in ["Clerk", "Guest"] {
            project.role(name).await;
        }
        for mapping in ["Free", "Paid", "Unused"] {
            project.mapping(mapping).await;
            project.disable(mapping, &["Guest"]).await;
        }
        project.org("acme", "Free").await;
        project.org("globex", "Paid").await;
        project.org("initech", "").await;
        for (org, user) in [("acme", "ann"), ("acme", "bob"), ("globex", "ann"), ("initech", "ann")] {
            project.add(org, user, &roles(&["Clerk"])).await;
        }
        let deleting = server.delete_role(project.deleting_role("Clerk", "Guest"));
        let answer = refused(server.storing_nothing(deleting).await, "REPLACEMENT_DISABLED");
        assert_eq!(answer.subjects(), ["role_mappings/Free/roles/Guest", "role_mappings/Paid/roles/Guest"]);
        assert_eq!(answer.metadata("members"), "3");
        assert!(answer.message.contains("`Free` (2 members)") && answer.message.contains("`Paid` (1 member)"));
        project.remove("globex", "ann").await;
        project.enable("Free", &["Guest"]).await;
        assert_eq!(
            project.delete_role("Clerk", "Guest").await,
            3,
            "the replacement may be disabled where nobody gets it"
        );
        assert_eq!(project.roles_of("acme", "bob").await, "Guest live");
    });
}

#[test]
fn r4_suspended_members_are_migrated_too() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        project.disable("Default", &["Clerk"]).await;
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk suspended");
        assert_eq!(project.delete_role("Clerk", "Admin").await, 1);
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
    });
}

#[test]
fn r4_an_internal_role_is_replaced_by_an_internal_role_or_removed() {
    on_both(async |server| {
        let project = server.multi().await;
        for name in ["Support", "Engineer"] {
            project.internal_role(name).await;
        }
        project.role("Clerk").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Support"])).await;
        project.add("acme", "bob", &roles(&["Member", "Support"])).await;
        project.add("acme", "cat", &roles(&["Member"])).await;
        server
            .storing_nothing(async {
                for (name, replacement) in [("Support", "Clerk"), ("Clerk", "Support")] {
                    let deleting = server.delete_role(project.deleting_role(name, replacement)).await;
                    let answer = refused(deleting, "REPLACEMENT_UNSUITABLE");
                    assert_eq!(answer.subjects(), [format!("roles/{replacement}")]);
                }
            })
            .await;
        assert_eq!(project.delete_role("Support", "Engineer").await, 2);
        assert_eq!(project.roles_of("acme", "bob").await, "Member live, Engineer live");
        assert_eq!(project.delete_role("Engineer", "").await, 2);
        let is_removed = async |server: &Server| {
            let project = Project { server, key: "multi" };
            assert_eq!(project.roles_of("acme", "bob").await, "Member live");
            refused(project.member("acme", "ann").await, "MEMBER_NOT_FOUND");
            let permission = "rolecall::can_view_other_members";
            assert_eq!(project.check("acme", "ann", permission).await, Decision::NotAMember);
            assert_eq!(project.check("acme", "bob", permission).await, Decision::Allowed);
            assert_eq!(project.holders("acme", "").await, ["bob", "cat"]);
            let request = wire::ListUserMembershipsRequest {
                project: "multi".into(),
                user_id: "ann".into(),
                ..Default::default()
            };
            assert!(server.list_user_memberships(request).await.unwrap().memberships.is_empty());
        };
        is_removed(server).await;
        let server = &server.restarted().await;
        is_removed(server).await;
        // A user left without roles is not a member, and can be added.
        let project = Project { server, key: "multi" };
        refused(server.set_member_roles(project.setting("acme", "ann", &roles(&["Clerk"]))).await, "MEMBER_NOT_FOUND");
        assert_eq!(shown(&project.add("acme", "ann", &roles(&["Clerk"])).await), "Clerk live");
        assert_eq!(project.holders("acme", "").await, ["ann", "bob", "cat"]);
    });
}

#[test]
fn r4_a_role_cannot_replace_itself_and_unknown_roles_are_refused() {
    on_both(async |server| {
        let project = server.single();
        project.rename_role("Admin", "Boss").await;
        server
            .storing_nothing(async {
                for replacement in ["Boss", "Admin"] {
                    let answer = server.delete_role(project.deleting_role("Admin", replacement)).await;
                    assert_eq!(refused(answer, "CONTRADICTION").fields(), ["replacement"]);
                }
                refused(server.delete_role(project.deleting_role("Boss", "Nobody")).await, "ROLE_NOT_FOUND");
                let answer = server.delete_role(project.deleting_role("Bos", "")).await;
                assert_eq!(refused(answer, "ROLE_NOT_FOUND").metadata("suggestion"), "Boss");
            })
            .await;
    });
}

#[test]
fn r4_a_deleted_role_leaves_every_mapping() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.role("Clerk").await;
        project.mapping("Paid").await;
        project.grant("Default", "Clerk", &["p", "rolecall::can_invite"]).await;
        project.grant("Paid", "Clerk", &["p"]).await;
        project.disable("Paid", &["Clerk", "Admin"]).await;
        project.delete_role("Clerk", "").await;
        let has_left = async |server: &Server| {
            let project = server.single();
            for (mapping, grants, disabled) in [("Default", 17, texts(&[])), ("Paid", 0, texts(&["Admin"]))] {
                let rows = project.rows(mapping).await;
                assert_eq!(rows.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), ["Owner", "Admin", "Member"]);
                let mapping = project.get_mapping(mapping).await;
                assert_eq!((mapping.grant_count, mapping.disabled_roles), (grants, disabled));
            }
            let rows = server.list_role_mapping_roles(project.asking_rows("Paid", &["Clerk"])).await;
            refused(rows, "ROLE_NOT_FOUND");
        };
        has_left(server).await;
        has_left(&server.restarted().await).await;
    });
}

#[test]
fn r4_no_member_is_ever_without_both_roles() {
    on_both(async |server| {
        let project = server.multi().await;
        let permission = "rolecall::can_invite";
        for name in ["Clerk 0", "Clerk 1"] {
            project.role(name).await;
            project.grant("Default", name, &[permission]).await;
        }
        project.org("acme", "").await;
        let users: Vec<String> = (0..300).map(|number| format!("user-{number}")).collect();
        // Every third membership is temporary and stored apart from the others.
        let rows = users.iter().enumerate().map(|(at, user)| match at % 3 {
            0 => wire::MemberWrite {
                org_id: "acme".into(),
                user_id: user.clone(),
                write: Some(wire::member_write::Write::Add(wire::RoleAssignments {
                    roles: vec![temporary("Clerk 0", in_an_hour())],
                })),
            },
            1 => row("acme", user, add(&["Clerk 0"])),
            _ => row("acme", user, add(&["Clerk 0", "Member"])),
        });
        server.batch_write_members(project.writing(rows.collect())).await.unwrap();
        let item = |user: &String| wire::CheckItem { user_id: user.clone(), ..Default::default() };
        let asking = wire::BatchCheckRequest {
            project: "multi".into(),
            items: users.iter().map(item).collect(),
            defaults: Some(wire::CheckItem {
                org_id: "acme".into(),
                permission: permission.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let done = AtomicBool::new(false);
        let checking = async {
            let mut batches = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = server.batch_check(asking.clone()).await.unwrap();
                assert!(answer.decisions().all(|decision| decision == Decision::Allowed));
                batches += 1;
            }
            batches
        };
        let listing = async {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(project.holders("acme", "").await.len(), 300);
            }
        };
        let deleting = async {
            for number in 1..12 {
                project.delete_role(&format!("Clerk {}", number - 1), &format!("Clerk {number}")).await;
                let next = format!("Clerk {}", number + 1);
                project.role(&next).await;
                project.grant("Default", &next, &[permission]).await;
            }
            done.store(true, Ordering::Relaxed);
        };
        let (batches, (), ()) = tokio::join!(checking, listing, deleting);
        assert!(batches > 3, "{batches} batches were checked meanwhile");
        assert_eq!(project.holders("acme", "Clerk 11").await.len(), 300);
    });
}

#[test]
fn r5_the_default_roles_cannot_be_deleted_until_others_are_chosen() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        server
            .storing_nothing(async {
                for name in ["Owner", "Member"] {
                    let answer = server.delete_role(project.deleting_role(name, "Admin")).await;
                    let answer = refused(answer, "DEFAULT_ROLE_UNSUITABLE");
                    assert_eq!(answer.subjects(), [format!("roles/{name}")]);
                }
            })
            .await;
        let both =
            wire::Project { default_role: "Admin".into(), default_owner_role: "Admin".into(), ..Default::default() };
        server.update_project(project.updating_project(both)).await.unwrap();
        project.delete_role("Owner", "").await;
        assert_eq!(project.delete_role("Member", "").await, 1);
        assert_eq!(project.roles_of("acme", "ann").await, "Admin live");
        let answer = server.storing_nothing(server.delete_role(project.deleting_role("Admin", ""))).await;
        refused(answer, "DEFAULT_ROLE_UNSUITABLE");
    });
}
