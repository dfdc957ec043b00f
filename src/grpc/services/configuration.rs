//! ConfigurationService.

use std::sync::Arc;

use tonic::{Request, Response};

use crate::domain::rules::configuration::configuration_etag;
use crate::domain::{Command, Refusal};
use crate::grpc::app::App;
use crate::grpc::generated::configuration_service_server::ConfigurationService;
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{configuration, convert, status};
use crate::limits::{BULK_REQUEST_BYTES_MAX, CONFIGURATION_GRANTS_MAX};
use crate::wire::{self, storage::outcome::Outcome};

pub struct ConfigurationApi(pub Arc<App>);

#[tonic::async_trait]
impl ConfigurationService for ConfigurationApi {
    async fn get_configuration(
        &self,
        request: Request<wire::GetConfigurationRequest>,
    ) -> Reply<wire::GetConfigurationResponse> {
        let (_, extensions, request) = request.into_parts();
        let key = convert::project(&request.project)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &key).await?;
        let project = &reading.project;
        // A larger one could not be applied.
        let bytes = wire::configuration::grant_bytes(project);
        let limits = [
            ("configuration_bytes", BULK_REQUEST_BYTES_MAX as u64, bytes as u64),
            ("configuration_grants", CONFIGURATION_GRANTS_MAX, project.grants),
        ];
        if let Some((limit, max, asked)) = limits.into_iter().find(|(_, max, asked)| asked > max) {
            return Err(status::refused(&Refusal::LimitExceeded { limit, max, asked }, &mut |_, _| None));
        }
        Ok(Response::new(wire::GetConfigurationResponse {
            configuration: Some(wire::configuration::configuration(project)),
            etag: configuration_etag(project),
            revision: reading.revision(),
        }))
    }

    async fn apply_configuration(
        &self,
        request: Request<wire::ApplyConfigurationRequest>,
    ) -> Reply<wire::ApplyConfigurationResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::ApplyConfiguration(configuration::command(&request, &self.0.limits)?);
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::ConfigurationApplied(applied) => ApplyConfigurationResponse {
            steps: applied.steps,
            unmanaged: applied.unmanaged,
            etag: applied.etag,
        })
    }
}
