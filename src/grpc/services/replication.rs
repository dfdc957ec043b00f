//! ReplicationService: feeds sidecars.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::commands::group::Commit;
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::refusal::Noun;
use crate::domain::model::time::Day;
use crate::domain::{Revision, State};
use crate::engine::Behind;
use crate::grpc::app::App;
use crate::grpc::authz;
use crate::grpc::caller::Caller;
use crate::grpc::following::{self, Frames, HEARTBEAT, Sender};
use crate::grpc::generated::replication::replication_service_server::ReplicationService;
use crate::grpc::layers::calls;
use crate::grpc::services::Reply;
use crate::grpc::{convert, status, write};
use crate::limits::{ACTIVE_ORGS_A_REPORT_MAX, PROJECTS_A_SIDECAR_MAX};
use crate::replication::projects::Projects;
use crate::replication::snapshot::Snapshot;
use crate::replication::{VERSION, read_revision, wire_revision};
use crate::store::StoreError;
use crate::wire::change::encode;
use crate::wire::reduced::reduced;
use crate::wire::replication::read_snapshot_response::Frame;
use crate::wire::replication::{
    Commit as WireCommit, FollowRequest, FollowResponse, ReadRevisionRequest, ReadRevisionResponse,
    ReadSnapshotRequest, ReadSnapshotResponse, ReportActivityRequest, ReportActivityResponse, SnapshotChanges,
    SnapshotEnd, SnapshotHeader,
};
use crate::wire::{Consistency, consistency::Requirement};

/// Bytes of the changes in one frame. One change more may be in it.
const FRAME_BYTES: usize = 1 << 20;

pub struct ReplicationApi(pub Arc<App>);

#[tonic::async_trait]
impl ReplicationService for ReplicationApi {
    type ReadSnapshotStream = Frames<ReadSnapshotResponse>;

    async fn read_snapshot(&self, request: Request<ReadSnapshotRequest>) -> Reply<Self::ReadSnapshotStream> {
        let request = request.into_inner();
        check_version(request.version)?;
        let caller = calls::caller().ok_or_else(write::unexpected)?;
        let projects = projects(&request.projects, &caller)?;
        let app = self.0.clone();
        let snapshot = app.snapshots.get().await.map_err(|error| status::unread(&error))?;
        // The snapshot may have projects that are not in memory yet.
        let state = app.state_at(snapshot.revision).await?;
        let contains = |key: &String| state.project_keyed(key).is_some_and(|it| projects.contain(&state, it.id));
        if let Some(key) = projects.keys.iter().find(|key| !contains(key)) {
            // A sidecar that asks for a mistyped project, or for one that its key is not for, must not seem to work.
            return Err(status::not_found(Noun::Project, key));
        }
        Ok(Response::new(following::stream(|sender| send_snapshot(app, caller, sender, snapshot, projects, state))))
    }

    type FollowStream = Frames<FollowResponse>;

    async fn follow(&self, request: Request<FollowRequest>) -> Reply<Self::FollowStream> {
        let request = request.into_inner();
        check_version(request.version)?;
        let caller = calls::caller().ok_or_else(write::unexpected)?;
        let after = request.after.ok_or_else(|| status::invalid("after", "must be set"))?;
        let projects = projects(&request.projects, &caller)?;
        let app = self.0.clone();
        let other_scope = !request.scope.is_empty() && request.scope != projects.scope();
        if after.store_id != app.engine.store_id() || other_scope {
            return Err(status::behind(Behind::AnotherHistory));
        }
        if after.number > app.engine.load().state.revision().number {
            // Waits while this server is behind, and refuses a revision that the database has lost.
            let requirement = Some(Requirement::AtLeast(app.token(read_revision(&after))));
            app.at(Some(&Consistency { requirement }), None).await?;
        }
        let mine = read_revision(&after);
        Ok(Response::new(following::stream(|sender| Follower { app, caller, projects, sender }.run(mine))))
    }

    async fn read_revision(&self, request: Request<ReadRevisionRequest>) -> Reply<ReadRevisionResponse> {
        let request = request.into_inner();
        check_version(request.version)?;
        let revision = match request.number {
            None => Some(self.0.source.head().await?),
            Some(number) => self.0.source.revision_at(number).await?,
        };
        let revision = revision.map(|revision| wire_revision(self.0.engine.store_id(), revision));
        Ok(Response::new(ReadRevisionResponse { revision }))
    }

    async fn report_activity(&self, request: Request<ReportActivityRequest>) -> Reply<ReportActivityResponse> {
        let request = request.into_inner();
        check_version(request.version)?;
        convert::at_most("orgs", request.orgs.len(), ACTIVE_ORGS_A_REPORT_MAX)?;
        if request.store_id != self.0.engine.store_id() {
            return Err(status::behind(Behind::AnotherHistory));
        }
        let caller = calls::caller().ok_or_else(write::unexpected)?;
        if caller.key().is_some_and(|(_, key)| key.scope.no_activity) {
            return Ok(Response::new(ReportActivityResponse {}));
        }
        let projects = projects(&[], &caller)?;
        let published = self.0.engine.pin();
        let today = clock::now().day();
        for (at, org) in request.orgs.into_iter().enumerate() {
            let ids = ProjectId::new(org.project).zip(OrgNo::new(org.org));
            let (project, no) =
                ids.ok_or_else(|| status::invalid(format!("orgs[{at}]"), "must have a `project` and an `org`"))?;
            // A clock that is ahead must not make an org active in the future.
            let day = Day(u16::try_from(org.day).unwrap_or(u16::MAX).min(today.0));
            if let Some(project) = published.state.project_numbered(project)
                && projects.contain(&published.state, project.id)
                && project.org_numbered(no).is_some()
            {
                self.0.engine.activity.note_day(project, no, day);
            }
        }
        Ok(Response::new(ReportActivityResponse {}))
    }
}

fn check_version(version: u32) -> Result<(), Status> {
    match version {
        VERSION => Ok(()),
        0 => Err(status::invalid("version", "must be set")),
        _ => Err(status::invalid("version", format!("must be {VERSION}; upgrade the older one of server and sidecar"))),
    }
}

/// Returns the projects that a sidecar asks for, of those that its key is for (W6.c, W6.d).
fn projects(keys: &[String], caller: &Caller) -> Result<Projects, Status> {
    convert::at_most("projects", keys.len(), PROJECTS_A_SIDECAR_MAX)?;
    for (at, key) in keys.iter().enumerate() {
        convert::project(key).map_err(|_| status::invalid(format!("projects[{at}]"), "is no key of a project"))?;
    }
    let key = caller.key().map(|(_, key)| key);
    Ok(Projects {
        keys: keys.iter().cloned().collect(),
        environment: key.map(|key| key.environment),
        only: key.and_then(|key| key.scope.project),
    })
}

/// Sends the frames of a snapshot to one sidecar.
async fn send_snapshot(
    app: Arc<App>,
    caller: Caller,
    sender: Sender<ReadSnapshotResponse>,
    snapshot: Arc<Snapshot>,
    projects: Projects,
    state: State,
) -> Result<(), Status> {
    let send = async |frame| {
        let sent = sender.send(Ok(ReadSnapshotResponse { frame: Some(frame) })).await;
        sent.map_err(|_| Status::cancelled("the client is gone"))
    };
    let unread = |error: std::io::Error| status::unread(&StoreError::Snapshot(error));
    send(Frame::Header(SnapshotHeader {
        revision: Some(wire_revision(app.engine.store_id(), snapshot.revision)),
        past_tags: snapshot.past.iter().map(|revision| revision.tag).collect(),
        age_millis: snapshot.read.elapsed().as_millis() as u64,
        scope: projects.scope(),
    }))
    .await?;
    let (mut frames, mut sent) = (snapshot.frames(), 0);
    loop {
        // Reading the file blocks.
        let read = tokio::task::spawn_blocking(move || (frames.read(), frames)).await;
        let (frame, rest) = read.map_err(|error| unread(std::io::Error::other(error)))?;
        frames = rest;
        let Some(frame) = frame.map_err(unread)? else { break };
        authz::authorize_caller_at(&app.engine.load().state, &caller, &ReadSnapshotRequest::default())?;
        let changes = SnapshotChanges::decode(frame).map_err(|error| unread(std::io::Error::other(error)))?;
        if ProjectId::new(changes.project).is_some_and(|project| projects.contain(&state, project)) {
            sent += changes.changes.len() as u64;
            send(Frame::Changes(changes)).await?;
        }
    }
    send(Frame::End(SnapshotEnd { changes: sent })).await
}

/// One sidecar that follows.
struct Follower {
    app: Arc<App>,
    caller: Caller,
    projects: Projects,
    sender: Sender<FollowResponse>,
}

impl Follower {
    async fn run(self, mut mine: Revision) -> Result<(), Status> {
        let place = self.app.feeds.followers.open(mine.number);
        // The first frame comes at once, and tells the age.
        let mut patience = Duration::ZERO;
        loop {
            let page = self.app.commits_after(mine, std::mem::replace(&mut patience, HEARTBEAT)).await?;
            // The key may have been archived since, or the operator removed.
            let authorize = |state: &State| authz::authorize_caller_at(state, &self.caller, &FollowRequest::default());
            let state = self.app.state_of(&page, mine, authorize).await?;
            let mut frame = FollowResponse { after: mine.number, ..FollowResponse::default() };
            let mut bytes = 0;
            for commit in &*page.commits {
                let (tag, time_micros) = (commit.revision.tag, commit.revision.at.0);
                let mut changes = Vec::new();
                for change in self.reduced(commit, &state) {
                    if bytes >= FRAME_BYTES {
                        let changes = std::mem::take(&mut changes);
                        frame.commits.push(WireCommit { tag, time_micros, changes, incomplete: true });
                        let next = FollowResponse { after: mine.number, ..FollowResponse::default() };
                        if self.sender.send(Ok(std::mem::replace(&mut frame, next))).await.is_err() {
                            return Ok(());
                        }
                        bytes = 0;
                    }
                    bytes += change.len();
                    changes.push(change);
                }
                frame.commits.push(WireCommit { tag, time_micros, changes, incomplete: false });
                mine = commit.revision;
            }
            // This server knew that it had the newest revision a while ago, and has had nothing newer since.
            let age = page.newest_at.map(|at| self.app.engine.freshness.age().max(at.elapsed()));
            frame.age_millis = age.map(|age| age.as_millis() as u64);
            if self.sender.send(Ok(frame)).await.is_err() {
                return Ok(());
            }
            place.sent(mine.number);
        }
    }

    fn reduced(&self, commit: &Commit, state: &State) -> impl Iterator<Item = Bytes> {
        let changes = commit.changes.iter().filter(|change| self.projects.contain(state, change.project()));
        changes.filter_map(|change| reduced(change.clone())).map(|change| Bytes::from(encode(&change)))
    }
}
