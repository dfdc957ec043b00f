//! Limits of stored quantities and of request sizes: P7.

use rolecall::limits::Limits;
use rolecall::wire::{self, check_request::Question};

use crate::fixture::{Project, add, in_an_hour, remapping, role, roles, row, set, temporary, texts};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both, on_both_with};

fn assert_quota(refused: &Refused, limit: &str, asked: u32, max: u32) {
    let [(name, description)] = refused.quotas()[..] else { panic!("{refused:?}") };
    assert_eq!(name, limit);
    assert!(description.contains(&format!("{asked} asked for")), "{description}");
    assert!(description.contains(&format!("{max} allowed")), "{description}");
}

fn assert_too_many(refused: &Refused, field: &str, asked: u32, max: u32) {
    assert_eq!(refused.fields(), [field]);
    let violation = &refused.details.bad_request().unwrap().field_violations[0];
    for number in [asked, max] {
        assert!(violation.description.contains(&number.to_string()), "{}", violation.description);
    }
}

fn permissions(names: impl IntoIterator<Item = String>) -> wire::BatchCreatePermissionsRequest {
    let new = |name| wire::PermissionSpec { name, description: String::new() };
    wire::BatchCreatePermissionsRequest { permissions: names.into_iter().map(new).collect(), ..Default::default() }
}

#[test]
fn p7_roles_per_project() {
    on_both_with(Limits { roles: 4, ..Limits::default() }, async |server| {
        server.single().role("Fourth").await;
        let fifth = wire::CreateRoleRequest { name: "Fifth".into(), ..Default::default() };
        assert_quota(
            &refused(server.storing_nothing(server.create_role(fifth.clone())).await, "LIMIT_EXCEEDED"),
            "roles",
            5,
            4,
        );
        let previewed = wire::CreateRoleRequest { validate_only: true, ..fifth };
        refused(server.create_role(previewed).await, "LIMIT_EXCEEDED");
        // The limit is per project.
        server.multi().await.role("Fourth").await;
    });
}

#[test]
fn p7_permissions_per_project() {
    on_both_with(Limits { permissions: 11, ..Limits::default() }, async |server| {
        server.single().permission("tenth").await;
        let two = permissions(texts(&["eleventh", "twelfth"]));
        let refused_two = refused(server.storing_nothing(server.batch_create_permissions(two)).await, "LIMIT_EXCEEDED");
        assert_quota(&refused_two, "permissions", 12, 11);
        server.single().permission("eleventh").await;
        let one = wire::CreatePermissionRequest { name: "twelfth".into(), ..Default::default() };
        assert_quota(&refused(server.create_permission(one).await, "LIMIT_EXCEEDED"), "permissions", 12, 11);
    });
}

#[test]
fn p7_role_mappings_per_project() {
    on_both_with(Limits { role_mappings: 2, ..Limits::default() }, async |server| {
        server.single().mapping("Second").await;
        let third = wire::CreateRoleMappingRequest { name: "Third".into(), ..Default::default() };
        let refused = refused(server.storing_nothing(server.create_role_mapping(third)).await, "LIMIT_EXCEEDED");
        assert_quota(&refused, "role_mappings", 3, 2);
    });
}

#[test]
fn p7_grants_per_project() {
    on_both_with(Limits { grants: 18, ..Limits::default() }, async |server| {
        let project = server.single();
        project.permission("eighteenth").await;
        project.permission("nineteenth").await;
        let edit = |add: &[&str], remove: &[&str]| wire::UpdateRoleMappingRequest {
            name: "Default".into(),
            edits: vec![wire::GrantEdit { role: "Member".into(), add: texts(add), remove: texts(remove) }],
            ..Default::default()
        };
        let both = edit(&["eighteenth", "nineteenth"], &[]);
        assert_quota(
            &refused(server.storing_nothing(server.update_role_mapping(both)).await, "LIMIT_EXCEEDED"),
            "grants",
            19,
            18,
        );
        // Permissions that are granted already, and those that the same edit removes, do not count.
        server.update_role_mapping(edit(&["eighteenth", "rolecall::can_view_other_members"], &[])).await.unwrap();
        server.update_role_mapping(edit(&["nineteenth"], &["eighteenth"])).await.unwrap();
        let copy = wire::CreateRoleMappingRequest {
            name: "Copy".into(),
            duplicate_of: "Default".into(),
            ..Default::default()
        };
        assert_quota(
            &refused(server.storing_nothing(server.create_role_mapping(copy)).await, "LIMIT_EXCEEDED"),
            "grants",
            36,
            18,
        );
        project.take("Default", "Member", &["nineteenth"]).await;
    });
}

#[test]
fn p7_different_role_sets_per_project() {
    on_both_with(Limits { role_sets: 2, ..Limits::default() }, async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.add("acme", "bob", &roles(&["Admin"])).await;
        project.add("acme", "cat", &roles(&["Admin"])).await;
        let third = project.adding("acme", "dan", &roles(&["Member"]));
        assert_quota(
            &refused(server.storing_nothing(server.add_member(third)).await, "LIMIT_EXCEEDED"),
            "role_sets",
            3,
            2,
        );
        let third = project.setting("acme", "ann", &[role("Owner"), temporary("Admin", in_an_hour())]);
        assert_quota(&refused(server.set_member_roles(third).await, "LIMIT_EXCEEDED"), "role_sets", 3, 2);
        let rows = vec![row("acme", "eve", add(&["Owner"])), row("acme", "dan", add(&["Member"]))];
        let refused =
            refused(server.storing_nothing(server.batch_write_members(project.writing(rows))).await, "LIMIT_EXCEEDED");
        assert_eq!(refused.metadata("rows"), "1");
        let [(limit, description)] = refused.quotas()[..] else { panic!("{refused:?}") };
        assert_eq!(limit, "role_sets");
        assert!(description.contains("rows[1]"), "the row is named: {description}");
    });
}

#[test]
fn p7_one_org_cannot_use_up_the_role_sets_of_all() {
    on_both_with(Limits { role_sets: 6, ..Limits::default() }, async |server| {
        let project = server.multi().await;
        for name in ["Guest", "Clerk"] {
            project.role(name).await;
        }
        let managing = wire::Role { manages: texts(&["Admin", "Member", "Guest", "Clerk"]), ..Default::default() };
        let managing = wire::UpdateRoleRequest {
            project: project.key.into(),
            name: "Owner".into(),
            resource: Some(managing),
            ..Default::default()
        };
        server.update_role(managing).await.unwrap();
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        // The owner gives one member every combination of roles.
        let names = ["Admin", "Member", "Guest", "Clerk"];
        for combination in 1..1 << names.len() {
            let chosen: Vec<&str> =
                names.iter().enumerate().filter(|(at, _)| combination >> at & 1 == 1).map(|(_, &name)| name).collect();
            let setting = project.setting("acme", "bob", &roles(&chosen));
            let setting = wire::SetMemberRolesRequest { acting_user_id: "ann".into(), ..setting };
            server.set_member_roles(setting).await.unwrap();
        }
        // Another org can still give a new combination, also after a restart.
        project.org("globex", "").await;
        project.add("globex", "cid", &roles(&["Owner", "Guest"])).await;
        let restarted = server.restarted().await;
        let project = Project { server: &restarted, key: project.key };
        project.add("globex", "dan", &roles(&["Owner", "Clerk"])).await;
        assert_eq!(project.roles_of("acme", "bob").await, "Admin live, Member live, Guest live, Clerk live");
        assert_eq!(project.roles_of("globex", "cid").await, "Owner live, Guest live");
        // Roles that come and go strand nothing.
        for _ in 0..8 {
            project.role("Trial").await;
            project.set("globex", "dan", &roles(&["Trial"])).await;
            let deleting =
                wire::DeleteRoleRequest { project: project.key.into(), name: "Trial".into(), ..Default::default() };
            restarted.delete_role(deleting).await.unwrap();
            project.set("globex", "dan", &roles(&["Owner", "Clerk"])).await;
        }
    });
}

#[test]
fn p7_roles_per_member_of_a_multi_role_project() {
    on_both_with(Limits { member_roles: 2, ..Limits::default() }, async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner", "Admin"])).await;
        let three = roles(&["Owner", "Admin", "Member"]);
        server
            .storing_nothing(async {
                let adding = server.add_member(project.adding("acme", "bob", &three)).await;
                assert_quota(&refused(adding, "LIMIT_EXCEEDED"), "member_roles", 3, 2);
                let setting = server.set_member_roles(project.setting("acme", "ann", &three)).await;
                assert_quota(&refused(setting, "LIMIT_EXCEEDED"), "member_roles", 3, 2);
                let rows = vec![row("acme", "ann", set(&["Owner", "Admin", "Member"]))];
                refused(server.batch_write_members(project.writing(rows)).await, "LIMIT_EXCEEDED");
            })
            .await;
    });
}

#[test]
fn p7_the_default_limit_is_50_roles_per_member() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        let names: Vec<String> = (0..51).map(|number| format!("Role {number:02}")).collect();
        for name in &names {
            project.role(name).await;
        }
        let all: Vec<wire::RoleAssignment> = names.iter().map(|name| role(name)).collect();
        assert_quota(
            &refused(server.add_member(project.adding("acme", "ann", &all)).await, "LIMIT_EXCEEDED"),
            "member_roles",
            51,
            50,
        );
        assert_eq!(project.add("acme", "ann", &all[..50]).await.roles.len(), 50);
    });
}

#[test]
fn p7_rows_of_a_bulk_write_and_items_of_a_batch_check() {
    on_both_with(Limits { bulk_rows: 3, batch_check_items: 3, ..Limits::default() }, async |server| {
        let project = server.single();
        for org in ["a", "b", "c", "d"] {
            project.org(org, "").await;
        }
        let rows = |orgs: &[&str]| project.writing(orgs.iter().map(|org| row(org, "ann", add(&[]))).collect());
        let subscribing = |orgs: &[&str]| wire::CreateRoleMappingRequest {
            name: "Paid".into(),
            subscribe_org_ids: texts(orgs),
            ..Default::default()
        };
        let items =
            |count| wire::BatchCheckRequest { items: vec![wire::CheckItem::default(); count], ..Default::default() };
        server
            .storing_nothing(async {
                let members = server.batch_write_members(rows(&["a", "b", "c", "d"])).await;
                assert_too_many(&refused(members, "TOO_MANY_ROWS"), "rows", 4, 3);
                let names = server.batch_create_permissions(permissions(texts(&["1", "2", "3", "4"]))).await;
                assert_too_many(&refused(names, "TOO_MANY_ROWS"), "permissions", 4, 3);
                let orgs = server.create_role_mapping(subscribing(&["a", "b", "c", "d"])).await;
                assert_too_many(&refused(orgs, "TOO_MANY_ROWS"), "subscribe_org_ids", 4, 3);
                let orgs = server.batch_subscribe_orgs(project.moving_all(&["a", "b", "c", "d"], "Default")).await;
                assert_too_many(&refused(orgs, "TOO_MANY_ROWS"), "org_ids", 4, 3);
                assert_too_many(&refused(server.batch_check(items(4)).await, "TOO_MANY_ROWS"), "items", 4, 3);
            })
            .await;
        assert_eq!(server.batch_write_members(rows(&["a", "b", "c"])).await.unwrap().added, 3);
        assert_eq!(server.batch_create_permissions(permissions(texts(&["1", "2", "3"]))).await.unwrap().created, 3);
        server.create_role_mapping(subscribing(&["a", "b", "c"])).await.unwrap();
        let moved = server.batch_subscribe_orgs(project.moving_all(&["a", "b", "c"], "Default")).await.unwrap().moved;
        assert_eq!(moved, 3);
        assert_eq!(server.batch_check(items(3)).await.unwrap().decisions.len(), 3);
    });
}

#[test]
fn p7_edits_of_one_request_count_every_name() {
    on_both_with(Limits { bulk_rows: 3, ..Limits::default() }, async |server| {
        let edit =
            |role: &str, names: &[&str]| wire::GrantEdit { role: role.into(), add: texts(names), remove: vec![] };
        let six = || wire::UpdateRoleMappingRequest {
            name: "Default".into(),
            edits: vec![edit("Owner", &["rolecall::can_invite"]), edit("Member", &["rolecall::can_invite"])],
            enable_roles: texts(&["Owner"]),
            disable_roles: texts(&["Admin"]),
            ..Default::default()
        };
        let seven = wire::UpdateRoleMappingRequest { enable_roles: texts(&["Owner", "Member"]), ..six() };
        let answer = server.storing_nothing(server.update_role_mapping(seven)).await;
        let too_many = refused(answer, "TOO_MANY_ROWS");
        assert_too_many(&too_many, "edits", 7, 6);
        assert!(too_many.message.contains("permissions in `add` and `remove`"), "{}", too_many.message);
        server.update_role_mapping(six()).await.unwrap();
        let request = wire::CreateRoleMappingRequest {
            name: "Paid".into(),
            edits: vec![edit("Owner", &["rolecall::can_invite"; 6])],
            ..Default::default()
        };
        assert_too_many(&refused(server.create_role_mapping(request).await, "TOO_MANY_ROWS"), "edits", 7, 6);
    });
}

#[test]
fn p7_names_in_one_list_of_a_request() {
    on_both(async |server| {
        let many = |name: &str| vec![name.to_string(); 1_001];
        server
            .storing_nothing(async {
                let role = wire::CreateRoleRequest {
                    name: "Clerk".into(),
                    disabled_in: many("Default"),
                    ..Default::default()
                };
                assert_too_many(&refused(server.create_role(role).await, "TOO_MANY_ROWS"), "disabled_in", 1_001, 1_000);
                let rows = wire::ListRoleMappingRolesRequest {
                    name: "Default".into(),
                    roles: many("Owner"),
                    ..Default::default()
                };
                assert_too_many(
                    &refused(server.list_role_mapping_roles(rows).await, "TOO_MANY_ROWS"),
                    "roles",
                    1_001,
                    1_000,
                );
            })
            .await;
    });
}

#[test]
fn p7_permissions_in_one_question_of_a_check() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &[]).await;
        let asking = |question| wire::CheckRequest { question: Some(question), ..project.asking("acme", "ann", "") };
        let names =
            |count| wire::PermissionList { permissions: vec!["rolecall::can_view_other_members".into(); count] };
        for (question, field) in [
            (Question::AllOf as fn(wire::PermissionList) -> Question, "all_of.permissions"),
            (Question::AnyOf, "any_of.permissions"),
        ] {
            assert!(server.check(asking(question(names(100)))).await.unwrap().allowed);
            assert_too_many(
                &refused(server.check(asking(question(names(101)))).await, "TOO_MANY_ROWS"),
                field,
                101,
                100,
            );
        }
    });
}

#[test]
fn p7_aliases_per_name() {
    on_both(async |server| {
        let project = server.single();
        let renaming_mapping = |from: u32| wire::UpdateRoleMappingRequest {
            resource: Some(wire::RoleMapping { name: format!("Plan {}", from + 1), ..Default::default() }),
            ..project.updating(&format!("Plan {from}"))
        };
        project.mapping("Plan 0").await;
        project.permission("p0").await;
        for number in 0..50 {
            server.update_role_mapping(renaming_mapping(number)).await.unwrap();
            project.rename_role("Admin", &format!("Boss {}", number + 1)).await;
            project.rename_permission("p0", &format!("p{}", number + 1)).await;
        }
        server
            .storing_nothing(async {
                let mapping = server.update_role_mapping(renaming_mapping(50)).await;
                assert_quota(&refused(mapping, "LIMIT_EXCEEDED"), "aliases", 51, 50);
                let role = server.update_role(project.renaming_role("Admin", "Boss 51")).await;
                assert_quota(&refused(role, "LIMIT_EXCEEDED"), "aliases", 51, 50);
                let permission = server.update_permission(project.renaming_permission("p0", "p51")).await;
                assert_quota(&refused(permission, "LIMIT_EXCEEDED"), "aliases", 51, 50);
            })
            .await;
        // A new name is accepted if the same update drops an alias.
        let aliases = (1..50).map(|number| format!("Plan {number}")).collect();
        let role_mapping = wire::RoleMapping { name: "Plan 51".into(), aliases, ..Default::default() };
        let request = wire::UpdateRoleMappingRequest { resource: Some(role_mapping), ..project.updating("Plan 50") };
        let renamed = server.update_role_mapping(request).await.unwrap().role_mapping.unwrap();
        assert_eq!((renamed.aliases.len(), renamed.aliases[49].as_str()), (50, "Plan 50"));
        // Renaming back to an alias does not add one.
        assert_eq!(project.rename_role("Admin", "Boss 7").await.aliases.len(), 50);
        let mut kept = project.get_role("Boss 7").await.unwrap().aliases;
        kept.retain(|alias| alias != "Boss 8");
        let role = wire::Role { name: "Boss 51".into(), aliases: kept, ..Default::default() };
        let renamed = server.update_role(project.updating_role("Admin", role)).await.unwrap().role.unwrap();
        assert_eq!((renamed.aliases.len(), renamed.aliases.last().unwrap().as_str()), (50, "Boss 7"));
        let many = wire::Role { aliases: vec!["Admin".into(); 1_001], ..Default::default() };
        let answer = server.update_role(project.updating_role("Admin", many)).await;
        assert_eq!(refused(answer, "TOO_MANY_ROWS").fields(), ["resource.aliases"]);
    });
}

#[test]
fn s2_ten_thousand_orgs_with_the_longest_ids_fit_into_one_call() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        let ids: Vec<String> = (0..10_000).map(|number| format!("{number:0128}")).collect();
        // Only 100 of the orgs exist. The refusal names the first missing one and counts them all.
        for id in ids.iter().take(100) {
            project.org(id, "").await;
        }
        let all: Vec<&str> = ids.iter().map(String::as_str).collect();
        let answer = server.storing_nothing(server.batch_subscribe_orgs(project.moving_all(&all, "Paid"))).await;
        let missing = refused(answer, "ORG_NOT_FOUND");
        assert_eq!((missing.resource().1, missing.metadata("rows_total")), (ids[100].as_str(), "9900"));
        let before = server.head().await;
        let moved = server.batch_subscribe_orgs(project.moving_all(&all[..100], "Paid")).await.unwrap();
        assert_eq!((moved.moved, server.head().await.number), (100, before.number + 1));
    });
}

#[test]
fn p7_requests_name_at_most_as_many_roles_as_a_project_can_have() {
    on_both_with(Limits { roles: 4, ..Limits::default() }, async |server| {
        let five = server.single().reordering(&["Owner", "Admin", "Member", "Clerk", "Guest"]);
        let answer = server.storing_nothing(server.reorder_roles(five)).await;
        assert_too_many(&refused(answer, "TOO_MANY_ROWS"), "role_order", 5, 4);
        let project = server.single();
        project.mapping("Paid").await;
        project.org("acme", "").await;
        let entries = |count| vec![("Admin", "Member"); count];
        let moving = |count| wire::SubscribeOrgRequest {
            on_disabled: remapping(&entries(count), ""),
            ..project.moving("acme", "Paid")
        };
        let answer = server.storing_nothing(server.subscribe_org(moving(5))).await;
        assert_too_many(&refused(answer, "TOO_MANY_ROWS"), "on_disabled.replacements", 5, 4);
        refused(server.subscribe_org(moving(4)).await, "CONTRADICTION");
    });
    on_both(async |server| {
        let long = |number: usize| format!("{number:05}{}", "r".repeat(123));
        let names = (0..10_000).map(long).collect();
        let all = wire::ReorderRolesRequest { role_order: names, ..Default::default() };
        let unknown = |answer: Refused| assert_eq!(answer.resource(), ("rolecall.v1.Role", long(0).as_str()));
        let names = all.role_order.clone();
        unknown(refused(server.reorder_roles(all).await, "ROLE_NOT_FOUND"));
        // The same holds for every other request that may name all roles.
        let project = server.multi().await;
        let converting = project.converting_to_single(names.clone());
        unknown(refused(server.convert_role_structure(converting).await, "ROLE_NOT_FOUND"));
        let managing = |role: &str| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            project.managing(role, &names)
        };
        unknown(refused(server.update_role(managing("Owner")).await, "ROLE_NOT_FOUND"));
        let clerk = wire::CreateRoleRequest { manages: names.clone(), ..project.creating_role("Clerk") };
        unknown(refused(server.create_role(clerk).await, "ROLE_NOT_FOUND"));
        project.mapping("Paid").await;
        project.org("acme", "Paid").await;
        let entries: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let on_disabled = remapping(&entries, "");
        let moving =
            wire::SubscribeOrgRequest { on_disabled: on_disabled.clone(), ..project.moving("acme", "Default") };
        unknown(refused(server.subscribe_org(moving).await, "ROLE_NOT_FOUND"));
        let deleting = wire::DeleteRoleMappingRequest { on_disabled, ..project.deleting("Paid", "Default") };
        unknown(refused(server.delete_role_mapping(deleting).await, "ROLE_NOT_FOUND"));
    });
}

#[test]
fn p7_managed_roles_per_project() {
    on_both_with(Limits { managed_roles: 5, ..Limits::default() }, async |server| {
        // Owner manages three roles and Admin one.
        let project = server.multi().await;
        project.manage("Member", &["Member"]).await;
        let sixth = server.update_role(project.managing("Member", &["Member", "Admin"]));
        assert_quota(&refused(server.storing_nothing(sixth).await, "LIMIT_EXCEEDED"), "managed_roles", 6, 5);
        let clerk = wire::CreateRoleRequest { manages: texts(&["Member"]), ..project.creating_role("Clerk") };
        let sixth = server.storing_nothing(server.create_role(clerk)).await;
        assert_quota(&refused(sixth, "LIMIT_EXCEEDED"), "managed_roles", 6, 5);
        // Replacing a managed role adds no pair.
        project.manage("Member", &["Admin"]).await;
        // Converting four roles makes seven pairs: six with a lower role, and the highest role with itself.
        server.single().role("Fourth").await;
        let converted = server.convert_role_structure(server.single().converting_to_multi());
        assert_quota(&refused(server.storing_nothing(converted).await, "LIMIT_EXCEEDED"), "managed_roles", 7, 5);
    });
}

#[test]
fn p7_get_server_info_returns_the_limits() {
    let limits = Limits {
        roles: 11,
        permissions: 12,
        role_mappings: 13,
        grants: 14,
        role_sets: 15,
        managed_roles: 19,
        member_roles: 16,
        org_invitations: 20,
        org_domains: 20,
        bulk_rows: 17,
        batch_check_items: 18,
    };
    on_both_with(limits, async |server| {
        let returned = server.get_server_info(wire::GetServerInfoRequest {}).await.unwrap().limits.unwrap();
        let expected = wire::Limits {
            roles_max: 11,
            permissions_max: 12,
            role_mappings_max: 13,
            grants_max: 14,
            role_sets_max: 15,
            managed_roles_max: 19,
            member_roles_max: 16,
            org_invitations_max: 20,
            org_domains_max: 20,
            bulk_rows_max: 17,
            batch_check_items_max: 18,
            page_size_max: 1_000,
            request_bytes_max: 1 << 20,
            bulk_request_bytes_max: 16 << 20,
        };
        assert_eq!(returned, expected);
    });
}

#[test]
fn p7_the_default_limits_are_those_of_the_contract() {
    on_both(async |server| {
        let returned = server.get_server_info(wire::GetServerInfoRequest {}).await.unwrap().limits.unwrap();
        assert_eq!((returned.roles_max, returned.permissions_max, returned.role_mappings_max), (10_000, 50_000, 1_000));
        assert_eq!(
            (returned.grants_max, returned.role_sets_max, returned.member_roles_max),
            (5_000_000, 1_000_000, 50)
        );
        assert_eq!((returned.bulk_rows_max, returned.batch_check_items_max), (10_000, 100_000));
    });
}

#[test]
fn b2_ten_thousand_rows_are_one_commit_and_one_more_is_refused() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let rows = |count: usize| (0..count).map(|number| row("acme", &format!("user-{number}"), add(&[]))).collect();
        let answer = server.storing_nothing(server.batch_write_members(project.writing(rows(10_001)))).await;
        assert_too_many(&refused(answer, "TOO_MANY_ROWS"), "rows", 10_001, 10_000);
        let before = server.head().await;
        let answer = server.batch_write_members(project.writing(rows(10_000))).await.unwrap();
        assert_eq!((answer.added, answer.unchanged), (10_000, 0));
        assert_eq!(server.head().await.number, before.number + 1);
        let last = project.check("acme", "user-9999", "rolecall::can_view_other_members").await;
        assert_eq!(last, wire::Decision::Allowed);
        all_are_listed_once(server, 10_000).await;
    });
}

async fn all_are_listed_once(server: &Server, count: usize) {
    let (mut listed, mut page_token) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let request =
            wire::ListMembersRequest { org_id: "acme".into(), page_size: 1_000, page_token, ..Default::default() };
        let page = server.list_members(request).await.unwrap();
        for member in page.members {
            assert!(listed.insert(member.user_id), "a member is listed twice");
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed.len(), count);
}

#[test]
fn k3_a_hundred_thousand_items_are_answered_and_one_more_is_refused() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &[]).await;
        let item = |number: usize| wire::CheckItem {
            user_id: if number.is_multiple_of(1_000) { "ann".into() } else { format!("stranger-{number}") },
            ..Default::default()
        };
        let request = |count: usize| wire::BatchCheckRequest {
            items: (0..count).map(item).collect(),
            defaults: Some(wire::CheckItem {
                org_id: "acme".into(),
                user_id: String::new(),
                permission: "rolecall::can_view_other_members".into(),
            }),
            ..Default::default()
        };
        let answer = server.batch_check(request(100_000)).await.unwrap();
        assert_eq!((answer.decisions.len(), answer.errors.len()), (100_000, 0));
        for (number, decision) in answer.decisions().enumerate() {
            let expected =
                if number.is_multiple_of(1_000) { wire::Decision::Allowed } else { wire::Decision::NotAMember };
            assert_eq!(decision, expected, "item {number}");
        }
        assert_too_many(
            &refused(server.batch_check(request(100_001)).await, "TOO_MANY_ROWS"),
            "items",
            100_001,
            100_000,
        );
    });
}

#[test]
fn p7_a_request_of_very_many_empty_rows_is_refused_before_they_are_read() {
    on_both(async |server| {
        let raw = server.raw().await;
        // The tags of `items`, `rows` and `permissions`, each with an empty message, as many as fit into one request.
        for (method, tag) in [
            (
                "rolecall.v1.CheckService/BatchCheck",
                tag_of(&wire::BatchCheckRequest { items: vec![wire::CheckItem::default()], ..Default::default() }),
            ),
            (
                "rolecall.v1.MembershipService/BatchWriteMembers",
                tag_of(&wire::BatchWriteMembersRequest {
                    rows: vec![wire::MemberWrite::default()],
                    ..Default::default()
                }),
            ),
            ("rolecall.v1.PermissionService/BatchCreatePermissions", tag_of(&permissions([String::new()]))),
        ] {
            let message = [tag, 0].repeat(8 << 20);
            let refused = refused(server.storing_nothing(raw.call(method, &message)).await, "TOO_MANY_ROWS");
            assert!(refused.message.contains("200000 fields"), "{}", refused.message);
            // Fewer rows are read, and refused by their number.
            let rows = refused_rows(raw.call(method, &[tag, 0].repeat(200_000)).await);
            assert!(rows.contains("the call has 200000"), "{rows}");
        }
    });
}

fn tag_of(request: &impl prost::Message) -> u8 {
    request.encode_to_vec()[0]
}

fn refused_rows(answer: Result<prost::bytes::Bytes, tonic::Status>) -> String {
    refused(answer, "TOO_MANY_ROWS").message
}
