//! Checks as of the past (A3): takes the State back by undoing changes.

use tonic::Status;

use crate::clock;
use crate::domain::model::id::ProjectId;
use crate::domain::model::refusal::Noun;
use crate::domain::{ProjectKey, Revision, State, Time, UserId};
use crate::engine::{Behind, Token};
use crate::grpc::app::Checks;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::{convert, status};
use crate::store::{Events, StoreError};
use crate::wire::consistency::Requirement;
use crate::wire::{CheckRequest, Consistency};

/// The past that a check asks about.
#[derive(Clone, Copy)]
pub enum AsOf {
    Revision(Token),
    Time(Time),
}

/// A State and the time at which a check is decided. A State of the past is complete only for checks of the request's user in its
/// project.
pub struct Moment {
    pub state: State,
    /// The token of the revision.
    pub token: String,
    pub time: Time,
}

/// Returns true if a check is about the past.
#[inline]
pub fn is_past(request: &CheckRequest) -> bool {
    !request.as_of_revision.is_empty() || request.as_of_time.is_some()
}

/// Returns the moment that a check asks about. Without one it is now.
pub async fn moment(app: &Checks, request: &CheckRequest, deadline: Option<Deadline>) -> Result<Moment, Status> {
    if is_past(request) {
        app.source.database()?;
    }
    let as_of = as_of(app, request, deadline).await?;
    let published = app.at(request.consistency.as_ref(), deadline).await?;
    let Some(as_of) = as_of else {
        let (state, token) = (State::clone(&published.state), published.token.to_string());
        return Ok(Moment { state, token, time: clock::now() });
    };
    let key = convert::project(&request.project)?;
    let project = project(&published.state, &key).ok_or_else(|| status::not_found(Noun::Project, key.as_str()))?;
    let _turn = app.list_turns.next(Some(project)).await?;
    let unread = |error: StoreError| status::unread(&error);
    let events = app.source.database()?.events(published.state.revision()).await.map_err(unread)?;
    let revision = revision_of(app, &events, as_of).await?;
    let mut state = State::clone(&published.state);
    let mut undo = events.undo(project, UserId::stored(&*request.user_id), revision.number);
    while undo.next().await.map_err(unread)?.is_some() {
        undo.undo(&mut state, |_| {}).await.map_err(unread)?;
    }
    events.end().await;
    let time = match as_of {
        AsOf::Revision(_) => revision.at,
        AsOf::Time(time) => time,
    };
    Ok(Moment { state, token: app.token(revision), time })
}

/// Reads which past a check asks about. Waits for a revision that this server does not have yet.
pub async fn as_of(app: &Checks, request: &CheckRequest, deadline: Option<Deadline>) -> Result<Option<AsOf>, Status> {
    let token = |text: &str| {
        let why = "must be the `revision` of an answer or of an event";
        Token::decode(text).ok_or_else(|| status::invalid("as_of_revision", why))
    };
    let token = convert::optional(&request.as_of_revision, token)?;
    let time = request.as_of_time.as_ref().map(|time| convert::time("as_of_time", time)).transpose()?;
    match (token, time) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(status::invalid("as_of_time", "must not be set together with `as_of_revision`")),
        (None, Some(time)) if time > clock::now() => Err(status::invalid("as_of_time", "must not be in the future")),
        (None, Some(time)) => Ok(Some(AsOf::Time(time))),
        (Some(token), None) => {
            if token.store_id != app.engine.store_id() {
                return Err(status::behind(Behind::AnotherHistory));
            }
            if token.number > app.engine.load().state.revision().number {
                let requirement = Some(Requirement::AtLeast(request.as_of_revision.clone()));
                app.at(Some(&Consistency { requirement }), deadline).await?;
            }
            Ok(Some(AsOf::Revision(token)))
        }
    }
}

/// Returns the revision that was the newest at that moment. Refuses one that is no longer kept, or of another history.
pub async fn revision_of(app: &Checks, events: &Events, as_of: AsOf) -> Result<Revision, Status> {
    let unread = |error: StoreError| status::unread(&error);
    let number = match as_of {
        AsOf::Revision(token) => token.number,
        AsOf::Time(time) => {
            let next = events.revision_from(Time(time.0.saturating_add(1))).await;
            next.map_err(unread)?.saturating_sub(1)
        }
    };
    let Some(revision) = events.revision(number).await.map_err(unread)? else {
        let oldest = events.revision(events.oldest()).await.map_err(unread)?.unwrap_or_default();
        return Err(status::revision_too_old(app.token(oldest)));
    };
    match as_of {
        AsOf::Revision(token) if token.tag != revision.tag => Err(status::behind(Behind::AnotherHistory)),
        _ => Ok(revision),
    }
}

/// Returns the project with this key, or else the one that was deleted last. The past of a project begins with its creation: an
/// earlier one with the same key is another (S5), which the caller's key may not reach.
pub fn project(state: &State, key: &ProjectKey) -> Option<ProjectId> {
    let deleted = || state.all_projects().filter(|project| project.record.key == *key).last();
    state.project(key).or_else(deleted).map(|project| project.id)
}
