//! TODO doc

use std::collections::BTreeSet;

use crate::domain::collections::hash::TextHash;
use crate::domain::model::id::RoleId;
use crate::domain::model::name::{OrgId, UserId};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::Time;
use crate::domain::rules::usage::Recorded;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Refuses to leave an org without an owner that keeps visible members beside those who were its owners (B3).
pub fn owned(project: &Project, org: &Org, left: &BTreeSet<&UserId>, now: Time) -> Result<(), Refusal> {
    if project.has_owner(org) {
        return Ok(());
    }
    let left: BTreeSet<TextHash> = left.iter().map(|user| project.hash(user.as_str())).collect();
    if !project.has_visible_member(org, |user, _| left.contains(&user), now) {
        return Ok(());
    }
    Err(last_owner(project, org))
}

pub fn last_owner(project: &Project, org: &Org) -> Refusal {
    let role = project.role_name(project.record.default_owner_role);
    Refusal::LastOwner { role, first: org.record.profile.org_id.clone(), orgs: 1 }
}

impl Project {
    /// Whether a user, hashed, has a role in an org without an end.
    pub(in crate::domain) fn holds_for_ever(&self, org: &Org, user: TextHash, role: RoleId) -> bool {
        let slot = org.slot(user);
        slot.and_then(|slot| self.recorded(org, user, slot)).is_some_and(|it| it.holds_for_ever(role))
    }

    /// Whether somebody holds the default owner role in an org without an end (B3).
    pub fn has_owner(&self, org: &Org) -> bool {
        let owner = self.record.default_owner_role;
        self.any_membership(org, |it| it.holds_for_ever(owner))
    }

    /// Whether somebody holds a role in an org that is not internal, beside those of whom `but` is true.
    pub(in crate::domain) fn has_visible_member<'a>(
        &'a self,
        org: &'a Org,
        but: impl Fn(TextHash, Recorded<'a>) -> bool,
        now: Time,
    ) -> bool {
        let visible = |role| self.is_visible(role);
        self.any_member(org, |user, it| it.held(now).any(visible) && !but(user, it))
    }

    /// Whether an org would be without an owner, and keep other visible members, if this one left (B3).
    pub(in crate::domain) fn needs_owner(&self, org: &Org, owner: &UserId, now: Time) -> bool {
        let owner = self.hash(owner.as_str());
        let role = self.record.default_owner_role;
        let another = self.any_member(org, |user, it| user != owner && it.holds_for_ever(role));
        !another && self.has_visible_member(org, |user, _| user == owner, now)
    }
}

/// No org that had an owner and keeps other visible members is left without one (B3).
pub fn owners_kept(before: &Project, after: &Project, now: Time) -> Result<(), Refusal> {
    let mut left: BTreeSet<&OrgId> = BTreeSet::new();
    after.for_each_org(|org| {
        let Some(was) = before.org_numbered(org.no) else { return };
        let owned = |user| before.holds_for_ever(was, user, before.record.default_owner_role);
        if before.has_owner(was) && !after.has_owner(org) && after.has_visible_member(org, |user, _| owned(user), now) {
            left.insert(&org.record.profile.org_id);
        }
    });
    let Some(&first) = left.first() else { return Ok(()) };
    let role = after.role_name(after.record.default_owner_role);
    Err(Refusal::LastOwner { role, first: first.clone(), orgs: left.len() as u64 })
}
