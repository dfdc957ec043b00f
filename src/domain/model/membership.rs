//! TODO doc

use std::sync::Arc;

use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;

/// What is recorded of a user in an org.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipRecord {
    pub role_set: RoleSetId,
    pub origin: Origin,
    /// The roles of the set that end, ascending by id.
    pub temporary: Arc<[TemporaryRole]>,
    /// The roles that came by something else than `origin`, ascending by id. One that was deleted since may still be named:
    /// only members with ends are written when a role goes.
    pub origins: Arc<[RoleOrigin]>,
}

/// By what a role came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleOrigin {
    pub role: RoleId,
    pub origin: Origin,
}

impl MembershipRecord {
    /// By what a role of the set came.
    pub fn origin_of(&self, role: RoleId, set: &RoleSet) -> Origin {
        origin_of(role, self.origin, &self.origins, &set.migrated_roles)
    }

    /// By what the membership was changed the last time (B6).
    pub fn latest_origin(&self, set: &RoleSet) -> Origin {
        if set.migrated { Origin::Migration } else { self.origin }
    }
}

/// By what a role came: in the place of a deleted one, as is recorded of it, or as the membership.
pub fn origin_of(role: RoleId, origin: Origin, origins: &[RoleOrigin], migrated_roles: &[RoleId]) -> Origin {
    if migrated_roles.contains(&role) {
        return Origin::Migration;
    }
    origins.iter().find(|other| other.role == role).map_or(origin, |other| other.origin)
}

/// What has to be recorded of roles that came by something else than the membership.
pub fn origins(came: impl Iterator<Item = (RoleId, Origin)>, origin: Origin) -> Arc<[RoleOrigin]> {
    let others = came.filter(|&(_, other)| other != origin).map(|(role, origin)| RoleOrigin { role, origin });
    let mut others: Vec<RoleOrigin> = others.collect();
    others.sort_by_key(|other| other.role);
    others.into()
}

/// A role that ends: from that instant on it grants nothing (B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporaryRole {
    pub role: RoleId,
    pub expire_time: Time,
}

/// Until when a role is given, of these that end; none: without an end.
pub fn expiry_of(temporary: &[TemporaryRole], role: RoleId) -> Option<Time> {
    temporary.iter().find(|temporary| temporary.role == role).map(|temporary| temporary.expire_time)
}

/// By what a membership came to be as it is (B6). The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// A caller wrote it.
    Direct = 1,
    /// The user created the org (S4).
    Creator = 2,
    /// A role was deleted and another took its place (R4).
    Migration = 5,
}

impl Origin {
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Direct, Self::Creator, Self::Migration].into_iter().find(|&origin| origin as u8 == number)
    }
}
