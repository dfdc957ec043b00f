//! Roles and permissions: R1, R2, R6, R7, R8, R10.

use rolecall::wire::{self, Decision, create_role_request::Placement};

use crate::fixture::{Project, add, mask, roles, row, soon, temporary, texts, wait_until};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both};

fn placed(project: Project<'_>, name: &str, placement: Option<Placement>) -> wire::CreateRoleRequest {
    wire::CreateRoleRequest { project: project.key.into(), name: name.into(), placement, ..Default::default() }
}

fn above(name: &str) -> Option<Placement> {
    Some(Placement::Above(name.into()))
}

fn below(name: &str) -> Option<Placement> {
    Some(Placement::Below(name.into()))
}

#[test]
fn r1_role_and_mapping_names_are_unique_after_case_folding_and_looked_up_exactly() {
    on_both(async |server| {
        let project = server.single();
        project.role("Straße").await;
        project.mapping("Paid").await;
        server
            .storing_nothing(async {
                for (name, taken) in [("Owner", "Owner"), ("owner", "Owner"), ("OWNER", "Owner"), ("STRASSE", "Straße")]
                {
                    let refused = refused(server.create_role(placed(project, name, None)).await, "ROLE_ALREADY_EXISTS");
                    assert_eq!(refused.resource(), ("rolecall.v1.Role", taken));
                }
                for name in ["Paid", "paid", "PAID"] {
                    let request = wire::CreateRoleMappingRequest { name: name.into(), ..Default::default() };
                    let answer = server.create_role_mapping(request).await;
                    let refused = refused(answer, "ROLE_MAPPING_ALREADY_EXISTS");
                    assert_eq!(refused.resource(), ("rolecall.v1.RoleMapping", "Paid"));
                }
                let request = wire::GetRoleRequest { name: "owner".into(), ..Default::default() };
                assert_eq!(refused(server.get_role(request).await, "ROLE_NOT_FOUND").resource().1, "owner");
                let request = wire::GetRoleMappingRequest { name: "paid".into(), ..Default::default() };
                refused(server.get_role_mapping(request).await, "ROLE_MAPPING_NOT_FOUND");
            })
            .await;
        // A role and a mapping may have the same name, and so may things of different projects.
        project.role("Paid").await;
        server.multi().await.role("Straße").await;
    });
}

#[test]
fn r1_permission_names_are_compared_byte_for_byte() {
    on_both(async |server| {
        let project = server.single();
        let names =
            ["can_view", "Can_View", "ProductA::CanCreate", "productA::CanCreate", "ReadOnly", "café", "cafe", "a b"];
        for name in names {
            project.permission(name).await;
        }
        for name in names {
            let request = wire::GetPermissionRequest { name: name.into(), ..Default::default() };
            assert_eq!(server.get_permission(request).await.unwrap().permission.unwrap().name, name);
            let request = wire::CreatePermissionRequest { name: name.into(), ..Default::default() };
            let refused =
                refused(server.storing_nothing(server.create_permission(request)).await, "PERMISSION_ALREADY_EXISTS");
            assert_eq!(refused.resource(), ("rolecall.v1.Permission", name));
        }
        let request = wire::GetPermissionRequest { name: "CAN_VIEW".into(), ..Default::default() };
        refused(server.get_permission(request).await, "PERMISSION_NOT_FOUND");
    });
}

#[test]
fn r1_names_are_returned_as_they_were_given_even_after_a_restart() {
    on_both(async |server| {
        let names =
            ["管理者", "Geschäftsführer", "R&D / Ops (EU)", "Владелец", "👩‍🚀".split('\u{200d}').next().unwrap(), "a"];
        for name in names {
            server.single().role(name).await;
        }
        let order = server.single().role_order().await;
        assert_eq!(order[3..], texts(&names));
        let server = server.restarted().await;
        assert_eq!(server.single().role_order().await, order);
        let same_name = server.create_role(placed(server.single(), "geschäftsFÜHRER", None)).await;
        refused(same_name, "ROLE_ALREADY_EXISTS");
    });
}

#[test]
fn r1_a_batch_of_permissions_is_atomic_and_every_refused_row_is_named() {
    on_both(async |server| {
        server.single().permission("there").await;
        let batch = |names: &[&str]| {
            let new = |name: &&str| wire::PermissionSpec { name: name.to_string(), description: String::new() };
            wire::BatchCreatePermissionsRequest { permissions: names.iter().map(new).collect(), ..Default::default() }
        };
        let bad = server.batch_create_permissions(batch(&["new", "there", "other", "new"]));
        let refused_batch = refused(server.storing_nothing(bad).await, "PERMISSION_ALREADY_EXISTS");
        assert_eq!(refused_batch.fields(), ["permissions[1]", "permissions[3]"]);
        assert_eq!((refused_batch.metadata("rows"), refused_batch.metadata("rows_total")), ("1,3", "2"));
        let request = wire::GetPermissionRequest { name: "new".into(), ..Default::default() };
        refused(server.get_permission(request).await, "PERMISSION_NOT_FOUND");
        assert_eq!(server.batch_create_permissions(batch(&["new", "other"])).await.unwrap().created, 2);
    });
}

#[test]
fn r2_a_role_can_be_placed_anywhere_in_the_order() {
    on_both(async |server| {
        let project = server.single();
        for (name, placement, position) in [
            ("Last", None, 4),
            ("First", above("Owner"), 1),
            ("Second", below("First"), 2),
            ("Over Member", above("Member"), 5),
            ("Under Last", below("Last"), 8),
        ] {
            let role = server.create_role(placed(project, name, placement)).await.unwrap().role.unwrap();
            assert_eq!((role.name.as_str(), role.position), (name, position));
            let request = wire::GetRoleRequest { name: name.into(), ..Default::default() };
            assert_eq!(server.get_role(request).await.unwrap().role.unwrap(), role);
        }
        let order = ["First", "Second", "Owner", "Admin", "Over Member", "Member", "Last", "Under Last"];
        assert_eq!(project.role_order().await, order);
    });
}

#[test]
fn r2_a_role_can_always_be_placed_between_two_others() {
    on_both(async |server| {
        let project = server.single();
        let mut expected = texts(&["Owner", "Admin"]);
        // 70 insertions use up the gap between two ranks, so the ranks are renumbered.
        for number in 0..70 {
            let name = format!("Role {number}");
            server.create_role(placed(project, &name, above("Admin"))).await.unwrap();
            expected.insert(expected.len() - 1, name);
        }
        expected.push("Member".into());
        assert_eq!(project.role_order().await, expected);
        let server = server.restarted().await;
        assert_eq!(server.single().role_order().await, expected);
        let role = server.create_role(placed(server.single(), "One more", below("Owner"))).await.unwrap();
        assert_eq!(role.role.unwrap().position, 2);
    });
}

#[test]
fn r2_a_new_role_grants_nothing_and_is_enabled_in_every_mapping_not_listed() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        for mapping in ["Free", "Paid"] {
            project.mapping(mapping).await;
        }
        let request = wire::CreateRoleRequest {
            description: "Pays.".into(),
            internal: true,
            disabled_in: texts(&["Free", "Free"]),
            ..placed(project, "Clerk", None)
        };
        let before = server.head().await;
        let role = server.create_role(request).await.unwrap().role.unwrap();
        assert_eq!((role.description.as_str(), role.internal), ("Pays.", true));
        assert_eq!(server.head().await.number, before.number + 1);
        for (mapping, enabled) in [("Default", true), ("Free", false), ("Paid", true)] {
            let rows = project.rows(mapping).await;
            let row = rows.iter().find(|row| row.role == "Clerk").unwrap();
            assert_eq!((row.enabled, row.permissions.len()), (enabled, 0), "{mapping}");
            let disabled = project.get_mapping(mapping).await.disabled_roles;
            assert_eq!(disabled.contains(&"Clerk".to_string()), !enabled, "{mapping}");
            project.org(mapping, mapping).await;
        }
        project.add("Default", "ann", &roles(&["Clerk"])).await;
        assert_eq!(project.check("Default", "ann", "p").await, Decision::MissingPermission);
        refused(server.add_member(project.adding("Free", "ann", &roles(&["Clerk"]))).await, "ROLE_DISABLED");
    });
}

#[test]
fn r7_permissions_are_not_inherited_down_the_hierarchy() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.grant("Default", "Admin", &["p"]).await;
        project.org("acme", "").await;
        for (user, role) in [("ann", "Owner"), ("bob", "Admin"), ("cat", "Member")] {
            project.add("acme", user, &roles(&[role])).await;
        }
        assert_eq!(project.check("acme", "ann", "p").await, Decision::MissingPermission);
        assert_eq!(project.check("acme", "bob", "p").await, Decision::Allowed);
        assert_eq!(project.check("acme", "cat", "p").await, Decision::MissingPermission);
    });
}

#[test]
fn r7_a_role_grants_what_its_row_in_the_mapping_of_the_org_lists() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.permission("q").await;
        project.mapping("Paid").await;
        project.grant("Default", "Member", &["p"]).await;
        project.grant("Paid", "Member", &["q"]).await;
        project.org("acme", "Default").await;
        project.org("globex", "Paid").await;
        for org in ["acme", "globex"] {
            project.add(org, "ann", &[]).await;
        }
        let decided = async |org, permission| project.check(org, "ann", permission).await;
        assert_eq!(decided("acme", "p").await, Decision::Allowed);
        assert_eq!(decided("acme", "q").await, Decision::MissingPermission);
        assert_eq!(decided("globex", "p").await, Decision::MissingPermission);
        assert_eq!(decided("globex", "q").await, Decision::Allowed);
        assert_eq!(decided("globex", "rolecall::can_view_other_members").await, Decision::MissingPermission);
    });
}

#[test]
fn r1_an_unknown_name_suggests_the_nearest_known_one() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.permission("invoices.view").await;
        let meant = |refused: &Refused, name: &str| {
            assert_eq!(refused.metadata("suggestion"), name);
            assert!(refused.message.ends_with(&format!("; did you mean `{name}`?")), "{}", refused.message);
        };
        let adding = server.add_member(project.adding("acme", "ann", &roles(&["Membr"]))).await;
        meant(&refused(adding, "ROLE_NOT_FOUND"), "Member");
        let reading = server.get_role(wire::GetRoleRequest { name: "owner".into(), ..Default::default() }).await;
        meant(&refused(reading, "ROLE_NOT_FOUND"), "Owner");
        let request = wire::GetPermissionRequest { name: "invoice.view".into(), ..Default::default() };
        meant(&refused(server.get_permission(request).await, "PERMISSION_NOT_FOUND"), "invoices.view");
        let request = wire::CreateOrgRequest {
            org_id: "globex".into(),
            role_mapping: "Defualt".into(),
            validate_only: true,
            ..Default::default()
        };
        meant(&refused(server.create_org(request).await, "ROLE_MAPPING_NOT_FOUND"), "Default");

        let rows = vec![row("acme", "ann", add(&["Adm1n"])), row("acme", "bob", add(&["Ownr"]))];
        let writing = refused(server.batch_write_members(project.writing(rows)).await, "ROLE_NOT_FOUND");
        meant(&writing, "Admin");
        let violations = &writing.details.bad_request().unwrap().field_violations;
        assert!(violations[1].description.ends_with("; did you mean `Owner`?"), "{violations:?}");

        let far = server.add_member(project.adding("acme", "ann", &roles(&["Accountant"]))).await;
        let far = refused(far, "ROLE_NOT_FOUND");
        assert!(far.metadata("suggestion").is_empty() && !far.message.contains("did you mean"), "{}", far.message);
    });
}

#[test]
fn r6_roles_are_reordered() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.internal_role("Support").await;
        let order = ["Support", "Member", "Clerk", "Owner", "Admin"];
        let before = server.head().await;
        let answer = server.reorder_roles(project.reordering(&order)).await.unwrap();
        assert_eq!(server.head().await.number, before.number + 1);
        assert_eq!(answer.etag, project.etag().await);
        assert_eq!(project.role_order().await, order);
        // The same order changes nothing.
        let again = server.storing_nothing(server.reorder_roles(project.reordering(&order))).await.unwrap();
        assert_eq!(again.etag, answer.etag);
        let server = &server.restarted().await;
        assert_eq!(server.single().role_order().await, order);
        let clerk = wire::CreateRoleRequest {
            placement: Some(wire::create_role_request::Placement::Below("Member".into())),
            ..server.single().creating_role("Second clerk")
        };
        assert_eq!(server.create_role(clerk).await.unwrap().role.unwrap().position, 3);
    });
}

#[test]
fn r6_a_missing_an_unknown_and_a_repeated_role_are_refused() {
    on_both(async |server| {
        let project = server.single();
        project.rename_role("Admin", "Boss").await;
        server
            .storing_nothing(async {
                for short in [&[][..], &["Owner"], &["Member", "Owner"]] {
                    let answer = server.reorder_roles(project.reordering(short)).await;
                    let answer = refused(answer, "INCOMPLETE_ORDER");
                    assert_eq!((answer.fields(), answer.metadata("rule")), (vec!["role_order"], "R6"));
                }
                let unknown = project.reordering(&["Owner", "Clerk", "Boss", "Member"]);
                refused(server.reorder_roles(unknown).await, "ROLE_NOT_FOUND");
                for again in ["Boss", "Admin"] {
                    let twice = project.reordering(&["Owner", "Boss", again, "Member"]);
                    let answer = refused(server.reorder_roles(twice).await, "REPEATED_ROLE");
                    assert_eq!((answer.fields(), answer.metadata("rule")), (vec!["role_order[2]"], "R6"));
                }
            })
            .await;
    });
}

#[test]
fn r8_a_deleted_permission_is_taken_from_every_mapping() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.permission("q").await;
        project.mapping("Paid").await;
        project.grant("Default", "Owner", &["p", "q"]).await;
        project.grant("Default", "Admin", &["p"]).await;
        project.grant("Paid", "Member", &["p", "q"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        let before = server.head().await;
        assert_eq!(server.delete_permission(project.deleting_permission("p")).await.unwrap().removed_grants, 3);
        assert_eq!(server.head().await.number, before.number + 1);
        let is_gone = async |server: &Server| {
            let project = server.single();
            refused(project.get_permission("p").await, "PERMISSION_NOT_FOUND");
            assert_eq!(project.check("acme", "ann", "p").await, wire::Decision::UnknownPermission);
            assert_eq!(project.row("Paid", "Member").await, ["q"]);
            assert!(!project.row("Default", "Admin").await.contains(&"p".to_string()));
            assert_eq!(project.get_mapping("Default").await.grant_count, 18);
        };
        is_gone(server).await;
        is_gone(&server.restarted().await).await;
    });
}

#[test]
fn r10_the_internal_flag_changes_only_while_nobody_holds_the_role() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        project.add("acme", "bob", &roles(&["Clerk"])).await;
        let internal = |internal: bool| wire::UpdateRoleRequest {
            update_mask: mask(&["internal"]),
            ..project.updating_role("Clerk", wire::Role { internal, ..Default::default() })
        };
        let answer = server.storing_nothing(server.update_role(internal(true))).await;
        let answer = refused(answer, "ROLE_IN_USE");
        assert_eq!((answer.subjects(), answer.metadata("members")), (vec!["roles/Clerk"], "2"));
        // Keeping the flag and renaming are allowed.
        server.storing_nothing(server.update_role(internal(false))).await.unwrap();
        project.rename_role("Clerk", "Accountant").await;
        project.remove("acme", "ann").await;
        let expiry = soon();
        project.set("acme", "bob", &[temporary("Clerk", expiry)]).await;
        wait_until(&expiry).await;
        assert!(server.update_role(internal(true)).await.unwrap().role.unwrap().internal);
        assert!(project.get_role("Clerk").await.unwrap().internal);
        project.add("acme", "cat", &roles(&["Clerk"])).await;
        refused(server.update_role(internal(false)).await, "ROLE_IN_USE");
        project.remove("acme", "cat").await;
        assert!(!server.update_role(internal(false)).await.unwrap().role.unwrap().internal);
        let server = &server.restarted().await;
        assert!(!server.single().get_role("Clerk").await.unwrap().internal);
    });
}

#[test]
fn an_update_of_a_role_changes_the_masked_fields() {
    on_both(async |server| {
        let project = server.single();
        let described = wire::Role { description: "Leads.".into(), ..Default::default() };
        let updated = server.update_role(project.updating_role("Admin", described)).await.unwrap().role.unwrap();
        assert_eq!((updated.name.as_str(), updated.description.as_str()), ("Admin", "Leads."));
        let masked = |paths: &[&str], role: wire::Role| wire::UpdateRoleRequest {
            update_mask: mask(paths),
            ..project.updating_role("Admin", role)
        };
        let full = wire::Role { name: "Boss".into(), description: "Runs.".into(), ..Default::default() };
        let updated = server.update_role(masked(&["name", "name"], full)).await.unwrap().role.unwrap();
        assert_eq!((updated.name.as_str(), updated.description.as_str()), ("Boss", "Leads."));
        let updated = server.update_role(masked(&["description"], wire::Role::default())).await.unwrap();
        assert_eq!(updated.role.unwrap().description, "");
        server
            .storing_nothing(async {
                let nameless = server.update_role(masked(&["name"], wire::Role::default())).await;
                assert_eq!(refused(nameless, "INVALID_FIELD").fields(), ["resource.name"]);
                let absent = wire::UpdateRoleRequest { resource: None, ..masked(&["name"], wire::Role::default()) };
                assert_eq!(refused(server.update_role(absent).await, "INVALID_FIELD").fields(), ["resource.name"]);
                for path in ["position", "etag", "resource.name", "*"] {
                    let answer = server.update_role(masked(&["name", path], wire::Role::default())).await;
                    assert_eq!(refused(answer, "INVALID_FIELD").fields(), ["update_mask"]);
                }
            })
            .await;
    });
}
