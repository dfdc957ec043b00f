//! ListManageableRoles agrees with the writes (G5). It is made by trying the writes, so the model judges them as well.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use rolecall::domain::commands::command::{RoleAssignment, Write};
use rolecall::domain::commands::manageable::{Ask, Manageable, ManageableRole, manageable};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Call, Command, Reason, RoleName, Terms, Time, UserId, decide};

use crate::history_runner::{HistoryRunner, call};
use crate::model::{CallOptions, Model, OrgModel, ProjectModel, lasts_as_long};
use crate::random_history::config;
use crate::random_org::{ORG, PROJECT, USERS, org, project, random_org, write};
use crate::state_to_model::model_of;

pub fn ask(acting: &str, target: Option<&str>) -> Ask {
    Ask {
        project: project(),
        org_id: org(),
        acting_user: UserId::stored(acting),
        target: target.map(UserId::stored),
        after: None,
        limit: 100,
    }
}

/// Tries writes of one acting user on the domain and on the model.
struct WriteTrial<'a> {
    runner: &'a HistoryRunner,
    model: &'a Model,
    now: Time,
    acting: &'a str,
}

type Expiry = Option<Time>;

impl WriteTrial<'_> {
    fn project_model(&self) -> &ProjectModel {
        &self.model.projects[PROJECT]
    }

    fn org_model(&self) -> &OrgModel {
        &self.project_model().orgs[ORG]
    }

    /// Returns true if the write would be accepted. Asserts that both agree.
    fn allows(&self, user: &str, member_write: Write) -> Result<bool, TestCaseError> {
        let command: Command = write(user, member_write);
        let call = Call { acting_user: Some(UserId::stored(self.acting)), ..call() };
        let terms = Terms::new(&call, self.now, &self.runner.limits);
        let is = decide(&self.runner.state, &command, &terms).map(drop).map_err(|refusal| refusal.reason());
        let called = CallOptions { acting_user: Some(self.acting), ..CallOptions::default() };
        let should = self.model.clone().run(&command, called, self.now, &self.runner.limits).map(drop);
        prop_assert_eq!(&is, &should, "{} on {}: {:?}", self.acting, user, command);
        Ok(is.is_ok())
    }

    fn latest_given_expiry(&self, permission: &str, role: &str) -> Option<Expiry> {
        self.project_model().latest_given_expiry(self.org_model(), self.acting, permission, role, self.now)
    }

    /// Returns the visible roles that a target holds.
    fn held(&self, target: &str) -> Vec<String> {
        let Some(member) = self.org_model().members.get(target) else { return Vec::new() };
        let held = |expire_time: Expiry| expire_time.is_none_or(|expire_time| expire_time > self.now);
        let roles = member
            .roles
            .iter()
            .filter(|(role, given)| held(given.expire_time) && !self.project_model().is_internal(role));
        roles.map(|(role, _)| role.clone()).collect()
    }

    fn rights_over_target(&self, target: &str, role: &str) -> Result<Rights, TestCaseError> {
        let invited = self.latest_given_expiry("rolecall::can_invite", role);
        let mut given = self.latest_given_expiry("rolecall::can_change_roles", role);
        if target == self.acting {
            let lower = self.project_model().latest_step_down_expiry(self.org_model(), target, role, self.now);
            given =
                given.into_iter().chain(lower).reduce(|one, other| if lasts_as_long(one, other) { one } else { other });
        }
        let held = self.held(target);
        let holds = held.iter().any(|other| other == role);
        let others: Vec<RoleAssignment> = held.iter().filter(|other| *other != role).map(|role| kept(role)).collect();
        let new = |expire_time: Option<Expiry>| assignment(role, expire_time.flatten());
        let invite = self.allows(target, Write::Add(vec![new(invited)]))?;
        let this = if holds { kept(role) } else { new(given) };
        let with = |this: RoleAssignment| match self.project_model().structure {
            RoleStructure::SingleRole => vec![this],
            RoleStructure::MultiRole => others.iter().cloned().chain([this]).collect(),
        };
        let give = self.allows(target, Write::Set(with(this)))?;
        let rest = if others.is_empty() { Write::Remove } else { Write::Set(others.clone()) };
        let take = holds && self.allows(target, rest)?;
        // A disabled role that the target already holds is kept as it is.
        let member = self.org_model().members.get(target);
        let kept_until = member.and_then(|it| it.roles.get(role)).filter(|_| holds).map(|given| given.expire_time);
        let expire_time_max = if give { given.or(kept_until) } else { invited.filter(|_| invite) };
        if let Some(Some(expire_time)) = expire_time_max {
            // A later expiry must be refused.
            let later = RoleAssignment { expire_time: Some(Time(expire_time.0 + 1)), ..assignment(role, None) };
            let late = if give { Write::Set(with(later)) } else { Write::Add(vec![later]) };
            let held_longer = self.org_model().members.get(target).and_then(|it| it.roles.get(role));
            if !held_longer.is_some_and(|given| lasts_as_long(given.expire_time, Some(Time(expire_time.0 + 1)))) {
                prop_assert!(!self.allows(target, late)?, "{} can be given with a later expiry", role);
            }
        }
        Ok(Rights { invite, give, take, expire_time_max: expire_time_max.flatten() })
    }

    /// Returns the expected rights without a target: to invite a new user, and to change any member.
    fn rights_in_general(&self, role: &str) -> Result<Rights, TestCaseError> {
        let enabled = !self.project_model().mappings["Default"].disabled.contains(role);
        let invited = self.latest_given_expiry("rolecall::can_invite", role);
        let invite = self.allows("nobody", Write::Add(vec![assignment(role, invited.flatten())]))?;
        let may_change = self.latest_given_expiry("rolecall::can_change_roles", role);
        let given = may_change.filter(|_| enabled);
        let expire_time_max = given.or(invited.filter(|_| invite)).flatten();
        Ok(Rights { invite, give: given.is_some(), take: may_change.is_some(), expire_time_max })
    }

    fn agree(&self, target: Option<&str>) -> TestCaseResult {
        let listed = manageable(&self.runner.state, &ask(self.acting, target), self.now, &self.runner.limits);
        let sees = self.project_model().live_roles(self.org_model(), self.acting, self.now);
        let sees = sees
            .iter()
            .any(|it| self.project_model().grants(self.org_model(), &it.role, "rolecall::can_view_other_members"));
        let member = self.org_model().members.get(self.acting);
        let expected = if !member.is_some_and(|member| member.is_member(self.now)) {
            Err(Reason::ActingUserNotAMember)
        } else if target.is_some_and(|target| target != self.acting) && !sees {
            Err(Reason::ViewerMissingPermission)
        } else {
            Ok(())
        };
        prop_assert_eq!(listed.as_ref().map(drop).map_err(|refusal| refusal.reason()), expected);
        let Ok(listed) = listed else { return Ok(()) };
        let visible = self
            .project_model()
            .roles
            .iter()
            .filter(|(_, details)| !details.built_in_or_internal)
            .map(|(name, _)| name.clone());
        let visible: Vec<String> = visible.collect();
        prop_assert_eq!(listed.roles.iter().map(|it| it.role.to_string()).collect::<Vec<_>>(), visible.clone());
        for (role, is) in visible.iter().zip(&listed.roles) {
            let should = match target {
                Some(target) => self.rights_over_target(target, role)?,
                None => self.rights_in_general(role)?,
            };
            prop_assert_eq!(Rights::of(is), should, "{} for {:?}: {}", self.acting, target, role);
        }
        let remove = match target {
            Some(target) => self.allows(target, Write::Remove)?,
            None => visible.iter().any(|role| self.latest_given_expiry("rolecall::can_remove_users", role).is_some()),
        };
        prop_assert_eq!(listed.remove, remove, "{} removes {:?}", self.acting, target);
        self.by_pages(target, &listed)
    }

    fn by_pages(&self, target: Option<&str>, whole: &Manageable) -> TestCaseResult {
        let mut after = None;
        let mut pages = Vec::new();
        loop {
            let ask = Ask { after, limit: 2, ..ask(self.acting, target) };
            let page = manageable(&self.runner.state, &ask, self.now, &self.runner.limits);
            let page = page.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            prop_assert_eq!(page.remove, whole.remove);
            after = page.roles.last().map(|it| it.id);
            pages.extend(page.roles);
            if !page.more {
                break;
            }
        }
        prop_assert_eq!(&pages, &whole.roles);
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Rights {
    invite: bool,
    give: bool,
    take: bool,
    expire_time_max: Expiry,
}

impl Rights {
    fn of(it: &ManageableRole) -> Self {
        Self { invite: it.invite, give: it.give, take: it.take, expire_time_max: it.expire_time_max }
    }
}

fn kept(role: &str) -> RoleAssignment {
    RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false }
}

fn assignment(role: &str, expire_time: Expiry) -> RoleAssignment {
    RoleAssignment { role: RoleName::stored(role), expire_time, permanent: expire_time.is_none() }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn g5_manageable_roles_agree_with_the_writes(
        random_org in random_org(),
        acting in select(&USERS[..4]),
        target in proptest::option::of(select(&USERS[..])),
        later in prop_oneof![Just(0i64), Just(10)],
    ) {
        let runner = random_org.run();
        let model = model_of(&runner.state, &USERS);
        let now = Time(runner.clock.0 + later);
        let trial = WriteTrial { runner: &runner, model: &model, now, acting };
        trial.agree(None)?;
        trial.agree(Some(acting))?;
        if let Some(target) = target {
            trial.agree(Some(target))?;
        }
    }
}
