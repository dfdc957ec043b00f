//! The API keys of the workspace (W6).

use std::sync::Arc;

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::trie::{Entry, Trie};
use crate::domain::model::api_key::{ApiKey, ApiKeyId};

/// All keys, also archived ones. They are found by their id.
#[derive(Clone, Default, PartialEq)]
pub struct ApiKeys(Trie<Keyed>);

#[derive(Clone, PartialEq)]
struct Keyed {
    id: ApiKeyId,
    key: Arc<ApiKey>,
}

/// Returns the place of a key. An id is a part of a cryptographic hash, so it needs no other.
fn place(id: ApiKeyId) -> TextHash {
    TextHash { tag: id.0, rest: 0 }
}

impl Entry for Keyed {
    const LEAF_MAX: u32 = 64;

    #[inline]
    fn hash(&self) -> TextHash {
        place(self.id)
    }
}

impl ApiKeys {
    #[inline]
    pub fn get(&self, id: ApiKeyId) -> Option<&Arc<ApiKey>> {
        self.0.get(place(id)).map(|keyed| &keyed.key)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Visits all keys, in no meaningful order.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(ApiKeyId, &'a Arc<ApiKey>)) {
        self.0.for_each(|keyed| visit(keyed.id, &keyed.key));
    }

    /// Replaces a key. `None` removes it.
    pub(super) fn set(&mut self, id: ApiKeyId, key: Option<Arc<ApiKey>>) {
        match key {
            Some(key) => self.0.insert(Keyed { id, key }),
            None => self.0.remove(place(id), |_| true),
        }
    }
}
