//! WatchService: tells whose access changed.

mod changes;

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::domain::model::id::OrgNo;
use crate::domain::model::refusal::Noun;
use crate::domain::{Change, OrgId, Project, Revision, State, Time};
use crate::engine::{Behind, Published, Token};
use crate::grpc::app::App;
use crate::grpc::caller::Caller;
use crate::grpc::following::{self, Frames, HEARTBEAT};
use crate::grpc::generated::watch_service_server::WatchService;
use crate::grpc::layers::calls;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::services::Reply;
use crate::grpc::{authz, convert, status, write};
use crate::limits::WATCH_CHANGES_MAX;
use crate::replication::feed::Page;
use crate::wire::consistency::Requirement;
use crate::wire::{AccessChange, Consistency, WatchRequest, WatchResponse, timestamp};
use changes::{Changes, Filter};

pub struct WatchApi(pub Arc<App>);

#[tonic::async_trait]
impl WatchService for WatchApi {
    type WatchStream = Frames<WatchResponse>;

    async fn watch(&self, request: Request<WatchRequest>) -> Reply<Self::WatchStream> {
        let (_, extensions, request) = request.into_parts();
        let (app, caller) = (self.0.clone(), calls::caller().ok_or_else(write::unexpected)?);
        let key = convert::project(&request.project)?;
        let org = Some(&request.org_id).filter(|org_id| !org_id.is_empty());
        let org = org.map(|org_id| convert::org_id(org_id)).transpose()?;
        let after = token(&request.after)?;
        let published = self.at(after, extensions.get::<Deadline>().copied()).await?;
        let project = published.state.project(&key).ok_or_else(|| status::not_found(Noun::Project, key.as_str()))?;
        check_org(project, org.as_ref())?;
        let only = caller.key().and_then(|(_, key)| key.scope.org);
        let filter = Filter { project: project.id, key, org, only };
        let newest = published.state.revision();
        let mine = match after {
            Some(token) if token.number != newest.number => {
                Revision { number: token.number, tag: token.tag, at: Time::default() }
            }
            _ => newest,
        };
        // Refuses a revision of another history, and one that is no longer kept.
        let first = app.commits_after(mine, Duration::ZERO).await?;
        Ok(Response::new(following::stream(|sender| {
            Watch { app, caller, request, filter, sender, commit_time: (mine == newest).then_some(mine.at) }
                .run(mine, first)
        })))
    }
}

impl WatchApi {
    /// Returns the State at the beginning, which has the revision. Waits for it.
    async fn at(&self, after: Option<Token>, deadline: Option<Deadline>) -> Result<Arc<Published>, Status> {
        let Some(token) = after else { return self.0.at(None, deadline).await };
        if token.store_id != self.0.engine.store_id() {
            return Err(status::behind(Behind::AnotherHistory));
        }
        // Older revisions are compared when their commits are read, which all who watch share.
        let published = self.0.engine.pin();
        if token.number < published.state.revision().number {
            return Ok(published);
        }
        let requirement = Some(Requirement::AtLeast(token.encode()));
        self.0.at(Some(&Consistency { requirement }), deadline).await
    }
}

/// `None` for an empty text.
fn token(after: &str) -> Result<Option<Token>, Status> {
    let malformed = || status::invalid("after", "must be the `revision` of an answer");
    Some(after).filter(|text| !text.is_empty()).map(|text| Token::decode(text).ok_or_else(malformed)).transpose()
}

/// Refuses an org that never existed: a mistyped id must not seem to work.
fn check_org(project: &Project, org: Option<&OrgId>) -> Result<(), Status> {
    match org.filter(|org| project.org_numbers(org.as_str()).is_empty()) {
        Some(org) => Err(status::not_found(Noun::Org, org.as_str())),
        None => Ok(()),
    }
}

/// One client that watches.
struct Watch {
    app: Arc<App>,
    caller: Caller,
    request: WatchRequest,
    filter: Filter,
    sender: following::Sender<WatchResponse>,
    /// When the revision that was sent last was committed. `None` if that is not known.
    commit_time: Option<Time>,
}

impl Watch {
    async fn run(mut self, mut mine: Revision, first: Page) -> Result<(), Status> {
        let place = self.app.feeds.watchers.open(mine.number);
        let mut page = Some(first).filter(|page| !page.commits.is_empty());
        let mut is_read = self.send(mine, Vec::new()).await;
        while is_read {
            let next = match page.take() {
                Some(page) => page,
                None => self.app.commits_after(mine, HEARTBEAT).await?,
            };
            // The key may have been archived since, or the operator removed.
            let authorize = |state: &State| authz::authorize_caller_at(state, &self.caller, &self.request);
            let state = self.app.state_of(&next, mine, authorize).await?;
            let changes = Changes::new(&self.filter, &state, &next.commits);
            let mut frame = Vec::new();
            let mut is_sent = false;
            for commit in &*next.commits {
                (mine, self.commit_time) = (commit.revision, Some(commit.revision.at));
                let token = self.token(mine);
                frame.extend(changes.of(commit, &token));
                let end = commit.changes.iter().find_map(|change| self.ended_by(change));
                is_sent = end.is_some() || frame.len() >= WATCH_CHANGES_MAX;
                if is_sent {
                    is_read = self.send(mine, std::mem::take(&mut frame)).await;
                }
                match end {
                    Some(Ended::Project) => return Ok(()),
                    // It says that the key is of no use any more.
                    Some(Ended::OrgOfKey) => return authz::authorize_at(&state, &self.caller, &self.request),
                    None => {}
                }
            }
            if !is_sent {
                is_read = self.send(mine, frame).await;
            }
            place.sent(mine.number);
        }
        Ok(())
    }

    /// Returns false if the client is gone.
    async fn send(&self, revision: Revision, changes: Vec<AccessChange>) -> bool {
        let commit_time = self.commit_time.map(timestamp);
        let response = WatchResponse { changes, commit_time, revision: self.token(revision) };
        self.sender.send(Ok(response)).await.is_ok()
    }

    fn token(&self, revision: Revision) -> String {
        self.app.token(revision)
    }

    /// Returns which end of the watch a change is. `None` if it is none.
    fn ended_by(&self, change: &Change) -> Option<Ended> {
        let filter = &self.filter;
        match change {
            Change::Project(edit) if edit.key == filter.project => {
                let exists = edit.after.as_ref().is_some_and(|project| project.lifecycle.exists());
                (!exists).then_some(Ended::Project)
            }
            Change::Org(edit) if edit.key.project == filter.project && self.is_of_key(edit.key.id) => {
                let exists = edit.after.as_ref().is_some_and(|org| org.lifecycle.exists());
                (!exists).then_some(Ended::OrgOfKey)
            }
            _ => None,
        }
    }

    fn is_of_key(&self, org: OrgNo) -> bool {
        self.filter.only == Some(org)
    }
}

/// What ends a watch.
enum Ended {
    Project,
    /// The org that the key is for was deleted.
    OrgOfKey,
}
