//! What acting users are told they may do: G5.

use std::time::Duration;

use rolecall::limits::TRIALS_MAX;
use rolecall::wire;
use tonic::Status;

use crate::fixture::{Project, in_an_hour, mask, role, roles, suspending, temporary, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

async fn single(server: &Server) -> Project<'_> {
    let project = server.single();
    project.internal_role("Support").await;
    project.role("Clerk").await;
    server.reorder_roles(project.reordering(&["Owner", "Support", "Admin", "Clerk", "Member"])).await.unwrap();
    project.mapping("Free").await;
    project.grant("Free", "Owner", &["rolecall::can_invite", "rolecall::can_change_roles"]).await;
    project.grant("Free", "Admin", &["rolecall::can_change_roles", "rolecall::can_remove_users"]).await;
    for org in ["acme", "globex"] {
        project.org_with_owner(org, "olga").await;
        project.add_all(org, &["adam"], &["Admin"]).await;
        project.add_all(org, &["clara"], &["Clerk"]).await;
        project.add_all(org, &["mia"], &["Member"]).await;
        project.add_all(org, &["sam"], &["Support"]).await;
        project.add(org, "lent", &[role("Member"), temporary("Admin", in_an_hour())]).await;
    }
    project.disable("Free", &["Clerk"]).await;
    let moved = wire::SubscribeOrgRequest { on_disabled: suspending(), ..project.moving("globex", "Free") };
    server.subscribe_org(moved).await.unwrap();
    project
}

async fn multi(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    project.internal_role("Support").await;
    for name in ["Clerk", "Guest", "Hirer"] {
        project.role(name).await;
    }
    project.grant("Default", "Hirer", &["rolecall::can_change_roles", "rolecall::can_remove_users"]).await;
    project.manage("Hirer", &["Clerk", "Support", "Hirer"]).await;
    project.mapping("Free").await;
    project.grant("Free", "Admin", &["rolecall::can_change_roles", "rolecall::can_invite"]).await;
    project.manage("Admin", &["Member", "Guest", "Clerk"]).await;
    project.disable("Free", &["Clerk"]).await;
    for org in ["acme", "globex"] {
        project.org_with_owner(org, "olga").await;
        project.add_all(org, &["adam"], &["Admin", "Guest"]).await;
        project.add_all(org, &["clara"], &["Clerk", "Guest"]).await;
        project.add_all(org, &["mia"], &["Member"]).await;
        project.add_all(org, &["sam"], &["Support"]).await;
        project.add_all(org, &["sue"], &["Support", "Clerk"]).await;
        project.add(org, "lent", &[role("Member"), temporary("Hirer", in_an_hour())]).await;
    }
    project.subscribe("globex", "Free").await;
    project
}

/// Whether a write would be done. Refused must it be for what it asks, not for how.
fn allowed<T>(answer: Result<T, Status>) -> bool {
    match answer {
        Ok(_) => true,
        Err(status) => {
            assert_ne!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
            false
        }
    }
}

/// Tries what `ListManageableRoles` tells of a target by the writes themselves, dry.
async fn agrees(project: Project<'_>, org: &str, acting: &str, target: &str) {
    let server = project.server;
    let told = server.list_manageable_roles(project.asking_manageable(org, acting, target)).await;
    let told = match told {
        Ok(told) => told,
        Err(status) => {
            // Who may not see others is told nothing of them; who is none of the org, nothing at all.
            let reason = if acting == "nobody" { "ACTING_USER_NOT_A_MEMBER" } else { "VIEWER_MISSING_PERMISSION" };
            refused::<()>(Err(status), reason);
            return;
        }
    };
    let mut held = project.member(org, target).await.map_or_else(|_| vec![], |member| member.roles);
    held.retain(|held| held.role != "Support");
    let removal = wire::RemoveMemberRequest {
        acting_user_id: acting.into(),
        validate_only: true,
        ..project.removing(org, target)
    };
    let removal = allowed(server.remove_member(removal).await);
    assert_eq!(told.remove, removal, "{acting} removes {target} from {org}");
    for manageable in &told.roles {
        let name = &manageable.role;
        let mut given = role(name);
        given.expire_time = manageable.expire_time_max;
        let set = async |roles: Vec<wire::RoleAssignment>| {
            let request = wire::SetMemberRolesRequest {
                acting_user_id: acting.into(),
                validate_only: true,
                ..project.setting(org, target, &roles)
            };
            allowed(server.set_member_roles(request).await)
        };
        let invitation = wire::AddMemberRequest {
            acting_user_id: acting.into(),
            validate_only: true,
            ..project.adding(org, target, &[given.clone()])
        };
        let context = format!("{org}: {acting}, {name}, {target}");
        assert_eq!(manageable.invite, allowed(server.add_member(invitation).await), "invite {context}");
        let repeated = |kept: &dyn Fn(&wire::MemberRole) -> bool| {
            let kept = held.iter().filter(|held| kept(held)).map(|held| role(&held.role));
            kept.collect::<Vec<wire::RoleAssignment>>()
        };
        let holds = held.iter().any(|held| held.role == *name);
        if project.key.is_empty() {
            if !holds {
                assert_eq!(manageable.give, set(vec![given]).await, "give {context}");
            }
        } else if !holds {
            let mut all = repeated(&|_| true);
            all.push(given);
            assert_eq!(manageable.give, set(all).await, "give {context}");
        }
        let rest = repeated(&|held| held.role != *name);
        let taken = match (holds, rest.is_empty()) {
            (false, _) => false,
            (true, true) => removal,
            (true, false) => set(rest).await,
        };
        assert_eq!(manageable.take, taken, "take {context}");
    }
}

#[test]
fn g5_what_is_told_is_what_the_writes_do() {
    on_both(async |server| {
        for project in [single(server).await, multi(server).await] {
            server
                .storing_nothing(async {
                    for org in ["acme", "globex"] {
                        for acting in ["olga", "adam", "clara", "mia", "lent", "sam", "nobody"] {
                            for target in ["olga", "adam", "clara", "mia", "lent", "nobody"] {
                                agrees(project, org, acting, target).await;
                            }
                        }
                    }
                })
                .await;
        }
    });
}

#[test]
fn g5_an_administrator_may_manage_what_is_below() {
    on_both(async |server| {
        let project = single(server).await;
        let told = async |acting: &str, target: &str| project.manageable("acme", acting, target).await;
        assert_eq!(told("adam", "").await, "Clerk invite give take, Member invite give take; remove");
        assert_eq!(
            told("olga", "").await,
            "Owner invite give take, Admin invite give take, Clerk invite give take, Member invite give take; remove"
        );
        assert_eq!(told("clara", "").await, "");
        assert_eq!(told("adam", "mia").await, "Clerk give, Member give take; remove");
        // To write what is there already changes nothing, and is refused to nobody who is able.
        assert_eq!(told("adam", "olga").await, "Owner give");
        assert_eq!(told("adam", "nobody").await, "Clerk invite, Member invite");
        // Leaving and stepping down are everybody's own.
        assert_eq!(told("mia", "mia").await, "Member give take; remove");
        // What is lent is given no longer than it is lent.
        let request = project.asking_manageable("acme", "lent", "");
        let lent = server.list_manageable_roles(request).await.unwrap();
        let member = lent.roles.iter().find(|role| role.role == "Member").unwrap();
        assert!(member.invite && member.expire_time_max.is_some());
        assert!(lent.roles.iter().all(|role| role.role != "Support"), "internal roles are left out");
    });
}

#[test]
fn g5_the_list_comes_by_pages_in_the_order_of_the_roles() {
    on_both(async |server| {
        let project = multi(server).await;
        let asking = |page_size, page_token: &str| wire::ListManageableRolesRequest {
            page_size,
            page_token: page_token.into(),
            ..project.asking_manageable("acme", "olga", "clara")
        };
        let all = server.list_manageable_roles(asking(0, "")).await.unwrap();
        let names: Vec<&str> = all.roles.iter().map(|role| role.role.as_str()).collect();
        assert_eq!(names, ["Owner", "Admin", "Member", "Clerk", "Guest", "Hirer"]);
        assert_eq!((all.next_page_token.as_str(), &all.revision), ("", &server.token().await));
        for size in 1..=7 {
            let (mut paged, mut token) = (Vec::new(), String::new());
            loop {
                let page = server.list_manageable_roles(asking(size, &token)).await.unwrap();
                assert!(page.roles.len() <= size as usize && page.remove == all.remove);
                paged.extend(page.roles);
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(paged, all.roles);
        }
        let token = server.list_manageable_roles(asking(2, "")).await.unwrap().next_page_token;
        for other in [
            wire::ListManageableRolesRequest { target_user_id: "mia".into(), ..asking(2, &token) },
            wire::ListManageableRolesRequest { acting_user_id: "adam".into(), ..asking(2, &token) },
            wire::ListManageableRolesRequest { org_id: "globex".into(), ..asking(2, &token) },
        ] {
            refused(server.list_manageable_roles(other).await, "PAGE_TOKEN_INVALID");
        }
        let order = ["Admin", "Owner", "Member", "Support", "Clerk", "Guest", "Hirer"];
        server.reorder_roles(project.reordering(&order)).await.unwrap();
        refused(server.list_manageable_roles(asking(2, &token)).await, "PAGE_TOKEN_INVALID");
    });
}

#[test]
fn g5_the_acting_user_must_be_a_member_and_see_the_target() {
    on_both(async |server| {
        let project = single(server).await;
        let ask = async |acting: &str, target: &str| {
            server.list_manageable_roles(project.asking_manageable("acme", acting, target)).await
        };
        for acting in ["nobody", "zoe"] {
            let refused = refused(ask(acting, "").await, "ACTING_USER_NOT_A_MEMBER");
            assert_eq!(refused.metadata("user_id"), acting);
        }
        let nowhere = project.asking_manageable("nowhere", "olga", "");
        assert_eq!(refused(server.list_manageable_roles(nowhere).await, "ORG_NOT_FOUND").resource().1, "nowhere");
        // Whoever may not see others may not learn of them.
        let blind = wire::UpdateRoleMappingRequest {
            edits: vec![wire::GrantEdit {
                role: "Member".into(),
                remove: texts(&["rolecall::can_view_other_members"]),
                ..Default::default()
            }],
            ..project.updating("Default")
        };
        server.update_role_mapping(blind).await.unwrap();
        for target in ["olga", "nobody"] {
            let refused = refused(ask("mia", target).await, "VIEWER_MISSING_PERMISSION");
            assert_eq!(refused.metadata("permission"), "rolecall::can_view_other_members");
        }
        ask("mia", "mia").await.unwrap();
        ask("mia", "").await.unwrap();
        // The target may be unknown, and is then one to invite.
        let renamed = wire::UpdateRoleRequest {
            name: "Clerk".into(),
            resource: Some(wire::Role { name: "Seller".into(), ..Default::default() }),
            update_mask: mask(&["name"]),
            ..Default::default()
        };
        server.update_role(renamed).await.unwrap();
        assert_eq!(project.manageable("acme", "adam", "nobody").await, "Seller invite, Member invite");
        project.add_by("adam", "acme", "nobody", &roles(&["Seller"])).await.unwrap();
    });
}

#[test]
fn g5_few_are_answered_at_one_time_and_the_others_wait() {
    on_both(async |server| {
        let project = single(server).await;
        let trials = server.app().trials.clone();
        let turns = trials.clone().acquire_many_owned(TRIALS_MAX as u32).await.unwrap();
        let mut waiting = std::pin::pin!(project.manageable("acme", "adam", "mia"));
        assert!(
            tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err(),
            "nobody's turn has ended"
        );
        assert_eq!(project.check("acme", "mia", "rolecall::can_view_other_members").await, wire::Decision::Allowed);
        drop(turns);
        assert_eq!(waiting.await, "Clerk give, Member give take; remove");
        assert_eq!(trials.available_permits(), TRIALS_MAX);
    });
}
