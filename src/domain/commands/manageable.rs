//! What an acting user may do with the roles of an org (G5). It tries the writes and drops their results, so the answer
//! always agrees with what they would do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::commands::call::Call;
use crate::domain::commands::command::{Command, MemberWrite, RoleAssignment, Write, WriteMember};
use crate::domain::commands::decide::{accepts, without_unused_sets};
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

/// The question, and which part of the list to return.
#[derive(Clone, Debug)]
pub struct Ask {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub acting_user: UserId,
    /// The user whose roles would be written. `None` is any other user.
    pub target: Option<UserId>,
    /// Continues the list below this role.
    pub after: Option<RoleId>,
    /// The most roles to return.
    pub limit: usize,
}

#[derive(Clone)]
pub struct Manageable {
    pub project: Arc<Project>,
    pub org: OrgNo,
    /// Visible roles, highest first.
    pub roles: Vec<ManageableRole>,
    /// True if more roles follow.
    pub more: bool,
    /// True if the target may be removed; without a target, if any member could be.
    pub remove: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ManageableRole {
    pub id: RoleId,
    pub role: RoleName,
    pub invite: bool,
    pub give: bool,
    pub take: bool,
    /// The latest expiry with which the role can be given, or else invited to. `None`: permanently, or not at all.
    pub expire_time_max: Option<Time>,
}

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
    let call = Call::plain("", "");
    let state = &without_unused_sets(state, &project, &Terms::new(&call, now, limits));
    let context = Context { state, project: &project, org, acting: &acting, ask, now, limits };
    let (roles, remove) = match &ask.target {
        None => {
            let remove = visible.iter().any(|&role| acting.check_scope(CAN_REMOVE_USERS, role).is_ok());
            (rest.iter().map(|&role| context.role(role)).collect(), remove)
        }
        Some(target) => {
            let trial = Trial::new(context, target);
            (rest.iter().map(|&role| trial.role(role)).collect(), trial.allows(Write::Remove))
        }
    };
    Ok(Manageable { org: org.no, roles, more, remove, project: project.clone() })
}

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
    /// Answers for any other user.
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

/// Answers for one target by trying the writes.
struct Trial<'a> {
    context: Context<'a>,
    target: &'a UserId,
    /// The visible roles of the target and their expiries.
    held: BTreeMap<RoleId, Option<Time>>,
    /// True if the target is the only owner (B3). Computed once, since each trial would scan the org.
    only_owner: bool,
    /// True if the target is the only owner and another visible member exists.
    owner_of_others: bool,
    call: Call,
}

impl<'a> Trial<'a> {
    fn new(context: Context<'a>, target: &'a UserId) -> Self {
        let Context { project, org, now, .. } = context;
        let record = project.membership(org, target);
        let recorded = record.as_ref().and_then(|record| project.recorded_in(record));
        let held = recorded.map_or_else(BTreeMap::new, |recorded| {
            let visible = recorded.held(now).filter(|&role| project.is_visible(role));
            visible.map(|role| (role, recorded.expiry(role))).collect()
        });
        let owner = project.record.default_owner_role;
        let only_owner = held.get(&owner) == Some(&None) && project.is_only_owner(org, target);
        let owner_of_others = only_owner && project.has_other_visible_member(org, target, now);
        let call = Call { acting_user: Some(context.ask.acting_user.clone()), ..Call::plain("", "") };
        Self { context, target, held, only_owner, owner_of_others, call }
    }

    fn allows(&self, write: Write) -> bool {
        if self.leaves_ownerless(&write) {
            return false;
        }
        let row = MemberWrite { org_id: self.context.ask.org_id.clone(), user_id: self.target.clone(), write };
        let command = WriteMember {
            project: self.context.ask.project.clone(),
            row,
            allow_ownerless: true,
            keep_invitations: false,
        };
        let terms = Terms::new(&self.call, self.context.now, self.context.limits);
        accepts(self.context.state, &Command::WriteMember(command), &terms)
    }

    /// Returns true if the write would leave visible members without an owner (B3).
    fn leaves_ownerless(&self, write: &Write) -> bool {
        let owner = self.context.project.role_name(self.context.project.record.default_owner_role);
        match write {
            Write::Add(_) => false,
            Write::Remove => self.owner_of_others,
            // The role is permanent, and stays so without an `expire_time`.
            Write::Set(roles) => {
                self.only_owner && !roles.iter().any(|given| given.role == owner && given.expire_time.is_none())
            }
        }
    }

    fn role(&self, id: RoleId) -> ManageableRole {
        let invited = self.context.acting.expiry_max(CAN_INVITE, id);
        let given =
            self.context.acting.expiry_max(CAN_CHANGE_ROLES, id).into_iter().chain(self.step_down(id)).reduce(later);
        let invite = self.allows(Write::Add(vec![self.given(id, invited.flatten())]));
        let holds = self.held.contains_key(&id);
        let others = |others: Vec<RoleAssignment>| if others.is_empty() { Write::Remove } else { Write::Set(others) };
        let kept = |role: RoleId| RoleAssignment {
            role: self.context.project.role_name(role),
            expire_time: None,
            permanent: false,
        };
        let without: Vec<RoleAssignment> =
            self.held.keys().filter(|&&role| role != id).map(|&role| kept(role)).collect();
        let take = holds && self.allows(others(without.clone()));
        let new = if holds { kept(id) } else { self.given(id, given.flatten()) };
        let with = match self.context.project.record.role_structure {
            RoleStructure::SingleRole => vec![new],
            RoleStructure::MultiRole => without.into_iter().chain([new]).collect(),
        };
        let give = self.allows(Write::Set(with));
        // A role that the target has, but could not be given, keeps its expiry.
        let kept = self.held.get(&id).copied();
        let expire_time_max = if give { given.or(kept) } else { invited.filter(|_| invite) };
        ManageableRole {
            id,
            role: self.context.project.role_name(id),
            invite,
            give,
            take,
            expire_time_max: expire_time_max.flatten(),
        }
    }

    fn given(&self, role: RoleId, expire_time: Option<Time>) -> RoleAssignment {
        RoleAssignment { role: self.context.project.role_name(role), expire_time, permanent: expire_time.is_none() }
    }

    /// Returns the latest expiry with which the acting user may step down to a role, if the user is the target (G3).
    fn step_down(&self, role: RoleId) -> Option<Option<Time>> {
        if self.target == self.context.acting.user { self.context.acting.step_down_expiry_max(role) } else { None }
    }
}
