//! The roles that a caller gives to a member (B1, B5, P7).

use std::collections::BTreeMap;

use crate::domain::commands::command::RoleAssignment;
use crate::domain::commands::draft::Draft;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{MembershipRecord, expiry_of};
use crate::domain::model::name::RoleName;
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::time::Time;
use crate::domain::state::project::Project;

/// Roles and their expiries. `None` is permanent.
pub type Roles = BTreeMap<RoleId, Option<Time>>;

/// A request to give roles.
pub struct Given<'a> {
    pub project: &'a Project,
    pub roles: &'a [RoleAssignment],
    /// The record whose expiries are kept unless the caller names others.
    pub kept: Option<&'a MembershipRecord>,
    /// Treats internal roles as unknown (G4, I1).
    pub visible_only: bool,
}

impl Given<'_> {
    fn role(&self, name: &RoleName) -> Result<RoleId, Refusal> {
        let role = self.project.role(name)?;
        if self.visible_only && !self.project.is_visible(role) {
            return Err(Refusal::NotFound(Noun::Role, name.to_string()));
        }
        Ok(role)
    }

    /// Refuses unknown roles.
    pub fn check_known(&self) -> Result<(), Refusal> {
        self.roles.iter().try_for_each(|given| self.role(&given.role).map(drop))
    }
}

/// Looks up the roles to give. Refuses a role named twice or with a past expiry. An empty list means the default role.
pub fn given(request: &Given<'_>, now: Time) -> Result<Roles, Refusal> {
    if request.roles.is_empty() {
        return Ok(Roles::from([(request.project.record.default_role, None)]));
    }
    let mut roles = Roles::new();
    for (at, given) in request.roles.iter().enumerate() {
        let role = request.role(&given.role)?;
        let kept = request.kept.and_then(|record| expiry_of(&record.temporary, role));
        let expire_time = match given.permanent {
            true => given.expire_time,
            false => given.expire_time.or(kept),
        };
        if roles.insert(role, expire_time).is_some() {
            return Err(Refusal::RepeatedRole { at, role: given.role.clone() });
        }
        // Applies to a kept expiry too: writing back the names that were read must not revive an expired role.
        if expire_time.is_some_and(|expire_time| expire_time <= now) {
            return Err(Refusal::EndInThePast { at, role: given.role.clone() });
        }
    }
    Ok(roles)
}

/// Refuses too many roles. SINGLE_ROLE: at most one permanent and one temporary role. MULTI_ROLE: the limit of P7.
pub fn check_count(draft: &Draft<'_>, project: &Project, roles: &Roles) -> Result<(), Refusal> {
    let temporary = roles.values().flatten().count();
    match project.record.role_structure {
        RoleStructure::SingleRole => {
            let permanent = roles.len() - temporary;
            if permanent > 1 || temporary > 1 { Err(Refusal::TooManyRoles { permanent, temporary }) } else { Ok(()) }
        }
        RoleStructure::MultiRole => draft.check_limit("member_roles", draft.limits().member_roles, roles.len()),
    }
}
