//! The pending invitations of an org. Accepted and revoked ones are in the database only.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::collections::hash::{HashKey, TextHash};
use crate::domain::collections::trie::{Entry, Trie};
use crate::domain::model::id::RoleSetId;
use crate::domain::model::invitation::{InvitationId, InvitationRecord, Stage};

#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    pub id: InvitationId,
    pub record: InvitationRecord,
}

#[derive(Clone, Default, PartialEq)]
pub(super) struct Invitations {
    by_email: Trie<Slot>,
    by_id: Trie<Slot>,
}

#[derive(Clone, PartialEq)]
struct Slot {
    tag: u64,
    rest: u32,
    invitation: Arc<Invitation>,
}

impl Slot {
    fn new(hash: TextHash, invitation: Arc<Invitation>) -> Self {
        Self { tag: hash.tag, rest: hash.rest, invitation }
    }
}

impl Entry for Slot {
    const LEAF_MAX: u32 = 64;

    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}

impl Invitations {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn with_email(&self, hash: TextHash) -> Option<&Arc<Invitation>> {
        self.by_email.get(hash).map(|slot| &slot.invitation)
    }

    pub fn with_id(&self, hash: TextHash) -> Option<&Arc<Invitation>> {
        self.by_id.get(hash).map(|slot| &slot.invitation)
    }

    pub fn any<'a>(&'a self, mut predicate: impl FnMut(&'a Arc<Invitation>) -> bool) -> bool {
        self.by_id.any(|slot| predicate(&slot.invitation))
    }

    pub fn set(&mut self, key: &HashKey, id: InvitationId, record: Option<&InvitationRecord>) {
        let id_hash = id_hash(key, id);
        if let Some(before) = self.with_id(id_hash).cloned() {
            self.by_id.remove(id_hash, |_| true);
            self.by_email.remove(key.text(before.record.email.as_str()), |slot| slot.invitation.id == id);
        }
        if let Some(record) = record {
            let invitation = Arc::new(Invitation { id, record: record.clone() });
            self.by_email.insert(Slot::new(key.text(record.email.as_str()), invitation.clone()));
            self.by_id.insert(Slot::new(id_hash, invitation));
        }
    }

    pub fn remap(&mut self, key: &HashKey, replacements: &BTreeMap<RoleSetId, RoleSetId>) {
        let mut moved = Vec::new();
        self.any(|invitation| {
            let set = invitation.record.role_set().and_then(|set| replacements.get(&set));
            moved.extend(set.map(|&role_set| (invitation.clone(), role_set)));
            false
        });
        for (invitation, role_set) in moved {
            let record = InvitationRecord { stage: Stage::Pending { role_set }, ..invitation.record.clone() };
            self.set(key, invitation.id, Some(&record));
        }
    }
}

pub(super) fn id_hash(key: &HashKey, id: InvitationId) -> TextHash {
    key.bytes(&id.0.to_be_bytes())
}
