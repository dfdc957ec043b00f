//! The e-mail domains of orgs (J1): how answers show them, and which members they make.

use crate::domain::model::email::EmailDomain;
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::name::RoleName;
use crate::domain::model::org_domain::OrgDomain;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// A domain as answers show it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownDomain {
    pub domain: EmailDomain,
    /// From the highest role to the lowest. Empty: the default role at the time of joining.
    pub roles: Vec<RoleName>,
    pub verified: bool,
    pub apply_to_existing: bool,
}

impl Project {
    pub fn shown_domains(&self, org: &Org) -> Vec<ShownDomain> {
        let shown = |rule: &OrgDomain| ShownDomain {
            domain: rule.domain.clone(),
            roles: self.in_role_order(self.domain_roles(rule)).into_iter().map(|role| self.role_name(role)).collect(),
            verified: rule.verified,
            apply_to_existing: rule.apply_to_existing,
        };
        org.domains().iter().map(shown).collect()
    }

    /// Returns the roles that a domain names.
    pub(in crate::domain) fn domain_roles(&self, rule: &OrgDomain) -> &[RoleId] {
        rule.role_set.and_then(|set| self.role_sets.get(set)).map_or(&[], |set| &set.roles)
    }

    /// Counts the domains of existing orgs that name a role, by the mappings of the orgs.
    pub(in crate::domain) fn for_each_domain_with(
        &self,
        role: RoleId,
        mut visit: impl FnMut(RoleMappingId, &OrgDomain),
    ) {
        self.for_each_org(|org| {
            let named = org.domains().iter().filter(|rule| self.domain_roles(rule).contains(&role));
            named.for_each(|rule| visit(org.record.role_mapping, rule));
        });
    }
}
