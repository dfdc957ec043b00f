//! The API key with which a connection has last called.

use std::sync::{Arc, Mutex, PoisonError};

use super::token;
use crate::domain::State;
use crate::domain::collections::hash::TextHash;
use crate::domain::model::api_key::{ApiKey, ApiKeyId, TokenHash};
use crate::domain::model::project::WORKSPACE;
use crate::domain::model::revision::Revision;

/// Remembers the key, so that the next calls of the connection neither hash its token nor look it up. A State of another
/// revision is asked again: so an archived key stops with the next call. The token is not kept, only its keyed hash. Another
/// token has the same one with probability 2^-86 at most.
#[derive(Debug, Default)]
pub struct LastKey(Mutex<Option<Known>>);

#[derive(Clone, Debug)]
struct Known {
    token: TextHash,
    hash: TokenHash,
    revision: Revision,
    id: ApiKeyId,
    key: Arc<ApiKey>,
}

/// Why there is no key with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The token is mistyped or cut.
    Malformed,
    Unknown,
}

impl LastKey {
    /// Returns the key with a token, also an archived or expired one.
    pub fn find(&self, token: &str, state: &State) -> Result<(ApiKeyId, Arc<ApiKey>), NoKey> {
        let (keyed, revision) = (state.hash_key().text(token), state.revision());
        // No call waits long for it: it is held for a comparison and a copy.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|last| last.token == keyed);
        if let Some(known) = known.filter(|known| known.revision == revision) {
            return Ok((known.id, known.key.clone()));
        }
        let known = known.map(|known| known.hash);
        // Hashing takes longer. Other calls of the connection go on meanwhile.
        drop(last);
        let hash = known.or_else(|| token::hash(token)).ok_or(NoKey::Malformed)?;
        let id = ApiKeyId::of(&hash);
        // No hash leads to its token. So a comparison that reveals where two hashes differ reveals nothing useful.
        let key = state.project_keyed(WORKSPACE).and_then(|workspace| workspace.api_keys.get(id));
        let key = key.filter(|key| key.hash == hash).ok_or(NoKey::Unknown)?.clone();
        last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Known { token: keyed, hash, revision, id, key: key.clone() });
        Ok((id, key))
    }
}
