//! Writes of acting users: G1 to G4 and G6. ListManageableRoles is in `manageable.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use rolecall::wire::{self, Decision};
use tonic::Status;

use crate::contract::Contract;
use crate::fixture::{
    Project, after, in_an_hour, permanent, role, role_changes, roles, shown, soon, suspending_with_fallback, temporary,
    texts, wait_until,
};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both};

/// Creates org acme in the project `default`, which is SINGLE_ROLE: Owner olga, Admin adam, Members mia and max.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.single();
    project.org_with_owner("acme", "olga").await;
    project.add_all("acme", &["adam"], &["Admin"]).await;
    project.add_all("acme", &["mia", "max"], &["Member"]).await;
    project
}

/// Creates a MULTI_ROLE project. Role Hirer manages Clerk, Chief manages Guest. Both grant can_change_roles. Only Hirer grants
/// can_invite. Idle manages three roles but grants nothing.
async fn agency(server: &Server) -> Project<'_> {
    let project = server.multi().await;
    for name in ["Clerk", "Guest", "Hirer", "Chief", "Idle"] {
        project.role(name).await;
    }
    project.grant("Default", "Hirer", &["rolecall::can_change_roles", "rolecall::can_invite"]).await;
    project.grant("Default", "Chief", &["rolecall::can_change_roles"]).await;
    project.manage("Hirer", &["Clerk"]).await;
    project.manage("Chief", &["Guest"]).await;
    project.manage("Idle", &["Clerk", "Guest", "Member"]).await;
    project.org("acme", "").await;
    project.add_all("acme", &["olga"], &["Owner"]).await;
    project
}

async fn update_by(project: Project<'_>, acting: &str) -> Result<wire::UpdateOrgResponse, Status> {
    let request = wire::UpdateOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        resource: Some(wire::Org { display_name: format!("Acme of {acting}"), ..Default::default() }),
        acting_user_id: acting.into(),
        ..Default::default()
    };
    project.server.update_org(request).await
}

async fn delete_by(project: Project<'_>, acting: &str) -> Result<wire::DeleteOrgResponse, Status> {
    let request = wire::DeleteOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        acting_user_id: acting.into(),
        ..Default::default()
    };
    project.server.delete_org(request).await
}

#[track_caller]
fn out_of_scope<T: std::fmt::Debug>(answer: Result<T, Status>, role: &str) -> Refused {
    let refused = refused(answer, "ROLE_OUT_OF_SCOPE");
    assert_eq!((refused.metadata("role"), refused.metadata("rule")), (role, "G2"));
    refused
}

#[track_caller]
fn lacks<T: std::fmt::Debug>(answer: Result<T, Status>, permission: &str) {
    let refused = refused(answer, "ACTING_USER_MISSING_PERMISSION");
    assert_eq!((refused.metadata("permission"), refused.metadata("rule")), (permission, "G1"));
}

#[test]
fn g1_only_nine_writes_accept_an_acting_user() {
    let contract = Contract::read();
    let takes = |request: &str| contract.fields(request).unwrap().iter().any(|field| field.name() == "acting_user_id");
    let takers: BTreeSet<&str> = contract
        .writes()
        .filter(|method| takes(&method.request))
        .map(|method| method.path.rsplit('/').next().unwrap())
        .collect();
    let nine = [
        "AddMember",
        "SetMemberRoles",
        "RemoveMember",
        "UpdateOrg",
        "DeleteOrg",
        "SetOrgDomains",
        "CreateInvitation",
        "BatchCreateInvitations",
        "RevokeInvitation",
    ];
    assert_eq!(takers, BTreeSet::from(nine));
}

#[test]
fn g1_an_acting_user_must_be_a_member_of_the_org() {
    on_both(async |server| {
        let project = shop(server).await;
        project.org_with_owner("globex", "zoe").await;
        let soon = soon();
        project.add("acme", "tom", &[temporary("Owner", soon)]).await;
        wait_until(&soon).await;
        server
            .storing_nothing(async {
                // A user without an org, the owner of another org, and a user with an expired role.
                for acting in ["nobody", "zoe", "tom"] {
                    let no_member = |answer: Result<String, Status>| {
                        let refused = refused(answer, "ACTING_USER_NOT_A_MEMBER");
                        assert_eq!((refused.metadata("user_id"), refused.metadata("rule")), (acting, "G1"));
                    };
                    let member = roles(&["Member"]);
                    no_member(project.add_by(acting, "acme", "eve", &member).await.map(|it| it.revision));
                    no_member(project.set_by(acting, "acme", "mia", &member).await.map(|it| it.revision));
                    no_member(project.remove_by(acting, "acme", "mia").await.map(|it| it.revision));
                    no_member(project.remove_by(acting, "acme", acting).await.map(|it| it.revision));
                    no_member(update_by(project, acting).await.map(|it| it.revision));
                    no_member(delete_by(project, acting).await.map(|it| it.revision));
                }
                refused(project.add_by("olga", "nowhere", "eve", &roles(&["Member"])).await, "ORG_NOT_FOUND");
            })
            .await;
    });
}

#[test]
fn g1_each_write_needs_its_ability_from_a_live_role() {
    on_both(async |server| {
        let project = shop(server).await;
        project.mapping("Bare").await;
        let member = roles(&["Member"]);
        let lacks_all = async |acting: &str| {
            server
                .storing_nothing(async {
                    lacks(project.add_by(acting, "acme", "eve", &member).await, "rolecall::can_invite");
                    lacks(project.set_by(acting, "acme", "max", &member).await, "rolecall::can_change_roles");
                    lacks(project.remove_by(acting, "acme", "max").await, "rolecall::can_remove_users");
                    lacks(update_by(project, acting).await, "rolecall::can_update_org_metadata");
                    lacks(delete_by(project, acting).await, "rolecall::can_delete_org");
                })
                .await;
        };
        lacks_all("mia").await;
        // The mapping of the org counts: Bare grants nothing.
        project.subscribe("acme", "Bare").await;
        lacks_all("olga").await;
        project.subscribe("acme", "Default").await;
        let added = project.add_by("adam", "acme", "eve", &member).await.unwrap();
        assert_eq!(added.member.unwrap().user_id, "eve");
        update_by(project, "adam").await.unwrap();
        let org = wire::GetOrgRequest { org_id: "acme".into(), ..Default::default() };
        assert_eq!(server.get_org(org).await.unwrap().org.unwrap().display_name, "Acme of adam");
        project.remove_by("adam", "acme", "eve").await.unwrap();
        lacks(server.storing_nothing(delete_by(project, "adam")).await, "rolecall::can_delete_org");
        assert_eq!(delete_by(project, "olga").await.unwrap().removed_memberships, 4);
        assert_eq!(project.check("acme", "olga", "rolecall::can_invite").await, Decision::OrgNotFound);
    });
}

#[test]
fn g1_the_acting_user_is_recorded() {
    on_both(async |server| {
        let project = shop(server).await;
        let before = server.head().await;
        project.add_by("adam", "acme", "eve", &roles(&["Member"])).await.unwrap();
        project.remove("acme", "eve").await;
        let commits = server.commits_since(before).await;
        let acting: Vec<Option<&str>> =
            commits.iter().map(|it| it.acting_user.as_ref().map(|it| it.as_str())).collect();
        assert_eq!(acting, [Some("adam"), None]);
    });
}

#[test]
fn g1_a_fallback_role_gives_abilities_and_a_suspended_role_none() {
    on_both(async |server| {
        let project = shop(server).await;
        project.role("Helper").await;
        project.mapping("Free").await;
        project.grant("Free", "Helper", &["rolecall::can_invite"]).await;
        project.disable("Free", &["Admin"]).await;
        let order = project.reordering(&["Owner", "Admin", "Helper", "Member"]);
        server.reorder_roles(order).await.unwrap();
        let downgrade = wire::SubscribeOrgRequest {
            on_disabled: suspending_with_fallback("Helper"),
            ..project.moving("acme", "Free")
        };
        server.subscribe_org(downgrade).await.unwrap();
        project.add_by("adam", "acme", "eve", &roles(&["Member"])).await.unwrap();
        out_of_scope(project.add_by("adam", "acme", "fay", &roles(&["Helper"])).await, "Helper");
        project.subscribe("acme", "Default").await;
        project.disable("Default", &["Admin"]).await;
        lacks(project.add_by("adam", "acme", "fay", &roles(&["Member"])).await, "rolecall::can_invite");
    });
}

#[test]
fn g1_different_roles_may_be_covered_by_different_roles_of_the_actor() {
    on_both(async |server| {
        let project = agency(server).await;
        project.add_all("acme", &["hal"], &["Hirer"]).await;
        project.add_all("acme", &["both"], &["Hirer", "Chief"]).await;
        project.add_all("acme", &["idle"], &["Hirer", "Idle"]).await;
        project.add_all("acme", &["eve"], &["Admin"]).await;
        let all = roles(&["Admin", "Clerk", "Guest"]);
        out_of_scope(project.set_by("hal", "acme", "eve", &all).await, "Guest");
        // One role has Guest in its scope, the other grants the ability. A single role must have both (G1.a).
        out_of_scope(project.set_by("idle", "acme", "eve", &all).await, "Guest");
        project.set_by("both", "acme", "eve", &all).await.unwrap();
        // Chief has Guest in its scope but does not grant can_invite.
        project.add_by("both", "acme", "fay", &roles(&["Clerk"])).await.unwrap();
        let refused = out_of_scope(project.add_by("both", "acme", "gil", &roles(&["Clerk", "Guest"])).await, "Guest");
        assert_eq!(refused.metadata("permission"), "rolecall::can_invite");
    });
}

#[test]
fn g2_in_single_role_a_role_manages_lower_roles_and_the_highest_also_itself() {
    on_both(async |server| {
        let project = shop(server).await;
        server
            .storing_nothing(async {
                for name in ["Owner", "Admin"] {
                    out_of_scope(project.add_by("adam", "acme", "eve", &roles(&[name])).await, name);
                    out_of_scope(project.set_by("adam", "acme", "mia", &roles(&[name])).await, name);
                }
                out_of_scope(project.set_by("adam", "acme", "olga", &roles(&["Member"])).await, "Owner");
                out_of_scope(project.remove_by("adam", "acme", "olga").await, "Owner");
            })
            .await;
        for name in ["Owner", "Admin", "Member"] {
            project.set_by("olga", "acme", "mia", &roles(&[name])).await.unwrap();
        }
        project.add_by("olga", "acme", "eve", &roles(&["Owner"])).await.unwrap();
        project.remove_by("olga", "acme", "eve").await.unwrap();
        let removed = project.remove_by("adam", "acme", "max").await.unwrap();
        assert_eq!(role_changes(&removed.impact), "Member -1");
        // The scope follows the order, which can change.
        server.reorder_roles(project.reordering(&["Admin", "Owner", "Member"])).await.unwrap();
        project.add_by("adam", "acme", "fay", &roles(&["Owner"])).await.unwrap();
    });
}

#[test]
fn g2_in_multi_role_a_role_manages_the_roles_in_its_list() {
    on_both(async |server| {
        let project = agency(server).await;
        assert_eq!(project.manages("Owner").await, ["Owner", "Admin", "Member"]);
        assert_eq!(project.manages("Admin").await, ["Member"]);
        project.add_all("acme", &["hal", "hans"], &["Hirer"]).await;
        project.add_by("hal", "acme", "eve", &roles(&["Clerk"])).await.unwrap();
        // A role manages itself only if its list names it.
        out_of_scope(project.add_by("hal", "acme", "fay", &roles(&["Hirer"])).await, "Hirer");
        out_of_scope(project.set_by("hal", "acme", "hans", &roles(&["Clerk"])).await, "Hirer");
        let updated = project.manage("Hirer", &["Hirer", "Guest", "Clerk"]).await;
        assert_eq!(updated.manages, ["Clerk", "Guest", "Hirer"], "in the order of the roles");
        project.set_by("hal", "acme", "hans", &roles(&["Clerk"])).await.unwrap();
        let listed = wire::ListRolesRequest { project: project.key.into(), ..Default::default() };
        let listed = server.list_roles(listed).await.unwrap().roles;
        let hirer = listed.into_iter().find(|role| role.name == "Hirer").unwrap();
        assert_eq!((hirer.manages, hirer.etag), (updated.manages, updated.etag));
        // A deleted role leaves all lists.
        project.delete_role("Guest", "").await;
        assert_eq!(project.manages("Hirer").await, ["Clerk", "Hirer"]);
        assert_eq!(project.manages("Chief").await, [""; 0]);
        let impact = server.update_role(project.managing("Hirer", &["Clerk"])).await.unwrap().impact.unwrap();
        let lost = impact.manages_lost.unwrap();
        assert_eq!((lost.total, lost.first[0].role.as_str(), lost.first[0].other.as_str()), (1, "Hirer", "Hirer"));
        let restarted = server.restarted().await;
        let project = Project { server: &restarted, ..project };
        assert_eq!(project.manages("Hirer").await, ["Clerk"]);
        project.add_by("hal", "acme", "kim", &roles(&["Clerk"])).await.unwrap();
        restarted.stop().await;
    });
}

#[test]
fn g2_only_multi_role_projects_have_lists_of_managed_roles() {
    on_both(async |server| {
        let single = server.single();
        let managing = |project: &str, manages: &[&str]| wire::CreateRoleRequest {
            project: project.into(),
            name: "Clerk".into(),
            manages: texts(manages),
            ..Default::default()
        };
        server
            .storing_nothing(async {
                let created = refused(server.create_role(managing("", &["Member"])).await, "WRONG_ROLE_STRUCTURE");
                assert_eq!((created.subjects(), created.metadata("rule")), (vec!["projects/default"], "G2"));
                refused(server.update_role(single.managing("Admin", &["Member"])).await, "WRONG_ROLE_STRUCTURE");
            })
            .await;
        let multi = server.multi().await;
        let created = server.create_role(managing("multi", &["Member", "Clerk"])).await.unwrap().role.unwrap();
        assert_eq!(created.manages, ["Member", "Clerk"], "a new role may manage itself");
        let unknown = server.storing_nothing(server.update_role(multi.managing("Clerk", &["Ghost"]))).await;
        assert_eq!(refused(unknown, "ROLE_NOT_FOUND").resource().1, "Ghost");
        let etag = multi.manage("Clerk", &["Member"]).await.etag;
        assert_ne!(etag, created.etag);
        assert_eq!(multi.manage("Clerk", &[]).await.manages, [""; 0]);
        let stale = wire::UpdateRoleRequest { etag, ..multi.managing("Clerk", &["Owner"]) };
        refused(server.update_role(stale).await, "ETAG_MISMATCH");
    });
}

#[test]
fn g3_roles_taken_roles_given_and_changed_expiries_are_concerned() {
    on_both(async |server| {
        let project = agency(server).await;
        project.add_all("acme", &["hal"], &["Hirer"]).await;
        project.add_all("acme", &["eve"], &["Clerk", "Guest", "Admin"]).await;
        let set = async |names: &[&str]| project.set_by("hal", "acme", "eve", &roles(names)).await;
        out_of_scope(set(&["Clerk", "Guest"]).await, "Admin");
        out_of_scope(set(&["Clerk", "Guest", "Admin", "Member"]).await, "Member");
        // Repeated roles are not concerned.
        set(&["Guest", "Admin"]).await.unwrap();
        set(&["Guest", "Admin", "Clerk"]).await.unwrap();
        // A role with a changed expiry is concerned.
        let expiring = [role("Admin"), role("Clerk"), temporary("Guest", in_an_hour())];
        out_of_scope(project.set_by("hal", "acme", "eve", &expiring).await, "Guest");
        // A removal concerns all roles.
        project.grant("Default", "Hirer", &["rolecall::can_remove_users"]).await;
        refused(project.remove_by("hal", "acme", "eve").await, "ROLE_OUT_OF_SCOPE");
        project.set("acme", "eve", &roles(&["Clerk"])).await;
        project.remove_by("hal", "acme", "eve").await.unwrap();
    });
}

#[test]
fn g3_giving_up_own_roles_needs_no_ability_but_b3_applies() {
    on_both(async |server| {
        let project = shop(server).await;
        out_of_scope_or_lacking(project.set_by("mia", "acme", "mia", &roles(&["Admin"])).await);
        let stepped = project.set_by("adam", "acme", "adam", &roles(&["Member"])).await.unwrap();
        assert_eq!(shown(&stepped.member.unwrap()), "Member live");
        out_of_scope_or_lacking(project.set_by("adam", "acme", "adam", &roles(&["Admin"])).await);
        project.remove_by("mia", "acme", "mia").await.unwrap();
        for answer in [
            project.remove_by("olga", "acme", "olga").await.map(|it| it.revision),
            project.set_by("olga", "acme", "olga", &roles(&["Member"])).await.map(|it| it.revision),
        ] {
            refused(answer, "LAST_OWNER");
        }
        let request = wire::RemoveMemberRequest {
            allow_ownerless: true,
            acting_user_id: "olga".into(),
            ..project.removing("acme", "olga")
        };
        assert_eq!(refused(server.remove_member(request).await, "INVALID_FIELD").fields(), ["allow_ownerless"]);
        let request = wire::SetMemberRolesRequest {
            allow_ownerless: true,
            acting_user_id: "olga".into(),
            ..project.setting("acme", "olga", &roles(&["Member"]))
        };
        assert_eq!(refused(server.set_member_roles(request).await, "INVALID_FIELD").fields(), ["allow_ownerless"]);
    });
}

#[track_caller]
fn out_of_scope_or_lacking<T: std::fmt::Debug>(answer: Result<T, Status>) {
    use tonic_types::StatusExt;
    let status = answer.unwrap_err();
    let reason = status.get_error_details().error_info().unwrap().reason.clone();
    assert!(["ROLE_OUT_OF_SCOPE", "ACTING_USER_MISSING_PERMISSION"].contains(&reason.as_str()), "{status:?}");
}

#[test]
fn g3_in_multi_role_own_roles_can_be_given_up_one_by_one() {
    on_both(async |server| {
        let project = agency(server).await;
        project.add_all("acme", &["eve"], &["Clerk", "Guest"]).await;
        out_of_scope_or_lacking(project.set_by("eve", "acme", "eve", &roles(&["Clerk", "Guest", "Member"])).await);
        project.set_by("eve", "acme", "eve", &roles(&["Guest"])).await.unwrap();
        out_of_scope_or_lacking(project.set_by("eve", "acme", "eve", &roles(&["Guest", "Clerk"])).await);
        project.remove_by("eve", "acme", "eve").await.unwrap();
    });
}

#[test]
fn g4_an_acting_user_gets_the_same_error_for_an_internal_and_an_unknown_role() {
    on_both(async |server| {
        for project in [shop(server).await, agency(server).await] {
            project.internal_role("Ghost").await;
            let name = if project.key.is_empty() { "adam" } else { "olga" };
            let error = |status: Status| (status.code(), status.message().replace("Ghoul", "Ghost"));
            for acting in [name, "olga"] {
                let add = async |role: &str| project.add_by(acting, "acme", "eve", &roles(&[role])).await.unwrap_err();
                let set = async |role: &str| project.set_by(acting, "acme", "olga", &roles(&[role])).await.unwrap_err();
                for (internal, unknown) in
                    [(add("Ghost").await, add("Ghoul").await), (set("Ghost").await, set("Ghoul").await)]
                {
                    refused::<()>(Err(internal.clone()), "ROLE_NOT_FOUND");
                    assert_eq!(error(internal), error(unknown));
                }
                // The internal role is not suggested either.
                let near = refused(project.add_by(acting, "acme", "eve", &roles(&["Ghos"])).await, "ROLE_NOT_FOUND");
                assert_eq!(near.metadata("suggestion"), "");
            }
            let own =
                refused(server.add_member(project.adding("acme", "eve", &roles(&["Ghos"]))).await, "ROLE_NOT_FOUND");
            assert_eq!(own.metadata("suggestion"), "Ghost");
        }
    });
}

#[test]
fn g6_a_given_role_cannot_outlast_the_role_it_is_given_by() {
    on_both(async |server| {
        let project = shop(server).await;
        let (expiry, later) = (in_an_hour(), after(Duration::from_secs(7_200)));
        project.add("acme", "tom", &[role("Member"), temporary("Admin", expiry)]).await;
        for given in [role("Member"), temporary("Member", later), permanent("Member")] {
            let refused = refused(project.add_by("tom", "acme", "eve", &[given]).await, "OUTLASTS_GRANTER");
            assert_eq!((refused.metadata("role"), refused.metadata("rule")), ("Member", "G6"));
            let max: prost_types::Timestamp = refused.metadata("expire_time_max").parse().unwrap();
            assert_eq!(max, expiry);
        }
        project.add_by("tom", "acme", "eve", &[temporary("Member", expiry)]).await.unwrap();
        // Repeating a role with its expiry gives nothing. A later expiry does.
        project.set_by("tom", "acme", "mia", &roles(&["Member"])).await.unwrap();
        refused(project.set_by("tom", "acme", "eve", &[temporary("Member", later)]).await, "OUTLASTS_GRANTER");
        refused(project.set_by("tom", "acme", "eve", &[permanent("Member")]).await, "OUTLASTS_GRANTER");
        project.set_by("adam", "acme", "eve", &[temporary("Member", later)]).await.unwrap();
    });
}
