//! TODO doc

use std::sync::Arc;

use crate::domain::model::id::RoleMappingId;
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::name::OrgId;
use crate::domain::model::time::Time;

/// What an org says of itself, and the role mapping it is subscribed to.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgRecord {
    pub profile: Arc<OrgProfile>,
    pub role_mapping: RoleMappingId,
    pub lifecycle: Lifecycle,
}

/// The texts of an org: out of the way of the checks.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgProfile {
    pub org_id: OrgId,
    pub display_name: Box<str>,
    /// The caller's own text; the service does not look into it.
    pub metadata: Box<str>,
    pub create_time: Time,
}
