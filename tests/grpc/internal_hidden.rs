//! Internal roles and members stay hidden: two projects that differ only in them give viewers and acting users the same
//! answers (I2, I4, G4).

use std::collections::BTreeMap;
use std::fmt::Debug;

use prost_types::Timestamp;
use rolecall::wire;
use tonic::Status;
use tonic_types::StatusExt;

use crate::fixture::{Project, in_an_hour, role, suspending_with_fallback, temporary, texts};
use crate::random::Random;
use crate::server::{Server, on_both};

const VISIBLE: [&str; 5] = ["Owner", "Admin", "Member", "Clerk", "Guest"];
const INTERNAL: [&str; 2] = ["Support", "Spy"];
/// The last names in forged page tokens.
const FORGED: [&str; 5] = ["Owner", "Clerk", "Support", "Spy", "Suport"];
const USERS: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];
/// Internal members, who exist in only one of the projects.
const STAFF: [&str; 3] = ["aaa", "cam", "zed"];
/// The number of writes of acting users in each project.
const WRITES: usize = 48;
const ABILITIES: [&str; 5] = [
    "rolecall::can_view_other_members",
    "rolecall::can_invite",
    "rolecall::can_change_roles",
    "rolecall::can_remove_users",
    EDIT_ORG_ACCESS,
];
/// Without it a viewer or acting user sees no domains of the org (J1.e).
const EDIT_ORG_ACCESS: &str = "rolecall::can_edit_org_access";

/// What the two projects have in common, and the internal roles of one of them.
struct Plan {
    multi: bool,
    grants: Vec<(&'static str, &'static str)>,
    manages: Vec<(&'static str, Vec<&'static str>)>,
    members: Vec<(&'static str, Vec<wire::RoleAssignment>)>,
    /// The internal roles of users and of `STAFF`. They exist only in the project with internal roles.
    staff: Vec<(&'static str, wire::RoleAssignment)>,
    /// A user who is blocked in both projects.
    blocked: &'static str,
    disabled: &'static str,
    fallback_role: &'static str,
    /// The expiry of all temporary roles. It appears in answers.
    expiry: Timestamp,
}

impl Plan {
    fn new(random: &mut Random, multi: bool) -> Self {
        let expiry = in_an_hour();
        let mut grants = Vec::new();
        for ability in ABILITIES {
            for name in ["Owner", "Admin", "Member", "Clerk"] {
                if random.below(3) > 0 {
                    grants.push((name, ability));
                }
            }
        }
        let manages = VISIBLE.map(|name| (name, VISIBLE.into_iter().filter(|_| random.below(2) == 0).collect()));
        let mut members = Vec::new();
        let mut staff = Vec::new();
        for user in USERS {
            let first = random.pick(&VISIBLE);
            let second = random.pick(&VISIBLE);
            let drawn =
                |name, random: &mut Random| if random.below(3) == 0 { temporary(name, expiry) } else { role(name) };
            let held = match multi {
                true if first != second => vec![drawn(first, random), drawn(second, random)],
                true => vec![drawn(first, random)],
                false => match random.below(3) {
                    0 if first != second => vec![role(first), temporary(second, expiry)],
                    1 => vec![temporary(first, expiry)],
                    _ => vec![role(first)],
                },
            };
            if random.below(2) == 0 {
                let name = random.pick(&INTERNAL);
                let permanent = held.iter().filter(|held| held.expire_time.is_none()).count();
                match (multi, permanent, held.len()) {
                    (true, ..) => staff.push((user, drawn(name, random))),
                    // A SINGLE_ROLE member can hold one permanent and one temporary role.
                    (false, 1, 1) => staff.push((user, temporary(name, expiry))),
                    (false, 0, 1) => staff.push((user, role(name))),
                    _ => {}
                }
            }
            members.push((user, held));
        }
        // At least one user must be able to read and write.
        members[0].1 = vec![role("Owner")];
        staff.retain(|(user, _)| *user != "ann");
        staff.extend(STAFF.map(|user| (user, role(random.pick(&INTERNAL)))));
        Self {
            multi,
            grants,
            manages: manages.into(),
            members,
            staff,
            blocked: random.pick(&["bob", "cat", "eve", "zed"]),
            disabled: random.pick(&["Clerk", "Guest", "Admin"]),
            fallback_role: random.pick(&["", "Member"]),
            expiry,
        }
    }

    /// Creates one of the two projects.
    async fn make<'a>(&self, server: &'a Server, key: &'static str, with_internal: bool) -> Project<'a> {
        let project = Project { server, key };
        let structure = if self.multi { wire::RoleStructure::MultiRole } else { wire::RoleStructure::SingleRole };
        let request = wire::CreateProjectRequest {
            key: key.into(),
            environment: wire::Environment::Test.into(),
            role_structure: structure.into(),
            ..Default::default()
        };
        server.create_project(request).await.unwrap();
        if with_internal {
            project.internal_role("Support").await;
        }
        project.role("Clerk").await;
        if with_internal {
            project.internal_role("Spy").await;
        }
        project.role("Guest").await;
        if with_internal {
            // Internal roles above and between the visible ones.
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
            let more: &[&str] = if with_internal { &INTERNAL } else { &[] };
            project.manage(name, &[&manages[..], more].concat()).await;
        }
        project.org("acme", "").await;
        for (user, held) in &self.members {
            let internal =
                self.staff.iter().filter(|(other, _)| with_internal && other == user).map(|(_, role)| role.clone());
            project.add("acme", user, &held.iter().cloned().chain(internal).collect::<Vec<_>>()).await;
        }
        for (user, role) in self.staff.iter().filter(|(user, _)| with_internal && STAFF.contains(user)) {
            project.add("acme", user, std::slice::from_ref(role)).await;
        }
        let disabling = wire::UpdateRoleMappingRequest {
            disable_roles: texts(&[self.disabled]),
            on_disabled: suspending_with_fallback(self.fallback_role),
            ..project.updating("Default")
        };
        server.update_role_mapping(disabling).await.unwrap();
        project.set_domain("acme.example").await;
        let block = wire::BlockUserRequest { project: key.into(), user_id: self.blocked.into(), ..Default::default() };
        server.block_user(block).await.unwrap();
        project
    }
}

impl Project<'_> {
    /// Makes this the only domain of acme, verified.
    async fn set_domain(&self, domain: &str) {
        self.server.set_org_domains(self.setting_domain("", domain, &[])).await.unwrap();
    }

    fn setting_domain(&self, acting: &str, domain: &str, roles: &[&str]) -> wire::SetOrgDomainsRequest {
        let domain = wire::OrgDomainSpec { domain: domain.into(), roles: texts(roles), ..Default::default() };
        wire::SetOrgDomainsRequest {
            project: self.key.into(),
            org_id: "acme".into(),
            domains: vec![domain],
            acting_user_id: acting.into(),
            ..Default::default()
        }
    }

    /// Joins a new user by a domain of acme, without an acting user.
    async fn join(&self, user: &str, domain: &str) -> String {
        let request = wire::ProvisionMemberRequest {
            project: self.key.into(),
            org_id: "acme".into(),
            user_id: user.into(),
            email: format!("{user}@{domain}"),
            email_verified: true,
            ..Default::default()
        };
        let answer = self.server.provision_member(request).await;
        text_of(answer.map(|answer| (roles_only(answer.member), answer.skipped_roles)))
    }
}

/// Returns the roles of a member without revisions, which differ between projects.
fn roles_only(member: Option<wire::Member>) -> Vec<String> {
    member.into_iter().flat_map(|member| member.roles).map(|role| role.role).collect()
}

/// Returns an answer as text: of an error everything, with its details.
fn text_of<T: Debug>(answer: Result<T, Status>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(status) => {
            let details = status.get_error_details();
            let info = details.error_info().expect("ErrorInfo").clone();
            let details = (details.bad_request(), details.precondition_failure(), details.resource_info());
            // Its entries have no fixed order.
            let metadata: BTreeMap<String, String> = info.metadata.into_iter().collect();
            format!("{} {:?} {} {metadata:?} {details:?}", info.reason, status.code(), status.message())
        }
    }
}

/// Collects all answers to a viewer.
async fn read_as(project: Project<'_>, viewer: &str, answers: &mut Vec<(String, String)>) {
    let server = project.server;
    let mut note = |what: String, answer: String| answers.push((format!("{viewer} {what}"), answer));
    let org = wire::GetOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        viewer_user_id: viewer.into(),
        ..Default::default()
    };
    let org = server.get_org(org).await.map(|answer| wire::Org { create_time: None, ..answer.org.unwrap() });
    note("org".into(), text_of(org));
    for user in USERS.into_iter().chain(STAFF).chain(["nobody"]) {
        note(format!("member {user}"), text_of(project.member_for(viewer, "acme", user).await));
        let access = wire::GetAccessRequest {
            project: project.key.into(),
            org_id: "acme".into(),
            user_id: user.into(),
            viewer_user_id: viewer.into(),
            ..Default::default()
        };
        let access = server.get_access(access).await.map(|answer| (answer.roles, answer.access));
        note(format!("access of {user}"), text_of(access));
    }
    for permission in [ABILITIES[0], "spy.on"] {
        let (mut pages, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListMembersWithPermissionRequest {
                project: project.key.into(),
                org_id: "acme".into(),
                permission: permission.into(),
                viewer_user_id: viewer.into(),
                page_size: 1,
                page_token,
                ..Default::default()
            };
            match server.list_members_with_permission(request).await {
                Err(status) => {
                    pages.push(text_of::<()>(Err(status)));
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
        note(format!("who can {permission}"), pages.join("\n"));
    }
    let filters =
        [("", ""), ("Member", ""), ("Clerk", ""), ("Support", ""), ("Suport", ""), ("", "spy.on"), ("", ABILITIES[0])];
    for (role, permission) in filters {
        // The list without filters is read with three page sizes.
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
                        pages.push(text_of::<()>(Err(status)));
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
                    pages.push(text_of::<()>(Err(status)));
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
        note(format!("roles after {last}"), text_of(project.roles_after(viewer, "acme", last).await));
    }
}

/// Collects all answers to an acting user: what it may do, and previews of its writes.
async fn preview_as(project: Project<'_>, acting: &str, plan: &Plan, answers: &mut Vec<(String, String)>) {
    let server = project.server;
    let mut note = |what: String, answer: String| answers.push((format!("{acting} {what}"), answer));
    for target in ["", "ann", "cat", "cam", "nobody"] {
        // In SINGLE_ROLE an internal member is not available (I4.b).
        let may_differ = !plan.multi && plan.staff.iter().any(|(staff, _)| *staff == target);
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
                        pages.push(text_of::<()>(Err(status)));
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
            if !may_differ {
                note(format!("manages {target} by {page_size}"), pages.join("\n"));
            }
        }
        for last in FORGED {
            let page = project.manageable_after((acting, "acme", target), last).await;
            note(format!("manages {target} after {last}"), text_of(page));
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
            note(format!("add {target} {name}"), text_of(added));
            add.roles = vec![temporary(name, plan.expiry)];
            let temporary = server.add_member(add).await.map(|answer| (answer.member, answer.impact));
            note(format!("add temporarily {target} {name}"), text_of(temporary));
            let set = wire::SetMemberRolesRequest {
                acting_user_id: acting.into(),
                validate_only: true,
                ..project.setting("acme", target, &[role(name)])
            };
            let set = server.set_member_roles(set).await.map(|answer| (answer.member, answer.impact));
            note(format!("set {target} {name}"), text_of(set));
        }
        let remove = wire::RemoveMemberRequest {
            acting_user_id: acting.into(),
            validate_only: true,
            ..project.removing("acme", target)
        };
        let removed = server.remove_member(remove).await.map(|answer| answer.impact);
        note(format!("remove {target}"), text_of(removed));
    }
    for name in ["Owner", "Member", "Support", "Suport"] {
        let mut domains = project.setting_domain(acting, "new.example", &[name]);
        domains.validate_only = true;
        let set = server.set_org_domains(domains).await.map(|answer| (answer.domains, answer.impact));
        note(format!("set a domain with {name}"), text_of(set));
    }
    let delete = wire::DeleteOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        acting_user_id: acting.into(),
        validate_only: true,
        ..Default::default()
    };
    let deleted = server.delete_org(delete).await.map(|answer| (answer.removed_memberships, answer.impact));
    note("delete".into(), text_of(deleted));
}

/// Returns random writes of acting users, as (acting user, target, write).
fn writes<'a>(random: &mut Random, plan: &Plan, customers: &[&'a str]) -> Vec<(&'a str, &'static str, Write)> {
    let mut targets: Vec<&str> = USERS.into_iter().chain(["cam", "new", "newer"]).collect();
    // In SINGLE_ROLE a write of an internal member is refused, but accepted in the other project (I4.b).
    targets.retain(|target| plan.multi || plan.staff.iter().all(|(staff, _)| staff != target));
    let write = |_| {
        let acting = if random.below(2) == 0 { "ann" } else { random.pick(customers) };
        let name = random.pick(&VISIBLE);
        let given = if random.below(3) == 0 { temporary(name, plan.expiry) } else { role(name) };
        let write = match random.below(6) {
            0 | 1 => Write::Add(given),
            2 | 3 => Write::Set(given),
            4 => Write::Domain(random.pick(&["acme.example", "new.example"]), name),
            _ => Write::Remove,
        };
        (acting, random.pick(&targets), write)
    };
    (0..WRITES).map(write).collect()
}

enum Write {
    Add(wire::RoleAssignment),
    Set(wire::RoleAssignment),
    Domain(&'static str, &'static str),
    Remove,
}

/// Applies the writes and collects their answers. Returns the number of accepted writes.
async fn apply(
    project: Project<'_>,
    writes: &[(&str, &'static str, Write)],
    answers: &mut Vec<(String, String)>,
) -> usize {
    let server = project.server;
    let mut accepted = 0;
    for (number, (acting, target, write)) in writes.iter().enumerate() {
        let answer = match write {
            Write::Add(given) => project
                .add_by(acting, "acme", target, std::slice::from_ref(given))
                .await
                .map(|answer| (format!("{:?}", answer.member), answer.impact)),
            Write::Set(given) => project
                .set_by(acting, "acme", target, std::slice::from_ref(given))
                .await
                .map(|answer| (format!("{:?}", answer.member), answer.impact)),
            Write::Domain(domain, role) => server
                .set_org_domains(project.setting_domain(acting, domain, &[role]))
                .await
                .map(|answer| (format!("{:?}", answer.domains), answer.impact)),
            Write::Remove => {
                let request =
                    wire::RemoveMemberRequest { acting_user_id: (*acting).into(), ..project.removing("acme", target) };
                server.remove_member(request).await.map(|answer| (String::new(), answer.impact))
            }
        };
        accepted += usize::from(answer.is_ok());
        answers.push((format!("write {number} by {acting} of {target}"), text_of(answer)));
    }
    accepted
}

/// Creates both projects and compares all answers.
async fn compare(server: &Server, seed: u64, multi: bool) {
    let plan = Plan::new(&mut Random(seed), multi);
    let key =
        |name: &str| -> &'static str { Box::leak(format!("{name}-{}-{multi}", seed % 1_000_000).into_boxed_str()) };
    let plain = plan.make(server, key("plain"), false).await;
    let with_internal = plan.make(server, key("internal"), true).await;
    // Users with internal roles may see and do more.
    let customers = USERS.into_iter().filter(|user| plan.staff.iter().all(|(staff, _)| staff != user));
    let customers: Vec<&str> = customers.collect();
    for user in customers.iter().copied().chain(["nobody"]) {
        let (mut plain_answers, mut internal_answers) = (Vec::new(), Vec::new());
        read_as(plain, user, &mut plain_answers).await;
        read_as(with_internal, user, &mut internal_answers).await;
        preview_as(plain, user, &plan, &mut plain_answers).await;
        preview_as(with_internal, user, &plan, &mut internal_answers).await;
        assert_eq!(plain_answers.len(), internal_answers.len());
        for ((what, plain), (_, with_internal)) in plain_answers.into_iter().zip(internal_answers) {
            // In SINGLE_ROLE an internal member is refused like a blocked user (I4.b).
            if !multi && with_internal.starts_with("USER_NOT_AVAILABLE") {
                continue;
            }
            assert_eq!(plain, with_internal, "seed {seed}, multi {multi}: {what}");
        }
    }
    // Writes of acting users leave no difference either.
    let writes = writes(&mut Random(seed ^ 1), &plan, &customers);
    let (mut plain_answers, mut internal_answers) = (Vec::new(), Vec::new());
    let accepted = apply(plain, &writes, &mut plain_answers).await;
    apply(with_internal, &writes, &mut internal_answers).await;
    assert!(seed != 7 || accepted >= 3, "{plain_answers:#?}");
    for domain in ["acme.example", "new.example"] {
        let joined = |answer| (format!("joined by {domain}"), answer);
        let user = domain.replace('.', "-");
        plain_answers.push(joined(plain.join(&user, domain).await));
        internal_answers.push(joined(with_internal.join(&user, domain).await));
    }
    for user in customers.iter().copied().chain(["new", "newer"]) {
        read_as(plain, user, &mut plain_answers).await;
        read_as(with_internal, user, &mut internal_answers).await;
    }
    assert_eq!(plain_answers.len(), internal_answers.len());
    for ((what, plain), (_, with_internal)) in plain_answers.into_iter().zip(internal_answers) {
        assert_eq!(plain, with_internal, "seed {seed}, multi {multi}, after the writes: {what}");
    }
    without_domains_in_sight(plain, &plan, &customers, seed).await;
}

/// Changes the domains, and asserts that the answers to users without the ability to see them stay the same.
async fn without_domains_in_sight(project: Project<'_>, plan: &Plan, customers: &[&str], seed: u64) {
    let mut blind = vec!["nobody"];
    for user in customers {
        if project.check("acme", user, EDIT_ORG_ACCESS).await != wire::Decision::Allowed {
            blind.push(user);
        }
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (domain, answers) in [("first.example", &mut before), ("second.example", &mut after)] {
        project.set_domain(domain).await;
        for user in &blind {
            read_as(project, user, answers).await;
            preview_as(project, user, plan, answers).await;
        }
    }
    assert_eq!(before, after, "seed {seed}, multi {}", plan.multi);
}

#[test]
fn i2_answers_to_viewers_and_acting_users_reveal_no_internal_roles_or_members() {
    let seeds: Vec<u64> = match std::env::var("ROLECALL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            vec![7, now.as_nanos() as u64]
        }
    };
    println!("seeds {seeds:?}; ROLECALL_SEED repeats one");
    on_both(async |server| {
        for &seed in &seeds {
            for multi in [false, true] {
                compare(server, seed, multi).await;
            }
        }
    });
}
