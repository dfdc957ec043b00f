//! Names the members in the sample of a preview (R9.d). The State knows users only by hashes. The database knows their ids.

use std::sync::Arc;

use crate::domain::impact::report::{Impact, MemberImpact, Who};
use crate::domain::model::id::ProjectId;
use crate::domain::{State, UserId};
use crate::limits::IMPACT_SAMPLE_MAX;
use crate::store::{MembersWith, Store, StoreError};

/// The most pages that are read to name the members who had a role set. The database may be ahead of the State.
const PAGES_MAX: usize = 20;
/// Ids in each page after the first. The first page is as long as the sample.
const PAGE_ROWS: usize = 1_000;

/// Replaces each row for several members by one row for each of them, with the user id. `before` is the State that the command
/// was decided on.
pub(super) async fn fill_user_ids(
    store: &Store,
    before: &State,
    project: ProjectId,
    impact: &mut Arc<Impact>,
) -> Result<(), StoreError> {
    if !impact.has_unnamed() {
        return Ok(());
    }
    let mut sample: Vec<MemberImpact> = Vec::new();
    for row in &impact.sample {
        let free = IMPACT_SAMPLE_MAX - sample.len().min(IMPACT_SAMPLE_MAX);
        match row.who {
            Who::SomeOf { role_set, at_most } => {
                let members = MembersWith { project, org: row.org, role_set };
                let users = first_of(store, before, members, at_most.min(free)).await?;
                sample.extend(users.into_iter().map(|user| MemberImpact { who: Who::Member(user), ..row.clone() }));
            }
            Who::Member(_) => sample.extend((free > 0).then(|| row.clone())),
        }
    }
    *impact = Arc::new(Impact { sample, ..Impact::clone(impact) });
    Ok(())
}

/// Returns the first members by user id who have a role set in the State. Other servers may have changed the rows of the
/// database since.
async fn first_of(
    store: &Store,
    before: &State,
    members: MembersWith,
    at_most: usize,
) -> Result<Vec<UserId>, StoreError> {
    let mut found = Vec::new();
    let mut last: Option<UserId> = None;
    for page in 0..PAGES_MAX {
        // In most cases the first page is right.
        let rows = if page == 0 { at_most } else { PAGE_ROWS };
        let users = store.members_with(members, last.as_ref(), rows).await?;
        let is_last = users.len() < rows;
        last = users.last().cloned();
        found.extend(users.into_iter().filter(|user| has(before, members, user)));
        if is_last || found.len() >= at_most {
            break;
        }
    }
    found.truncate(at_most);
    Ok(found)
}

/// Returns true if a user has exactly this role set, and no temporary role.
fn has(state: &State, MembersWith { project, org, role_set }: MembersWith, user: &UserId) -> bool {
    let project = state.project_numbered(project);
    let record = project.and_then(|project| project.membership(project.org_numbered(org)?, user));
    record.is_some_and(|record| record.role_set == role_set && record.temporary.is_empty())
}
