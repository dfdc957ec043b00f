//! An explanation agrees with the check, and with the check after the org moved (K7). Access agrees with checks (K8).

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};

use rolecall::domain::commands::command::{OnDisabled, SubscribeOrg, SubscribeTo};
use rolecall::domain::commands::decide::decide;
use rolecall::domain::commands::draft::Terms;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Ask, Command, Decision, Project, Question, State, Time, UserId};
use rolecall::limits::Limits;

use crate::histories::{lists, questions};
use crate::history_runner::{HistoryRunner, call};
use crate::random_history::{ORGS, PROJECTS, USERS, config, history};

/// Moves an org to a mapping as an operator would who wants to take no role away.
fn moved(state: &State, project: &Project, org: &str, mapping: &str, now: Time) -> Result<State, TestCaseError> {
    let command = Command::SubscribeOrg(SubscribeOrg {
        project: project.record.key.clone(),
        org_id: rolecall::domain::OrgId::stored(org),
        to: SubscribeTo::RoleMapping(rolecall::domain::RoleMappingName::stored(mapping)),
        on_disabled: OnDisabled::Suspend { fallback_role: None },
    });
    let (call, limits) = (call(), Limits::default());
    match decide(state, &command, &Terms::new(&call, now, &limits)) {
        Ok(decided) => Ok(decided.next),
        Err(refusal) => Err(TestCaseError::fail(format!("{refusal:?}"))),
    }
}

fn explanations_agree(state: &State, project: &Project, org: &str, now: Time) -> TestCaseResult {
    let lists = lists();
    let questions = questions(&lists);
    let mappings: Vec<_> = project.role_mappings.entries().map(|(id, _)| (id, project.role_mapping_name(id))).collect();
    let mut allowed: Vec<BTreeSet<(usize, usize)>> = Vec::new();
    for (_, name) in &mappings {
        let state = match project.org(org) {
            Some(_) => moved(state, project, org, name.as_str(), now)?,
            None => state.clone(),
        };
        let project = state.project(&project.record.key).expect("the project exists");
        let ask =
            |user: usize, question: usize| Ask { org_id: org, user_id: USERS[user], question: questions[question] };
        let all = (0..USERS.len()).flat_map(|user| (0..questions.len()).map(move |question| (user, question)));
        allowed.push(
            all.filter(|&(user, question)| project.check(&ask(user, question), now) == Decision::Allowed).collect(),
        );
    }
    let own = project.org(org).map(|org| org.record.role_mapping);
    for (user, user_id) in USERS.iter().enumerate() {
        for (number, &question) in questions.iter().enumerate() {
            let ask = Ask { org_id: org, user_id, question };
            let explained = project.explain(&ask, now);
            prop_assert_eq!(explained.decision, project.check(&ask, now), "{:?}", ask);
            prop_assert_eq!(explained.role_mapping, own);
            let denied = explained.decision != Decision::Allowed;
            let others = mappings.iter().zip(&allowed).filter(|((id, _), _)| Some(*id) != own);
            let on: Vec<_> =
                others.filter(|(_, allowed)| allowed.contains(&(user, number))).map(|((id, _), _)| *id).collect();
            prop_assert_eq!(&explained.allowed_on, if denied { &on } else { const { &Vec::new() } }, "{:?}", ask);
            // One live role is enough, except for several permissions.
            let grants = explained.roles.iter().any(|role| {
                let live = |state| state == RoleState::Live;
                let fallback_role = role.role.fallback_role.as_ref();
                live(role.role.state) && role.grants
                    || role.fallback_role_grants && fallback_role.is_some_and(|(_, state)| live(*state))
            });
            match question {
                _ if project.block_of(user_id).is_some() => {}
                Question::AllOf(_) => prop_assert!(!denied || !grants, "{:?}", ask),
                _ => prop_assert_eq!(grants, !denied, "{:?}: {:?}", ask, explained),
            }
        }
    }
    Ok(())
}

fn allowed(project: &Project, org_id: &str, user_id: &str, question: Question<'_>, now: Time) -> bool {
    project.check(&Ask { org_id, user_id, question }, now) == Decision::Allowed
}

fn access_agrees(project: &Project, org_id: &str, now: Time) -> TestCaseResult {
    let Some(org) = project.org(org_id) else { return Ok(()) };
    for user_id in USERS {
        let access = project.access(org, &UserId::stored(user_id), Visibility::All, now);
        let permissions = project.permissions.entries().map(|(_, permission)| permission.name.clone());
        let mut permissions: Vec<_> = permissions
            .filter(|name| allowed(project, org_id, user_id, Question::Permission(name.as_str()), now))
            .collect();
        permissions.sort();
        let roles = project.role_order.iter().map(|&role| project.role_name(role));
        let roles: Vec<_> =
            roles.filter(|name| allowed(project, org_id, user_id, Question::AtLeastRole(name.as_str()), now)).collect();
        let access = access.map(|(_, access)| (access.permissions, access.at_least_roles)).unwrap_or_default();
        prop_assert_eq!(access, (permissions, roles), "{} in {}", user_id, org_id);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn k7_an_explanation_agrees_with_the_check_and_with_a_move(history in history()) {
        let mut runner = HistoryRunner::new(history.limits);
        for step in &history.steps {
            runner.run(step);
        }
        let now = runner.state.revision().at.max(runner.clock);
        for key in PROJECTS {
            let Some(project) = runner.state.project_keyed(key) else { continue };
            for org in ORGS {
                explanations_agree(&runner.state, project, org, now)?;
                access_agrees(project, org, now)?;
            }
        }
    }
}
