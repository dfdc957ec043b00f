//! InsightsService.

use std::sync::Arc;

use tonic::{Request, Response};

use crate::clock;
use crate::domain::rules::insights::WINDOW_MAX;
use crate::grpc::app::App;
use crate::grpc::generated::insights_service_server::InsightsService;
use crate::grpc::services::Reply;
use crate::grpc::{convert, status};
use crate::wire::resource::count;
use crate::wire::{ErrorReason, GetInsightsRequest, GetInsightsResponse, timestamp};

pub struct InsightsApi(pub Arc<App>);

#[tonic::async_trait]
impl InsightsService for InsightsApi {
    async fn get_insights(&self, request: Request<GetInsightsRequest>) -> Reply<GetInsightsResponse> {
        let (_, extensions, request) = request.into_parts();
        let (app, key) = (&self.0, convert::project(&request.project)?);
        let reading = app.reading(&extensions, request.consistency.as_ref(), &key).await?;
        let (project, revision) = (reading.project.clone(), reading.revision());
        let turn = app.insight_turns.next(project.id).await?;
        let now = clock::now();
        let today = now.day();
        // First: what is written meanwhile is then in the database.
        let unwritten = app.engine.activity.unwritten();
        let mut days =
            app.store.active_orgs(project.id, today.minus(WINDOW_MAX)).await.map_err(|error| status::unread(&error))?;
        // A project may have millions of members, so not on a thread that answers checks. Hold the turn until then, also if
        // the caller is gone.
        let counting = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            days.extend(unwritten.iter().filter(|day| day.0 == project.id).map(|&(_, org, day)| (org, day)));
            (
                project.orgs_len(),
                project.count_members(now),
                project.count_invitations(now),
                project.active_orgs(days, today),
            )
        });
        let failed = |_| status::plain(ErrorReason::Internal, "the numbers could not be counted");
        let (orgs, members, invitations, active) = counting.await.map_err(failed)?;
        Ok(Response::new(GetInsightsResponse {
            orgs: count(orgs as u64),
            visible_members: count(members.visible),
            internal_members: count(members.internal),
            pending_invitations: count(invitations),
            daily_active_orgs: count(active.daily),
            weekly_active_orgs: count(active.weekly),
            monthly_active_orgs: count(active.monthly),
            revision,
            evaluated_at: Some(timestamp(now)),
        }))
    }
}
