//! SubscriptionService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::services::subscription_service_server::SubscriptionService;
use super::write::unexpected;
use super::{App, convert, status};
use crate::domain::command::{Command, SubscribeOrg, SubscribeTo};
use crate::wire::{self, messages::outcome::Outcome, subscribe_org_request::Target};

pub struct SubscriptionApi(pub Arc<App>);

#[tonic::async_trait]
impl SubscriptionService for SubscriptionApi {
    async fn subscribe_org(
        &self,
        request: Request<wire::SubscribeOrgRequest>,
    ) -> Result<Response<wire::SubscribeOrgResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = subscribe(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Subscription(subscription) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::SubscribeOrgResponse {
            subscription: Some(subscription),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }

    async fn get_subscription(
        &self,
        request: Request<wire::GetSubscriptionRequest>,
    ) -> Result<Response<wire::GetSubscriptionResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let org_id = convert::org_id(&request.org_id)?;
        let found = self.0.store.get_subscription(&project, &org_id).await.map_err(self.0.unread(&project))?;
        let subscription = wire::subscription(&found.value.org_id, &found.value.role_mapping);
        let revision = self.0.token(found.revision);
        Ok(Response::new(wire::GetSubscriptionResponse { subscription: Some(subscription), revision }))
    }

    async fn batch_subscribe_orgs(
        &self,
        _: Request<wire::BatchSubscribeOrgsRequest>,
    ) -> Result<Response<wire::BatchSubscribeOrgsResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn list_subscriptions(
        &self,
        _: Request<wire::ListSubscriptionsRequest>,
    ) -> Result<Response<wire::ListSubscriptionsResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }
}

fn subscribe(request: &wire::SubscribeOrgRequest) -> Result<Command, Status> {
    Ok(Command::SubscribeOrg(SubscribeOrg {
        project: convert::project(&request.project)?,
        org_id: convert::org_id(&request.org_id)?,
        to: match &request.target {
            Some(Target::RoleMapping(name)) => SubscribeTo::RoleMapping(convert::role_mapping("role_mapping", name)?),
            Some(Target::ToDefault(true)) => SubscribeTo::Default,
            _ => return Err(status::invalid("role_mapping", "must be given, or `to_default` be true")),
        },
        on_disabled: Default::default(),
    }))
}
