//! Two worlds that differ in staff alone: whatever is made for a viewer or an acting user is the same in both (I2, I4, G4).

use std::collections::BTreeMap;
use std::fmt::Debug;

use prost_types::Timestamp;
use rolecall::wire;
use tonic::Status;
use tonic_types::StatusExt;

use crate::fixture::{Project, in_an_hour, role, suspending_with_fallback, temporary, texts};
use crate::server::{Server, on_both};

const VISIBLE: [&str; 5] = ["Owner", "Admin", "Member", "Clerk", "Guest"];
const INTERNAL: [&str; 2] = ["Support", "Spy"];
/// Where forged page tokens say that a page ended.
const FORGED: [&str; 5] = ["Owner", "Clerk", "Support", "Spy", "Suport"];
const USERS: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];
/// Of the staffed world alone.
const STAFF: [&str; 3] = ["aaa", "cam", "zed"];
/// Writes of acting users in each world.
const DEEDS: usize = 48;
const ABILITIES: [&str; 4] = [
    "rolecall::can_view_other_members",
    "rolecall::can_invite",
    "rolecall::can_change_roles",
    "rolecall::can_remove_users",
];

/// Random numbers that can be drawn again: a failure names the seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        // Of the MMIX generator the high bits are good enough here.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// What is drawn for both worlds.
struct Plan {
    multi: bool,
    grants: Vec<(&'static str, &'static str)>,
    manages: Vec<(&'static str, Vec<&'static str>)>,
    members: Vec<(&'static str, Vec<wire::RoleAssignment>)>,
    /// The internal roles that users hold beside, in the staffed world.
    staff: Vec<(&'static str, wire::RoleAssignment)>,
    disabled: &'static str,
    fallback_role: &'static str,
    /// When what is lent ends: answers tell it.
    end: Timestamp,
}

impl Plan {
    fn draw(draw: &mut Draw, multi: bool) -> Self {
        let end = in_an_hour();
        let mut grants = Vec::new();
        for ability in ABILITIES {
            for name in ["Owner", "Admin", "Member", "Clerk"] {
                if draw.below(3) > 0 {
                    grants.push((name, ability));
                }
            }
        }
        let manages = VISIBLE.map(|name| (name, VISIBLE.into_iter().filter(|_| draw.below(2) == 0).collect()));
        let mut members = Vec::new();
        let mut staff = Vec::new();
        for user in USERS {
            let one = draw.one(&VISIBLE);
            let other = draw.one(&VISIBLE);
            let drawn = |name, draw: &mut Draw| if draw.below(3) == 0 { temporary(name, end) } else { role(name) };
            let held = match multi {
                true if one != other => vec![drawn(one, draw), drawn(other, draw)],
                true => vec![drawn(one, draw)],
                false => match draw.below(3) {
                    0 if one != other => vec![role(one), temporary(other, end)],
                    1 => vec![temporary(one, end)],
                    _ => vec![role(one)],
                },
            };
            if draw.below(2) == 0 {
                let name = draw.one(&INTERNAL);
                let lasting = held.iter().filter(|held| held.expire_time.is_none()).count();
                match (multi, lasting, held.len()) {
                    (true, ..) => staff.push((user, drawn(name, draw))),
                    // Beside a role without an end there is room for one that is lent, and the other way round.
                    (false, 1, 1) => staff.push((user, temporary(name, end))),
                    (false, 0, 1) => staff.push((user, role(name))),
                    _ => {}
                }
            }
            members.push((user, held));
        }
        // Somebody must be able to look, and to write.
        members[0].1 = vec![role("Owner")];
        staff.retain(|(user, _)| *user != "ann");
        staff.extend(STAFF.map(|user| (user, role(draw.one(&INTERNAL)))));
        Self {
            multi,
            grants,
            manages: manages.into(),
            members,
            staff,
            disabled: draw.one(&["Clerk", "Guest", "Admin"]),
            fallback_role: draw.one(&["", "Member"]),
            end,
        }
    }

    /// Makes one of the two worlds.
    async fn make<'a>(&self, server: &'a Server, key: &'static str, staffed: bool) -> Project<'a> {
        let project = Project { server, key };
        let structure = if self.multi { wire::RoleStructure::MultiRole } else { wire::RoleStructure::SingleRole };
        let request = wire::CreateProjectRequest {
            key: key.into(),
            environment: wire::Environment::Test.into(),
            role_structure: structure.into(),
            ..Default::default()
        };
        server.create_project(request).await.unwrap();
        if staffed {
            project.internal_role("Support").await;
        }
        project.role("Clerk").await;
        if staffed {
            project.internal_role("Spy").await;
        }
        project.role("Guest").await;
        if staffed {
            // Above, between and below the others.
            let order = ["Support", "Owner", "Admin", "Spy", "Member", "Clerk", "Guest"];
            server.reorder_roles(project.reordering(&order)).await.unwrap();
            project.permission("spy.on").await;
            for name in INTERNAL {
                let all: Vec<&str> = ABILITIES.into_iter().chain(["spy.on"]).collect();
                project.grant("Default", name, &all).await;
            }
        } else {
            project.permission("spy.on").await;
        }
        for name in ["Owner", "Admin", "Member"] {
            project.take("Default", name, &ABILITIES).await;
        }
        for (name, ability) in &self.grants {
            project.grant("Default", name, &[ability]).await;
        }
        for (name, manages) in self.manages.iter().filter(|_| self.multi) {
            let more: &[&str] = if staffed { &INTERNAL } else { &[] };
            project.manage(name, &[&manages[..], more].concat()).await;
        }
        project.org("acme", "").await;
        for (user, held) in &self.members {
            let beside = self.staff.iter().filter(|(other, _)| staffed && other == user).map(|(_, role)| role.clone());
            project.add("acme", user, &held.iter().cloned().chain(beside).collect::<Vec<_>>()).await;
        }
        for (user, role) in self.staff.iter().filter(|(user, _)| staffed && STAFF.contains(user)) {
            project.add("acme", user, std::slice::from_ref(role)).await;
        }
        let disabling = wire::UpdateRoleMappingRequest {
            disable_roles: texts(&[self.disabled]),
            on_disabled: suspending_with_fallback(self.fallback_role),
            ..project.updating("Default")
        };
        server.update_role_mapping(disabling).await.unwrap();
        project
    }
}

/// What an answer says, instants of creation and revisions aside; of an error all that it says.
fn heard<T: Debug>(answer: Result<T, Status>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(status) => {
            let details = status.get_error_details();
            let info = details.error_info().expect("ErrorInfo").clone();
            let details = (details.bad_request(), details.precondition_failure(), details.resource_info());
            // Its entries come in any order.
            let metadata: BTreeMap<String, String> = info.metadata.into_iter().collect();
            format!("{} {:?} {} {metadata:?} {details:?}", info.reason, status.code(), status.message())
        }
    }
}

/// All that a viewer is told.
async fn viewed(project: Project<'_>, viewer: &str, heard_all: &mut Vec<(String, String)>) {
    let server = project.server;
    let mut note = |what: String, heard: String| heard_all.push((format!("{viewer} {what}"), heard));
    let org = wire::GetOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        viewer_user_id: viewer.into(),
        ..Default::default()
    };
    let org = server.get_org(org).await.map(|answer| answer.org.unwrap().org_id);
    note("org".into(), heard(org));
    for user in USERS.into_iter().chain(STAFF).chain(["nobody"]) {
        note(format!("member {user}"), heard(project.member_for(viewer, "acme", user).await));
    }
    let filters =
        [("", ""), ("Member", ""), ("Clerk", ""), ("Support", ""), ("Suport", ""), ("", "spy.on"), ("", ABILITIES[0])];
    for (role, permission) in filters {
        // Where a page ends is asked of the whole list in three ways.
        let sizes: &[i32] = if role.is_empty() && permission.is_empty() { &[1, 2, 100] } else { &[1] };
        for &page_size in sizes {
            let mut pages = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = wire::ListMembersRequest {
                    role: role.into(),
                    permission: permission.into(),
                    page_size,
                    page_token,
                    ..project.viewing(viewer, "acme")
                };
                match server.list_members(request).await {
                    Err(status) => {
                        pages.push(heard::<()>(Err(status)));
                        break;
                    }
                    Ok(page) => {
                        pages.push(format!("{:?}", page.members));
                        page_token = page.next_page_token;
                        if page_token.is_empty() {
                            break;
                        }
                    }
                }
            }
            note(format!("members {role}{permission} by {page_size}"), pages.join("\n"));
        }
    }
    for page_size in [1, 3] {
        let mut pages = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = wire::ListRolesRequest {
                project: project.key.into(),
                viewer_user_id: viewer.into(),
                org_id: "acme".into(),
                page_size,
                page_token,
                ..Default::default()
            };
            match server.list_roles(request).await {
                Err(status) => {
                    pages.push(heard::<()>(Err(status)));
                    break;
                }
                Ok(mut page) => {
                    page.roles.iter_mut().for_each(|role| role.create_time = None);
                    pages.push(format!("{:?} {:?}", page.roles, page.etag));
                    page_token = page.next_page_token;
                    if page_token.is_empty() {
                        break;
                    }
                }
            }
        }
        note(format!("roles by {page_size}"), pages.join("\n"));
    }
    for last in FORGED {
        note(format!("roles after {last}"), heard(project.roles_after(viewer, "acme", last).await));
    }
}

/// All that an acting user is told: what it may do, and what its writes would be answered.
async fn acted(project: Project<'_>, acting: &str, plan: &Plan, heard_all: &mut Vec<(String, String)>) {
    let server = project.server;
    let mut note = |what: String, heard: String| heard_all.push((format!("{acting} {what}"), heard));
    for target in ["", "ann", "cat", "cam", "nobody"] {
        // Of staff it may be told that it is not available where there is room for one role only.
        let told_apart = !plan.multi && plan.staff.iter().any(|(staff, _)| *staff == target);
        for page_size in [2, 100] {
            let mut pages = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = wire::ListManageableRolesRequest {
                    page_size,
                    page_token,
                    ..project.asking_manageable("acme", acting, target)
                };
                match server.list_manageable_roles(request).await {
                    Err(status) => {
                        pages.push(heard::<()>(Err(status)));
                        break;
                    }
                    Ok(page) => {
                        pages.push(format!("{:?} {}", page.roles, page.remove));
                        page_token = page.next_page_token;
                        if page_token.is_empty() {
                            break;
                        }
                    }
                }
            }
            if !told_apart {
                note(format!("manages {target} by {page_size}"), pages.join("\n"));
            }
        }
        for last in FORGED {
            let told = project.manageable_after((acting, "acme", target), last).await;
            note(format!("manages {target} after {last}"), heard(told));
        }
    }
    for target in ["ann", "bob", "cat", "cam", "nobody"] {
        for name in ["Owner", "Member", "Guest", "Support", "Suport"] {
            let mut add = wire::AddMemberRequest {
                acting_user_id: acting.into(),
                validate_only: true,
                ..project.adding("acme", target, &[role(name)])
            };
            let added = server.add_member(add.clone()).await.map(|answer| (answer.member, answer.impact));
            note(format!("add {target} {name}"), heard(added));
            add.roles = vec![temporary(name, plan.end)];
            let lent = server.add_member(add).await.map(|answer| (answer.member, answer.impact));
            note(format!("lend {target} {name}"), heard(lent));
            let set = wire::SetMemberRolesRequest {
                acting_user_id: acting.into(),
                validate_only: true,
                ..project.setting("acme", target, &[role(name)])
            };
            let set = server.set_member_roles(set).await.map(|answer| (answer.member, answer.impact));
            note(format!("set {target} {name}"), heard(set));
        }
        let remove = wire::RemoveMemberRequest {
            acting_user_id: acting.into(),
            validate_only: true,
            ..project.removing("acme", target)
        };
        let removed = server.remove_member(remove).await.map(|answer| answer.impact);
        note(format!("remove {target}"), heard(removed));
    }
    let delete = wire::DeleteOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        acting_user_id: acting.into(),
        validate_only: true,
        ..Default::default()
    };
    let deleted = server.delete_org(delete).await.map(|answer| (answer.removed_memberships, answer.impact));
    note("delete".into(), heard(deleted));
}

/// A few writes of acting users: who writes, of whom, what.
fn deeds<'a>(draw: &mut Draw, plan: &Plan, customers: &[&'a str]) -> Vec<(&'a str, &'static str, Deed)> {
    let mut targets: Vec<&str> = USERS.into_iter().chain(["cam", "new", "newer"]).collect();
    // Where there is room for one role, what is refused of staff would be done in the other world.
    targets.retain(|target| plan.multi || plan.staff.iter().all(|(staff, _)| staff != target));
    let deed = |_| {
        let acting = if draw.below(2) == 0 { "ann" } else { draw.one(customers) };
        let name = draw.one(&VISIBLE);
        let given = if draw.below(3) == 0 { temporary(name, plan.end) } else { role(name) };
        let deed = match draw.below(5) {
            0 | 1 => Deed::Add(given),
            2 | 3 => Deed::Set(given),
            _ => Deed::Remove,
        };
        (acting, draw.one(&targets), deed)
    };
    (0..DEEDS).map(deed).collect()
}

enum Deed {
    Add(wire::RoleAssignment),
    Set(wire::RoleAssignment),
    Remove,
}

/// What acting users are told of what they did. Says how much of it was done.
async fn done(
    project: Project<'_>,
    deeds: &[(&str, &'static str, Deed)],
    heard_all: &mut Vec<(String, String)>,
) -> usize {
    let server = project.server;
    let mut done = 0;
    for (number, (acting, target, deed)) in deeds.iter().enumerate() {
        let answer = match deed {
            Deed::Add(given) => project
                .add_by(acting, "acme", target, std::slice::from_ref(given))
                .await
                .map(|answer| (answer.member, answer.impact)),
            Deed::Set(given) => project
                .set_by(acting, "acme", target, std::slice::from_ref(given))
                .await
                .map(|answer| (answer.member, answer.impact)),
            Deed::Remove => {
                let request =
                    wire::RemoveMemberRequest { acting_user_id: (*acting).into(), ..project.removing("acme", target) };
                server.remove_member(request).await.map(|answer| (None, answer.impact))
            }
        };
        done += usize::from(answer.is_ok());
        heard_all.push((format!("deed {number} by {acting} of {target}"), heard(answer)));
    }
    done
}

/// Builds both worlds and compares all that is told in them.
async fn compare(server: &Server, seed: u64, multi: bool) {
    let plan = Plan::draw(&mut Draw(seed), multi);
    let key =
        |world: &str| -> &'static str { Box::leak(format!("{world}-{}-{multi}", seed % 1_000_000).into_boxed_str()) };
    let plain = plan.make(server, key("plain"), false).await;
    let staffed = plan.make(server, key("staffed"), true).await;
    // Who is staff may see and do more by that.
    let customers = USERS.into_iter().filter(|user| plan.staff.iter().all(|(staff, _)| staff != user));
    let customers: Vec<&str> = customers.collect();
    for user in customers.iter().copied().chain(["nobody"]) {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        viewed(plain, user, &mut here).await;
        viewed(staffed, user, &mut there).await;
        acted(plain, user, &plan, &mut here).await;
        acted(staffed, user, &plan, &mut there).await;
        assert_eq!(here.len(), there.len());
        for ((what, plain), (_, staffed)) in here.into_iter().zip(there) {
            // Where there is room for one role, who has an internal one is like one who is blocked.
            if !multi && staffed.starts_with("USER_NOT_AVAILABLE") {
                continue;
            }
            assert_eq!(plain, staffed, "seed {seed}, multi {multi}: {what}");
        }
    }
    // What is written for acting users leaves the worlds alike too.
    let deeds = deeds(&mut Draw(seed ^ 1), &plan, &customers);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let written = done(plain, &deeds, &mut here).await;
    done(staffed, &deeds, &mut there).await;
    assert!(seed != 7 || written >= 3, "{here:#?}");
    for user in customers.into_iter().chain(["new", "newer"]) {
        viewed(plain, user, &mut here).await;
        viewed(staffed, user, &mut there).await;
    }
    assert_eq!(here.len(), there.len());
    for ((what, plain), (_, staffed)) in here.into_iter().zip(there) {
        assert_eq!(plain, staffed, "seed {seed}, multi {multi}, after what was written: {what}");
    }
}

#[test]
fn i2_what_viewers_and_acting_users_are_told_does_not_betray_staff() {
    let seeds: Vec<u64> = match std::env::var("ROLECALL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            vec![7, now.as_nanos() as u64]
        }
    };
    println!("seeds {seeds:?}; ROLECALL_SEED tries one again");
    on_both(async |server| {
        for &seed in &seeds {
            for multi in [false, true] {
                compare(server, seed, multi).await;
            }
        }
    });
}
