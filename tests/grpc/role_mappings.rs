//! Role mappings: M1 to M4.

use rolecall::wire::{self, Decision};

use crate::fixture::{in_an_hour, role, roles, row, set, shown, temporary, texts};
use crate::refusals::refused;
use crate::server::on_both;

fn promoting(name: &str) -> wire::PromoteRoleMappingRequest {
    wire::PromoteRoleMappingRequest { name: name.into(), ..Default::default() }
}

fn updating(name: &str) -> wire::UpdateRoleMappingRequest {
    wire::UpdateRoleMappingRequest { name: name.into(), ..Default::default() }
}

#[test]
fn m1_there_is_always_exactly_one_default_mapping() {
    on_both(async |server| {
        let project = server.single();
        let default = async || {
            let marked: Vec<String> = project
                .mappings()
                .await
                .into_iter()
                .filter(|(_, is_default)| *is_default)
                .map(|(name, _)| name)
                .collect();
            let read = server.get_project(wire::GetProjectRequest::default()).await.unwrap().project.unwrap();
            assert_eq!(marked, [read.default_role_mapping]);
            marked[0].clone()
        };
        assert_eq!(default().await, "Default");
        project.mapping("Free").await;
        project.mapping("Paid").await;
        assert_eq!(default().await, "Default");
        let promoted = server.promote_role_mapping(promoting("Paid")).await.unwrap().role_mapping.unwrap();
        assert_eq!((promoted.name.as_str(), promoted.is_default), ("Paid", true));
        assert_eq!(default().await, "Paid");
        assert!(!project.get_mapping("Default").await.is_default);
        // Promoting the default mapping changes nothing. After concurrent promotions there is one default.
        server.storing_nothing(server.promote_role_mapping(promoting("Paid"))).await.unwrap();
        let promote = |name| server.promote_role_mapping(promoting(name));
        let _ = tokio::join!(promote("Free"), promote("Default"), promote("Paid"), promote("Free"));
        default().await;
        refused(server.promote_role_mapping(promoting("Gold")).await, "ROLE_MAPPING_NOT_FOUND");
    });
}

#[test]
fn m2_a_mapping_is_created_as_a_duplicate_with_edits_and_orgs_in_one_commit() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.permission("q").await;
        project.role("Clerk").await;
        project.role("Guest").await;
        project.mapping("Free").await;
        project.grant("Free", "Clerk", &["p"]).await;
        project.grant("Free", "Guest", &["p", "q"]).await;
        project.disable("Free", &["Clerk", "Admin"]).await;
        project.org("acme", "Free").await;
        project.org("globex", "Default").await;
        project.add("globex", "ann", &roles(&["Clerk"])).await;

        let before = server.head().await;
        let request = wire::CreateRoleMappingRequest {
            name: "Paid".into(),
            description: "The plan that pays.".into(),
            duplicate_of: "Free".into(),
            edits: vec![
                wire::GrantEdit { role: "Clerk".into(), add: texts(&["q"]), remove: vec![] },
                wire::GrantEdit { role: "Guest".into(), add: vec![], remove: texts(&["q"]) },
                wire::GrantEdit { role: "Clerk".into(), add: texts(&["rolecall::can_invite"]), remove: texts(&["p"]) },
            ],
            enable_roles: texts(&["Clerk"]),
            disable_roles: texts(&["Guest"]),
            subscribe_org_ids: texts(&["acme", "globex", "acme"]),
            ..Default::default()
        };
        let created = server.create_role_mapping(request).await.unwrap().role_mapping.unwrap();
        assert_eq!(server.head().await.number, before.number + 1);
        assert_eq!((created.name.as_str(), created.description.as_str()), ("Paid", "The plan that pays."));
        assert_eq!((created.is_default, created.grant_count), (false, 3));
        assert_eq!(created.disabled_roles, ["Admin", "Guest"]);
        assert_eq!(project.get_mapping("Paid").await, created);
        assert_eq!(project.row("Paid", "Clerk").await, ["q", "rolecall::can_invite"]);
        assert_eq!(project.row("Paid", "Guest").await, ["p"]);
        assert_eq!(project.mapping_of("acme").await, "Paid");
        assert_eq!(project.mapping_of("globex").await, "Paid");
        assert_eq!(project.check("globex", "ann", "q").await, Decision::Allowed);
        // The original is unchanged, and later edits of one mapping do not change the other.
        assert_eq!(project.row("Free", "Clerk").await, ["p"]);
        assert_eq!(project.row("Free", "Guest").await, ["p", "q"]);
        project.grant("Free", "Clerk", &["q"]).await;
        project.take("Paid", "Clerk", &["rolecall::can_invite"]).await;
        assert_eq!(project.row("Free", "Clerk").await, ["p", "q"]);
        assert_eq!(project.row("Paid", "Clerk").await, ["q"]);
    });
}

#[test]
fn m2_a_mapping_that_is_no_duplicate_enables_every_role_and_grants_nothing() {
    on_both(async |server| {
        let project = server.single();
        let created = project.mapping("Empty").await;
        assert_eq!((created.grant_count, created.disabled_roles.len()), (0, 0));
        let rows = project.rows("Empty").await;
        assert_eq!(rows.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), ["Owner", "Admin", "Member"]);
        assert!(rows.iter().all(|row| row.enabled && row.permissions.is_empty()));
        let request = project.asking_rows("Default", &["Member", "Owner"]);
        let rows = server.list_role_mapping_roles(request).await.unwrap().roles;
        assert_eq!(rows.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), ["Owner", "Member"]);
    });
}

#[test]
fn m2_a_refused_creation_stores_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.org("acme", "").await;
        let paid = || wire::CreateRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        let edit = |add: &[&str], remove: &[&str]| wire::GrantEdit {
            role: "Admin".into(),
            add: texts(add),
            remove: texts(remove),
        };
        server
            .storing_nothing(async {
                let orgs = wire::CreateRoleMappingRequest {
                    subscribe_org_ids: texts(&["acme", "nowhere", "no-where"]),
                    ..paid()
                };
                let orgs = refused(server.create_role_mapping(orgs).await, "ORG_NOT_FOUND");
                assert_eq!(orgs.fields(), ["subscribe_org_ids[1]", "subscribe_org_ids[2]"]);
                assert_eq!((orgs.metadata("rows"), orgs.metadata("rows_total")), ("1,2", "2"));
                let original = wire::CreateRoleMappingRequest { duplicate_of: "Free".into(), ..paid() };
                refused(server.create_role_mapping(original).await, "ROLE_MAPPING_NOT_FOUND");
                let both = wire::CreateRoleMappingRequest { edits: vec![edit(&["p"], &["p"])], ..paid() };
                assert_eq!(refused(server.create_role_mapping(both).await, "CONTRADICTION").fields(), ["edits"]);
                let both = wire::CreateRoleMappingRequest {
                    enable_roles: texts(&["Admin"]),
                    disable_roles: texts(&["Admin"]),
                    ..paid()
                };
                let both = refused(server.create_role_mapping(both).await, "CONTRADICTION");
                assert_eq!(both.fields(), ["disable_roles"]);
            })
            .await;
        assert_eq!(project.mappings().await.len(), 1);
        assert_eq!(project.mapping_of("acme").await, "Default");
        project.mapping("Paid").await;
    });
}

#[test]
fn m2_an_update_changes_only_what_it_names() {
    on_both(async |server| {
        let project = server.single();
        for name in ["p", "q", "r"] {
            project.permission(name).await;
        }
        project.role("Clerk").await;
        project.grant("Default", "Clerk", &["p", "q"]).await;
        let request = wire::UpdateRoleMappingRequest {
            edits: vec![wire::GrantEdit { role: "Clerk".into(), add: texts(&["r", "p"]), remove: texts(&["q"]) }],
            disable_roles: texts(&["Admin"]),
            ..updating("Default")
        };
        let updated = server.update_role_mapping(request.clone()).await.unwrap().role_mapping.unwrap();
        assert_eq!((updated.grant_count, updated.disabled_roles), (19, texts(&["Admin"])));
        assert_eq!(project.row("Default", "Clerk").await, ["p", "r"]);
        assert_eq!(project.row("Default", "Owner").await.len(), 9);
        // The same update again changes nothing.
        server.storing_nothing(server.update_role_mapping(request)).await.unwrap();
    });
}

#[test]
fn m3_a_disabled_role_cannot_be_given() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.mapping("Paid").await;
        project.disable("Default", &["Clerk"]).await;
        project.org("acme", "Default").await;
        project.org("globex", "Paid").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        server
            .storing_nothing(async {
                let add = server.add_member(project.adding("acme", "bob", &roles(&["Clerk"]))).await;
                assert_eq!(refused(add, "ROLE_DISABLED").subjects(), ["role_mappings/Default/roles/Clerk"]);
                let set_roles = server.set_member_roles(project.setting("acme", "ann", &roles(&["Clerk"]))).await;
                refused(set_roles, "ROLE_DISABLED");
                let temporary = project.setting("acme", "ann", &[role("Member"), temporary("Clerk", in_an_hour())]);
                refused(server.set_member_roles(temporary).await, "ROLE_DISABLED");
                let rows = project.writing(vec![row("acme", "ann", set(&["Clerk"]))]);
                let bulk = refused(server.batch_write_members(rows).await, "ROLE_DISABLED");
                assert_eq!(bulk.subjects(), ["rows[0].set"]);
            })
            .await;
        project.add("globex", "ann", &roles(&["Clerk"])).await;
        project.enable("Default", &["Clerk"]).await;
        project.set("acme", "ann", &roles(&["Clerk"])).await;
    });
}

#[test]
fn m3_holders_of_a_disabled_role_keep_it_suspended_until_it_is_enabled() {
    on_both(async |server| {
        let project = server.multi().await;
        project.permission("p").await;
        project.role("Clerk").await;
        project.grant("Default", "Clerk", &["p"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);

        project.disable("Default", &["Clerk"]).await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk suspended");
        let repeated = project.set("acme", "ann", &roles(&["Member", "Clerk"])).await;
        assert_eq!(shown(&repeated), "Member live, Clerk suspended");
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        // Its permission row is kept and can be edited.
        assert_eq!(project.row("Default", "Clerk").await, ["p"]);
        project.grant("Default", "Clerk", &["rolecall::can_invite"]).await;
        // A member who gave it up cannot get it again.
        project.add("acme", "bob", &roles(&["Member"])).await;
        project.set("acme", "ann", &roles(&["Member"])).await;
        let again = project.setting("acme", "ann", &roles(&["Member", "Clerk"]));
        refused(server.storing_nothing(server.set_member_roles(again)).await, "ROLE_DISABLED");

        project.enable("Default", &["Clerk"]).await;
        project.set("acme", "ann", &roles(&["Clerk"])).await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        project.disable("Default", &["Clerk"]).await;
        project.enable("Default", &["Clerk"]).await;
        assert_eq!(project.roles_of("acme", "ann").await, "Clerk live");
    });
}

#[test]
fn m3_moving_an_org_suspends_and_reactivates_its_members_roles() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.role("Clerk").await;
        for mapping in ["Free", "Paid"] {
            project.mapping(mapping).await;
            project.grant(mapping, "Clerk", &["p"]).await;
        }
        project.disable("Free", &["Clerk"]).await;
        project.org("acme", "Paid").await;
        project.org("globex", "Paid").await;
        for org in ["acme", "globex"] {
            project.add(org, "ann", &roles(&["Clerk"])).await;
        }
        project.subscribe("acme", "Free").await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::RoleDisabled);
        assert_eq!(project.check("globex", "ann", "p").await, Decision::Allowed);
        project.subscribe("acme", "Paid").await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
    });
}

#[test]
fn m4_the_default_roles_stay_enabled_in_every_mapping() {
    on_both(async |server| {
        server.single().mapping("Paid").await;
        server
            .storing_nothing(async {
                for name in ["Owner", "Member"] {
                    for mapping in ["Default", "Paid"] {
                        let request =
                            wire::UpdateRoleMappingRequest { disable_roles: texts(&[name]), ..updating(mapping) };
                        let refused = refused(server.update_role_mapping(request).await, "DEFAULT_ROLE_DISABLED");
                        assert_eq!(refused.subjects(), [format!("roles/{name}")]);
                    }
                    let request = wire::CreateRoleMappingRequest {
                        name: "Free".into(),
                        disable_roles: texts(&["Admin", name]),
                        ..Default::default()
                    };
                    refused(server.create_role_mapping(request).await, "DEFAULT_ROLE_DISABLED");
                }
            })
            .await;
    });
}
