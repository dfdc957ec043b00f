//! The e-mail domains that an org lists (J1).

use std::sync::Arc;

use crate::domain::model::email::EmailDomain;
use crate::domain::model::id::RoleSetId;

/// A domain of an org: users with a verified address there may join it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgDomain {
    pub domain: EmailDomain,
    /// The roles of new members, all visible. `None` is the default role at the time of joining.
    pub role_set: Option<RoleSetId>,
    /// False until a call without an acting user verifies it. An unverified domain provisions nobody.
    pub verified: bool,
    /// Members who join by it again get its roles (J2.c).
    pub apply_to_existing: bool,
}

/// The domains of an org, ascending by domain.
pub type OrgDomains = Arc<[OrgDomain]>;

/// Returns true for the domains of public mail providers, which no org may list (J1.b).
pub fn is_public(domain: &EmailDomain) -> bool {
    let lines = include_str!("public_email_domains.txt").lines();
    lines.map(str::trim).any(|line| line == domain.as_str())
}
