//! Last owners: B3.

use rolecall::wire;

use crate::fixture::{
    Project, add, in_an_hour, permanent, remove, role, roles, row, set, soon, temporary, texts, wait_until,
};
use crate::refusals::{Refused, refused};
use crate::server::on_both;

/// Checks that a refusal names the org.
#[track_caller]
fn assert_last_owner(refused: &Refused, org: &str) {
    assert_eq!(refused.subjects(), [format!("orgs/{org}")]);
    assert_eq!(refused.metadata("rule"), "B3");
    assert!(refused.message.contains("`Owner`") && refused.message.contains(org), "{}", refused.message);
}

/// Returns the ids of all orgs without an owner.
async fn ownerless(project: Project<'_>, role_mapping: &str, page_size: i32) -> Vec<String> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListOrgsRequest {
            project: project.key.into(),
            role_mapping: role_mapping.into(),
            ownerless: true,
            page_size,
            page_token,
        };
        let page = project.server.list_orgs(request).await.unwrap();
        assert!(page_size == 0 || page.orgs.len() <= page_size as usize);
        ids.extend(page.orgs.into_iter().map(|org| org.org_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

fn changing_owner_role(project: Project<'_>, role: &str) -> wire::UpdateProjectRequest {
    let resource = wire::Project { default_owner_role: role.into(), ..Default::default() };
    wire::UpdateProjectRequest { project: project.key.into(), resource: Some(resource), ..Default::default() }
}

#[test]
fn b3_the_last_owner_cannot_be_removed_demoted_or_made_temporary() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        server
            .storing_nothing(async {
                assert_last_owner(
                    &refused(server.remove_member(project.removing("acme", "ann")).await, "LAST_OWNER"),
                    "acme",
                );
                for given in [
                    vec![role("Admin")],
                    vec![temporary("Owner", in_an_hour())],
                    vec![temporary("Owner", in_an_hour()), role("Admin")],
                ] {
                    let answer = server.set_member_roles(project.setting("acme", "ann", &given)).await;
                    assert_last_owner(&refused(answer, "LAST_OWNER"), "acme");
                }
            })
            .await;
        // Changes that keep the owner role are allowed, and so are changes of other members.
        project.set("acme", "ann", &roles(&["Owner", "Admin"])).await;
        project.set("acme", "bob", &roles(&["Admin"])).await;
        // Of two owners one may leave, but not the other one afterwards.
        project.add("acme", "cat", &roles(&["Owner"])).await;
        project.remove("acme", "ann").await;
        let answer = server.storing_nothing(server.remove_member(project.removing("acme", "cat"))).await;
        assert_last_owner(&refused(answer, "LAST_OWNER"), "acme");
    });
}

#[test]
fn b3_a_temporary_owner_does_not_count() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &[temporary("Owner", in_an_hour())]).await;
        let answer = server.storing_nothing(server.remove_member(project.removing("acme", "ann"))).await;
        assert_last_owner(&refused(answer, "LAST_OWNER"), "acme");
        // A temporary owner who role_changes permanent counts.
        project.set("acme", "bob", &[permanent("Owner")]).await;
        project.remove("acme", "ann").await;
        assert_eq!(project.roles_of("acme", "bob").await, "Owner live");
    });
}

#[test]
fn b3_allow_ownerless_overrides_the_rule() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex", "initech"] {
            project.org_with_owner(org, "ann").await;
            project.add(org, "bob", &roles(&["Member"])).await;
        }
        let removing = wire::RemoveMemberRequest { allow_ownerless: true, ..project.removing("acme", "ann") };
        server.remove_member(removing).await.unwrap();
        let setting = project.setting("globex", "ann", &roles(&["Admin"]));
        let setting = wire::SetMemberRolesRequest { allow_ownerless: true, ..setting };
        server.set_member_roles(setting).await.unwrap();
        let rows = || project.writing(vec![row("initech", "ann", remove())]);
        let answer = server.storing_nothing(server.batch_write_members(rows())).await;
        refused(answer, "LAST_OWNER");
        let allowed = wire::BatchWriteMembersRequest { allow_ownerless: true, ..rows() };
        server.batch_write_members(allowed).await.unwrap();
        assert_eq!(ownerless(project, "", 0).await, ["acme", "globex", "initech"]);
        // An org without an owner cannot lose one.
        project.set("acme", "bob", &roles(&["Admin"])).await;
        project.remove("acme", "bob").await;
    });
}

#[test]
fn b3_the_owner_may_leave_if_no_visible_member_is_left() {
    on_both(async |server| {
        let project = server.multi().await;
        project.internal_role("Support").await;
        for org in ["alone", "becomes-internal", "served", "expired"] {
            project.org_with_owner(org, "ann").await;
        }
        project.remove("alone", "ann").await;
        // Internal members do not count, not even a former owner.
        project.set("becomes-internal", "ann", &roles(&["Support"])).await;
        project.add("served", "ivy", &roles(&["Support"])).await;
        project.remove("served", "ann").await;
        // Neither do members whose roles have all expired.
        let soon = soon();
        project.add("expired", "bob", &[temporary("Member", soon)]).await;
        let answer = server.storing_nothing(server.remove_member(project.removing("expired", "ann"))).await;
        assert_last_owner(&refused(answer, "LAST_OWNER"), "expired");
        wait_until(&soon).await;
        project.remove("expired", "ann").await;
        // A member with an internal and a visible role is a visible member.
        project.org_with_owner("both", "ann").await;
        project.add("both", "ivy", &roles(&["Support", "Member"])).await;
        let answer = server.storing_nothing(server.remove_member(project.removing("both", "ann"))).await;
        assert_last_owner(&refused(answer, "LAST_OWNER"), "both");
    });
}

#[test]
fn b3_owners_cannot_all_step_down_in_one_call() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Owner"])).await;
        for (other, subjects) in [
            (set(&["Member"]), ["rows[0].set", "rows[1].set"]),
            (set(&["Admin", "Member"]), ["rows[0].set", "rows[1].set"]),
            (remove(), ["rows[0].set", "rows[1]"]),
        ] {
            let rows = vec![row("acme", "ann", set(&["Member"])), row("acme", "bob", other)];
            let answer = server.storing_nothing(server.batch_write_members(project.writing(rows))).await;
            assert_eq!(refused(answer, "LAST_OWNER").subjects(), subjects);
        }
        // Nobody is left, so nobody needs an owner.
        let rows = vec![row("acme", "ann", remove()), row("acme", "bob", remove())];
        server.batch_write_members(project.writing(rows)).await.unwrap();
    });
}

#[test]
fn b3_the_only_owner_cannot_step_down() {
    on_both(async |server| {
        for project in [server.single(), server.multi().await] {
            project.org_with_owner("alone", "ann").await;
            project.org_with_owner("acme", "ann").await;
            project.add("acme", "bob", &roles(&["Member"])).await;
            for org in ["alone", "acme"] {
                for given in [vec![role("Member")], vec![temporary("Owner", in_an_hour())]] {
                    for acting_user_id in ["", "ann"] {
                        let setting = project.setting(org, "ann", &given);
                        let setting = wire::SetMemberRolesRequest { acting_user_id: acting_user_id.into(), ..setting };
                        let answer = server.storing_nothing(server.set_member_roles(setting)).await;
                        assert_last_owner(&refused(answer, "LAST_OWNER"), org);
                    }
                }
                let ask = wire::ListManageableRolesRequest {
                    project: project.key.into(),
                    org_id: org.into(),
                    acting_user_id: "ann".into(),
                    target_user_id: "ann".into(),
                    ..Default::default()
                };
                let manageable = server.list_manageable_roles(ask).await.unwrap();
                let owner = manageable.roles.iter().find(|role| role.role == "Owner").unwrap();
                assert_eq!((owner.take, manageable.remove), (org == "alone", org == "alone"));
            }
            // The last member may leave.
            let leaving =
                wire::RemoveMemberRequest { acting_user_id: "ann".into(), ..project.removing("alone", "ann") };
            server.remove_member(leaving).await.unwrap();
        }
    });
}

#[test]
fn b3_another_default_owner_role_is_refused_where_orgs_have_only_owners() {
    on_both(async |server| {
        let project = server.multi().await;
        for org in ["b", "a"] {
            project.org_with_owner(org, "ann").await;
        }
        project.org("nobody", "").await;
        let answer = server.storing_nothing(server.update_project(changing_owner_role(project, "Admin"))).await;
        let refused_change = refused(answer, "LAST_OWNER");
        assert_eq!((refused_change.subjects(), refused_change.metadata("orgs")), (vec!["orgs/a"], "2"));
        for org in ["a", "b"] {
            project.set(org, "ann", &roles(&["Owner", "Admin"])).await;
        }
        server.update_project(changing_owner_role(project, "Admin")).await.unwrap();
    });
}

#[test]
fn b3_a_suspended_member_counts_as_a_member() {
    on_both(async |server| {
        let project = server.multi().await;
        project.role("Clerk").await;
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Clerk"])).await;
        project.disable("Default", &["Clerk"]).await;
        let answer = server.storing_nothing(server.remove_member(project.removing("acme", "ann"))).await;
        assert_last_owner(&refused(answer, "LAST_OWNER"), "acme");
    });
}

#[test]
fn b3_a_bulk_write_is_judged_by_its_result() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        // The owner is removed in the first row and replaced in the last one.
        let swap = vec![row("acme", "ann", remove()), row("acme", "bob", set(&["Owner"]))];
        server.batch_write_members(project.writing(swap)).await.unwrap();
        let swap = vec![row("acme", "bob", set(&["Member"])), row("acme", "cat", add(&["Owner"]))];
        server.batch_write_members(project.writing(swap)).await.unwrap();
        assert_eq!(project.roles_of("acme", "cat").await, "Owner live");
        // All members leave together.
        let rows = vec![row("acme", "cat", remove()), row("acme", "bob", remove())];
        server.batch_write_members(project.writing(rows)).await.unwrap();
        // The new member is not an owner, so the owner cannot leave.
        project.org_with_owner("globex", "ann").await;
        let rows = vec![row("globex", "ann", remove()), row("globex", "bob", add(&["Member"]))];
        let answer = server.storing_nothing(server.batch_write_members(project.writing(rows))).await;
        assert_eq!(refused(answer, "LAST_OWNER").subjects(), ["rows[0]"]);
    });
}

#[test]
fn b3_every_row_that_removes_one_of_the_last_owners_is_named() {
    on_both(async |server| {
        let project = server.multi().await;
        for org in ["acme", "globex", "initech"] {
            project.org_with_owner(org, "ann").await;
            project.add(org, "bob", &roles(&["Owner"])).await;
            project.add(org, "cat", &roles(&["Member"])).await;
        }
        let rows = vec![
            row("acme", "ann", remove()),
            row("initech", "ann", remove()),
            row("globex", "bob", set(&["Admin"])),
            row("globex", "dan", add(&["Member"])),
            row("globex", "ann", set(&["Member"])),
        ];
        let answer = server.storing_nothing(server.batch_write_members(project.writing(rows))).await;
        let refused = refused(answer, "LAST_OWNER");
        assert_eq!(refused.subjects(), ["rows[2].set", "rows[4].set"]);
        assert_eq!((refused.metadata("rows"), refused.metadata("rows_total")), ("2,4", "2"));
    });
}

#[test]
fn b3_orgs_without_an_owner_are_listed() {
    on_both(async |server| {
        let project = server.multi().await;
        project.mapping("Paid").await;
        let soon = soon();
        project.org_with_owner("owned", "ann").await;
        project.org("nobody", "").await;
        project.org("members", "Paid").await;
        project.add("members", "bob", &roles(&["Admin", "Member"])).await;
        project.org("for-now", "").await;
        project.add("for-now", "ann", &[temporary("Owner", in_an_hour()), role("Member")]).await;
        project.org("expired", "").await;
        project.add("expired", "ann", &[temporary("Owner", soon)]).await;
        project.org("both", "Paid").await;
        project.add("both", "ann", &[temporary("Owner", in_an_hour())]).await;
        project.add("both", "bob", &roles(&["Owner", "Admin"])).await;
        // Here another role is temporary; the owner role is permanent.
        project.org("other-role", "").await;
        project.add("other-role", "ann", &[role("Owner"), temporary("Admin", in_an_hour())]).await;
        project.org("deleted", "").await;
        project.delete_org("deleted").await;
        wait_until(&soon).await;
        let expected = ["expired", "for-now", "members", "nobody"];
        for page_size in [0, 1, 2, 3, 4, 5] {
            assert_eq!(ownerless(project, "", page_size).await, expected, "pages of {page_size}");
        }
        assert_eq!(ownerless(project, "Paid", 0).await, ["members"]);
        // Another default owner role makes other members owners.
        let changed = wire::UpdateProjectRequest { allow_ownerless: true, ..changing_owner_role(project, "Admin") };
        server.update_project(changed).await.unwrap();
        assert_eq!(ownerless(project, "", 0).await, ["expired", "for-now", "nobody", "other-role", "owned"]);
        let first = wire::ListOrgsRequest { project: "multi".into(), page_size: 1, ..Default::default() };
        let page_token = server.list_orgs(first.clone()).await.unwrap().next_page_token;
        let other = wire::ListOrgsRequest { ownerless: true, page_token, ..first };
        refused(server.list_orgs(other).await, "PAGE_TOKEN_INVALID");
    });
}

#[test]
fn b3_another_default_owner_role_is_checked_in_every_org() {
    on_both(async |server| {
        let project = server.multi().await;
        project.internal_role("Support").await;
        for org in ["b", "a", "c"] {
            project.org_with_owner(org, "ann").await;
            project.add(org, "bob", &roles(&["Member"])).await;
        }
        // Internal members need no owner.
        project.org("served", "").await;
        project.add("served", "ivy", &roles(&["Support"])).await;
        let answer = server.storing_nothing(server.update_project(changing_owner_role(project, "Admin"))).await;
        let refused_change = refused(answer, "LAST_OWNER");
        assert_eq!((refused_change.subjects(), refused_change.metadata("orgs")), (vec!["orgs/a"], "3"));
        for org in ["a", "b", "c"] {
            project.set(org, "bob", &roles(&["Admin"])).await;
        }
        server.update_project(changing_owner_role(project, "Admin")).await.unwrap();
        let answer = server.storing_nothing(server.remove_member(project.removing("a", "bob"))).await;
        let refused_removal = refused(answer, "LAST_OWNER");
        assert!(refused_removal.message.contains("`Admin`"), "{}", refused_removal.message);
        project.remove("a", "ann").await;
    });
}

#[test]
fn b3_a_replacement_makes_an_owner() {
    on_both(async |server| {
        let project = server.multi().await;
        project.role("Chief").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Chief"])).await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        let request = wire::DeleteRoleRequest {
            project: project.key.into(),
            name: "Chief".into(),
            replacement: "Owner".into(),
            ..Default::default()
        };
        server.delete_role(request).await.unwrap();
        assert!(ownerless(project, "", 0).await.is_empty());
        let answer = server.storing_nothing(server.remove_member(project.removing("acme", "ann"))).await;
        assert_last_owner(&refused(answer, "LAST_OWNER"), "acme");
    });
}

#[test]
fn b3_if_two_owners_leave_at_the_same_time_one_stays() {
    on_both(async |server| {
        let project = server.single();
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Owner"])).await;
        project.add("acme", "cat", &roles(&["Member"])).await;
        let (first, second) = tokio::join!(
            server.remove_member(project.removing("acme", "ann")),
            server.remove_member(project.removing("acme", "bob"))
        );
        let (left, stayed): (Vec<_>, Vec<_>) = [first.map(drop), second.map(drop)].into_iter().partition(Result::is_ok);
        assert_eq!((left.len(), stayed.len()), (1, 1));
        for stayed in stayed {
            assert_last_owner(&refused(stayed, "LAST_OWNER"), "acme");
        }
        let owners = wire::ListMembersRequest { org_id: "acme".into(), role: "Owner".into(), ..Default::default() };
        assert_eq!(server.list_members(owners).await.unwrap().members.len(), 1);
        assert_eq!(texts(&[]), ownerless(project, "", 0).await);
    });
}
