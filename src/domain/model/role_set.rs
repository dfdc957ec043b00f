//! TODO doc

use crate::domain::model::id::RoleId;

/// The roles that some members hold, ascending by id, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSet {
    pub roles: Box<[RoleId]>,
    /// Whether it was altered, or made in the place of another, when a role was deleted (R4), disabled with REMAP (M7), or
    /// the structure converted (P5). It is then given to nobody else, so that whoever has it is known to have got it by
    /// that. One without roles is left to those who have it until they are purged: they are no members.
    pub migrated: bool,
    /// Those of the roles that came in the place of others.
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

    /// The bytes by which a set is found.
    pub fn bytes(&self) -> Vec<u8> {
        self.roles.iter().flat_map(|role| role.number().to_le_bytes()).collect()
    }
}

impl RoleSet {
    /// The set as it is once each of its roles has become what `fate` says, or nothing.
    pub fn migrated(&self, replacement_of: impl Fn(RoleId) -> Option<RoleId>) -> Self {
        let comes = self.roles.iter().filter_map(|&role| replacement_of(role)).filter(|&role| !self.contains(role));
        let stays = self.migrated_roles.iter().copied().filter(|&role| replacement_of(role) == Some(role));
        let migrated_roles = Self::new(stays.chain(comes)).roles;
        let roles = Self::new(self.roles.iter().filter_map(|&role| replacement_of(role))).roles;
        Self { roles, migrated: true, migrated_roles }
    }
}
