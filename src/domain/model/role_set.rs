//! The record of a role set: memberships point to one, and many share it (docs/decisions.md).

use crate::domain::model::id::RoleId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSet {
    /// Ascending by id, without duplicates. Empty if its only role was deleted: its holders are no members and wait to
    /// be purged.
    pub roles: Box<[RoleId]>,
    /// True if deleting a role (R4), REMAP (M7) or converting the structure (P5) rewrote or created it. It is then
    /// never given out again, so that it proves the origin of its holders' roles.
    pub migrated: bool,
    /// The roles that replaced others.
    pub migrated_roles: Box<[RoleId]>,
}

impl RoleSet {
    pub fn new(roles: impl IntoIterator<Item = RoleId>) -> Self {
        let mut roles: Vec<RoleId> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        Self { roles: roles.into(), migrated: false, migrated_roles: [].into() }
    }

    pub fn contains(&self, role: RoleId) -> bool {
        self.roles.binary_search(&role).is_ok()
    }

    /// Returns the bytes by which a set is found.
    pub fn bytes(&self) -> Vec<u8> {
        self.roles.iter().flat_map(|role| role.number().to_le_bytes()).collect()
    }

    /// Returns the set with each role replaced. `None` from `replacement_of` drops a role; the role itself keeps it.
    pub fn migrated(&self, replacement_of: impl Fn(RoleId) -> Option<RoleId>) -> Self {
        let new = self.roles.iter().filter_map(|&role| replacement_of(role)).filter(|&role| !self.contains(role));
        let kept = self.migrated_roles.iter().copied().filter(|&role| replacement_of(role) == Some(role));
        let migrated_roles = Self::new(kept.chain(new)).roles;
        let roles = Self::new(self.roles.iter().filter_map(|&role| replacement_of(role))).roles;
        Self { roles, migrated: true, migrated_roles }
    }
}
