//! Orgs: the customers (S1, S5).

use std::sync::Arc;

use super::change::MembershipKey;
use super::command::{CreateOrg, DeleteOrg, UpdateOrg};
use super::decide::{Draft, Outcome};
use super::delegation::{Acting, CAN_DELETE_ORG, CAN_UPDATE_ORG_METADATA};
use super::fallback::{Fallback, Fallbacks};
use super::hash::TextHash;
use super::id::{OrgNo, RoleId, RoleMappingId};
use super::membership::{DetailSlot, MembershipRecord, MembershipSlot, Origin};
use super::name::{OrgId, UserId};
use super::project::Project;
use super::purge::Lifecycle;
use super::refusal::{Noun, Refusal};
use super::role_set::{self, RoleSet};
use super::trie::{Entry, Trie};
use super::{Change, Edit, Scoped, Time};

/// What an org says of itself, and the role mapping it is subscribed to.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgRecord {
    pub profile: Arc<OrgProfile>,
    pub role_mapping: RoleMappingId,
    pub lifecycle: Lifecycle,
}

/// The texts of an org: out of the way of the checks.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgProfile {
    pub org_id: OrgId,
    pub display_name: Box<str>,
    /// The caller's own text; the service does not look into it.
    pub metadata: Box<str>,
    pub create_time: Time,
}

/// An org with its members.
#[derive(Clone, PartialEq)]
pub struct Org {
    pub no: OrgNo,
    pub record: OrgRecord,
    /// What the holders of its suspended roles hold meanwhile (M7).
    pub fallbacks: Option<Fallbacks>,
    pub(super) members: Trie<MembershipSlot>,
    pub(super) details: Trie<DetailSlot>,
}

impl Org {
    pub(super) fn new(no: OrgNo, record: OrgRecord) -> Self {
        Self { no, record, fallbacks: None, members: Trie::default(), details: Trie::default() }
    }

    /// What the holders of its suspended roles hold meanwhile, ascending by the suspended role.
    pub fn fallbacks(&self) -> &[Fallback] {
        self.fallbacks.as_deref().unwrap_or_default()
    }

    /// Users with something recorded here, also those whose roles have all ended.
    pub fn memberships_len(&self) -> usize {
        self.members.len()
    }
}

/// Where a project keeps an org.
#[derive(Clone, PartialEq)]
pub struct OrgSlot {
    tag: u64,
    rest: u32,
    pub org: Arc<Org>,
}

impl OrgSlot {
    pub(super) fn new(hash: TextHash, org: Org) -> Self {
        Self { tag: hash.tag, rest: hash.rest, org: Arc::new(org) }
    }
}

impl Entry for OrgSlot {
    const LEAF_MAX: u32 = 48;

    #[inline]
    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}

/// Creates an org, subscribed to the mapping named or to the default one of the moment (S1).
pub fn create(draft: &mut Draft<'_>, command: &CreateOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    if project.org(command.org_id.as_str()).is_some() {
        return Err(Refusal::AlreadyExists(Noun::Org, command.org_id.to_string()));
    }
    if project.was_deleted(command.org_id.as_str()) && !command.reuse_deleted_id {
        return Err(Refusal::Retired(Noun::Org, command.org_id.to_string()));
    }
    let named = command.role_mapping.as_ref().map(|name| project.role_mapping(name)).transpose()?;
    let record = OrgRecord {
        profile: Arc::new(OrgProfile {
            org_id: command.org_id.clone(),
            display_name: command.display_name.as_str().into(),
            metadata: command.metadata.as_str().into(),
            create_time: draft.now(),
        }),
        role_mapping: named.unwrap_or(project.record.default_role_mapping),
        lifecycle: Lifecycle::Existing,
    };
    let key = Scoped { project: project.id, id: project.next_org() };
    draft.edit(Change::Org(Edit { key, before: None, after: Some(record.clone()) }));
    if let Some(creator) = &command.creator {
        own(draft, &project, key.id, creator)?;
    }
    Ok(Outcome::Org(project, record))
}

/// Makes the creator of an org its owner (S4).
fn own(draft: &mut Draft<'_>, project: &Project, org: OrgNo, creator: &UserId) -> Result<(), Refusal> {
    let roles = RoleSet::new([project.record.default_owner_role]);
    let role_set = role_set::intern(draft, project.id, roles)?;
    let record = MembershipRecord { role_set, origin: Origin::Creator, temporary: [].into(), origins: [].into() };
    let key = MembershipKey { project: project.id, org, user: creator.clone() };
    draft.edit(Change::Membership(Edit { key, before: None, after: Some(record) }));
    Ok(())
}

/// Changes what an org says of itself.
pub fn update(draft: &mut Draft<'_>, command: &UpdateOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    allowed(draft, &project, org, CAN_UPDATE_ORG_METADATA)?;
    let before = &org.record;
    let profile = OrgProfile {
        display_name: command.display_name.as_deref().map_or_else(|| before.profile.display_name.clone(), Into::into),
        metadata: command.metadata.as_deref().map_or_else(|| before.profile.metadata.clone(), Into::into),
        ..OrgProfile::clone(&before.profile)
    };
    if profile == *before.profile {
        return Ok(Outcome::Org(project.clone(), before.clone()));
    }
    let after = OrgRecord { profile: Arc::new(profile), ..before.clone() };
    let key = Scoped { project: project.id, id: org.no };
    draft.edit(Change::Org(Edit { key, before: Some(before.clone()), after: Some(after.clone()) }));
    Ok(Outcome::Org(project.clone(), after))
}

/// Refuses an acting user who may not (G1).
fn allowed(draft: &Draft<'_>, project: &Project, org: &Org, permission: &'static str) -> Result<(), Refusal> {
    match draft.acting_user() {
        Some(user) => Acting::new(project, org, &user, draft.now())?.able(permission),
        None => Ok(()),
    }
}

/// Those who are members, or were until their roles ended; whose membership is only waiting to be purged is none (R4). An
/// acting user knows of those alone who have visible roles (I4).
fn members(project: &Project, org: &Org, visible_only: bool) -> u64 {
    if !visible_only && project.role_sets_being_purged.is_empty() {
        return org.memberships_len() as u64;
    }
    let mut members = 0;
    let counts = |role: RoleId| !visible_only || project.is_visible(role);
    project.each_membership(org, |it| members += u64::from(it.set.roles.iter().any(|&role| counts(role))));
    members
}

/// Deletes an org: marked dead, it cannot be reached; its memberships are purged afterwards (S5).
pub fn delete(draft: &mut Draft<'_>, command: &DeleteOrg) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    allowed(draft, &project, org, CAN_DELETE_ORG)?;
    let before = org.record.clone();
    let after = OrgRecord { lifecycle: Lifecycle::Deleted(draft.now()), ..before.clone() };
    let key = Scoped { project: project.id, id: org.no };
    draft.edit(Change::Org(Edit { key, before: Some(before), after: Some(after) }));
    Ok(Outcome::Deleted(members(&project, org, draft.acting_user().is_some())))
}
