//! SubscriptionService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::commands::command::{BatchSubscribeOrgs, SubscribeOrg, SubscribeTo};
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Command, OrgId};
use crate::grpc::app::App;
use crate::grpc::generated::subscription_service_server::SubscriptionService;
use crate::grpc::on_disabled::on_disabled;
use crate::grpc::page::{Page, Scope};
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::limits::Limits;
use crate::wire::{self, batch_subscribe_orgs_request, storage::outcome::Outcome, subscribe_org_request};

pub struct SubscriptionApi(pub Arc<App>);

#[tonic::async_trait]
impl SubscriptionService for SubscriptionApi {
    async fn subscribe_org(&self, request: Request<wire::SubscribeOrgRequest>) -> Reply<wire::SubscribeOrgResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = subscribe(&request, &self.0.limits)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Subscription(subscription) => SubscribeOrgResponse { subscription: Some(subscription) })
    }

    async fn get_subscription(
        &self,
        request: Request<wire::GetSubscriptionRequest>,
    ) -> Reply<wire::GetSubscriptionResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let org_id = convert::org_id(&request.org_id)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let org = reading.project.org_or_refusal(&org_id).map_err(reading.refused(Visibility::All))?;
        let role_mapping = reading.project.role_mapping_name(org.record.role_mapping);
        let subscription = Some(wire::subscription(&org_id, &role_mapping));
        Ok(Response::new(wire::GetSubscriptionResponse { subscription, revision: reading.revision() }))
    }

    async fn batch_subscribe_orgs(
        &self,
        request: Request<wire::BatchSubscribeOrgsRequest>,
    ) -> Reply<wire::BatchSubscribeOrgsResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = self.subscribe_many(&request)?;
        let answered = self.0.write(&metadata, &request, command, &|row| format!("org_ids[{row}]")).await?;
        respond!(answered, Outcome::OrgsSubscribed(subscribed) => BatchSubscribeOrgsResponse { moved: subscribed.moved, unchanged: subscribed.unchanged })
    }

    async fn list_subscriptions(
        &self,
        request: Request<wire::ListSubscriptionsRequest>,
    ) -> Reply<wire::ListSubscriptionsResponse> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let mapping = convert::optional(&request.role_mapping, |name| convert::role_mapping("role_mapping", name))?;
        let arguments = ["ListSubscriptions", project.as_str(), &request.role_mapping];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(OrgId::stored);
        let _turn = self.0.list_turn(&project).await?;
        let found = self.0.store.list_subscriptions(&project, mapping.as_ref(), after, page.limit).await;
        let found = found.map_err(self.0.read_failed(&project))?;
        let scope = Scope::of(&found);
        let (subscriptions, last) = page.fill(found.rows, |row| wire::subscription(&row.org_id, &row.role_mapping));
        Ok(Response::new(wire::ListSubscriptionsResponse {
            next_page_token: page.next_token(scope, last.as_ref().map(|row| row.org_id.as_str()))?,
            subscriptions,
            revision: self.0.token(found.revision),
        }))
    }
}

impl SubscriptionApi {
    fn subscribe_many(&self, request: &wire::BatchSubscribeOrgsRequest) -> Result<Command, Status> {
        use batch_subscribe_orgs_request::Target;
        convert::bulk("org_ids", request.org_ids.len(), self.0.limits.bulk_rows)?;
        Ok(Command::BatchSubscribeOrgs(BatchSubscribeOrgs {
            project: convert::project(&request.project)?,
            org_ids: convert::names("org_ids", &request.org_ids, OrgId::parse)?,
            to: match &request.target {
                Some(Target::RoleMapping(name)) => named(name)?,
                Some(Target::ToDefault(true)) => SubscribeTo::Default,
                Some(Target::ToDefault(false)) | None => return Err(nowhere()),
            },
            on_disabled: on_disabled(request.on_disabled.as_ref(), &self.0.limits)?,
        }))
    }
}

fn subscribe(request: &wire::SubscribeOrgRequest, limits: &Limits) -> Result<Command, Status> {
    use subscribe_org_request::Target;
    Ok(Command::SubscribeOrg(SubscribeOrg {
        project: convert::project(&request.project)?,
        org_id: convert::org_id(&request.org_id)?,
        to: match &request.target {
            Some(Target::RoleMapping(name)) => named(name)?,
            Some(Target::ToDefault(true)) => SubscribeTo::Default,
            Some(Target::ToDefault(false)) | None => return Err(nowhere()),
        },
        on_disabled: on_disabled(request.on_disabled.as_ref(), limits)?,
    }))
}

fn named(name: &str) -> Result<SubscribeTo, Status> {
    convert::role_mapping("role_mapping", name).map(SubscribeTo::RoleMapping)
}

fn nowhere() -> Status {
    status::invalid("role_mapping", "must be set, or `to_default` must be true")
}
