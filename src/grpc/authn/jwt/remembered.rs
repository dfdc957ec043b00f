//! Verified tokens, by the SHA-256 of the whole token. The token itself is not kept.

use std::collections::HashMap;

use super::Verified;
use crate::limits::JWTS_REMEMBERED_MAX;

/// Tokens are forgotten by generation: when the new half is full, it replaces the old half. So inserting takes the same
/// time however many are remembered, and expired tokens go without a search. A token in use returns to the new half.
#[derive(Default)]
pub struct Remembered {
    new: HashMap<[u8; 32], Verified>,
    old: HashMap<[u8; 32], Verified>,
}

impl Remembered {
    /// Returns what was verified. `None` if the token is unknown or was forgotten.
    pub fn get(&mut self, digest: &[u8; 32]) -> Option<Verified> {
        if let Some(found) = self.new.get(digest) {
            return Some(found.clone());
        }
        let found = self.old.remove(digest)?;
        self.insert(*digest, found.clone());
        Some(found)
    }

    pub fn insert(&mut self, digest: [u8; 32], verified: Verified) {
        if self.new.len() >= JWTS_REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(digest, verified);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.new.len() + self.old.len()
    }
}
