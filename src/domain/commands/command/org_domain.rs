//! The commands of e-mail domains (J1 to J3).

use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::name::{OrgId, ProjectKey, RoleName, UserId};

/// Replaces the e-mail domains of an org (J1).
#[derive(Clone, Debug)]
pub struct SetOrgDomains {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub domains: Vec<NewOrgDomain>,
}

#[derive(Clone, Debug)]
pub struct NewOrgDomain {
    pub domain: EmailDomain,
    /// An empty list means the `default_role` of the project at the time of joining.
    pub roles: Vec<RoleName>,
    pub apply_to_existing: bool,
}

#[derive(Clone, Debug)]
pub struct VerifyOrgDomain {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub domain: EmailDomain,
}

/// Makes a user a member by the domain of the user's address (J2).
#[derive(Clone, Debug)]
pub struct ProvisionMember {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub user_id: UserId,
    pub email: EmailAddress,
    pub email_verified: bool,
    /// Allows a user whom somebody else removed (J3).
    pub allow_provisioning: bool,
}
