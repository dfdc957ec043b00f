//! `ListManageableRoles`: G5.

use std::time::Duration;

use rolecall::domain::ProjectKey;
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
        project.add(org, "tim", &[role("Member"), temporary("Admin", in_an_hour())]).await;
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
        project.add(org, "tim", &[role("Member"), temporary("Hirer", in_an_hour())]).await;
    }
    project.subscribe("globex", "Free").await;
    project
}

/// Returns true if the write is allowed. Panics if the request is malformed.
fn allowed<T>(answer: Result<T, Status>) -> bool {
    match answer {
        Ok(_) => true,
        Err(status) => {
            assert_ne!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
            false
        }
    }
}

/// Compares the answer of `ListManageableRoles` with previews of the writes.
async fn agrees(project: Project<'_>, org: &str, acting: &str, target: &str) {
    let server = project.server;
    let answer = server.list_manageable_roles(project.asking_manageable(org, acting, target)).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => {
            // A member who may not see others gets no answer about them. A user who is not a member gets none at all.
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
    assert_eq!(answer.remove, removal, "{acting} removes {target} from {org}");
    for manageable in &answer.roles {
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
fn g5_the_answer_agrees_with_the_writes() {
    on_both(async |server| {
        for project in [single(server).await, multi(server).await] {
            server
                .storing_nothing(async {
                    for org in ["acme", "globex"] {
                        for acting in ["olga", "adam", "clara", "mia", "tim", "sam", "nobody"] {
                            for target in ["olga", "adam", "clara", "mia", "tim", "nobody"] {
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
fn g5_an_admin_manages_the_roles_below() {
    on_both(async |server| {
        let project = single(server).await;
        let manageable = async |acting: &str, target: &str| project.manageable("acme", acting, target).await;
        assert_eq!(manageable("adam", "").await, "Clerk invite give take, Member invite give take; remove");
        assert_eq!(
            manageable("olga", "").await,
            "Owner invite give take, Admin invite give take, Clerk invite give take, Member invite give take; remove"
        );
        assert_eq!(manageable("clara", "").await, "");
        assert_eq!(manageable("adam", "mia").await, "Clerk give, Member give take; remove");
        // Giving a role that the target holds changes nothing. Everybody with the ability may do it.
        assert_eq!(manageable("adam", "olga").await, "Owner give");
        assert_eq!(manageable("adam", "nobody").await, "Clerk invite, Member invite");
        // Everybody may leave and step down.
        assert_eq!(manageable("mia", "mia").await, "Member give take; remove");
        // A role given by a temporary role must not outlast it.
        let request = project.asking_manageable("acme", "tim", "");
        let answer = server.list_manageable_roles(request).await.unwrap();
        let member = answer.roles.iter().find(|role| role.role == "Member").unwrap();
        assert!(member.invite && member.expire_time_max.is_some());
        assert!(answer.roles.iter().all(|role| role.role != "Support"), "internal roles are left out");
    });
}

#[test]
fn g5_the_list_is_paged_in_role_order() {
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
        // A member who may not see others must not learn about them.
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
        // An unknown target can be invited.
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
fn g5_calls_of_a_project_wait_for_each_other_and_delay_no_other_project() {
    on_both(async |server| {
        let project = single(server).await;
        let other = server.multi().await;
        other.org_with_owner("acme", "adam").await;
        let app = server.app();
        let turn = app.trial_turns.next(app.project_id(&ProjectKey::default_project())).await.unwrap();
        let mut waiting = std::pin::pin!(project.manageable("acme", "adam", "mia"));
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err(), "no turn is free");
        assert_eq!(project.check("acme", "mia", "rolecall::can_view_other_members").await, wire::Decision::Allowed);
        other.manageable("acme", "adam", "").await;
        drop(turn);
        assert_eq!(waiting.await, "Clerk give, Member give take; remove");
    });
}
