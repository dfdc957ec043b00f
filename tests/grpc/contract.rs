//! The contract as the server's own descriptors describe it, and a well-formed request of every RPC.

mod api_keys;
pub mod behavior;
mod catalog;
pub mod configuration;
mod invitations;

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use rolecall::grpc::DESCRIPTORS;
use rolecall::wire::{
    self, batch_subscribe_orgs_request, check_request, consistency, explain_change_request, explain_request,
    member_write, subscribe_org_request, timestamp,
};

use crate::fixture::{in_an_hour, mask, remapping, roles, suspending, suspending_with_fallback, temporary, texts};
use crate::server::Server;

const PACKAGE: &str = "rolecall.v1";

/// A method and an encoded request of it.
pub type Sent = (&'static str, Vec<u8>);

/// The descriptors of the package.
pub struct Contract {
    messages: BTreeMap<String, DescriptorProto>,
    behaviors: BTreeMap<String, Vec<i32>>,
    pub services: Vec<String>,
    pub methods: Vec<Method>,
}

pub struct Method {
    /// `rolecall.v1.OrgService/GetOrg`.
    pub path: String,
    /// The full name of the request message.
    pub request: String,
}

impl Contract {
    pub fn read() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let behaviors = behavior::of_fields();
        let mut contract = Self { messages: BTreeMap::new(), behaviors, services: Vec::new(), methods: Vec::new() };
        for file in files.iter().filter(|file| file.package() == PACKAGE) {
            for message in &file.message_type {
                contract.messages.insert(format!(".{PACKAGE}.{}", message.name()), message.clone());
            }
            for service in &file.service {
                let name = format!("{PACKAGE}.{}", service.name());
                contract.methods.extend(service.method.iter().map(|method| Method {
                    path: format!("{name}/{}", method.name()),
                    request: method.input_type().into(),
                }));
                contract.services.push(name);
            }
        }
        contract
    }

    /// Returns the fields of a message. `None` if it belongs to another package.
    pub fn fields(&self, message: &str) -> Option<&[FieldDescriptorProto]> {
        self.messages.get(message).map(|message| &message.field[..])
    }

    /// Returns true if a field, given as `.rolecall.v1.GetOrgRequest.org_id`, has one of these behaviors.
    pub fn has_behavior(&self, field: &str, behaviors: &[i32]) -> bool {
        self.behaviors.get(field).is_some_and(|own| own.iter().any(|behavior| behaviors.contains(behavior)))
    }

    /// Returns the method with this path.
    pub fn method(&self, path: &str) -> &Method {
        self.methods.iter().find(|method| method.path == path).unwrap()
    }

    /// Returns the methods that have a `request_id`.
    pub fn writes(&self) -> impl Iterator<Item = &Method> {
        let writes =
            |method: &&Method| self.fields(&method.request).unwrap().iter().any(|field| field.name() == "request_id");
        self.methods.iter().filter(writes)
    }
}

/// Creates what [`requests`] need: two orgs with their members, roles and mappings.
pub async fn shop(server: &Server) {
    let shop = server.single();
    shop.permission("invoices.view").await;
    shop.permission("invoices.pay").await;
    shop.role("Billing Manager").await;
    shop.role("Guest").await;
    shop.mapping("Paid").await;
    shop.grant("Default", "Admin", &["invoices.view"]).await;
    shop.grant("Paid", "Billing Manager", &["invoices.view", "invoices.pay"]).await;
    shop.org("acme", "Default").await;
    shop.org("globex", "Paid").await;
    let without_orgs = wire::CreateProjectRequest {
        key: "deserted".into(),
        environment: wire::Environment::Test.into(),
        role_structure: wire::RoleStructure::MultiRole.into(),
        ..Default::default()
    };
    server.create_project(without_orgs).await.unwrap();
    for user in ["ann", "bob", "eve", "fay"] {
        shop.add("acme", user, &roles(&["Member"])).await;
    }
    // A verified domain, and an unverified one.
    shop.add("acme", "olga", &roles(&["Owner"])).await;
    for (org_id, domain, acting) in [("globex", "globex.example", ""), ("acme", "acme.example", "olga")] {
        let request = wire::SetOrgDomainsRequest {
            org_id: org_id.into(),
            domains: vec![wire::OrgDomainSpec { domain: domain.into(), ..Default::default() }],
            acting_user_id: acting.into(),
            ..Default::default()
        };
        server.set_org_domains(request).await.unwrap();
    }
    server.operator("olga", "Admin").await;
    for email in ["first@acme.example", "second@acme.example"] {
        shop.invite("acme", email, &["Member"]).await;
    }
}

/// Returns requests of every RPC with every field set. They succeed on [`shop`] in this order. A method has several requests
/// if a `oneof` has several fields.
pub async fn requests(server: &Server) -> Vec<Sent> {
    let token = &server.token().await;
    let request = wire::ListInvitationsRequest { org_id: "acme".into(), ..Default::default() };
    let invited = server.list_invitations(request).await.unwrap().invitations;
    let [first, second, ..] = &invited[..] else { panic!("the shop has two invitations") };
    let project = || "default".to_string();
    let request_id = |id: &str| format!("request-{id}");
    let reason = || "because".to_string();
    let at_least = || Some(wire::Consistency { requirement: Some(consistency::Requirement::AtLeast(token.into())) });
    let requirement = |requirement| Some(wire::Consistency { requirement: Some(requirement) });
    let question = || Some(check_request::Question::Permission("invoices.view".into()));
    let listed = || wire::PermissionList { permissions: texts(&["invoices.view"]) };
    let asking = |question| wire::CheckRequest {
        org_id: "acme".into(),
        user_id: "ann".into(),
        question: Some(question),
        ..Default::default()
    };
    let changing = |question| wire::ExplainChangeRequest {
        org_id: "acme".into(),
        user_id: "ann".into(),
        question: Some(question),
        ..Default::default()
    };
    // When ann was added, or later.
    let past = Some(timestamp(rolecall::clock::now()));
    let explaining_past = |as_of_revision: &str, as_of_time| {
        let request = wire::ExplainRequest {
            org_id: "acme".into(),
            user_id: "ann".into(),
            question: Some(explain_request::Question::Role("Member".into())),
            as_of_revision: as_of_revision.into(),
            as_of_time,
            ..Default::default()
        };
        ("rolecall.v1.CheckService/Explain", request.encode_to_vec())
    };
    let explaining = |question: explain_request::Question| {
        let request = wire::ExplainRequest {
            org_id: "acme".into(),
            user_id: "ann".into(),
            question: Some(question),
            ..Default::default()
        };
        ("rolecall.v1.CheckService/Explain", request.encode_to_vec())
    };
    let ann = || wire::CheckItem { org_id: "acme".into(), user_id: "ann".into(), permission: "invoices.view".into() };
    let edits = || {
        vec![wire::GrantEdit {
            role: "Member".into(),
            add: texts(&["invoices.view"]),
            remove: texts(&["invoices.pay"]),
        }]
    };
    let temporary_admin = || wire::RoleAssignments { roles: vec![temporary("Admin", in_an_hour())] };
    let row = |user: &str, write| wire::MemberWrite { org_id: "acme".into(), user_id: user.into(), write: Some(write) };
    let others = vec![
        configuration::reading(token),
        configuration::applying(),
        (
            "rolecall.v1.RoleMappingService/CreateRoleMapping",
            wire::CreateRoleMappingRequest {
                project: project(),
                name: "Gold".into(),
                description: "The best.".into(),
                duplicate_of: "Paid".into(),
                edits: edits(),
                enable_roles: texts(&["Billing Manager"]),
                disable_roles: texts(&["Guest"]),
                subscribe_org_ids: texts(&["globex"]),
                on_disabled: suspending_with_fallback("Member"),
                request_id: request_id("mapping"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/GetRoleMapping",
            wire::GetRoleMappingRequest { project: project(), name: "Paid".into(), consistency: at_least() }
                .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/ListRoleMappingRoles",
            wire::ListRoleMappingRolesRequest {
                project: project(),
                name: "Paid".into(),
                roles: texts(&["Owner"]),
                consistency: at_least(),
                page_size: 10,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/ListRoleMappings",
            wire::ListRoleMappingsRequest {
                project: project(),
                page_size: 10,
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/UpdateRoleMapping",
            wire::UpdateRoleMappingRequest {
                project: project(),
                name: "Paid".into(),
                resource: Some(wire::RoleMapping { name: "Paid".into(), ..Default::default() }),
                update_mask: mask(&["name", "description", "aliases"]),
                edits: edits(),
                enable_roles: texts(&["Billing Manager"]),
                disable_roles: texts(&["Guest"]),
                on_disabled: remapping(&[("Guest", "Member")], "Member"),
                request_id: request_id("edits"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/DiffRoleMappings",
            wire::DiffRoleMappingsRequest {
                project: project(),
                left: "Default".into(),
                right: "Paid".into(),
                page_size: 10,
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/PromoteRoleMapping",
            wire::PromoteRoleMappingRequest {
                project: project(),
                name: "Paid".into(),
                request_id: request_id("promotion"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/PromoteRoleMapping",
            wire::PromoteRoleMappingRequest {
                name: "Default".into(),
                request_id: request_id("promotion-back"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/CreateOrg",
            wire::CreateOrgRequest {
                project: project(),
                org_id: "initech".into(),
                display_name: "Initech".into(),
                metadata: "{}".into(),
                role_mapping: "Paid".into(),
                creator_user_id: "ivy".into(),
                request_id: request_id("org"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/GetOrg",
            wire::GetOrgRequest {
                project: project(),
                org_id: "acme".into(),
                viewer_user_id: "ann".into(),
                consistency: at_least(),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/ListOrgs",
            wire::ListOrgsRequest {
                project: project(),
                role_mapping: "Paid".into(),
                page_size: 10,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/UpdateOrg",
            wire::UpdateOrgRequest {
                project: project(),
                org_id: "globex".into(),
                resource: Some(wire::Org {
                    display_name: "Globex".into(),
                    metadata: "[]".into(),
                    ..Default::default()
                }),
                update_mask: mask(&["display_name", "metadata"]),
                request_id: request_id("org-update"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.SubscriptionService/SubscribeOrg",
            wire::SubscribeOrgRequest {
                project: project(),
                org_id: "acme".into(),
                target: Some(subscribe_org_request::Target::RoleMapping("Paid".into())),
                on_disabled: suspending(),
                request_id: request_id("subscription"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.SubscriptionService/SubscribeOrg",
            wire::SubscribeOrgRequest {
                project: project(),
                org_id: "acme".into(),
                target: Some(subscribe_org_request::Target::ToDefault(true)),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.SubscriptionService/GetSubscription",
            wire::GetSubscriptionRequest { project: project(), org_id: "acme".into(), consistency: at_least() }
                .encode_to_vec(),
        ),
        (
            "rolecall.v1.SubscriptionService/BatchSubscribeOrgs",
            wire::BatchSubscribeOrgsRequest {
                project: project(),
                org_ids: texts(&["acme", "globex"]),
                target: Some(batch_subscribe_orgs_request::Target::RoleMapping("Paid".into())),
                on_disabled: suspending(),
                request_id: request_id("subscriptions"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.SubscriptionService/BatchSubscribeOrgs",
            wire::BatchSubscribeOrgsRequest {
                project: project(),
                org_ids: texts(&["acme"]),
                target: Some(batch_subscribe_orgs_request::Target::ToDefault(true)),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.SubscriptionService/ListSubscriptions",
            wire::ListSubscriptionsRequest {
                project: project(),
                role_mapping: "Paid".into(),
                page_size: 10,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/AddMember",
            wire::AddMemberRequest {
                project: project(),
                org_id: "globex".into(),
                user_id: "cat".into(),
                roles: vec![temporary("Billing Manager", in_an_hour())],
                request_id: request_id("member"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/GetMember",
            wire::GetMemberRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "ann".into(),
                viewer_user_id: "ann".into(),
                consistency: at_least(),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/ListMembers",
            wire::ListMembersRequest {
                project: project(),
                org_id: "acme".into(),
                role: "Member".into(),
                permission: "rolecall::can_view_other_members".into(),
                page_size: 10,
                viewer_user_id: "ann".into(),
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/ListManageableRoles",
            wire::ListManageableRolesRequest {
                project: project(),
                org_id: "acme".into(),
                acting_user_id: "ann".into(),
                target_user_id: "bob".into(),
                page_size: 10,
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/ListUserMemberships",
            wire::ListUserMembershipsRequest {
                project: project(),
                user_id: "ann".into(),
                view: wire::MembershipView::Full.into(),
                page_size: 10,
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/SetMemberRoles",
            wire::SetMemberRolesRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "ann".into(),
                roles: vec![temporary("Owner", in_an_hour())],
                request_id: request_id("roles"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/RemoveMember",
            wire::RemoveMemberRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "bob".into(),
                request_id: request_id("removal"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/BatchWriteMembers",
            wire::BatchWriteMembersRequest {
                project: project(),
                rows: vec![
                    row("dan", member_write::Write::Add(temporary_admin())),
                    row("eve", member_write::Write::Set(temporary_admin())),
                    row("fay", member_write::Write::Remove(wire::Removal {})),
                ],
                request_id: request_id("rows"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/Check",
            wire::CheckRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "ann".into(),
                question: question(),
                no_activity: true,
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/Check",
            wire::CheckRequest {
                as_of_revision: token.into(),
                ..asking(check_request::Question::Role("Member".into()))
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/Check",
            wire::CheckRequest { as_of_time: past, ..asking(check_request::Question::Role("Member".into())) }
                .encode_to_vec(),
        ),
        ("rolecall.v1.CheckService/Check", asking(check_request::Question::Role("Member".into())).encode_to_vec()),
        (
            "rolecall.v1.CheckService/Check",
            asking(check_request::Question::AtLeastRole("Admin".into())).encode_to_vec(),
        ),
        ("rolecall.v1.CheckService/Check", asking(check_request::Question::AllOf(listed())).encode_to_vec()),
        ("rolecall.v1.CheckService/Check", asking(check_request::Question::AnyOf(listed())).encode_to_vec()),
        (
            "rolecall.v1.CheckService/Check",
            wire::CheckRequest {
                org_id: "acme".into(),
                user_id: "ann".into(),
                question: question(),
                consistency: requirement(consistency::Requirement::Any(true)),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/Check",
            wire::CheckRequest {
                org_id: "acme".into(),
                user_id: "ann".into(),
                question: question(),
                consistency: requirement(consistency::Requirement::Latest(true)),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/Explain",
            wire::ExplainRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "ann".into(),
                question: Some(explain_request::Question::Permission("invoices.view".into())),
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        explaining_past(token, None),
        explaining_past("", past),
        (
            "rolecall.v1.AuditService/ExplainChange",
            wire::ExplainChangeRequest {
                project: project(),
                as_of_revision: token.into(),
                consistency: at_least(),
                ..changing(explain_change_request::Question::Permission("invoices.view".into()))
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.AuditService/ExplainChange",
            wire::ExplainChangeRequest {
                as_of_time: past,
                ..changing(explain_change_request::Question::Role("Member".into()))
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.AuditService/ExplainChange",
            changing(explain_change_request::Question::AtLeastRole("Admin".into())).encode_to_vec(),
        ),
        (
            "rolecall.v1.AuditService/ExplainChange",
            changing(explain_change_request::Question::AllOf(listed())).encode_to_vec(),
        ),
        (
            "rolecall.v1.AuditService/ExplainChange",
            changing(explain_change_request::Question::AnyOf(listed())).encode_to_vec(),
        ),
        explaining(explain_request::Question::Role("Member".into())),
        explaining(explain_request::Question::AtLeastRole("Admin".into())),
        explaining(explain_request::Question::AllOf(listed())),
        explaining(explain_request::Question::AnyOf(listed())),
        (
            "rolecall.v1.CheckService/StreamCheck",
            wire::StreamCheckRequest {
                checks: vec![wire::NumberedCheck { number: 7, check: Some(asking(question().unwrap())) }],
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/GetAccess",
            wire::GetAccessRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "ann".into(),
                consistency: at_least(),
                viewer_user_id: "ann".into(),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/ListMembersWithPermission",
            wire::ListMembersWithPermissionRequest {
                project: project(),
                org_id: "acme".into(),
                permission: "invoices.view".into(),
                consistency: at_least(),
                viewer_user_id: "ann".into(),
                page_size: 10,
                page_token: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/ListOrgsWithPermission",
            wire::ListOrgsWithPermissionRequest {
                project: project(),
                user_id: "ann".into(),
                permission: "invoices.view".into(),
                consistency: at_least(),
                page_size: 10,
                page_token: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/BatchCheck",
            wire::BatchCheckRequest {
                project: project(),
                items: vec![ann()],
                no_activity: true,
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/BatchCheck",
            wire::BatchCheckRequest {
                columns: Some(wire::CheckColumns {
                    orgs: texts(&["acme"]),
                    users: texts(&["ann"]),
                    permissions: texts(&["invoices.view"]),
                    org_ix: vec![0],
                    user_ix: vec![0],
                    permission_ix: vec![0],
                }),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/BatchCheck",
            wire::BatchCheckRequest {
                items: vec![wire::CheckItem::default()],
                defaults: Some(ann()),
                consistency: requirement(consistency::Requirement::Any(true)),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.CheckService/BatchCheck",
            wire::BatchCheckRequest {
                items: vec![ann()],
                consistency: requirement(consistency::Requirement::Latest(true)),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/SetOrgDomains",
            wire::SetOrgDomainsRequest {
                project: project(),
                org_id: "acme".into(),
                domains: vec![wire::OrgDomainSpec {
                    domain: "acme.example".into(),
                    roles: texts(&["Member"]),
                    apply_to_existing: true,
                }],
                request_id: request_id("domains"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/VerifyOrgDomain",
            wire::VerifyOrgDomainRequest {
                project: project(),
                org_id: "acme".into(),
                domain: "acme.example".into(),
                request_id: request_id("verification"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/ListJoinableOrgs",
            wire::ListJoinableOrgsRequest {
                project: project(),
                email: "zoe@acme.example".into(),
                email_verified: true,
                page_size: 10,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.MembershipService/ProvisionMember",
            wire::ProvisionMemberRequest {
                project: project(),
                org_id: "globex".into(),
                user_id: "yan".into(),
                email: "yan@globex.example".into(),
                email_verified: true,
                allow_provisioning: true,
                request_id: request_id("provisioning"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.InsightsService/GetInsights",
            wire::GetInsightsRequest { project: project(), consistency: at_least() }.encode_to_vec(),
        ),
        (
            "rolecall.v1.AuditService/ListEvents",
            wire::ListEventsRequest {
                project: project(),
                org_id: "acme".into(),
                user_id: "ann".into(),
                actor: "anonymous".into(),
                kinds: texts(&["AddMember"]),
                include_maintenance: true,
                after_revision: token.into(),
                consistency: at_least(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.UserService/BlockUser",
            wire::BlockUserRequest {
                project: project(),
                user_id: "zoe".into(),
                request_id: request_id("block"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.UserService/GetUser",
            wire::GetUserRequest { project: project(), user_id: "zoe".into(), consistency: at_least() }.encode_to_vec(),
        ),
        (
            "rolecall.v1.UserService/UnblockUser",
            wire::UnblockUserRequest {
                project: project(),
                user_id: "zoe".into(),
                request_id: request_id("unblock"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.UserService/DeleteUser",
            wire::DeleteUserRequest {
                project: project(),
                user_id: "ann".into(),
                request_id: request_id("user-deletion"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleMappingService/DeleteRoleMapping",
            wire::DeleteRoleMappingRequest {
                project: project(),
                name: "Paid".into(),
                move_subscribers_to: "Default".into(),
                on_disabled: suspending(),
                request_id: request_id("mapping-removal"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.OrgService/DeleteOrg",
            wire::DeleteOrgRequest {
                project: project(),
                org_id: "globex".into(),
                request_id: request_id("org-removal"),
                reason: reason(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("rolecall.v1.ServerService/GetServerInfo", wire::GetServerInfoRequest {}.encode_to_vec()),
        ("rolecall.v1.ServerService/WhoAmI", wire::WhoAmIRequest {}.encode_to_vec()),
    ];
    let keys = server.list_api_keys(wire::ListApiKeysRequest::default()).await.unwrap().api_keys;
    let api_keys = api_keys::requests(&keys[0].api_key_id);
    let invitations = invitations::requests(token, &first.invitation_id, &second.invitation_id);
    // While the token is that of the newest revision.
    let watch = wire::WatchRequest { project: project(), org_id: "acme".into(), after: token.into() };
    let watch = vec![("rolecall.v1.WatchService/Watch", watch.encode_to_vec())];
    // Renames and deletions come last.
    [watch, catalog::first(token), invitations, api_keys, others, catalog::last()].concat()
}
