//! Lists while a writer changes what they list: what exists throughout appears exactly once (B4).

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::future::join_all;
use rolecall::wire::{self, create_role_request::Placement};

use crate::contract::Contract;
use crate::fixture::{Project, in_an_hour, roles, temporary};
use crate::random::Random;
use crate::server::{Server, on_both};

const ACME: &str = "acme";
/// The operator of the API keys.
const KEEPER: &str = "keeper";
const ANN: &str = "ann";
const ADDRESS: &str = "ann@acme.example";
/// The rows that exist throughout. Each has a guest before it and one after it.
const STAYING: usize = 7;
const LISTINGS: usize = 5;
/// The writer stops after these pages, so that a list in order of creation comes to its end.
const BUSY_PAGES: usize = 3 * STAYING;
const PENDING: [i32; 1] = [wire::InvitationState::Pending as i32];

/// What a list lists, and so what the writer adds and removes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Churn {
    /// Members of acme.
    Member,
    /// The role Admin of members of acme.
    Admin,
    /// Members of acme who are blocked for a while.
    Block,
    /// Orgs that ann is a member of.
    Membership,
    Org,
    /// Orgs on the mapping `Paid`.
    Subscription,
    /// Orgs that list the domain of [`ADDRESS`].
    Domain,
    /// Invitations to acme. A guest that is invited again is the last row.
    Invitation,
    Project,
    Permission,
    Role,
    /// Internal roles between visible ones. For viewers, a list of roles ends if visible roles come and go (I2.e).
    InternalRole,
    RoleMapping,
    /// API keys of an operator. A guest that comes again is another key of the same name.
    ApiKey,
    /// Nothing: the rows are part of the program.
    Template,
}

type Page<'a> = Pin<Box<dyn Future<Output = (Vec<String>, String)> + 'a>>;

struct List {
    /// The key of the list's own project.
    key: &'static str,
    method: &'static str,
    churn: Churn,
    page: for<'a> fn(&'a Server, i32, String) -> Page<'a>,
}

macro_rules! list {
    ($key:literal, $method:literal, $churn:ident, $call:ident($request:ident { $($field:ident: $value:expr),* }).$rows:ident.$id:ident) => {
        List {
            key: $key,
            method: concat!("rolecall.v1.", $method),
            churn: Churn::$churn,
            page: |server, page_size, page_token| {
                Box::pin(async move {
                    let mut request = wire::$request { $($field: $value.into(),)* ..Default::default() };
                    (request.page_size, request.page_token) = (page_size, page_token);
                    let page = server.$call(request).await;
                    let page = page.unwrap_or_else(|status| panic!("{}: {status:?}", $key));
                    (page.$rows.into_iter().map(|row| row.$id).collect(), page.next_page_token)
                })
            },
        }
    };
}

/// Every RPC that lists, with the arguments that make it read in another way.
#[rustfmt::skip]
const LISTS: [List; 25] = [
    list!("members", "MembershipService/ListMembers", Member,
        list_members(ListMembersRequest { project: "members", org_id: ACME }).members.user_id),
    list!("members-of-role", "MembershipService/ListMembers", Admin,
        list_members(ListMembersRequest { project: "members-of-role", org_id: ACME, role: "Admin" }).members.user_id),
    list!("members-granted", "MembershipService/ListMembers", Admin,
        list_members(ListMembersRequest { project: "members-granted", org_id: ACME, permission: "rolecall::can_invite" }).members.user_id),
    list!("members-for-viewer", "MembershipService/ListMembers", Member,
        list_members(ListMembersRequest { project: "members-for-viewer", org_id: ACME, viewer_user_id: ANN }).members.user_id),
    list!("who-can", "CheckService/ListMembersWithPermission", Admin,
        list_members_with_permission(ListMembersWithPermissionRequest { project: "who-can", org_id: ACME, permission: "rolecall::can_invite" }).members.user_id),
    list!("who-can-and-blocks", "CheckService/ListMembersWithPermission", Block,
        list_members_with_permission(ListMembersWithPermissionRequest { project: "who-can-and-blocks", org_id: ACME, permission: "rolecall::can_invite" }).members.user_id),
    list!("invitations", "InvitationService/ListInvitations", Invitation,
        list_invitations(ListInvitationsRequest { project: "invitations", org_id: ACME }).invitations.email),
    list!("invitations-pending", "InvitationService/ListInvitations", Invitation,
        list_invitations(ListInvitationsRequest { project: "invitations-pending", org_id: ACME, viewer_user_id: ANN, states: PENDING }).invitations.email),
    list!("memberships", "MembershipService/ListUserMemberships", Membership,
        list_user_memberships(ListUserMembershipsRequest { project: "memberships", user_id: ANN }).memberships.org_id),
    list!("memberships-full", "MembershipService/ListUserMemberships", Membership,
        list_user_memberships(ListUserMembershipsRequest { project: "memberships-full", user_id: ANN, view: wire::MembershipView::Full }).memberships.org_id),
    list!("where-can", "CheckService/ListOrgsWithPermission", Membership,
        list_orgs_with_permission(ListOrgsWithPermissionRequest { project: "where-can", user_id: ANN, permission: "rolecall::can_invite" }).memberships.org_id),
    list!("manageable", "MembershipService/ListManageableRoles", InternalRole,
        list_manageable_roles(ListManageableRolesRequest { project: "manageable", org_id: ACME, acting_user_id: ANN }).roles.role),
    list!("orgs", "OrgService/ListOrgs", Org,
        list_orgs(ListOrgsRequest { project: "orgs" }).orgs.org_id),
    list!("orgs-paid", "OrgService/ListOrgs", Subscription,
        list_orgs(ListOrgsRequest { project: "orgs-paid", role_mapping: "Paid" }).orgs.org_id),
    list!("joinable", "OrgService/ListJoinableOrgs", Domain,
        list_joinable_orgs(ListJoinableOrgsRequest { project: "joinable", email: ADDRESS, email_verified: true }).orgs.org_id),
    list!("subscriptions", "SubscriptionService/ListSubscriptions", Org,
        list_subscriptions(ListSubscriptionsRequest { project: "subscriptions" }).subscriptions.org_id),
    list!("subscriptions-paid", "SubscriptionService/ListSubscriptions", Subscription,
        list_subscriptions(ListSubscriptionsRequest { project: "subscriptions-paid", role_mapping: "Paid" }).subscriptions.org_id),
    list!("permissions", "PermissionService/ListPermissions", Permission,
        list_permissions(ListPermissionsRequest { project: "permissions" }).permissions.name),
    list!("roles", "RoleService/ListRoles", Role,
        list_roles(ListRolesRequest { project: "roles" }).roles.name),
    list!("roles-for-viewer", "RoleService/ListRoles", InternalRole,
        list_roles(ListRolesRequest { project: "roles-for-viewer", org_id: ACME, viewer_user_id: ANN }).roles.name),
    list!("mappings", "RoleMappingService/ListRoleMappings", RoleMapping,
        list_role_mappings(ListRoleMappingsRequest { project: "mappings" }).role_mappings.name),
    list!("mapping-rows", "RoleMappingService/ListRoleMappingRoles", Role,
        list_role_mapping_roles(ListRoleMappingRolesRequest { project: "mapping-rows", name: "Default" }).roles.role),
    list!("projects", "ProjectService/ListProjects", Project,
        list_projects(ListProjectsRequest {}).projects.key),
    list!("api-keys", "ApiKeyService/ListApiKeys", ApiKey,
        list_api_keys(ListApiKeysRequest {}).api_keys.display_name),
    list!("templates", "ProjectService/ListTemplates", Template,
        list_templates(ListTemplatesRequest {}).templates.name),
];

#[test]
fn b4_every_list_is_read_while_what_it_lists_changes() {
    let lists = LISTS.iter().map(|list| list.method.to_string()).collect::<BTreeSet<_>>();
    let methods = Contract::read().methods.into_iter().map(|method| method.path);
    // Events have no keys of their own: tests/grpc/audit_lists.rs reads them while writes go on.
    let methods = methods.filter(|path| path.contains("/List") && !path.ends_with("/ListEvents"));
    assert_eq!(lists, methods.collect());
}

#[test]
fn b4_what_exists_while_others_come_and_go_is_listed_exactly_once_by_every_list() {
    on_both(async |server| {
        let read = LISTS.iter().zip(1..).map(async |(list, seed)| {
            list.reads_what_stays_once(server, &mut Random(seed)).await;
        });
        join_all(read).await;
    });
}

impl List {
    async fn reads_what_stays_once(&self, server: &Server, random: &mut Random) {
        let project = Project { server, key: self.key };
        project.create().await;
        let staying = self.staying();
        let mut guests = Vec::new();
        for name in &staying {
            for guest in [format!("{name}-above"), format!("{name}-below")] {
                guests.push((guest, true));
            }
            self.churn.prepare(project, name).await;
            self.churn.arrive(project, name).await;
            for (guest, _) in &guests[guests.len() - 2..] {
                self.churn.prepare(project, guest).await;
                self.churn.arrive(project, guest).await;
            }
        }
        for listing in 0..LISTINGS {
            let page_size = 1 + random.below(5) as i32;
            let (mut rows, mut token, mut history) = (Vec::new(), String::new(), Vec::new());
            for pages in 0.. {
                let writer = async {
                    let writes = if pages < BUSY_PAGES { 1 + random.below(3) } else { 0 };
                    for _ in 0..writes {
                        let guest = random.below(guests.len());
                        let (name, is_there) = &mut guests[guest];
                        *is_there = !*is_there;
                        history.push(format!("{name}: {is_there}"));
                        match is_there {
                            true => self.churn.arrive(project, name).await,
                            false => self.churn.leave(project, name).await,
                        }
                    }
                };
                // The writer writes before, during or after the page, but always before the next one.
                let (page, ()) = tokio::join!((self.page)(server, page_size, token), writer);
                history.push(format!("{:?}", page.0));
                rows.extend(page.0);
                token = page.1;
                if token.is_empty() {
                    break;
                }
            }
            for name in &staying {
                let times = rows.iter().filter(|row| *row == name).count();
                assert_eq!(times, 1, "{} in listing {listing} of {}: {history:#?}", name, self.key);
            }
        }
    }

    fn staying(&self) -> Vec<String> {
        match self.churn {
            Churn::Template => ["b2b", "empty", "propelauth-dashboard", "stytch-dashboard"].map(String::from).into(),
            Churn::Invitation => (0..STAYING).map(|number| format!("row-{number}@acme.example")).collect(),
            _ => (0..STAYING).map(|number| format!("row-{number}")).collect(),
        }
    }
}

impl Project<'_> {
    /// Creates the project, with acme, which ann owns.
    async fn create(self) {
        let request = wire::CreateProjectRequest {
            key: self.key.into(),
            environment: wire::Environment::Test.into(),
            ..Default::default()
        };
        self.server.create_project(request).await.unwrap();
        if self.key == "api-keys" {
            self.server.operator(KEEPER, "Owner").await;
        }
        self.mapping("Paid").await;
        self.org_with_owner(ACME, ANN).await;
    }

    async fn set_domains(self, org_id: &str, domains: &[&str]) {
        let domain = |domain: &&str| wire::OrgDomainSpec { domain: domain.to_string(), ..Default::default() };
        let request = wire::SetOrgDomainsRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            domains: domains.iter().map(domain).collect(),
            ..Default::default()
        };
        self.server.set_org_domains(request).await.unwrap();
    }

    /// Revokes the pending invitation of an address to acme.
    async fn revoke(self, email: &str) {
        let request = wire::ListInvitationsRequest {
            project: self.key.into(),
            org_id: ACME.into(),
            states: PENDING.into(),
            ..Default::default()
        };
        let pending = self.server.list_invitations(request).await.unwrap().invitations;
        let invitation = pending.iter().find(|invitation| invitation.email == email).unwrap();
        self.server.revoke_invitation(self.revoking(invitation, "")).await.unwrap();
    }
}

impl Churn {
    /// Creates what exists while the row comes and goes.
    async fn prepare(self, project: Project<'_>, name: &str) {
        match self {
            Self::Admin => drop(project.add(ACME, name, &roles(&["Member"])).await),
            Self::Block => drop(project.add(ACME, name, &roles(&["Admin"])).await),
            Self::Membership | Self::Subscription | Self::Domain => drop(project.org(name, "Default").await),
            _ => {}
        }
    }

    async fn arrive(self, project: Project<'_>, name: &str) {
        let (server, key) = (project.server, project.key.to_string());
        match self {
            Self::Member => drop(project.add(ACME, name, &[]).await),
            Self::Admin => drop(project.set(ACME, name, &roles(&["Admin"])).await),
            Self::Block => {
                let request = wire::UnblockUserRequest { project: key, user_id: name.into(), ..Default::default() };
                server.unblock_user(request).await.unwrap();
            }
            Self::Membership => drop(project.add(name, ANN, &[temporary("Admin", in_an_hour())]).await),
            Self::Org => {
                let request = wire::CreateOrgRequest {
                    project: key,
                    org_id: name.into(),
                    reuse_deleted_id: true,
                    ..Default::default()
                };
                server.create_org(request).await.unwrap();
            }
            Self::Subscription => project.subscribe(name, "Paid").await,
            Self::Domain => project.set_domains(name, &["acme.example"]).await,
            Self::Invitation => drop(project.invite(ACME, name, &[]).await),
            Self::Project => {
                let request = wire::CreateProjectRequest {
                    key: name.into(),
                    environment: wire::Environment::Test.into(),
                    reuse_deleted_key: true,
                    ..Default::default()
                };
                server.create_project(request).await.unwrap();
            }
            Self::Permission => project.permission(name).await,
            Self::Role | Self::InternalRole => {
                let above = name.strip_suffix("-above").map(|row| Placement::Above(row.into()));
                let placement = above.or(name.strip_suffix("-below").map(|row| Placement::Below(row.into())));
                let request = wire::CreateRoleRequest {
                    project: key,
                    name: name.into(),
                    internal: self == Self::InternalRole && placement.is_some(),
                    placement,
                    ..Default::default()
                };
                server.create_role(request).await.unwrap();
            }
            Self::RoleMapping => drop(project.mapping(name).await),
            Self::ApiKey => {
                let request = wire::CreateApiKeyRequest {
                    display_name: name.into(),
                    operator: KEEPER.into(),
                    environment: wire::Environment::Test.into(),
                    ..Default::default()
                };
                project.server.create_api_key(request).await.unwrap();
            }
            Self::Template => {}
        }
    }

    async fn leave(self, project: Project<'_>, name: &str) {
        let (server, key, name) = (project.server, project.key.to_string(), name.to_string());
        match self {
            Self::Member => project.remove(ACME, &name).await,
            Self::Admin => drop(project.set(ACME, &name, &roles(&["Member"])).await),
            Self::Block => {
                let request = wire::BlockUserRequest { project: key, user_id: name, ..Default::default() };
                server.block_user(request).await.unwrap();
            }
            Self::Membership => project.remove(&name, ANN).await,
            Self::Org => drop(project.delete_org(&name).await),
            Self::Subscription => project.subscribe(&name, "Default").await,
            Self::Domain => project.set_domains(&name, &[]).await,
            Self::Invitation => project.revoke(&name).await,
            Self::Project => {
                let request = wire::DeleteProjectRequest { project: name.clone(), confirm: name, ..Default::default() };
                server.delete_project(request).await.unwrap();
            }
            Self::Permission => {
                let request = wire::DeletePermissionRequest { project: key, name, ..Default::default() };
                server.delete_permission(request).await.unwrap();
            }
            Self::Role | Self::InternalRole => {
                let request = wire::DeleteRoleRequest { project: key, name, ..Default::default() };
                server.delete_role(request).await.unwrap();
            }
            Self::RoleMapping => {
                let request = wire::DeleteRoleMappingRequest { project: key, name, ..Default::default() };
                server.delete_role_mapping(request).await.unwrap();
            }
            Self::ApiKey => {
                let request =
                    wire::ListApiKeysRequest { operator: KEEPER.into(), page_size: 1_000, ..Default::default() };
                let keys = project.server.list_api_keys(request).await.unwrap().api_keys;
                let api_key_id = keys.into_iter().find(|key| key.display_name == name).unwrap().api_key_id;
                let request = wire::ArchiveApiKeyRequest { api_key_id, ..Default::default() };
                project.server.archive_api_key(request).await.unwrap();
            }
            Self::Template => {}
        }
    }
}
