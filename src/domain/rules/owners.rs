//! No org loses its last owner while it keeps visible members (B3).

use std::collections::BTreeSet;

use crate::domain::collections::hash::TextHash;
use crate::domain::model::name::{OrgId, UserId};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::Time;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Refuses if the org has no owner and keeps visible members. A former owner counts as a member.
pub fn check_owner(project: &Project, org: &Org, now: Time) -> Result<(), Refusal> {
    if project.has_owner(org) || !project.has_visible_member(org, |_| true, now) {
        return Ok(());
    }
    Err(last_owner(project, org))
}

pub fn last_owner(project: &Project, org: &Org) -> Refusal {
    let role = project.role_name(project.record.default_owner_role);
    Refusal::LastOwner { role, first: org.record.profile.org_id.clone(), orgs: 1 }
}

/// Refuses if an org that had an owner has none now and keeps visible members.
pub fn check_owners_kept(before: &Project, after: &Project, now: Time) -> Result<(), Refusal> {
    let mut ownerless_orgs: BTreeSet<&OrgId> = BTreeSet::new();
    after.for_each_org(|org| {
        if before.org_numbered(org.no).is_some_and(|was| before.has_owner(was)) && check_owner(after, org, now).is_err()
        {
            ownerless_orgs.insert(&org.record.profile.org_id);
        }
    });
    let Some(&first) = ownerless_orgs.first() else { return Ok(()) };
    let role = after.role_name(after.record.default_owner_role);
    Err(Refusal::LastOwner { role, first: first.clone(), orgs: ownerless_orgs.len() as u64 })
}

impl Project {
    /// Returns true if a member holds the default owner role permanently.
    pub fn has_owner(&self, org: &Org) -> bool {
        self.has_owner_among(org, |_| true)
    }

    /// Returns true if a user of `included` holds the default owner role permanently.
    fn has_owner_among(&self, org: &Org, included: impl Fn(TextHash) -> bool) -> bool {
        let owner = self.record.default_owner_role;
        self.any_member(org, |user, recorded| included(user) && recorded.holds_permanently(owner))
    }

    /// Returns true if a user of `included` holds a visible role.
    fn has_visible_member(&self, org: &Org, included: impl Fn(TextHash) -> bool, now: Time) -> bool {
        let visible = |role| self.is_visible(role);
        self.any_member(org, |user, recorded| included(user) && recorded.held(now).any(visible))
    }

    /// Returns true if no other user is an owner.
    pub(in crate::domain) fn is_only_owner(&self, org: &Org, owner: &UserId) -> bool {
        let owner = self.hash(owner.as_str());
        !self.has_owner_among(org, |user| user != owner)
    }

    pub(in crate::domain) fn has_other_visible_member(&self, org: &Org, user: &UserId, now: Time) -> bool {
        let user = self.hash(user.as_str());
        self.has_visible_member(org, |other| other != user, now)
    }
}
