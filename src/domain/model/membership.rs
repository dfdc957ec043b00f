//! The record of a membership (B5, B6).

use std::sync::Arc;

use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;

/// The recorded roles of a user in an org.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipRecord {
    pub role_set: RoleSetId,
    pub origin: Origin,
    /// Ascending by role id.
    pub temporary: Arc<[TemporaryRole]>,
    /// The roles whose origin is not `origin`, ascending by role id. They may name a role deleted since: deleting a
    /// role rewrites only members with temporary roles.
    pub origins: Arc<[RoleOrigin]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleOrigin {
    pub role: RoleId,
    pub origin: Origin,
}

impl MembershipRecord {
    pub fn origin_of(&self, role: RoleId, set: &RoleSet) -> Origin {
        origin_of(role, self.origin, &self.origins, &set.migrated_roles)
    }

    /// Returns the origin of the latest change (B6).
    pub fn latest_origin(&self, set: &RoleSet) -> Origin {
        if set.migrated { Origin::Migration } else { self.origin }
    }
}

/// Returns the origin of a role: migration if it replaced another, else the recorded one, else that of the membership.
pub fn origin_of(role: RoleId, origin: Origin, origins: &[RoleOrigin], migrated_roles: &[RoleId]) -> Origin {
    if migrated_roles.contains(&role) {
        return Origin::Migration;
    }
    origins.iter().find(|other| other.role == role).map_or(origin, |other| other.origin)
}

/// Returns the role origins to record: those that differ from the origin of the membership.
pub fn origins(roles: impl Iterator<Item = (RoleId, Origin)>, origin: Origin) -> Arc<[RoleOrigin]> {
    let others = roles.filter(|&(_, other)| other != origin).map(|(role, origin)| RoleOrigin { role, origin });
    let mut others: Vec<RoleOrigin> = others.collect();
    others.sort_by_key(|other| other.role);
    others.into()
}

/// A role that grants nothing from its expiry on (B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporaryRole {
    pub role: RoleId,
    pub expire_time: Time,
}

/// Returns when a role expires. `None` if it is permanent.
pub fn expiry_of(temporary: &[TemporaryRole], role: RoleId) -> Option<Time> {
    temporary.iter().find(|temporary| temporary.role == role).map(|temporary| temporary.expire_time)
}

/// What the latest change of a membership or role was (B6). The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    Direct = 1,
    /// The user created the org (S4).
    Creator = 2,
    /// The user accepted an invitation (V2).
    Invitation = 3,
    /// The user joined by an e-mail domain (J2).
    Domain = 4,
    /// The role replaced another one (R4, M7), or the structure was converted (P5).
    Migration = 5,
}

impl Origin {
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Direct, Self::Creator, Self::Invitation, Self::Domain, Self::Migration]
            .into_iter()
            .find(|&origin| origin as u8 == number)
    }
}
