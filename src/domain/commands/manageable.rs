//! What an acting user may do with the roles of an org (G5). The writes themselves are tried and dropped: so the answer is
//! what they would do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::commands::call::Call;
use crate::domain::commands::command::{Command, MemberWrite, RoleAssignment, Write, WriteMember};
use crate::domain::commands::decide::accepts;
use crate::domain::commands::draft::Terms;
use crate::domain::model::id::{OrgNo, RoleId};
use crate::domain::model::name::{OrgId, ProjectKey, RoleName, UserId};
use crate::domain::model::permission::{CAN_CHANGE_ROLES, CAN_INVITE, CAN_REMOVE_USERS, CAN_VIEW_OTHER_MEMBERS};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::time::{Time, later};
use crate::domain::rules::delegation::Acting;
use crate::domain::state::State;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::limits::Limits;

/// About whom is asked, and which part of the list.
#[derive(Clone, Debug)]
pub struct Ask {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub acting_user: UserId,
    /// Whose roles would be written; none: anybody's but its own.
    pub target: Option<UserId>,
    /// The list goes on below this role.
    pub after: Option<RoleId>,
    /// Roles at most.
    pub limit: usize,
}

/// What an acting user may do with visible roles, highest first.
#[derive(Clone)]
pub struct Manageable {
    pub project: Arc<Project>,
    pub org: OrgNo,
    pub roles: Vec<ManageableRole>,
    /// Whether more roles follow.
    pub more: bool,
    /// Whether the target, or anybody at all, may be removed.
    pub remove: bool,
}

/// What an acting user may do with one role.
#[derive(Clone, Debug, PartialEq)]
pub struct ManageableRole {
    pub id: RoleId,
    pub role: RoleName,
    pub invite: bool,
    pub give: bool,
    pub take: bool,
    /// Until when it can be given at the latest, or where it cannot be given, invited to; none: for ever, or not at all.
    pub expire_time_max: Option<Time>,
}

/// Says what an acting user may do.
pub fn manageable(state: &State, ask: &Ask, now: Time, limits: &Limits) -> Result<Manageable, Refusal> {
    let project = state.project(&ask.project).cloned();
    let project = project.ok_or_else(|| Refusal::NotFound(Noun::Project, ask.project.to_string()))?;
    let org = project.org_or_refusal(&ask.org_id)?;
    let acting = Acting::new(&project, org, &ask.acting_user, now)?;
    if ask.target.as_ref().is_some_and(|target| *target != ask.acting_user)
        && acting.check_ability(CAN_VIEW_OTHER_MEMBERS).is_err()
    {
        return Err(Refusal::ViewerMissingPermission { permission: CAN_VIEW_OTHER_MEMBERS });
    }
    let visible: Vec<RoleId> = project.role_order.iter().copied().filter(|&role| project.is_visible(role)).collect();
    let rank = |role| project.roles.get(role).map(|role| role.rank);
    let after = ask.after.and_then(rank);
    let rest = visible.iter().copied().filter(|&role| after.is_none_or(|after| rank(role) > Some(after)));
    let mut rest: Vec<RoleId> = rest.take(ask.limit.saturating_add(1)).collect();
    let more = rest.len() > ask.limit;
    rest.truncate(ask.limit);
    let on = Context { state, project: &project, org, acting: &acting, ask, now, limits };
    let (roles, remove) = match &ask.target {
        None => {
            let remove = visible.iter().any(|&role| acting.check_scope(CAN_REMOVE_USERS, role).is_ok());
            (rest.iter().map(|&role| on.role(role)).collect(), remove)
        }
        Some(target) => {
            let trial = Trial::new(on, target);
            (rest.iter().map(|&role| trial.role(role)).collect(), trial.allows(Write::Remove))
        }
    };
    Ok(Manageable { org: org.no, roles, more, remove, project: project.clone() })
}

/// What is asked of.
#[derive(Clone, Copy)]
struct Context<'a> {
    state: &'a State,
    project: &'a Project,
    org: &'a Org,
    acting: &'a Acting<'a>,
    ask: &'a Ask,
    now: Time,
    limits: &'a Limits,
}

impl Context<'_> {
    /// About nobody in particular.
    fn role(&self, id: RoleId) -> ManageableRole {
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping);
        let enabled = mapping.is_some_and(|mapping| mapping.enabled(id));
        let longest = |permission| self.acting.expiry_max(permission, id).filter(|_| enabled);
        let (invite, give) = (longest(CAN_INVITE), longest(CAN_CHANGE_ROLES));
        ManageableRole {
            id,
            role: self.project.role_name(id),
            invite: invite.is_some(),
            give: give.is_some(),
            take: self.acting.check_scope(CAN_CHANGE_ROLES, id).is_ok(),
            expire_time_max: give.or(invite).flatten(),
        }
    }
}

/// About one target: the writes are tried.
struct Trial<'a> {
    on: Context<'a>,
    target: &'a UserId,
    /// The visible roles that the target holds, and until when.
    held: BTreeMap<RoleId, Option<Time>>,
    /// Whether the org needs the target as its owner (B3). Found once: each trial would look through the org.
    last_owner: bool,
    call: Call,
}

impl<'a> Trial<'a> {
    fn new(on: Context<'a>, target: &'a UserId) -> Self {
        let Context { project, org, now, .. } = on;
        let record = project.membership(org, target);
        let recorded = record.as_ref().and_then(|record| project.recorded_in(record));
        let held = recorded.map_or_else(BTreeMap::new, |it| {
            let visible = it.held(now).filter(|&role| project.is_visible(role));
            visible.map(|role| (role, it.expiry(role))).collect()
        });
        let owner = project.record.default_owner_role;
        let last_owner = held.get(&owner) == Some(&None) && project.needs_owner(org, target, now);
        let call = Call { acting_user: Some(on.ask.acting_user.clone()), ..Call::plain("", "") };
        Self { on, target, held, last_owner, call }
    }

    fn allows(&self, write: Write) -> bool {
        if self.last_owner && !self.leaves_owner(&write) {
            return false;
        }
        let row = MemberWrite { org_id: self.on.ask.org_id.clone(), user_id: self.target.clone(), write };
        let command = WriteMember { project: self.on.ask.project.clone(), row, allow_ownerless: true };
        let terms = Terms { call: &self.call, now: self.on.now, limits: self.on.limits };
        accepts(self.on.state, &Command::WriteMember(command), &terms)
    }

    /// Whether the target owns the org afterwards as before.
    fn leaves_owner(&self, write: &Write) -> bool {
        let owner = self.on.project.role_name(self.on.project.record.default_owner_role);
        match write {
            Write::Add(_) => true,
            Write::Remove => false,
            // It has no end, and keeps none where none is said.
            Write::Set(roles) => roles.iter().any(|given| given.role == owner && given.expire_time.is_none()),
        }
    }

    fn role(&self, id: RoleId) -> ManageableRole {
        let invited = self.on.acting.expiry_max(CAN_INVITE, id);
        let given = self.on.acting.expiry_max(CAN_CHANGE_ROLES, id).into_iter().chain(self.lower(id)).reduce(later);
        let invite = self.allows(Write::Add(vec![self.given(id, invited.flatten())]));
        let holds = self.held.contains_key(&id);
        let others = |others: Vec<RoleAssignment>| if others.is_empty() { Write::Remove } else { Write::Set(others) };
        let kept = |role: RoleId| RoleAssignment {
            role: self.on.project.role_name(role),
            expire_time: None,
            permanent: false,
        };
        let without: Vec<RoleAssignment> =
            self.held.keys().filter(|&&role| role != id).map(|&role| kept(role)).collect();
        let take = holds && self.allows(others(without.clone()));
        let new = if holds { kept(id) } else { self.given(id, given.flatten()) };
        let with = match self.on.project.record.role_structure {
            RoleStructure::SingleRole => vec![new],
            RoleStructure::MultiRole => without.into_iter().chain([new]).collect(),
        };
        let give = self.allows(Write::Set(with));
        // What the target holds already and cannot be given anew is kept as it is.
        let kept = self.held.get(&id).copied();
        let expire_time_max = if give { given.or(kept) } else { invited.filter(|_| invite) };
        ManageableRole {
            id,
            role: self.on.project.role_name(id),
            invite,
            give,
            take,
            expire_time_max: expire_time_max.flatten(),
        }
    }

    fn given(&self, role: RoleId, expire_time: Option<Time>) -> RoleAssignment {
        RoleAssignment { role: self.on.project.role_name(role), expire_time, permanent: expire_time.is_none() }
    }

    /// Until when the acting user may step down to a role itself (G3).
    fn lower(&self, role: RoleId) -> Option<Option<Time>> {
        if self.target == self.on.acting.user { self.on.acting.step_down_expiry_max(role) } else { None }
    }
}
