//! The API key that a connection has last called with.

use std::sync::{Mutex, PoisonError};

use super::token;
use crate::domain::collections::hash::{HashKey, TextHash};
use crate::domain::model::api_key::TokenHash;

/// Remembers the SHA-256 of a connection's last token, so that it is computed once. It says nothing about the key: that is
/// looked up for each call, so an archived key stops with the next one. The token is not kept, only its keyed hash. Another
/// token has the same one with probability 2^-86 at most.
#[derive(Debug, Default)]
pub struct LastKey(Mutex<Option<(TextHash, TokenHash)>>);

impl LastKey {
    /// Returns the hash of a token. `None` if it is mistyped or cut.
    pub fn hash_of(&self, token: &str, hash_key: &HashKey) -> Option<TokenHash> {
        let keyed = hash_key.text(token);
        // No call waits long for it: it is held for a copy.
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hash)) = last.filter(|(last, _)| *last == keyed) {
            return Some(hash);
        }
        let hash = token::hash(token)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((keyed, hash));
        Some(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::project::Environment;

    #[test]
    fn a_token_has_the_same_hash_whatever_came_before() {
        let (last, hash_key) = (LastKey::default(), HashKey::new([7; 16]));
        let tokens = [Environment::Live, Environment::Test].map(|environment| token::new(environment).unwrap());
        for token in tokens.iter().chain(&tokens) {
            for mistyped in [&token[1..], &token[..token.len() - 1], "rk_live_", ""] {
                assert_eq!(last.hash_of(mistyped, &hash_key), None);
            }
            for _ in 0..2 {
                assert_eq!(last.hash_of(token, &hash_key), token::hash(token));
            }
        }
    }
}
