//! The blocked users of a project (U1).

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::trie::Entry;
use crate::domain::model::name::UserId;
use crate::domain::model::user::Block;

/// A blocked user. It contains the user id, since purging the project deletes its blocks one by one.
#[derive(Clone, PartialEq)]
pub struct BlockedUser {
    tag: u64,
    rest: u32,
    pub user: UserId,
    pub block: Block,
}

impl BlockedUser {
    pub(super) fn new(hash: TextHash, user: UserId, block: Block) -> Self {
        Self { tag: hash.tag, rest: hash.rest, user, block }
    }
}

impl Entry for BlockedUser {
    const LEAF_MAX: u32 = 64;

    #[inline]
    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}
