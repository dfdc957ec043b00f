//! The API: handlers that convert a request, call one module below, and convert the answer.

pub mod app;
pub mod authn;
pub mod authz;
pub mod caller;
pub mod caller_limits;
pub mod codec;
pub mod configuration;
mod consistency;
pub mod convert;
mod fields;
mod following;
pub mod layers;
mod mask;
pub mod methods;
mod on_disabled;
pub mod page;
pub mod peer;
mod read;
pub mod services;
pub mod source;
pub mod status;
pub mod turns;
pub mod write;

use std::sync::Arc;

use tonic::service::Routes;

use crate::limits::{BULK_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX};
use app::{App, Checks};
use generated::check_service_server::CheckServiceServer;
use generated::server_service_server::ServerServiceServer;

/// The generated clients and servers.
pub mod generated {
    #![allow(clippy::all, missing_docs)]
    tonic::include_proto!("services/rolecall.v1");
    tonic::include_proto!("clients/rolecall.v1");
    pub mod replication {
        tonic::include_proto!("services/rolecall.replication.v1");
        tonic::include_proto!("clients/rolecall.replication.v1");
    }
}

/// The descriptors of `proto/`, with the comments.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("rolecall.v1");

/// The full name of every service, and whether it needs the database.
pub const SERVICES: [(&str, bool); 17] = [
    ("rolecall.v1.ProjectService", true),
    ("rolecall.v1.PermissionService", true),
    ("rolecall.v1.RoleService", true),
    ("rolecall.v1.RoleMappingService", true),
    ("rolecall.v1.ConfigurationService", true),
    ("rolecall.v1.OrgService", true),
    ("rolecall.v1.SubscriptionService", true),
    ("rolecall.v1.MembershipService", true),
    ("rolecall.v1.InvitationService", true),
    ("rolecall.v1.UserService", true),
    ("rolecall.v1.ApiKeyService", true),
    ("rolecall.v1.InsightsService", true),
    ("rolecall.v1.AuditService", true),
    ("rolecall.v1.WatchService", true),
    ("rolecall.v1.CheckService", false),
    ("rolecall.v1.ServerService", false),
    ("rolecall.replication.v1.ReplicationService", true),
];

/// Returns every service of the API.
pub fn routes(app: &Arc<App>) -> Routes {
    macro_rules! service {
        ($module:ident::$server:ident, $noun:ident::$api:ident, $bytes_max:expr) => {
            generated::$module::$server::new(services::$noun::$api(app.clone()))
                .max_decoding_message_size($bytes_max)
                // Answers are bounded by pages and limits, not by a number of bytes.
                .max_encoding_message_size(usize::MAX)
        };
    }
    const BULK: usize = BULK_REQUEST_BYTES_MAX;
    const PLAIN: usize = REQUEST_BYTES_MAX;
    Routes::new(service!(project_service_server::ProjectServiceServer, project::ProjectApi, BULK))
        .add_service(service!(permission_service_server::PermissionServiceServer, permission::PermissionApi, BULK))
        .add_service(service!(role_service_server::RoleServiceServer, role::RoleApi, BULK))
        .add_service(service!(
            role_mapping_service_server::RoleMappingServiceServer,
            role_mapping::RoleMappingApi,
            BULK
        ))
        .add_service(service!(
            configuration_service_server::ConfigurationServiceServer,
            configuration::ConfigurationApi,
            BULK
        ))
        .add_service(service!(org_service_server::OrgServiceServer, org::OrgApi, PLAIN))
        .add_service(service!(
            subscription_service_server::SubscriptionServiceServer,
            subscription::SubscriptionApi,
            BULK
        ))
        .add_service(service!(membership_service_server::MembershipServiceServer, membership::MembershipApi, BULK))
        .add_service(service!(invitation_service_server::InvitationServiceServer, invitation::InvitationApi, BULK))
        .add_service(service!(user_service_server::UserServiceServer, user::UserApi, PLAIN))
        .add_service(service!(api_key_service_server::ApiKeyServiceServer, api_key::ApiKeyApi, PLAIN))
        .add_service(service!(insights_service_server::InsightsServiceServer, insights::InsightsApi, PLAIN))
        .add_service(service!(audit_service_server::AuditServiceServer, audit::AuditApi, PLAIN))
        .add_service(service!(watch_service_server::WatchServiceServer, watch::WatchApi, PLAIN))
        .add_service(check_service(&app.checks, Some(app.clone())))
        .add_service(server_service(&app.checks))
        .add_service(
            generated::replication::replication_service_server::ReplicationServiceServer::new(
                services::replication::ReplicationApi(app.clone()),
            )
            .max_decoding_message_size(PLAIN)
            .max_encoding_message_size(usize::MAX),
        )
}

/// Returns every service of a sidecar.
pub fn sidecar_routes(checks: &Arc<Checks>) -> Routes {
    Routes::new(check_service(checks, None)).add_service(server_service(checks))
}

fn check_service(checks: &Arc<Checks>, app: Option<Arc<App>>) -> CheckServiceServer<services::check::CheckApi> {
    CheckServiceServer::new(services::check::CheckApi { checks: checks.clone(), app })
        .max_decoding_message_size(BULK_REQUEST_BYTES_MAX)
        .max_encoding_message_size(usize::MAX)
}

fn server_service(checks: &Arc<Checks>) -> ServerServiceServer<services::server::ServerApi> {
    ServerServiceServer::new(services::server::ServerApi(checks.clone())).max_decoding_message_size(REQUEST_BYTES_MAX)
}
