//! Finds and shows the events of a page.

use prost::Message;
use tonic::Status;

use super::change::Shown;
use super::names::{Names, When};
use super::{Ask, Audience, AuditApi, place_text, resumed_text};
use crate::domain::commands::command::MAINTENANCE;
use crate::domain::model::event::{Denial, EventPlace};
use crate::domain::model::id::OrgNo;
use crate::domain::model::refusal::Noun;
use crate::domain::rules::event::is_shown;
use crate::domain::{Change, OrgId, Project, ProjectKey, State};
use crate::engine::Published;
use crate::grpc::page::Scope;
use crate::grpc::status;
use crate::limits::{EVENT_BYTES_MAX, EVENT_CHANGES_MAX, LIST_READS_MAX, PAGE_BYTES_MAX, PAGE_SIZE_MAX};
use crate::store::{CommitRow, EVENT_COMMITS_MAX, EventRow, EventScan, Events, StoreError};
use crate::wire::resource::count;
use crate::wire::{self, EventType, timestamp};

/// How much later than the commits around it a refused call may have happened by its own clock.
const CLOCKS_DIFFER_SECONDS: i64 = 600;

/// The events found for a page, one more than it has if more follow.
struct Found {
    rows: Vec<EventRow>,
    /// Where the search stopped before the end of the list.
    stopped: Option<EventPlace>,
}

impl AuditApi {
    pub(super) async fn list(
        &self,
        ask: &Ask<'_>,
        published: &Published,
        audience: Audience,
    ) -> Result<wire::ListEventsResponse, Status> {
        let app = &self.0;
        let state = &*published.state;
        let project = match &ask.project {
            Some(key) => {
                Some(project(state, key, audience).ok_or_else(|| status::not_found(Noun::Project, key.as_str()))?)
            }
            None => None,
        };
        let _turn = app.list_turns.next(project.map(|project| project.id)).await?;
        let unread = |error: StoreError| status::unread(&error);
        let events = app.store.events(state.revision()).await.map_err(unread)?;
        let org = match (project, &ask.org_id) {
            (Some(project), Some(org_id)) => {
                let org = org(&events, project, org_id).await.map_err(unread)?;
                Some(org.ok_or_else(|| status::not_found(Noun::Org, org_id.as_str()))?)
            }
            _ => None,
        };
        let scan = scan(ask, project, org, &events).await.map_err(unread)?;
        let found = find(ask, state, audience, &events, scan.clone()).await.map_err(unread)?;
        let names = Names::new(state);
        let (shown, next) = self.show(ask, audience, &events, &scan, &found, names).await.map_err(unread)?;
        let resumes = if ask.newest_first { ask.after.is_none() } else { next.is_none() };
        let newest = if resumes { Some(events.newest_place().await.map_err(unread)?) } else { None };
        events.end().await;
        let number = |number: Option<u32>| number.map_or(0, i64::from);
        let scope = Scope {
            project: number(project.map(|project| project.id.number())),
            org: number(org.map(|org| org.number())),
            ..Scope::default()
        };
        Ok(wire::ListEventsResponse {
            events: shown,
            resume_token: match newest {
                Some(newest) => ask.resumed.next_token(scope, Some(&resumed_text(newest, &published.token)))?,
                None => String::new(),
            },
            next_page_token: ask.page.next_token(scope, next.map(place_text).as_deref())?,
            revision: published.token.to_string(),
        })
    }

    /// Shows events until the page is full. Returns the place after which the list goes on. `None` if it ends.
    async fn show(
        &self,
        ask: &Ask<'_>,
        audience: Audience,
        events: &Events,
        scan: &EventScan,
        found: &Found,
        mut names: Names<'_>,
    ) -> Result<(Vec<wire::Event>, Option<EventPlace>), StoreError> {
        let (mut shown, mut bytes, mut last) = (Vec::new(), 0, None);
        for rows in found.rows.chunks(EVENT_COMMITS_MAX) {
            let shown_rows = self.show_rows(audience, events, scan, rows, &mut names).await?;
            for (row, event) in rows.iter().zip(shown_rows) {
                bytes += event.encoded_len();
                if shown.len() == ask.page.limit as usize || last.is_some() && bytes > PAGE_BYTES_MAX {
                    return Ok((shown, last));
                }
                last = Some(row.place());
                shown.push(event);
            }
        }
        Ok((shown, found.stopped))
    }

    /// Shows at most [`EVENT_COMMITS_MAX`] events.
    async fn show_rows(
        &self,
        audience: Audience,
        events: &Events,
        scan: &EventScan,
        rows: &[EventRow],
        names: &mut Names<'_>,
    ) -> Result<Vec<wire::Event>, StoreError> {
        let commits = rows.iter().filter(|row| matches!(row, EventRow::Commit(_)));
        let revisions: Vec<u64> = commits.map(|row| row.place().revision).collect();
        let changes = events.changes(scan, &revisions).await?;
        let event = |row: &EventRow, names: &Names<'_>| match row {
            EventRow::Denial(_, denial) => self::denial(denial),
            EventRow::Commit(row) => {
                let changes = changes.get(&row.revision.number).map_or(&[][..], Vec::as_slice);
                let revision = self.0.token(row.revision);
                wire::Event { revision, ..commit(row, changes, names, audience) }
            }
        };
        // Role sets are looked up first, then the names of their roles.
        loop {
            let shown: Vec<wire::Event> = rows.iter().map(|row| event(row, names)).collect();
            if !names.look_up(events).await? {
                return Ok(shown);
            }
        }
    }

    /// Shows the event of one commit with some of its changes.
    pub(super) async fn show_commit(
        &self,
        audience: Audience,
        events: &Events,
        state: &State,
        revision: u64,
        changes: &[Change],
    ) -> Result<Option<wire::Event>, StoreError> {
        let scan = EventScan {
            project: None,
            org: None,
            user: None,
            commits: Some(revision..=revision),
            denials: false,
            newest_first: false,
            after: EventPlace::default(),
            before: EventPlace { revision: revision + 1, denial: 0 },
        };
        let (rows, _) = events.next(&scan, 1).await?;
        let Some(EventRow::Commit(row)) = rows.first() else { return Ok(None) };
        let mut names = Names::new(state);
        loop {
            let shown = commit(row, changes, &names, audience);
            if !names.look_up(events).await? {
                return Ok(Some(wire::Event { revision: self.0.token(row.revision), ..shown }));
            }
        }
    }
}

/// Returns the existing project with this key, or else the one that was deleted last.
fn project<'a>(state: &'a State, key: &ProjectKey, audience: Audience) -> Option<&'a Project> {
    let deleted = || state.all_projects().filter(|project| project.record.key == *key).last();
    let project = state.project(key).or_else(deleted)?;
    audience.sees(&project.record).then_some(project)
}

/// Returns the existing org with this id, or else the one that was deleted last.
async fn org(events: &Events, project: &Project, org_id: &OrgId) -> Result<Option<OrgNo>, StoreError> {
    match project.org(org_id.as_str()) {
        Some(org) => Ok(Some(org.no)),
        None if project.was_deleted(org_id.as_str()) || !project.record.lifecycle.exists() => {
            events.purged_org(project.id, org_id).await
        }
        None => Ok(None),
    }
}

async fn scan(
    ask: &Ask<'_>,
    project: Option<&Project>,
    org: Option<OrgNo>,
    events: &Events,
) -> Result<EventScan, StoreError> {
    let mut after = EventPlace { revision: ask.after_revision.unwrap_or(0), denial: 0 };
    let mut before = EventPlace { revision: i64::MAX as u64, denial: 0 };
    let (mut first, mut last) = (0, u64::MAX);
    if let Some(start) = ask.start {
        first = events.revision_from(start).await?;
        let earlier = events.revision_from(start.plus_seconds(-CLOCKS_DIFFER_SECONDS)).await?;
        after = after.max(EventPlace { revision: earlier.saturating_sub(1), denial: 0 });
    }
    if let Some(end) = ask.end {
        last = events.revision_from(end).await?.saturating_sub(1);
    }
    match ask.after {
        Some(place) if ask.newest_first => before = place,
        Some(place) => after = after.max(place),
        None => {}
    }
    Ok(EventScan {
        project: project.map(|project| (project.id, project.record.key.clone())),
        org,
        user: ask.user_id.clone(),
        commits: ask.commits.then_some(first..=last),
        denials: ask.denials,
        newest_first: ask.newest_first,
        after,
        before,
    })
}

async fn find(
    ask: &Ask<'_>,
    state: &State,
    audience: Audience,
    events: &Events,
    mut scan: EventScan,
) -> Result<Found, StoreError> {
    let wanted = ask.page.limit as usize + 1;
    let mut found = Found { rows: Vec::new(), stopped: None };
    // The filters may leave out nearly all events, so later reads are larger.
    let mut limit = wanted;
    for _ in 0..LIST_READS_MAX {
        let (rows, more) = events.next(&scan, limit).await?;
        limit = PAGE_SIZE_MAX as usize;
        let end = rows.last().map(EventRow::place);
        found.rows.extend(rows.into_iter().filter(|row| is_listed(ask, state, audience, row)));
        let Some(end) = end.filter(|_| more) else {
            found.stopped = None;
            return Ok(found);
        };
        if found.rows.len() >= wanted {
            return Ok(found);
        }
        found.stopped = Some(end);
        if scan.newest_first { scan.before = end } else { scan.after = end }
    }
    Ok(found)
}

/// Judges what the statements leave to do.
fn is_listed(ask: &Ask<'_>, state: &State, audience: Audience, row: &EventRow) -> bool {
    let is_asked = |actor: &str, kind: &str| {
        (ask.actor.is_empty() || ask.actor == actor) && (ask.kinds.is_empty() || ask.kinds.iter().any(|it| it == kind))
    };
    match row {
        EventRow::Commit(row) => {
            let seen = || state.project_numbered(row.project).is_some_and(|project| audience.sees(&project.record));
            let hidden = !ask.maintenance && ask.kinds.is_empty() && MAINTENANCE.contains(&&*row.kind);
            !hidden && is_asked(&row.actor, &row.kind) && seen()
        }
        EventRow::Denial(_, denial) => {
            let key = ProjectKey::stored(&*denial.project);
            let seen = || match state.project(&key) {
                Some(project) => audience.sees(&project.record),
                None => audience.sees_key(&key) && audience.environment.is_none(),
            };
            let in_org = ask.org_id.as_ref().is_none_or(|org_id| org_id.as_str() == denial.org_id);
            let in_time = ask.start.is_none_or(|start| start <= denial.at) && ask.end.is_none_or(|end| denial.at < end);
            in_org && in_time && is_asked(&denial.actor, &denial.kind) && seen()
        }
    }
}

fn denial(denial: &Denial) -> wire::Event {
    wire::Event {
        r#type: EventType::Denial.into(),
        time: Some(timestamp(denial.at)),
        actor: denial.actor.clone(),
        key_id: denial.key_id.clone(),
        acting_user_id: denial.acting_user.clone(),
        kind: denial.kind.clone(),
        project: denial.project.clone(),
        denial: Some(wire::EventDenial {
            reason: denial.reason.clone(),
            missing_permission: denial.missing_permission.clone(),
            org_id: denial.org_id.clone(),
            count: i64::try_from(denial.count).unwrap_or(i64::MAX),
        }),
        ..wire::Event::default()
    }
}

/// Shows a commit, without its revision.
fn commit(row: &CommitRow, changes: &[Change], names: &Names<'_>, audience: Audience) -> wire::Event {
    let when = When { project: row.project, revision: row.revision.number };
    let shown = Shown { names, when, emails: audience.emails };
    let order = shown.role_order(changes);
    let total = row.shown_changes + u64::from(order.is_some());
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for change in order.into_iter().chain(changes.iter().filter(|it| is_shown(it)).map(|it| shown.change(it))) {
        bytes += change.encoded_len();
        if kept.len() == EVENT_CHANGES_MAX || !kept.is_empty() && bytes > EVENT_BYTES_MAX {
            break;
        }
        kept.push(change);
    }
    wire::Event {
        r#type: EventType::Commit.into(),
        revision: String::new(),
        time: Some(timestamp(row.revision.at)),
        actor: row.actor.to_string(),
        key_id: row.key_id.clone().unwrap_or_default(),
        acting_user_id: row.acting_user.clone().unwrap_or_default(),
        request_id: row.request_id.clone().unwrap_or_default(),
        reason: row.reason.clone(),
        kind: row.kind.clone(),
        project: names.project(row.project),
        changes: kept,
        changes_total: count(total),
        denial: None,
    }
}
