//! The roles that a caller gives to a member (B1, B5).

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

/// Roles, each once, and until when they are.
pub type Roles = BTreeMap<RoleId, Option<Time>>;

/// What a caller gives.
pub struct Given<'a> {
    pub project: &'a Project,
    pub roles: &'a [RoleAssignment],
    /// The record whose ends are kept where the caller does not say another.
    pub kept: Option<&'a MembershipRecord>,
    /// Whether internal roles are as unknown as those that do not exist (G4, I1).
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

    /// Refuses a name that the caller cannot know.
    pub fn known(&self) -> Result<(), Refusal> {
        self.roles.iter().try_for_each(|given| self.role(&given.role).map(drop))
    }
}

/// The roles given, none of them twice or with an end that is past; none means the project's default role.
pub fn given(ask: &Given<'_>, now: Time) -> Result<Roles, Refusal> {
    if ask.roles.is_empty() {
        return Ok(Roles::from([(ask.project.record.default_role, None)]));
    }
    let mut roles = Roles::new();
    for (at, given) in ask.roles.iter().enumerate() {
        let role = ask.role(&given.role)?;
        let kept = ask.kept.and_then(|record| expiry_of(&record.temporary, role));
        let expire_time = match given.permanent {
            true => given.expire_time,
            false => given.expire_time.or(kept),
        };
        if roles.insert(role, expire_time).is_some() {
            return Err(Refusal::RepeatedRole { at, role: given.role.clone() });
        }
        // Also an end that is kept: who writes back the names that were read must not revive a role by accident.
        if expire_time.is_some_and(|expire_time| expire_time <= now) {
            return Err(Refusal::EndInThePast { at, role: given.role.clone() });
        }
    }
    Ok(roles)
}

/// SINGLE_ROLE: one role, and besides it at most one lent until a time; MULTI_ROLE: one to fifty (B1, P7).
pub fn counted(draft: &Draft<'_>, project: &Project, roles: &Roles) -> Result<(), Refusal> {
    let temporary = roles.values().flatten().count();
    match project.record.role_structure {
        RoleStructure::SingleRole => {
            let permanent = roles.len() - temporary;
            if permanent > 1 || temporary > 1 { Err(Refusal::TooManyRoles { permanent, temporary }) } else { Ok(()) }
        }
        RoleStructure::MultiRole => draft.within("member_roles", draft.limits().member_roles, roles.len()),
    }
}
