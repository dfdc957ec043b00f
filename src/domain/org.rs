//! Orgs: the customers (S1, S5).

use std::sync::Arc;

use super::command::CreateOrg;
use super::decide::{Draft, Outcome};
use super::hash::TextHash;
use super::id::{OrgNo, RoleMappingId};
use super::membership::{MembershipSlot, TimedSlot};
use super::name::OrgId;
use super::refusal::{Noun, Refusal};
use super::trie::{Entry, Trie};
use super::{Change, Edit, Scoped, Time};

/// What an org says of itself, and the role mapping it is subscribed to.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgRecord {
    pub profile: Arc<OrgProfile>,
    pub role_mapping: RoleMappingId,
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
    pub(super) members: Trie<MembershipSlot>,
    pub(super) timed: Trie<TimedSlot>,
}

impl Org {
    pub(super) fn new(no: OrgNo, record: OrgRecord) -> Self {
        Self { no, record, members: Trie::default(), timed: Trie::default() }
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
    let named = command.role_mapping.as_ref().map(|name| project.role_mapping(name)).transpose()?;
    let record = OrgRecord {
        profile: Arc::new(OrgProfile {
            org_id: command.org_id.clone(),
            display_name: command.display_name.as_str().into(),
            metadata: command.metadata.as_str().into(),
            create_time: draft.now(),
        }),
        role_mapping: named.unwrap_or(project.record.default_role_mapping),
    };
    let key = Scoped { project: project.id, id: project.next_org() };
    draft.edit(Change::Org(Edit { key, before: None, after: Some(record.clone()) }));
    Ok(Outcome::Org(project, record))
}
