//! Lists: B4, and the order and pages of every other list.

use std::cell::Cell;
use std::collections::BTreeSet;

use rolecall::wire;

use crate::fixture::{Project, add, in_an_hour, remove, role, roles, row, soon, temporary, texts, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

/// Ids in byte order, which differs from the order of every locale.
const IDS: [&str; 12] = ["+", "10", "9", "A", "Z", "_", "a", "a.b", "z", "Ä", "é", "日本"];

fn listing(org_id: &str) -> wire::ListMembersRequest {
    wire::ListMembersRequest { org_id: org_id.into(), ..Default::default() }
}

/// All pages of a list of members.
async fn listed(server: &Server, request: &wire::ListMembersRequest, page_size: i32) -> Vec<String> {
    let (mut users, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListMembersRequest { page_size, page_token, ..request.clone() };
        let page = server.list_members(request).await.unwrap();
        assert!(page_size == 0 || page.members.len() <= page_size as usize);
        assert!(!page.members.is_empty() || page.next_page_token.is_empty());
        assert_eq!(page.revision.len(), 22);
        users.extend(page.members.into_iter().map(|member| member.user_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return users;
        }
    }
}

async fn fill(project: Project<'_>, org: &str, users: impl Iterator<Item = String>) {
    let rows = users.map(|user| row(org, &user, add(&[]))).collect();
    project.server.batch_write_members(project.writing(rows)).await.unwrap();
}

#[test]
fn b4_members_are_listed_in_byte_order_at_every_page_size() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex"] {
            project.org(org, "").await;
        }
        fill(project, "acme", IDS.iter().rev().map(|id| id.to_string())).await;
        fill(project, "globex", ["someone else".replace(' ', "-")].into_iter()).await;
        for page_size in [0, 1, 2, 3, 5, 6, 11, 12, 13, 1_000, 5_000] {
            assert_eq!(listed(server, &listing("acme"), page_size).await, IDS, "pages of {page_size}");
        }
        project.org("empty", "").await;
        assert!(listed(server, &listing("empty"), 10).await.is_empty());
        refused(server.list_members(listing("nowhere")).await, "ORG_NOT_FOUND");
    });
}

#[test]
fn b4_a_full_last_page_has_no_next_page_token() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        fill(project, "acme", (0..6).map(|number| format!("u{number}"))).await;
        let page = |page_size, page_token| wire::ListMembersRequest { page_size, page_token, ..listing("acme") };
        let first = server.list_members(page(3, String::new())).await.unwrap();
        assert_eq!((first.members.len(), first.next_page_token.is_empty()), (3, false));
        let second = server.list_members(page(3, first.next_page_token.clone())).await.unwrap();
        assert_eq!((second.members.len(), second.next_page_token.as_str()), (3, ""));
        // A token stays valid with another page size.
        let wider = server.list_members(page(1_000, first.next_page_token)).await.unwrap();
        assert_eq!(wider.members, second.members);
    });
}

#[test]
fn b4_a_page_has_100_rows_by_default_and_at_most_1000() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        fill(project, "acme", (0..1_001).map(|number| format!("u{number:04}"))).await;
        for (asked, rows) in [(0, 100), (7, 7), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
            let page = server.list_members(wire::ListMembersRequest { page_size: asked, ..listing("acme") }).await;
            let page = page.unwrap();
            assert_eq!((page.members.len(), page.next_page_token.is_empty()), (rows, false), "asked for {asked}");
        }
        assert_eq!(listed(server, &listing("acme"), 0).await.len(), 1_001);
    });
}

#[test]
fn b4_members_are_filtered_by_role_held_and_by_permission_granted() {
    on_both(async |server| {
        let project = server.multi().await;
        project.permission("p").await;
        for name in ["P", "D", "Q"] {
            project.role(name).await;
        }
        project.grant("Default", "P", &["p"]).await;
        project.grant("Default", "D", &["p"]).await;
        project.org("acme", "").await;
        let soon = soon();
        for (user, roles) in [
            ("both", roles(&["P", "D"])),
            ("expired", vec![role("Q"), temporary("P", soon)]),
            ("gone", vec![temporary("P", soon)]),
            ("lasting", vec![temporary("P", in_an_hour())]),
            ("live", roles(&["P", "Q"])),
            ("none", roles(&["Q"])),
            ("suspended", roles(&["D"])),
        ] {
            project.add("acme", user, &roles).await;
        }
        project.disable("Default", &["D"]).await;
        wait_until(&soon).await;
        let cases = [
            ("", "", &["both", "expired", "lasting", "live", "none", "suspended"][..]),
            ("P", "", &["both", "lasting", "live"]),
            ("D", "", &["both", "suspended"]),
            ("Q", "", &["expired", "live", "none"]),
            ("Owner", "", &[]),
            ("", "p", &["both", "lasting", "live"]),
            ("Q", "p", &["live"]),
            ("D", "p", &["both"]),
            ("", "rolecall::can_invite", &[]),
        ];
        for (role, permission, users) in cases {
            let request = wire::ListMembersRequest {
                project: project.key.into(),
                role: role.into(),
                permission: permission.into(),
                ..listing("acme")
            };
            for page_size in [0, 1, 2] {
                assert_eq!(listed(server, &request, page_size).await, users, "role {role:?} permission {permission:?}");
            }
            // The list agrees with the check.
            for user in ["both", "expired", "gone", "lasting", "live", "none", "suspended"] {
                if role.is_empty() && !permission.is_empty() {
                    let allowed = project.check("acme", user, permission).await == wire::Decision::Allowed;
                    assert_eq!(allowed, users.contains(&user), "{user} {permission}");
                }
            }
        }
        let request = |role: &str, permission: &str| wire::ListMembersRequest {
            project: project.key.into(),
            role: role.into(),
            permission: permission.into(),
            ..listing("acme")
        };
        refused(server.list_members(request("Ghost", "")).await, "ROLE_NOT_FOUND");
        refused(server.list_members(request("", "ghost")).await, "PERMISSION_NOT_FOUND");
    });
}

#[test]
fn b4_an_overridden_role_grants_nothing_in_lists() {
    on_both(async |server| {
        let project = server.single();
        project.permission("work").await;
        project.grant("Default", "Member", &["work"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &[role("Member"), temporary("Admin", in_an_hour())]).await;
        project.add("acme", "bob", &[role("Member")]).await;
        let granted = |permission: &str| wire::ListMembersRequest { permission: permission.into(), ..listing("acme") };
        assert_eq!(listed(server, &granted("work"), 0).await, ["bob"]);
        assert_eq!(listed(server, &granted("rolecall::can_invite"), 0).await, ["ann"]);
        let held = wire::ListMembersRequest { role: "Member".into(), ..listing("acme") };
        assert_eq!(listed(server, &held, 0).await, ["ann", "bob"]);
    });
}

#[test]
fn b4_what_exists_during_the_whole_listing_appears_exactly_once() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        // The members who stay. Guests sort before and after each of them.
        let stay: Vec<String> = (0..60).map(|number| format!("u{number:03}-m")).collect();
        fill(project, "acme", stay.iter().cloned()).await;
        let (rounds, done) = (Cell::new(0), Cell::new(false));
        let writer = async {
            while !done.get() {
                let guests = |suffix: &str| -> Vec<String> {
                    (rounds.get() % 7..60).step_by(7).map(|number| format!("u{number:03}-{suffix}")).collect()
                };
                let guests = [guests("a"), guests("z")].concat();
                fill(project, "acme", guests.iter().cloned()).await;
                let rows = guests.iter().map(|user| row("acme", user, remove())).collect();
                server.batch_write_members(project.writing(rows)).await.unwrap();
                rounds.set(rounds.get() + 1);
            }
        };
        let reader = async {
            let mut listings = 0;
            // At least five rounds are written meanwhile, however slow the disk is.
            while listings < 5 || rounds.get() < 5 {
                let page_size = [1, 3, 7, 20, 64][listings % 5];
                let users = listed(server, &listing("acme"), page_size).await;
                assert!(users.is_sorted() && users.windows(2).all(|pair| pair[0] != pair[1]), "each once, in order");
                let users: BTreeSet<&String> = users.iter().collect();
                assert!(stay.iter().all(|user| users.contains(user)), "every member who stays is listed");
                listings += 1;
            }
            done.set(true);
        };
        tokio::join!(writer, reader);
    });
}

#[test]
fn b4_a_user_is_listed_across_the_orgs_of_a_project() {
    on_both(async |server| {
        let (project, other) = (server.single(), server.multi().await);
        for id in IDS.iter().rev() {
            project.org(id, "").await;
            project.add(id, "ann", &roles(&["Admin"])).await;
        }
        other.org("elsewhere", "").await;
        other.add("elsewhere", "ann", &[]).await;
        project.org("without", "").await;
        project.add("without", "bob", &[]).await;
        let soon = soon();
        project.add("without", "ann", &[temporary("Admin", soon)]).await;
        wait_until(&soon).await;
        for page_size in [0, 1, 4, 12, 13] {
            let (mut orgs, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = wire::ListUserMembershipsRequest {
                    user_id: "ann".into(),
                    page_size,
                    page_token,
                    ..Default::default()
                };
                let page = server.list_user_memberships(request).await.unwrap();
                for member in page.memberships {
                    assert_eq!((member.user_id.as_str(), member.roles[0].role.as_str()), ("ann", "Admin"));
                    assert_eq!(project.member(&member.org_id, "ann").await.unwrap(), member);
                    orgs.push(member.org_id);
                }
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(orgs, IDS, "pages of {page_size}");
        }
        let nobody = wire::ListUserMembershipsRequest { user_id: "nobody".into(), ..Default::default() };
        assert!(server.list_user_memberships(nobody).await.unwrap().memberships.is_empty());
    });
}

#[test]
fn b4_a_page_token_is_valid_only_for_the_arguments_it_was_issued_for() {
    on_both(async |server| {
        let (project, other) = (server.single(), server.multi().await);
        for (project, org) in [(project, "acme"), (project, "globex"), (other, "acme")] {
            project.org(org, "").await;
            fill(project, org, texts(&["ann", "bob", "cat"]).into_iter()).await;
        }
        let first = wire::ListMembersRequest { page_size: 1, ..listing("acme") };
        let token = server.list_members(first.clone()).await.unwrap().next_page_token;
        let with = |request: wire::ListMembersRequest| wire::ListMembersRequest {
            page_size: 1,
            page_token: token.clone(),
            ..request
        };
        for request in [
            listing("globex"),
            wire::ListMembersRequest { project: "multi".into(), ..listing("acme") },
            wire::ListMembersRequest { role: "Member".into(), ..listing("acme") },
            wire::ListMembersRequest { permission: "rolecall::can_invite".into(), ..listing("acme") },
        ] {
            let answer = server.list_members(with(request)).await;
            assert_eq!(refused(answer, "PAGE_TOKEN_INVALID").fields(), ["page_token"]);
        }
        // Other lists refuse it too.
        let orgs = wire::ListOrgsRequest { page_token: token.clone(), ..Default::default() };
        refused(server.list_orgs(orgs).await, "PAGE_TOKEN_INVALID");
        let memberships = wire::ListUserMembershipsRequest {
            user_id: "acme".into(),
            page_token: token.clone(),
            ..Default::default()
        };
        refused(server.list_user_memberships(memberships).await, "PAGE_TOKEN_INVALID");
        let projects = wire::ListProjectsRequest { page_token: token.clone(), ..Default::default() };
        refused(server.list_projects(projects).await, "PAGE_TOKEN_INVALID");
        // `default` and an empty project are the same argument.
        let named = wire::ListMembersRequest { project: "default".into(), ..listing("acme") };
        assert_eq!(server.list_members(with(named)).await.unwrap().members[0].user_id, "bob");
        // A token stays valid after the member that it points to was removed, and after a restart.
        project.remove("acme", "ann").await;
        let server = server.restarted().await;
        assert_eq!(server.list_members(with(listing("acme"))).await.unwrap().members[0].user_id, "bob");
    });
}

/// Collects all pages of a list.
macro_rules! pages {
    ($server:expr, $method:ident, $request:expr, $rows:ident, $page_size:expr) => {{
        let (mut rows, mut page_token) = (Vec::new(), String::new());
        loop {
            let mut request = $request;
            (request.page_size, request.page_token) = ($page_size, page_token);
            let page = $server.$method(request).await.unwrap();
            assert!(page.$rows.len() <= $page_size as usize);
            assert!(!page.revision.is_empty());
            rows.extend(page.$rows);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break rows;
            }
        }
    }};
}

#[test]
fn s3_orgs_are_listed_in_byte_order_and_by_mapping() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        for (number, id) in IDS.iter().enumerate().rev() {
            project.org(id, if number % 2 == 0 { "Paid" } else { "" }).await;
        }
        let paid: Vec<&str> = IDS.iter().step_by(2).copied().collect();
        for page_size in [1, 3, 6, 12, 1_000] {
            let all = pages!(server, list_orgs, wire::ListOrgsRequest::default(), orgs, page_size);
            assert_eq!(all.iter().map(|org| &*org.org_id).collect::<Vec<_>>(), IDS);
            let request = wire::ListOrgsRequest { role_mapping: "Paid".into(), ..Default::default() };
            let some = pages!(server, list_orgs, request.clone(), orgs, page_size);
            assert_eq!(some.iter().map(|org| &*org.org_id).collect::<Vec<_>>(), paid);
            assert!(some.iter().all(|org| org.role_mapping == "Paid"));
        }
        let nowhere = wire::ListOrgsRequest { role_mapping: "Gold".into(), ..Default::default() };
        refused(server.list_orgs(nowhere).await, "ROLE_MAPPING_NOT_FOUND");
    });
}

#[test]
fn projects_permissions_roles_and_mappings_are_listed_completely_at_every_page_size() {
    on_both(async |server| {
        let project = server.single();
        for key in ["z", "a", "a-1", "a0"] {
            let environment = wire::Environment::Test.into();
            let request = wire::CreateProjectRequest { key: key.into(), environment, ..Default::default() };
            server.create_project(request).await.unwrap();
        }
        for name in ["zeta", "Alpha", "ähm"] {
            project.permission(name).await;
            project.role(name).await;
            project.mapping(name).await;
        }
        project.grant("Default", "zeta", &["zeta", "Alpha", "ähm", "rolecall::can_invite"]).await;
        for page_size in [1, 2, 3, 6, 1_000] {
            let projects = pages!(server, list_projects, wire::ListProjectsRequest::default(), projects, page_size);
            let keys: Vec<&str> = projects.iter().map(|project| &*project.key).collect();
            assert_eq!(keys, ["a", "a-1", "a0", "default", "workspace", "z"]);
            let request = wire::ListPermissionsRequest::default();
            let permissions = pages!(server, list_permissions, request.clone(), permissions, page_size);
            let names: Vec<&str> = permissions[9..].iter().map(|permission| &*permission.name).collect();
            assert_eq!(names, ["zeta", "Alpha", "ähm"], "in order of creation");
            let roles = pages!(server, list_roles, wire::ListRolesRequest::default(), roles, page_size);
            let names: Vec<&str> = roles.iter().map(|role| &*role.name).collect();
            assert_eq!(names, ["Owner", "Admin", "Member", "zeta", "Alpha", "ähm"]);
            assert!(roles.iter().zip(1..).all(|(role, position)| role.position == position));
            let request = wire::ListRoleMappingsRequest::default();
            let mappings = pages!(server, list_role_mappings, request.clone(), role_mappings, page_size);
            let names: Vec<&str> = mappings.iter().map(|mapping| &*mapping.name).collect();
            assert_eq!(names, ["Default", "zeta", "Alpha", "ähm"]);
            let request = project.asking_rows("Default", &[]);
            let rows = pages!(server, list_role_mapping_roles, request.clone(), roles, page_size);
            let names: Vec<&str> = rows.iter().map(|row| &*row.role).collect();
            assert_eq!(names, ["Owner", "Admin", "Member", "zeta", "Alpha", "ähm"]);
            assert_eq!(rows[3].permissions, ["Alpha", "rolecall::can_invite", "zeta", "ähm"], "in byte order");
        }
    });
}

#[test]
fn b4_a_page_is_never_larger_than_clients_accept() {
    on_both(async |server| {
        const ORGS: usize = 900;
        let creating = (0..ORGS).map(|number| async move {
            let request = wire::CreateOrgRequest {
                org_id: format!("org-{number:03}"),
                display_name: "d".repeat(256),
                metadata: "m".repeat(4_096),
                ..Default::default()
            };
            server.create_org(request).await.unwrap();
        });
        futures_util::future::join_all(creating).await;
        // The client accepts 4 MiB, which is the default of gRPC. All orgs together are larger.
        let (mut listed, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = wire::ListOrgsRequest { page_size: 1_000, page_token, ..Default::default() };
            let page = server.list_orgs(request).await.unwrap();
            listed.extend(page.orgs.into_iter().map(|org| org.org_id));
            pages += 1;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!((listed.len(), pages), (ORGS, 2));
        assert!(listed.is_sorted() && listed.windows(2).all(|two| two[0] != two[1]));
    });
}
