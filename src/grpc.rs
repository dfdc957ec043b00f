//! The API: handlers that read a request, call one room below, and write the answer.

mod check;
pub mod codec;
mod convert;
pub mod door;
mod manageable;
mod mask;
mod membership;
mod on_disabled;
mod org;
mod page;
mod permission;
mod project;
mod read;
mod role;
mod role_mapping;
mod server;
pub mod status;
mod subscription;
pub mod write;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::Status;
use tonic::service::Routes;

use crate::domain::suggest::{Known, Suggester};
use crate::domain::{ProjectKey, Revision, Time};
use crate::engine::{Engine, Token};
use crate::limits::{BULK_REQUEST_BYTES_MAX, Limits, REQUEST_BYTES_MAX};
use crate::store::{ReadError, Store};
use crate::writer::Writer;

/// The generated clients and servers.
pub mod services {
    #![allow(clippy::all, missing_docs)]
    tonic::include_proto!("services/rolecall.v1");
    tonic::include_proto!("clients/rolecall.v1");
}

/// The descriptors of `proto/`, with the comments.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("rolecall.v1");

/// The services by their full names, and whether each needs the database.
pub const SERVICES: [(&str, bool); 9] = [
    ("rolecall.v1.ProjectService", true),
    ("rolecall.v1.PermissionService", true),
    ("rolecall.v1.RoleService", true),
    ("rolecall.v1.RoleMappingService", true),
    ("rolecall.v1.OrgService", true),
    ("rolecall.v1.SubscriptionService", true),
    ("rolecall.v1.MembershipService", true),
    ("rolecall.v1.CheckService", false),
    ("rolecall.v1.ServerService", false),
];

/// What handlers work with.
pub struct App {
    pub engine: Arc<Engine>,
    pub writer: Arc<Writer>,
    pub store: Store,
    pub limits: Limits,
    pub start_time: Time,
    /// Turns to try what acting users may do (G5).
    pub trials: Arc<Semaphore>,
}

impl App {
    fn token(&self, revision: Revision) -> String {
        Token::new(self.engine.store_id(), revision).encode()
    }

    /// Makes the status of a read that failed, with the name that was perhaps meant.
    fn unread(&self, project: &ProjectKey) -> impl FnOnce(ReadError) -> Status {
        move |error| self.suggesting(Some(project), Known::All, |suggest| status::read(error, suggest))
    }

    /// Lets `explain` ask for the names of a project that are near to one that it does not know (R1).
    fn suggesting(
        &self,
        project: Option<&ProjectKey>,
        known: Known,
        explain: impl FnOnce(status::Suggest<'_>) -> Status,
    ) -> Status {
        let published = self.engine.pin();
        match project.and_then(|key| published.state.project(key)) {
            Some(project) => {
                let mut suggester = Suggester::new(project, known);
                explain(&mut |noun, name| suggester.suggest(noun, name).map(str::to_owned))
            }
            None => explain(&mut |_, _| None),
        }
    }
}

/// Every service of the API.
pub fn routes(app: &Arc<App>) -> Routes {
    macro_rules! service {
        ($module:ident::$server:ident, $api:expr, $bytes_max:expr) => {
            services::$module::$server::new($api)
                .max_decoding_message_size($bytes_max)
                // Answers are bounded by pages and limits, not by a number of bytes.
                .max_encoding_message_size(usize::MAX)
        };
    }
    let app = || app.clone();
    Routes::new(service!(
        project_service_server::ProjectServiceServer,
        project::ProjectApi(app()),
        BULK_REQUEST_BYTES_MAX
    ))
    .add_service(service!(
        permission_service_server::PermissionServiceServer,
        permission::PermissionApi(app()),
        BULK_REQUEST_BYTES_MAX
    ))
    .add_service(service!(role_service_server::RoleServiceServer, role::RoleApi(app()), BULK_REQUEST_BYTES_MAX))
    .add_service(service!(
        role_mapping_service_server::RoleMappingServiceServer,
        role_mapping::RoleMappingApi(app()),
        BULK_REQUEST_BYTES_MAX
    ))
    .add_service(service!(org_service_server::OrgServiceServer, org::OrgApi(app()), REQUEST_BYTES_MAX))
    .add_service(service!(
        subscription_service_server::SubscriptionServiceServer,
        subscription::SubscriptionApi(app()),
        BULK_REQUEST_BYTES_MAX
    ))
    .add_service(service!(
        membership_service_server::MembershipServiceServer,
        membership::MembershipApi(app()),
        BULK_REQUEST_BYTES_MAX
    ))
    .add_service(service!(check_service_server::CheckServiceServer, check::CheckApi(app()), BULK_REQUEST_BYTES_MAX))
    .add_service(service!(
        server_service_server::ServerServiceServer,
        server::ServerApi(app()),
        REQUEST_BYTES_MAX
    ))
}
