//! Finds what changed a decision (A3).

use std::ops::Range;

use tonic::Status;

use super::{AuditApi, audience};
use crate::clock;
use crate::domain::model::id::OrgNo;
use crate::domain::model::refusal::Noun;
use crate::domain::rules::event::is_shown;
use crate::domain::{Ask, Change, Decision, State, Time, UserId};
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::services::check;
use crate::grpc::services::past::{self, AsOf};
use crate::grpc::{convert, status};
use crate::store::{StoreError, Undo};
use crate::wire::{self, CheckRequest, ExplainChangeResponse, timestamp};

/// Changes of a commit that are shown.
const SHOWN_MAX: usize = 100;

/// What changed a decision, and the decision before. `None` if the project did not exist.
enum Found {
    /// With the changes of the user, of the org and of the project.
    Commit(u64, Vec<Change>, Option<Decision>),
    Expiry(Time, Option<Decision>),
}

impl AuditApi {
    pub(super) async fn change_of_decision(
        &self,
        request: &CheckRequest,
        deadline: Option<Deadline>,
    ) -> Result<ExplainChangeResponse, Status> {
        let app = &self.0;
        convert::own_ids(&request.org_id, &request.user_id).map_err(|(field, why)| status::invalid(field, why))?;
        let question = check::question(request)?;
        let key = convert::project(&request.project)?;
        let as_of = past::as_of(app, request, deadline).await?;
        let published = app.at(request.consistency.as_ref(), deadline).await?;
        let project =
            past::project(&published.state, &key).ok_or_else(|| status::not_found(Noun::Project, key.as_str()))?;
        let _turn = app.list_turns.next(Some(project)).await?;
        let unread = |error: StoreError| status::unread(&error);
        let events = app.store.events(published.state.revision()).await.map_err(unread)?;
        let ask = Ask { org_id: &request.org_id, user_id: &request.user_id, question };
        let mut undo = events.undo(project, UserId::stored(&*request.user_id), events.oldest());
        let mut state = State::clone(&published.state);
        let (token, time) = match as_of {
            None => (published.token.to_string(), clock::now()),
            Some(as_of) => {
                let revision = past::revision_of(app, &events, as_of).await?;
                while undo.next().await.map_err(unread)?.is_some_and(|next| next.number > revision.number) {
                    undo.undo(&mut state, |_| {}).await.map_err(unread)?;
                }
                let time = if let AsOf::Time(time) = as_of { time } else { revision.at };
                (app.token(revision), time)
            }
        };
        let Some(decision) = state.decision(key.as_str(), &ask, time) else {
            return Err(status::not_found(Noun::Project, key.as_str()));
        };
        let kept_since =
            events.revision(events.oldest()).await.map_err(unread)?.map_or(Time(i64::MIN), |oldest| oldest.at);
        let found = find(state, undo, key.as_str(), &ask, kept_since..time).await.map_err(unread)?;
        let mut answer =
            ExplainChangeResponse { decision: decision as i32, revision: token, ..ExplainChangeResponse::default() };
        let before =
            |before: Option<Decision>| before.map_or(wire::Decision::Unspecified as i32, |before| before as i32);
        match found {
            None => {}
            Some(Found::Expiry(expiry, earlier)) => {
                answer.expire_time = Some(timestamp(expiry));
                answer.decision_before = before(earlier);
            }
            Some(Found::Commit(revision, changes, earlier)) => {
                let state = &published.state;
                let event = self.show_commit(audience(state), &events, state, revision, &changes).await;
                answer.event = event.map_err(unread)?;
                answer.decision_before = before(earlier);
                let earlier = events.revision(revision.saturating_sub(1)).await.map_err(unread)?;
                answer.revision_before = earlier.map(|earlier| app.token(earlier)).unwrap_or_default();
            }
        }
        events.end().await;
        Ok(answer)
    }
}

/// Looks for the last change of the decision within a time. The State is as it was at its end.
async fn find(
    mut state: State,
    mut undo: Undo<'_>,
    project: &str,
    ask: &Ask<'_>,
    within: Range<Time>,
) -> Result<Option<Found>, StoreError> {
    let mut until = within.end;
    while let Some(commit) = undo.next().await? {
        if let Some((expiry, before)) = state.last_expiry(project, ask, commit.at, until) {
            return Ok(Some(Found::Expiry(expiry, before)));
        }
        let after = state.decision(project, ask, commit.at);
        let (mut changes, org) = (Vec::new(), org_of(&state, project, ask));
        undo.undo(&mut state, |change| {
            // Of a deleted org only the State before has the number.
            let concerns = change.org().is_none_or(|of| org.is_none_or(|org| org == of));
            if concerns && is_shown(change) && changes.len() < SHOWN_MAX {
                changes.push(change.clone());
            }
        })
        .await?;
        let before = state.decision(project, ask, commit.at);
        if before != after {
            let org = org.or_else(|| org_of(&state, project, ask));
            changes.retain(|change| change.org().is_none_or(|of| Some(of) == org));
            changes.reverse();
            return Ok(Some(Found::Commit(commit.number, changes, before)));
        }
        until = commit.at;
    }
    Ok(state.last_expiry(project, ask, within.start, until).map(|(expiry, before)| Found::Expiry(expiry, before)))
}

fn org_of(state: &State, project: &str, ask: &Ask<'_>) -> Option<OrgNo> {
    Some(state.project_keyed(project)?.org(ask.org_id)?.no)
}
