//! Comparing role mappings: M8.

use rolecall::limits::PAGE_BYTES_MAX;
use rolecall::wire;

use crate::fixture::{Project, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn comparing(left: &str, right: &str) -> wire::DiffRoleMappingsRequest {
    wire::DiffRoleMappingsRequest { left: left.into(), right: right.into(), ..Default::default() }
}

/// All pages of a comparison.
async fn compared(server: &Server, request: &wire::DiffRoleMappingsRequest, page_size: i32) -> Vec<wire::RoleDiff> {
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::DiffRoleMappingsRequest { page_size, page_token, ..request.clone() };
        let page = server.diff_role_mappings(request).await.unwrap();
        assert!(page_size == 0 || page.roles.len() <= page_size as usize);
        assert!(!page.roles.is_empty() || page.next_page_token.is_empty(), "only a single page may be empty");
        rows.extend(page.roles);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
}

/// Mappings Free and Paid: Owner is the same in both, Admin grants more in one, Clerk is disabled in one, Guest differs on
/// both sides, Member grants nothing anywhere.
async fn plans(server: &Server) -> Project<'_> {
    let project = server.single();
    for name in ["p", "q", "r"] {
        project.permission(name).await;
    }
    for name in ["Clerk", "Guest"] {
        project.role(name).await;
    }
    for mapping in ["Free", "Paid"] {
        project.mapping(mapping).await;
        project.grant(mapping, "Owner", &["r", "p", "q"]).await;
        project.grant(mapping, "Clerk", &["p"]).await;
    }
    project.grant("Free", "Guest", &["q", "p"]).await;
    project.grant("Paid", "Guest", &["q", "r"]).await;
    project.grant("Paid", "Admin", &["r", "p"]).await;
    project.disable("Free", &["Clerk"]).await;
    project
}

fn row(role: &str, enabled: (bool, bool), names: [&[&str]; 3]) -> wire::RoleDiff {
    let [only_left, only_right, both] = names.map(texts);
    wire::RoleDiff { role: role.into(), enabled_left: enabled.0, enabled_right: enabled.1, only_left, only_right, both }
}

#[test]
fn m8_two_mappings_are_compared_role_by_role() {
    on_both(async |server| {
        plans(server).await;
        let all = [
            row("Owner", (true, true), [&[], &[], &["p", "q", "r"]]),
            row("Admin", (true, true), [&[], &["p", "r"], &[]]),
            row("Member", (true, true), [&[], &[], &[]]),
            row("Clerk", (false, true), [&[], &[], &["p"]]),
            row("Guest", (true, true), [&["p"], &["r"], &["q"]]),
        ];
        let different = [
            row("Admin", (true, true), [&[], &["p", "r"], &[]]),
            row("Clerk", (false, true), [&[], &[], &[]]),
            row("Guest", (true, true), [&["p"], &["r"], &[]]),
        ];
        for page_size in [0, 1, 2, 3, 5] {
            assert_eq!(compared(server, &comparing("Free", "Paid"), page_size).await, all);
            let only = wire::DiffRoleMappingsRequest { only_different: true, ..comparing("Free", "Paid") };
            assert_eq!(compared(server, &only, page_size).await, different);
        }
        // Swapping the arguments swaps the sides.
        let swapped = compared(server, &comparing("Paid", "Free"), 0).await;
        assert_eq!(swapped[4], row("Guest", (true, true), [&["r"], &["p"], &["q"]]));
        assert_eq!((swapped[3].enabled_left, swapped[3].enabled_right), (true, false));
    });
}

#[test]
fn m8_a_mapping_does_not_differ_from_itself() {
    on_both(async |server| {
        plans(server).await;
        let same = compared(server, &comparing("Free", "Free"), 2).await;
        assert_eq!(same.len(), 5);
        assert_eq!(same[0], row("Owner", (true, true), [&[], &[], &["p", "q", "r"]]));
        assert_eq!(same[3], row("Clerk", (false, false), [&[], &[], &["p"]]));
        let only = wire::DiffRoleMappingsRequest { only_different: true, ..comparing("Free", "Free") };
        assert!(compared(server, &only, 0).await.is_empty());
    });
}

#[test]
fn m8_missing_mappings_are_named_and_a_token_is_valid_only_for_its_comparison() {
    on_both(async |server| {
        plans(server).await;
        for (left, right, missing) in [("Gold", "Paid", "Gold"), ("Paid", "Gold", "Gold"), ("Gold", "Silver", "Gold")] {
            let refused = refused(server.diff_role_mappings(comparing(left, right)).await, "ROLE_MAPPING_NOT_FOUND");
            assert_eq!(refused.resource(), ("rolecall.v1.RoleMapping", missing));
        }
        let first = wire::DiffRoleMappingsRequest { page_size: 1, ..comparing("Free", "Paid") };
        let page_token = server.diff_role_mappings(first).await.unwrap().next_page_token;
        for other in [
            comparing("Paid", "Free"),
            comparing("Free", "Default"),
            wire::DiffRoleMappingsRequest { only_different: true, ..comparing("Free", "Paid") },
        ] {
            let other = wire::DiffRoleMappingsRequest { page_token: page_token.clone(), ..other };
            refused(server.diff_role_mappings(other).await, "PAGE_TOKEN_INVALID");
        }
    });
}

#[test]
fn m8_pages_are_full_even_if_few_roles_differ() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.mapping("Free").await;
        project.mapping("Paid").await;
        let names: Vec<String> = (0..40).map(|number| format!("Role {number:02}")).collect();
        for name in &names {
            project.role(name).await;
            for mapping in ["Free", "Paid"] {
                project.grant(mapping, name, &["p"]).await;
            }
        }
        let different: Vec<&str> = names.iter().skip(3).step_by(9).map(String::as_str).collect();
        for name in &different {
            project.take("Free", name, &["p"]).await;
        }
        let only = wire::DiffRoleMappingsRequest { only_different: true, ..comparing("Free", "Paid") };
        for page_size in [1, 2, 3, 4, 5] {
            let rows = compared(server, &only, page_size).await;
            assert_eq!(rows.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), different);
            assert!(rows.iter().all(|row| row.only_right == ["p"] && row.both.is_empty()));
        }
        let first = wire::DiffRoleMappingsRequest { page_size: 2, ..only };
        assert_eq!(server.diff_role_mappings(first).await.unwrap().roles.len(), 2, "a page is filled");
    });
}

/// Bytes of a permission's name, and of such a name in a message.
const NAME_BYTES: usize = 250;
const FIELD_BYTES: usize = NAME_BYTES + 3;
/// Permissions that fill a page.
const PAGE_PERMISSIONS: usize = PAGE_BYTES_MAX / FIELD_BYTES;

/// Creates the mappings Wide and Empty. In Wide the roles Half and Other Half fill a page together, and Whole has more than
/// a page. Returns the names of the permissions.
async fn wide(server: &Server) -> Vec<String> {
    let project = server.single();
    let name = |number: usize| format!("{number:05}{}", "x".repeat(NAME_BYTES - 5));
    let names: Vec<String> = (0..PAGE_PERMISSIONS + 1).map(name).collect();
    for chunk in names.chunks(10_000) {
        let permissions =
            chunk.iter().map(|name| wire::PermissionSpec { name: name.clone(), ..Default::default() }).collect();
        let request = wire::BatchCreatePermissionsRequest { permissions, ..Default::default() };
        server.batch_create_permissions(request).await.unwrap();
    }
    project.mapping("Wide").await;
    project.mapping("Empty").await;
    for name in ["Half", "Other Half", "Third", "Whole"] {
        project.role(name).await;
    }
    // Some bytes are left for the names of the roles.
    let half = PAGE_PERMISSIONS / 2 - 10;
    for (role, count) in [("Half", half), ("Other Half", half), ("Third", 30), ("Whole", PAGE_PERMISSIONS + 1)] {
        for chunk in names[..count].chunks(10_000) {
            let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
            project.grant("Wide", role, &chunk).await;
        }
    }
    names
}

#[test]
fn m8_a_page_ends_before_its_rows_exceed_the_bytes_of_a_page() {
    on_both(async |server| {
        let project = server.single();
        let names = wide(server).await;
        let pages = [&["Owner", "Admin", "Member", "Half", "Other Half"][..], &["Third"], &["Whole"]];
        let (mut page_token, mut diff_token) = (String::new(), String::new());
        for (at, expected) in pages.iter().enumerate() {
            let request = wire::ListRoleMappingRolesRequest { page_token, ..project.asking_rows("Wide", &[]) };
            let page = server.list_role_mapping_roles(request).await.unwrap();
            assert_eq!(page.roles.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), *expected);
            page_token = page.next_page_token;
            let request = wire::DiffRoleMappingsRequest { page_token: diff_token, ..comparing("Wide", "Empty") };
            let diff = server.diff_role_mappings(request).await.unwrap();
            assert_eq!(diff.roles.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), *expected);
            diff_token = diff.next_page_token;
            assert_eq!((page_token.is_empty(), diff_token.is_empty()), (at == 2, at == 2));
            if at == 2 {
                assert_eq!((&page.roles[0].permissions, &diff.roles[0].only_left), (&names, &names));
            }
        }
        // Rows that are left out do not count.
        let same = wire::DiffRoleMappingsRequest { only_different: true, ..comparing("Wide", "Wide") };
        assert!(server.diff_role_mappings(same).await.unwrap().roles.is_empty());
    });
}
