//! Verified tokens, by the keyed hash of the whole token: a SHA-256 of 1 KiB would take longer than the check. The token
//! itself is not kept.

use std::collections::HashMap;

use super::Verified;
use crate::domain::collections::hash::TextHash;
use crate::limits::JWTS_REMEMBERED_MAX;

/// Tokens are forgotten by generation: when the new half is full, it replaces the old half. So inserting takes the same
/// time however many are remembered, and expired tokens go without a search. A token in use returns to the new half.
#[derive(Default)]
pub struct Remembered {
    new: HashMap<TextHash, Verified>,
    old: HashMap<TextHash, Verified>,
}

impl Remembered {
    /// Returns what was verified. `None` if the token is unknown or was forgotten.
    pub fn get(&mut self, hash: TextHash) -> Option<Verified> {
        if let Some(found) = self.new.get(&hash) {
            return Some(found.clone());
        }
        let found = self.old.remove(&hash)?;
        self.insert(hash, found.clone());
        Some(found)
    }

    pub fn insert(&mut self, hash: TextHash, verified: Verified) {
        if self.new.len() >= JWTS_REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(hash, verified);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.new.len() + self.old.len()
    }
}
