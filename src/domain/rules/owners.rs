//! No org loses its last owner while it keeps visible members (B3).

use std::collections::BTreeSet;

use crate::domain::collections::hash::TextHash;
use crate::domain::model::id::RoleId;
use crate::domain::model::name::{OrgId, UserId};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::Time;
use crate::domain::rules::usage::Recorded;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Refuses if the org has no owner and keeps visible members. `former_owners` do not count: their own membership was
/// written.
pub fn check_owner(project: &Project, org: &Org, former_owners: &BTreeSet<&UserId>, now: Time) -> Result<(), Refusal> {
    if project.has_owner(org) {
        return Ok(());
    }
    let former_owners: BTreeSet<TextHash> = former_owners.iter().map(|user| project.hash(user.as_str())).collect();
    if !project.has_visible_member(org, |user, _| former_owners.contains(&user), now) {
        return Ok(());
    }
    Err(last_owner(project, org))
}

pub fn last_owner(project: &Project, org: &Org) -> Refusal {
    let role = project.role_name(project.record.default_owner_role);
    Refusal::LastOwner { role, first: org.record.profile.org_id.clone(), orgs: 1 }
}

/// Refuses if an org that had an owner has none now and keeps other visible members.
pub fn check_owners_kept(before: &Project, after: &Project, now: Time) -> Result<(), Refusal> {
    let mut ownerless_orgs: BTreeSet<&OrgId> = BTreeSet::new();
    after.for_each_org(|org| {
        let Some(was) = before.org_numbered(org.no) else { return };
        let owned = |user| before.holds_permanently(was, user, before.record.default_owner_role);
        if before.has_owner(was) && !after.has_owner(org) && after.has_visible_member(org, |user, _| owned(user), now) {
            ownerless_orgs.insert(&org.record.profile.org_id);
        }
    });
    let Some(&first) = ownerless_orgs.first() else { return Ok(()) };
    let role = after.role_name(after.record.default_owner_role);
    Err(Refusal::LastOwner { role, first: first.clone(), orgs: ownerless_orgs.len() as u64 })
}

impl Project {
    fn holds_permanently(&self, org: &Org, user: TextHash, role: RoleId) -> bool {
        let recorded = org.slot(user).and_then(|slot| self.recorded(org, user, slot));
        recorded.is_some_and(|recorded| recorded.holds_permanently(role))
    }

    /// Returns true if a member holds the default owner role permanently.
    pub fn has_owner(&self, org: &Org) -> bool {
        let owner = self.record.default_owner_role;
        self.any_membership(org, |recorded| recorded.holds_permanently(owner))
    }

    /// Returns true if a member holds a visible role and is not `excluded`.
    pub(in crate::domain) fn has_visible_member<'a>(
        &'a self,
        org: &'a Org,
        excluded: impl Fn(TextHash, Recorded<'a>) -> bool,
        now: Time,
    ) -> bool {
        let visible = |role| self.is_visible(role);
        self.any_member(org, |user, recorded| recorded.held(now).any(visible) && !excluded(user, recorded))
    }

    /// Returns true if the org would have no owner, but other visible members, without this user as its owner.
    pub(in crate::domain) fn needs_owner(&self, org: &Org, owner: &UserId, now: Time) -> bool {
        let owner = self.hash(owner.as_str());
        let role = self.record.default_owner_role;
        let another = self.any_member(org, |user, recorded| user != owner && recorded.holds_permanently(role));
        !another && self.has_visible_member(org, |user, _| user == owner, now)
    }
}
