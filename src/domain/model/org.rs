//! The record of an org (S1, S5).

use std::sync::Arc;

use crate::domain::model::id::RoleMappingId;
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::name::OrgId;
use crate::domain::model::time::Time;

#[derive(Clone, Debug, PartialEq)]
pub struct OrgRecord {
    pub profile: Arc<OrgProfile>,
    pub role_mapping: RoleMappingId,
    pub lifecycle: Lifecycle,
}

/// The fields of an org that checks do not read.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgProfile {
    pub org_id: OrgId,
    pub display_name: Box<str>,
    /// The caller's own text, which the service does not read.
    pub metadata: Box<str>,
    pub create_time: Time,
}
