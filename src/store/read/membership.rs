//! Lists members of an org and the orgs of a user (B4). Each list is answered at the revision of a State: see
//! [`super::past`].

use std::ops::Bound;
use std::sync::Arc;

use super::past::{Changed, Earlier, Past};
use super::snapshot::joined;
use crate::domain::model::id::RoleSetId;
use crate::domain::rules::member_list::{MatchingSets, MemberFilter};
use crate::domain::rules::membership::Member;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::{OrgId, Project, Revision, Time, UserId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::unreadable;
use crate::store::{Store, StoreError};

/// Rows fetched at a time at most.
const CHUNK_ROWS_MAX: usize = 10_000;

/// A member, and the commit that changed the membership last.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRow {
    pub member: Member,
    /// `None` for a viewer: the commit may be that of an internal role (I2.d).
    pub revision: Option<Revision>,
}

/// Which members of an org to list.
#[derive(Clone)]
pub struct ListMembers {
    /// The revision of the State that `project` and `org` are from.
    pub at: Revision,
    pub project: Arc<Project>,
    pub org: Arc<Org>,
    pub filter: MemberFilter,
    pub after: Option<UserId>,
    pub limit: u32,
    pub now: Time,
}

/// Which memberships of a user to list.
#[derive(Clone)]
pub struct ListUserMemberships {
    /// The revision of the State that `project` is from.
    pub at: Revision,
    pub project: Arc<Project>,
    pub user_id: UserId,
    pub filter: MemberFilter,
    pub after: Option<OrgId>,
    pub limit: u32,
    pub now: Time,
}

/// A member, the revision of the membership, and the role set if it was migrated.
struct Selected {
    member: Member,
    revision: Earlier,
    migrated: Option<RoleSetId>,
}

impl Store {
    /// Returns members by ascending user id, one more than `limit` if more follow.
    pub async fn list_members(&self, ask: &ListMembers) -> Result<Vec<MemberRow>, StoreError> {
        let read = async {
            let past = Past::at(self, ask.at).await?;
            let selected = Listing::new(ask, &past).await?.selected().await?;
            let rows = rows(&past, &ask.project, ask.filter.visibility, selected).await?;
            past.end().await;
            Ok(rows)
        };
        self.answered(LONG_MAX, read).await
    }

    /// Returns memberships by ascending org id, one more than `limit` if more follow.
    pub async fn list_user_memberships(&self, ask: &ListUserMemberships) -> Result<Vec<MemberRow>, StoreError> {
        let read = async {
            let past = Past::at(self, ask.at).await?;
            let project = &ask.project;
            let orgs = past.orgs_of(project.id, &ask.user_id).await?;
            let orgs = orgs.into_iter().filter_map(|(no, revision)| Some((project.org_numbered(no)?, revision)));
            let existing = orgs.filter(|(org, _)| org.record.lifecycle.exists());
            let mut orgs: Vec<_> =
                existing.filter(|(org, _)| Some(&org.record.profile.org_id) > ask.after.as_ref()).collect();
            orgs.sort_unstable_by_key(|(org, _)| &org.record.profile.org_id);
            let selected = orgs
                .into_iter()
                .filter_map(|(org, revision)| select(project, org, &ask.user_id, revision, ask.filter, ask.now));
            let selected = selected.take(ask.limit as usize + 1).collect();
            let rows = rows(&past, project, Visibility::All, selected).await?;
            past.end().await;
            Ok(rows)
        };
        self.answered(LONG_MAX, read).await
    }

    /// Returns the commit that changed a membership last (B6). `at` is the revision of the State that `project` and `org` are
    /// from.
    pub async fn membership_revision(
        &self,
        at: Revision,
        project: &Project,
        org: &Org,
        user: &UserId,
    ) -> Result<Revision, StoreError> {
        let read = async {
            let past = Past::at(self, at).await?;
            let own = past.membership((project.id, org.no), user).await?;
            let revisions = past.revisions(project.id, &[(own, migrated_set(project, org, user))]).await?;
            past.end().await;
            revisions.first().copied().ok_or_else(|| unreadable("a membership without a revision"))
        };
        self.answered(LONG_MAX, read).await
    }
}

/// Returns the role set of a user if it was migrated: then the migration is the latest change of the membership.
fn migrated_set(project: &Project, org: &Org, user: &UserId) -> Option<RoleSetId> {
    let role_set = project.membership(org, user)?.role_set;
    project.role_sets.get(role_set).filter(|set| set.migrated).map(|_| role_set)
}

fn select(
    project: &Project,
    org: &Org,
    user: &UserId,
    revision: Earlier,
    filter: MemberFilter,
    now: Time,
) -> Option<Selected> {
    let member = project.selected_member(org, user, filter, now)?;
    Some(Selected { member, revision, migrated: migrated_set(project, org, user) })
}

/// Adds the revisions, which only the database knows.
async fn rows(
    past: &Past,
    project: &Project,
    visibility: Visibility,
    selected: Vec<Selected>,
) -> Result<Vec<MemberRow>, StoreError> {
    if visibility == Visibility::VisibleOnly || selected.is_empty() {
        return Ok(selected.into_iter().map(|it| MemberRow { member: it.member, revision: None }).collect());
    }
    let latest: Vec<_> = selected.iter().map(|it| (it.revision, it.migrated)).collect();
    let revisions = past.revisions(project.id, &latest).await?;
    let row = |(it, revision): (Selected, Revision)| MemberRow { member: it.member, revision: Some(revision) };
    Ok(selected.into_iter().zip(revisions).map(row).collect())
}

/// A page of members in the making.
struct Listing<'a> {
    ask: &'a ListMembers,
    past: &'a Past,
    changed: Changed,
    selected: Vec<Selected>,
}

impl<'a> Listing<'a> {
    async fn new(ask: &'a ListMembers, past: &'a Past) -> Result<Self, StoreError> {
        let after = ask.after.as_ref().map_or("", UserId::as_str);
        let changed = past.changed((ask.project.id, ask.org.no), after).await?;
        Ok(Self { ask, past, changed, selected: Vec::new() })
    }

    /// How many more members the page takes, with the one that says that more follow.
    fn missing(&self) -> usize {
        self.ask.limit as usize + 1 - self.selected.len()
    }

    /// Fetches users in chunks until the page is full. If the first chunk has few members that the filter selects, the State
    /// says how many there are, and that decides how to go on.
    async fn selected(mut self) -> Result<Vec<Selected>, StoreError> {
        let mut after = self.ask.after.clone();
        let mut sets: Option<Vec<RoleSetId>> = None;
        let (mut chunk, mut fetched) = (self.missing(), 0);
        loop {
            let last = self.fetch(after.as_ref(), sets.as_deref(), chunk).await?;
            if last.is_none() || self.missing() == 0 {
                return Ok(self.selected);
            }
            after = last;
            let first = fetched == 0;
            fetched += chunk;
            chunk = (fetched * 2).min(CHUNK_ROWS_MAX);
            if first && self.selected.len() * 4 < fetched {
                let matching = self.matching_sets().await?;
                if matching.members == 0 {
                    return Ok(self.selected);
                }
                let in_order = self.missing() * self.ask.org.memberships_len() / matching.members;
                if matching.members < in_order && !self.changed.org {
                    (sets, chunk) = (Some(matching.sets), self.missing());
                } else {
                    chunk = in_order.clamp(chunk, CHUNK_ROWS_MAX);
                }
            }
        }
    }

    /// Fetches and selects a chunk of users. Returns the last of them. `None` if no more follow.
    async fn fetch(
        &mut self,
        after: Option<&UserId>,
        sets: Option<&[RoleSetId]>,
        limit: usize,
    ) -> Result<Option<UserId>, StoreError> {
        let ListMembers { project, org, filter, now, .. } = self.ask;
        let found = self.past.users((project.id, org.no), sets, after.map_or("", UserId::as_str), limit).await?;
        let last = found.last().map(|(user, _)| user.clone()).filter(|_| found.len() == limit);
        let until = last.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let changed = self.changed.users.range((after.map_or(Bound::Unbounded, Bound::Excluded), until));
        let mut users: Vec<(&UserId, Earlier)> = changed.map(|(user, earlier)| (user, *earlier)).collect();
        let same = found.iter().filter(|(user, _)| !self.changed.users.contains_key(user));
        users.extend(same.map(|(user, revision)| (user, Some(*revision))));
        users.sort_unstable_by_key(|(user, _)| *user);
        let selected =
            users.into_iter().filter_map(|(user, revision)| select(project, org, user, revision, *filter, *now));
        self.selected.extend(selected.take(self.ask.limit as usize + 1 - self.selected.len()));
        Ok(last)
    }

    /// Not on a thread that answers checks: a million memberships take some milliseconds.
    async fn matching_sets(&self) -> Result<MatchingSets, StoreError> {
        let ListMembers { project, org, filter, .. } = self.ask.clone();
        joined(tokio::task::spawn_blocking(move || project.matching_sets(&org, filter)).await)
    }
}
