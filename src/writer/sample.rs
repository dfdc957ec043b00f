//! Names the members in the sample of an impact: the State knows users by hashes, only the database knows their ids (R9).
//!
//! The database is as it was before the group. What earlier commands of the group did to an org is in their changes: both
//! together name the members as they were before the command.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::commands::group::{Commit, Group, Verdict};
use crate::domain::impact::report::{Impact, MemberImpact, Who};
use crate::domain::model::id::{OrgNo, ProjectId, RoleSetId};
use crate::domain::{Change, State, UserId};
use crate::limits::IMPACT_SAMPLE_MAX;
use crate::store::{MemberIds, MembersWith, StoreError};

/// Pages that are read to name those who had a role set: the database may know many who had not.
const PAGES_MAX: usize = 20;
/// Ids of each page but the first, which is as long as the sample.
const PAGE_ROWS: usize = 1_000;

/// Puts members in the place of the rows that stand for some of many, in what is answered and in what is remembered.
pub(super) async fn name(ids: &mut impl MemberIds, group: &mut Group) -> Result<(), StoreError> {
    let mut done: Vec<(Arc<Impact>, Arc<Impact>)> = Vec::new();
    for verdict in &mut group.verdicts {
        let Verdict::Done { revision, impact, before, .. } = verdict else { continue };
        if let Some(before) = before.take() {
            let at = group.commits.partition_point(|commit| commit.revision.number < revision.number);
            let (earlier, own) = group.commits.split_at(at);
            let Some(change) = own.first().and_then(|commit| commit.changes.first()) else { continue };
            let project = change.project();
            let sample = named(ids, &impact.sample, Place { project, before: &before, earlier }).await?;
            done.push((impact.clone(), Arc::new(Impact { sample, ..Impact::clone(impact) })));
        }
        replace(impact, &done);
    }
    for commit in &mut group.commits {
        if let Some(request) = &mut commit.request {
            replace(&mut request.impact, &done);
        }
    }
    Ok(())
}

/// A command that is repeated within its group shares the report of the first.
fn replace(impact: &mut Arc<Impact>, done: &[(Arc<Impact>, Arc<Impact>)]) {
    if let Some((_, named)) = done.iter().find(|(unnamed, _)| Arc::ptr_eq(unnamed, impact)) {
        *impact = named.clone();
    }
}

/// Where members are looked for: the State before a command, and what came before it in its group.
#[derive(Clone, Copy)]
struct Place<'a> {
    project: ProjectId,
    before: &'a State,
    earlier: &'a [Commit],
}

async fn named(
    ids: &mut impl MemberIds,
    rows: &[MemberImpact],
    place: Place<'_>,
) -> Result<Vec<MemberImpact>, StoreError> {
    let mut sample: Vec<MemberImpact> = Vec::new();
    for row in rows {
        let room = IMPACT_SAMPLE_MAX - sample.len().min(IMPACT_SAMPLE_MAX);
        let Who::SomeOf { role_set, at_most } = row.who else {
            sample.extend((room > 0).then(|| row.clone()));
            continue;
        };
        let at_most = at_most.min(room);
        if at_most == 0 {
            continue;
        }
        let mut users = place.written(row.org);
        users.retain(|user| place.has(row.org, role_set, user));
        for set_before in place.sets_before(row.org, role_set) {
            users.extend(place.stored(ids, row.org, [set_before, role_set], at_most).await?);
        }
        let member = |user: UserId| MemberImpact { who: Who::Member(user), ..row.clone() };
        sample.extend(users.into_iter().take(at_most).map(member));
    }
    Ok(sample)
}

impl Place<'_> {
    fn earlier_changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.earlier.iter().flat_map(|commit| &commit.changes).filter(|change| change.project() == self.project)
    }

    /// Of those whom the database knows with the first set, the first who had the second before the command. Earlier
    /// commands may have written any of them; and where nothing is written, the database may be ahead of the State.
    async fn stored(
        self,
        ids: &mut impl MemberIds,
        org: OrgNo,
        [set_before, role_set]: [RoleSetId; 2],
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let mut found = Vec::new();
        let mut last: Option<UserId> = None;
        for page in 0..PAGES_MAX {
            // Mostly all of the first ones are right.
            let rows = if page == 0 { at_most } else { PAGE_ROWS };
            let members = MembersWith { project: self.project, org, role_set: set_before };
            let users = ids.first_of(members, last.as_ref(), rows).await?;
            let removed = users.len() < rows;
            last = users.last().cloned();
            found.extend(users.into_iter().filter(|user| self.has(org, role_set, user)));
            if removed || found.len() >= at_most {
                break;
            }
        }
        Ok(found)
    }

    /// Whom earlier commands wrote in an org.
    fn written(&self, org: OrgNo) -> BTreeSet<UserId> {
        let written = self.earlier_changes().filter(|change| change.org() == Some(org));
        written.filter_map(|change| change.user().cloned()).collect()
    }

    /// The sets that the database knows of those who have this one by now.
    fn sets_before(&self, org: OrgNo, role_set: RoleSetId) -> Vec<RoleSetId> {
        let mut sets = vec![role_set];
        for change in self.earlier_changes().rev() {
            let Change::Remap(edit) = change else { continue };
            let (Some(before), Some(after)) = (&edit.before, &edit.after) else { continue };
            let remapped = before.iter().zip(after.iter()).filter(|(_, after)| sets.contains(after));
            let found: Vec<RoleSetId> = remapped.map(|(before, _)| *before).collect();
            sets.extend(if edit.key.id == org { found } else { vec![] });
        }
        sets
    }

    /// Whether a user had exactly this set before the command, and no role that ends.
    fn has(&self, org: OrgNo, role_set: RoleSetId, user: &UserId) -> bool {
        let project = self.before.project_numbered(self.project);
        let record = project.and_then(|project| project.membership(project.org_numbered(org)?, user));
        record.is_some_and(|record| record.role_set == role_set && record.temporary.is_empty())
    }
}

#[cfg(test)]
mod tests;
