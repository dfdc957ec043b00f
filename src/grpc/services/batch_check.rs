//! BatchCheck: many checks, answered from one State at one time.

use std::fmt;

use prost::bytes::Bytes;
use tokio::task::block_in_place;
use tonic::{Request, Response, Status};

use super::check::{activity_day, project};
use crate::clock;
use crate::domain::model::name::{BadName, own_id, permission_name};
use crate::domain::rules::activity::AllowedMember;
use crate::domain::{Columns, Decision, Item, Project};
use crate::grpc::app::Checks;
use crate::grpc::authz::{Authorized, Rule, authorize};
use crate::grpc::codec::can_block_in_place;
use crate::grpc::layers::calls::{self, take_for_decoding};
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::services::Reply;
use crate::grpc::{convert, status};
use crate::limits::{ITEM_ERRORS_MAX, REQUEST_FIELDS_MAX, REQUEST_NESTED_FIELDS_MAX};
use crate::wire::batch_check::{
    self, BatchCheck, BatchCheckAnswer, BatchCheckBody, COLUMN_PATHS, Check, CheckError, Column, FieldLimits,
    Unreadable,
};
use crate::wire::{self, Decision as Wire, ErrorReason, timestamp};

/// Checks after which a batch yields the thread to other calls.
const CHECKS_A_TURN: usize = 4_096;
/// Requests above this are read off the threads that answer checks, in both passes: fields that are skipped take time too.
/// Smaller ones take at most a few milliseconds.
const LARGE_BYTES: usize = 1 << 20;
const FIELDS: FieldLimits = FieldLimits { top_level: REQUEST_FIELDS_MAX, all: REQUEST_NESTED_FIELDS_MAX };

impl Authorized for BatchCheck<'_> {
    const RULE: &'static Rule = <wire::BatchCheckRequest as Authorized>::RULE;

    fn project(&self) -> Option<&str> {
        Some(self.project)
    }

    /// A check of another org is an item error (W6.c).
    fn is_only_about(&self, _org_id: &str) -> bool {
        true
    }
}

/// The body is authorized once it is read.
impl Authorized for BatchCheckBody {
    const RULE: &'static Rule = <wire::BatchCheckRequest as Authorized>::RULE;
}

pub async fn batch_check(app: &Checks, request: Request<BatchCheckBody>) -> Reply<BatchCheckAnswer> {
    let deadline = request.extensions().get::<Deadline>().copied();
    let asked = read(request.get_ref())?;
    authorize(&asked)?;
    let checks = asked.items + asked.columns.checks();
    bounded(&asked, checks, app.limits.batch_check_items)?;
    take_for_decoding(checks + asked.columns.bytes())?;
    let published = app.at(asked.consistency.as_ref(), deadline).await?;
    let project = project(&published.state, asked.project)?;
    let key = calls::caller().and_then(|caller| caller.key().map(|(_, key)| key.scope)).unwrap_or_default();
    let only = match key.org {
        None => None,
        // The call may have waited since it was authorized, and the org may be gone.
        Some(org) => match project.org_numbered(org).filter(|org| org.record.lifecycle.exists()) {
            Some(org) if key.project == Some(project.id) => Some(org.record.profile.org_id.as_str()),
            _ => return Err(status::plain(ErrorReason::ApiKeyScope, "the API key is only for another org")),
        },
    };
    let bytes = request.get_ref().bytes();
    let columns =
        block_in_place_if_large(bytes, || asked.columns()).map_err(|error| status::malformed(&error.to_string()))?;
    let now = clock::now();
    let (activity, day) = (&app.engine.activity, activity_day(asked.no_activity || key.no_activity, now));
    let mut answers = Answers { decisions: Vec::with_capacity(checks), errors: Vec::new(), errors_total: 0 };
    let found = looked_up(project, &columns, only).await;
    let (mut items, mut rows) = (asked.items(), columns.rows());
    let mut scratch = Vec::with_capacity(CHECKS_A_TURN.min(checks));
    while answers.decisions.len() < checks {
        let first = answers.decisions.len();
        if first > 0 {
            tokio::task::yield_now().await;
        }
        block_in_place_if_large(bytes, || {
            let days = activity.load();
            let noted = days.of(project.id);
            let allowed = |member: AllowedMember<'_>| activity.note(noted, day, member, now);
            scratch.clear();
            if first < asked.items {
                let turn = items.clone();
                let checks = items.by_ref().take(CHECKS_A_TURN).map(|[org_id, user_id, permission]| Item {
                    org_id: if is_foreign(only, org_id) { b"" } else { org_id },
                    user_id,
                    permission,
                });
                project.check_batch(checks, now, &mut scratch, allowed);
                answers.add(&scratch, turn, |check| malformed_item(check, only));
            } else {
                project.check_columns(&found, rows.by_ref().take(CHECKS_A_TURN), now, &mut scratch, allowed);
                let explained = (first - asked.items..).map(|at| columns.explained(at));
                answers.add(&scratch, explained, |row| malformed_row(row, only));
            }
        });
        if scratch.is_empty() {
            // Both passes over a request find the same checks.
            return Err(status::plain(ErrorReason::Internal, "a check was not read; this is a bug, please report it"));
        }
    }
    app.metrics.batch_checked(&answers.decisions);
    Ok(Response::new(BatchCheckAnswer {
        decisions: answers.decisions,
        errors: answers.errors,
        errors_total: answers.errors_total,
        revision: Bytes::copy_from_slice(published.token.as_bytes()),
        evaluated_at: Some(timestamp(now)),
    }))
}

/// Reads all but the checks.
fn read(request: &BatchCheckBody) -> Result<BatchCheck<'_>, Status> {
    block_in_place_if_large(request.bytes(), || request.read(FIELDS)).map_err(|why| match why {
        Unreadable::Malformed(error) => status::malformed(&error.to_string()),
        Unreadable::TooManyFields(max) => status::too_many_fields(max),
    })
}

/// Works on a part of a request. The other calls of this thread go on in another thread if the request is large.
fn block_in_place_if_large<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes > LARGE_BYTES && can_block_in_place() { block_in_place(work) } else { work() }
}

/// Refuses too many checks or strings (P7), and columns that do not fit together.
fn bounded(asked: &BatchCheck<'_>, checks: usize, max: usize) -> Result<(), Status> {
    convert::at_most(if asked.items > max { "items" } else { "columns" }, checks, max)?;
    let (table, strings) = asked.columns.largest_table();
    convert::at_most(table, strings, max)?;
    if let Some((array, entries)) = asked.columns.uneven() {
        let longest = asked.columns.checks();
        let why = format!("must be empty or have {longest} entries, as the longest index array; it has {entries}");
        return Err(status::invalid(array, why));
    }
    Ok(())
}

/// Looks up the strings of the columns.
async fn looked_up<'p>(project: &'p Project, columns: &batch_check::Columns<'_>, only: Option<&str>) -> Columns<'p> {
    let mut found = Columns::default();
    for (column, add) in [Columns::add_orgs, Columns::add_users, Columns::add_permissions].into_iter().enumerate() {
        for (turn, strings) in columns.table(column).chunks(CHECKS_A_TURN).enumerate() {
            if turn > 0 {
                tokio::task::yield_now().await;
            }
            match only {
                Some(only) if column == 0 => {
                    let own: Vec<&str> = strings.iter().map(|&org| if org == only { org } else { "" }).collect();
                    add(&mut found, project, &own);
                }
                _ => add(&mut found, project, strings),
            }
        }
    }
    found
}

struct Answers {
    decisions: Vec<u8>,
    errors: Vec<CheckError>,
    errors_total: i32,
}

impl Answers {
    /// Adds the decisions on the first of `checks`. A malformed check gets an error instead (K3).
    fn add<C>(
        &mut self,
        decisions: &[Decision],
        checks: impl Iterator<Item = C>,
        malformed: impl Fn(C) -> Option<(&'static str, Malformed)>,
    ) {
        let first = self.decisions.len();
        self.decisions.extend(decisions.iter().map(|&decision| decision as u8));
        if !decisions.iter().copied().any(may_be_malformed) {
            return;
        }
        for (at, (check, &decision)) in (first..).zip(checks.zip(decisions)) {
            if !may_be_malformed(decision) {
                continue;
            }
            let Some((field, why)) = malformed(check) else { continue };
            self.decisions[at] = Wire::Unspecified as u8;
            self.errors_total += 1;
            if self.errors.len() < ITEM_ERRORS_MAX {
                self.errors.push(CheckError {
                    index: at as i32,
                    reason: Bytes::from_static(why.reason().as_str_name().as_bytes()),
                    field: Bytes::from_static(field.as_bytes()),
                    description: why.to_string(),
                });
            }
        }
    }
}

/// Returns true if an org, permission or user was not found. What is found is stored, and only well-formed names are stored:
/// so the checks with any other decision need not be examined.
fn may_be_malformed(decision: Decision) -> bool {
    matches!(decision, Decision::OrgNotFound | Decision::UnknownPermission | Decision::NotAMember)
}

/// What is wrong with a part of a check.
enum Malformed {
    Name(BadName),
    Index(u32, usize),
    /// The API key of the call is for another org (W6.c).
    ForeignOrg,
}

impl Malformed {
    fn reason(&self) -> ErrorReason {
        match self {
            Self::ForeignOrg => ErrorReason::ApiKeyScope,
            Self::Name(_) | Self::Index(..) => ErrorReason::InvalidField,
        }
    }
}

/// Returns true if the caller's key is only for one org, and this is another.
fn is_foreign(only: Option<&str>, org_id: &[u8]) -> bool {
    only.is_some_and(|only| only.as_bytes() != org_id)
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => why.fmt(f),
            Self::ForeignOrg => f.write_str("is not the org that the API key is for"),
            Self::Index(index, strings) => write!(f, "has the index {index} of a table with {strings} strings"),
        }
    }
}

/// Returns the malformed field of an item.
fn malformed_item(check: Check<'_>, only: Option<&str>) -> Option<(&'static str, Malformed)> {
    // They are UTF-8: pass 1 has checked it. An empty one is malformed.
    let (at, why) = malformed(check.map(|text| Column::Text(str::from_utf8(text).unwrap_or_default())), only)?;
    Some((["org_id", "user_id", "permission"][at], why))
}

/// Returns the column in which a check of `columns` is malformed.
fn malformed_row(row: [Column<'_>; 3], only: Option<&str>) -> Option<(&'static str, Malformed)> {
    let (at, why) = malformed(row, only)?;
    let path = if matches!(why, Malformed::Index(..)) { 3 + at } else { at };
    Some((COLUMN_PATHS[path], why))
}

fn malformed(check: [Column<'_>; 3], only: Option<&str>) -> Option<(usize, Malformed)> {
    check.into_iter().enumerate().find_map(|(at, column)| match column {
        Column::OutOfRange(index, strings) => Some((at, Malformed::Index(index, strings))),
        Column::Text(text) => {
            let checked = if at == 2 { permission_name(text) } else { own_id(text) };
            let foreign = || (at == 0 && is_foreign(only, text.as_bytes())).then_some(Malformed::ForeignOrg);
            checked.err().map(Malformed::Name).or_else(foreign).map(|why| (at, why))
        }
    })
}
