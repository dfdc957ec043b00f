//! Random histories: the domain and the model must agree on every refusal, response and check.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};

use rolecall::domain::model::id::RoleId;
use rolecall::domain::model::project::ProjectRecord;
use rolecall::domain::model::role::Role;
use rolecall::domain::model::role_mapping::RoleMappingRecord;
use rolecall::domain::rules::activity::AllowedMember;
use rolecall::domain::rules::role::role_order_etag;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Ask, Columns, Command, Decision, Item, Question, State, Time, UserId};

use crate::history_runner::{Comparison, HistoryRunner};
use crate::model::{Model, ModelOutcome};
use crate::placeholders::{mapping_etag, project_etag, role_etag};
use crate::random_history::{History, ORGS, PERMISSIONS, PROJECTS, ROLES, USERS, config, history};
use crate::random_org::PROJECT as RANDOM_ORG_PROJECT;
use crate::state_to_model::{check, model_of};

/// Lists of permissions for `AllOf` and `AnyOf`: known, unknown, old and repeated names.
pub fn lists() -> Vec<Vec<String>> {
    let lists: [&[&str]; 6] = [
        &["read"],
        &["read", "write"],
        &["rolecall::can_invite", "write", "Read"],
        &["write", "rolecall::can_fly"],
        &["list", "read", "read"],
        &["rolecall::can_invite", "rolecall::can_view_other_members"],
    ];
    lists.iter().map(|names| names.iter().map(ToString::to_string).collect()).collect()
}

/// Returns all questions about a user in an org, with known and unknown names.
pub fn questions(lists: &[Vec<String>]) -> Vec<Question<'_>> {
    let roles = || ROLES.iter().copied();
    let mut questions: Vec<Question<'_>> = PERMISSIONS.iter().copied().map(Question::Permission).collect();
    questions.extend(roles().map(Question::Role).chain(roles().map(Question::AtLeastRole)));
    questions.extend(lists.iter().flat_map(|names| [Question::AllOf(names), Question::AnyOf(names)]));
    questions
}

/// Compares the checks whose number `asked` selects.
pub fn agree_on_checks(state: &State, model: &Model, now: Time, asked: impl Fn(usize) -> bool) -> TestCaseResult {
    let lists = lists();
    let questions = questions(&lists);
    for project in PROJECTS.into_iter().chain([RANDOM_ORG_PROJECT]) {
        prop_assert_eq!(state.project_keyed(project).is_some(), model.projects.contains_key(project));
        if !model.projects.contains_key(project) {
            continue;
        }
        let mut number = 0;
        for (org, user) in ORGS.iter().flat_map(|org| USERS.map(|user| (org, user))) {
            for &question in &questions {
                number += 1;
                if asked(number) {
                    let is = check(state, project, org, user, question, now);
                    let should = model.check(project, org, user, question, now);
                    prop_assert_eq!(is, should, "{} {} {} {:?} at {:?}", project, org, user, question, now);
                }
            }
        }
    }
    Ok(())
}

/// Compares everything that reads can show with the model.
pub fn agree_on_contents(state: &State, model: &Model, now: Time) -> TestCaseResult {
    let (mut from_state, model) =
        (model_of(state, &USERS).without_unused_fallbacks(now), model.without_unused_fallbacks(now));
    for (key, project_model) in &mut from_state.projects {
        if model.projects.get(key).is_some_and(|project_model| project_model.role_sets.is_none()) {
            project_model.role_sets = None;
        }
    }
    prop_assert!(from_state == model, "the domain and the model differ:\n{}", difference(&from_state, &model));
    Ok(())
}

/// Returns the first lines that differ and their context. A whole model is too long to print.
fn difference(from_state: &Model, model: &Model) -> String {
    let (is, should) = (format!("{from_state:#?}"), format!("{model:#?}"));
    let at = is.lines().zip(should.lines()).take_while(|(is, should)| is == should).count();
    let context: Vec<&str> = is.lines().take(at).filter(|line| line.trim_end().ends_with('{')).collect();
    let path = context.iter().rev().take(12).rev();
    let after = |text: &str| text.lines().skip(at).take(6).collect::<Vec<_>>().join("\n");
    let path = path.copied().collect::<Vec<_>>().join("\n");
    format!("{path}\nis:\n{}\nshould be:\n{}", after(&is), after(&should))
}

/// Returns the first recorded expiry. Checks ask about this time and the one just before it.
fn first_expiry(model: &Model) -> Option<Time> {
    let spaces = model.projects.values();
    let members =
        spaces.flat_map(|project_model| project_model.orgs.values()).flat_map(|org_model| org_model.members.values());
    members.flat_map(|member| member.roles.values()).find_map(|given| given.expire_time)
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_history_gives_the_same_results_as_the_model(history in history()) {
        let mut comparison = Comparison::new(HistoryRunner::new(history.limits), Model::default());
        for (number, step) in history.steps.iter().enumerate() {
            comparison.step(step).map_err(|it| TestCaseError::fail(format!("step {number}, {step:?}: {it}")))?;
            let Comparison { runner, model, .. } = &mut comparison;
            let now = runner.state.revision().at.max(runner.clock);
            if number % 16 == 15 {
                agree_on_contents(&runner.state, model, runner.state.revision().at)?;
                agree_on_checks(&runner.state, model, now, |asked| asked % 9 == number / 16)?;
            }
            if number % 24 == 23 {
                runner.purge(2, 3);
                agree_on_contents(&runner.state, model, runner.state.revision().at)?;
            }
        }
        let Comparison { mut runner, model, .. } = comparison;
        agree_on_contents(&runner.state, &model, runner.state.revision().at)?;
        // Each time ask a fifth of the questions, and another fifth in another history.
        let some = runner.state.revision().number as usize;
        let expiry = first_expiry(&model).into_iter().flat_map(|expiry| [expiry, Time(expiry.0 - 1)]);
        // Ask only about the present and the future: expired roles had no part in later changes.
        let present = runner.state.revision().at;
        let later = history.asked_at.iter().map(|later| Time(present.0 + later.0));
        let instants = later.chain([present]).chain(expiry.map(|expiry| expiry.max(present)));
        for (turn, now) in instants.enumerate() {
            agree_on_checks(&runner.state, &model, now, |asked| (asked + some) % 5 == turn)?;
        }
        runner.purge(1, 1_000);
        prop_assert!(runner.state.all_projects().all(|project| !project.has_data_to_purge()), "deleted data is left");
        agree_on_contents(&runner.state, &model, runner.state.revision().at)?;
        agree_on_checks(&runner.state, &model, runner.state.revision().at, |asked| (asked + some).is_multiple_of(5))?;
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn a_refused_command_changes_nothing(history in history()) {
        let mut runner = HistoryRunner::new(history.limits);
        let mut reads = model_of(&runner.state, &USERS);
        for step in &history.steps {
            let before = runner.state.clone();
            let outcome = runner.run(step);
            let after = model_of(&runner.state, &USERS);
            if outcome.result.is_err() {
                prop_assert!(outcome.commit.is_none());
                prop_assert!(runner.state == before);
                prop_assert_eq!(runner.state.revision(), before.revision());
                prop_assert_eq!(&after, &reads);
            }
            reads = after;
        }
    }

    #[test]
    fn a_command_that_changes_nothing_takes_no_revision(history in history()) {
        let mut runner = HistoryRunner::new(history.limits);
        let mut reads = model_of(&runner.state, &USERS);
        for step in &history.steps {
            let before = runner.state.revision();
            let outcome = runner.run(step);
            let after = model_of(&runner.state, &USERS);
            let changed = after != reads;
            reads = after;
            if matches!(step.command, Command::Purge(_)) {
                prop_assert!(!changed, "a purge changed what reads show: {:?}", &step.command);
            } else {
                prop_assert_eq!(outcome.commit.is_some(), changed, "{:?}", &step.command);
            }
            prop_assert_eq!(runner.state.revision() != before, outcome.commit.is_some());
            if let Some(commit) = outcome.commit {
                prop_assert!(!commit.changes.is_empty());
            }
        }
    }

    #[test]
    fn revisions_count_by_one_and_their_time_grows_even_if_the_clock_goes_back(history in history()) {
        let mut runner = HistoryRunner::new(history.limits);
        for step in &history.steps {
            let before = runner.state.revision();
            if let Some(commit) = runner.run(step).commit {
                prop_assert_eq!(commit.revision, runner.state.revision());
                prop_assert_eq!(commit.revision.number, before.number + 1);
                prop_assert!(commit.revision.at > before.at);
                prop_assert!(commit.revision.at >= runner.clock);
            }
        }
    }

    #[test]
    fn a_clone_is_not_changed_by_later_commands(history in history()) {
        let mut runner = HistoryRunner::new(history.limits);
        let mut kept = Vec::new();
        for (number, step) in history.steps.iter().enumerate() {
            if number % 5 == 2 {
                kept.push((runner.state.clone(), model_of(&runner.state, &USERS), runner.state.revision()));
            }
            runner.run(step);
        }
        for (clone, reads, revision) in kept {
            prop_assert_eq!(clone.revision(), revision);
            prop_assert_eq!(&model_of(&clone, &USERS), &reads);
            agree_on_checks(&clone, &reads, revision.at, |number| number % 11 == 0)?;
        }
    }

    #[test]
    fn k3_a_batch_gives_the_same_decisions_as_single_checks(
        history in history(),
        picks in prop::collection::vec((0..=ORGS.len(), 0..=USERS.len(), 0..=PERMISSIONS.len()), 0..200),
    ) {
        let History { limits, steps, .. } = history;
        let mut runner = HistoryRunner::new(limits);
        for step in &steps {
            runner.run(step);
        }
        // The last pick is in no table.
        let named = |names: &[&'static str], at: usize| names.get(at).copied().unwrap_or("");
        let names = picks.iter().map(|&(org, user, permission)| {
            [named(&ORGS, org), named(&USERS, user), named(&PERMISSIONS, permission)]
        });
        let rows = picks.iter().map(|&(org, user, permission)| [org, user, permission].map(|at| at as u32));
        for key in PROJECTS {
            let Some(project) = runner.state.project_keyed(key) else { continue };
            let note = |noted: &mut Vec<_>, member: AllowedMember<'_>| {
                noted.push((member.org.no, member.counts_as_activity(runner.clock)));
            };
            let (mut one_by_one, mut noted) = (Vec::new(), Vec::new());
            for [org_id, user_id, permission] in names.clone() {
                let ask = Ask { org_id, user_id, question: Question::Permission(permission) };
                one_by_one.push(project.check_noting(&ask, runner.clock, |member| note(&mut noted, member)));
            }
            let allowed = one_by_one.iter().filter(|&&decision| decision == Decision::Allowed).count();
            prop_assert_eq!(allowed, noted.len());

            let (mut decisions, mut activity) = (Vec::new(), Vec::new());
            let items = names.clone().map(|names| {
                let [org_id, user_id, permission] = names.map(str::as_bytes);
                Item { org_id, user_id, permission }
            });
            project.check_batch(items, runner.clock, &mut decisions, |member| note(&mut activity, member));
            prop_assert_eq!((&decisions, &activity), (&one_by_one, &noted));

            let mut columns = Columns::default();
            columns.add_orgs(project, &ORGS);
            columns.add_users(project, &USERS);
            columns.add_permissions(project, &PERMISSIONS);
            (decisions, activity) = (Vec::new(), Vec::new());
            let noted_by_columns = |member: AllowedMember<'_>| note(&mut activity, member);
            project.check_columns(&columns, rows.clone(), runner.clock, &mut decisions, noted_by_columns);
            prop_assert_eq!((decisions, activity), (one_by_one, noted));
        }
    }
}

/// Returns each etag with the content it identifies, without version numbers.
fn etags_with_content(state: &State) -> Vec<(String, String)> {
    let mut etags_with_content = Vec::new();
    for project in state.projects() {
        let id = project.id.number();
        let record = ProjectRecord { version: 0, role_order_version: 0, ..ProjectRecord::clone(&project.record) };
        etags_with_content.push((format!("project {}", project_etag(project)), format!("{record:?}")));
        etags_with_content
            .push((format!("order {}", role_order_etag(project)), format!("{id} {:?}", project.role_order)));
        for (role_id, role) in project.roles.entries() {
            let record = Role { version: 0, rank: 0, ..Role::clone(role) };
            let etag = role_etag(project, role.name.as_str()).expect("named");
            etags_with_content.push((format!("role of {id} {etag}"), format!("{id} {role_id:?} {record:?}")));
        }
        for (mapping_id, mapping) in project.role_mappings.entries() {
            let record = RoleMappingRecord { version: 0, ..mapping.record.clone() };
            let etag = mapping_etag(project, record.name.as_str()).expect("named");
            let rows: Vec<_> = mapping.rows.entries::<RoleId>().collect();
            etags_with_content
                .push((format!("mapping of {id} {etag}"), format!("{id} {mapping_id:?} {record:?} {rows:?}")));
        }
    }
    etags_with_content
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn m9_an_etag_identifies_one_content_and_changes_only_with_it(history in history()) {
        let mut runner = HistoryRunner::new(history.limits);
        let mut ever: BTreeMap<String, String> = BTreeMap::new();
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        for step in &history.steps {
            if runner.run(step).commit.is_none() {
                continue;
            }
            let mut after = BTreeMap::new();
            for (etag, content) in etags_with_content(&runner.state) {
                prop_assert_eq!(ever.entry(etag.clone()).or_insert_with(|| content.clone()), &content, "{}", &etag);
                let kind = etag.split(' ').next().unwrap_or_default();
                after.insert(format!("{kind} {content}"), etag);
            }
            // Contents contain ids, so equal content before and after belongs to the same object.
            for (content, etag) in &after {
                prop_assert_eq!(before.get(content).unwrap_or(etag), etag, "{:?}", &step.command);
            }
            before = after;
        }
    }
}

/// Random commands that are always refused would prove nothing.
#[test]
fn histories_reach_every_answer_and_refusal() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let lists = lists();
    let questions = questions(&lists);
    let mut test_runner = TestRunner::deterministic();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..1_500 {
        let history = history().new_tree(&mut test_runner).expect("strategies do not filter").current();
        let mut runner = HistoryRunner::new(history.limits);
        for step in &history.steps {
            let outcome = runner.run(step);
            let name = match &outcome.result {
                Ok(ModelOutcome { changed, .. }) => {
                    let by = if step.acting_user.is_some() { " by an acting user" } else { "" };
                    format!("{}{by} {}", step.command.kind(), if *changed { "changed" } else { "unchanged" })
                }
                Err(reason) => format!("{reason:?}"),
            };
            *counts.entry(name).or_default() += 1;
        }
        for project in PROJECTS.into_iter().filter(|key| runner.state.project_keyed(key).is_some()) {
            let project_state = runner.state.project_keyed(project).expect("the project exists");
            for (org, user) in ORGS.iter().flat_map(|org| USERS.map(|user| (org, user))) {
                let (found, id) = (project_state.org(org), UserId::stored(user));
                let record = found.and_then(|org| Some((org, project_state.membership(org, &id)?)));
                let member =
                    record.map(|(org, record)| project_state.member(org, &id, &record, Visibility::All, runner.clock));
                for role in member.iter().flat_map(|member| &member.roles) {
                    *counts.entry(format!("member: fallback role {}", role.fallback_role.is_some())).or_default() += 1;
                    *counts.entry(format!("member: {:?}", role.state)).or_default() += 1;
                    *counts.entry(format!("member: {:?}", role.origin)).or_default() += 1;
                }
                for &question in questions.iter().skip(runner.clock.0 as usize % 7).step_by(7) {
                    let decision = check(&runner.state, project, org, user, question, runner.clock);
                    let text = format!("{question:?}");
                    let kind = text.split('(').next().unwrap_or_default();
                    *counts.entry(format!("{kind}: {decision:?}")).or_default() += 1;
                }
            }
        }
    }
    let wanted = [
        "CreateProject changed",
        "CreatePermission changed",
        "CreatePermission unchanged",
        "BatchCreatePermissions changed",
        "CreateRole changed",
        "BatchCreateRoles changed",
        "CreateRoleMapping changed",
        "UpdateRoleMapping changed",
        "UpdateRoleMapping unchanged",
        "PromoteRoleMapping changed",
        "PromoteRoleMapping unchanged",
        "CreateOrg changed",
        "SubscribeOrg changed",
        "SubscribeOrg unchanged",
        "AddMember changed",
        "SetMemberRoles changed",
        "SetMemberRoles unchanged",
        "RemoveMember changed",
        "BatchWriteMembers changed",
        "BatchWriteMembers unchanged",
        "BlockUser changed",
        "BlockUser unchanged",
        "UnblockUser changed",
        "UnblockUser unchanged",
        "DeleteUser changed",
        "DeleteUser unchanged",
        "SetOrgDomains changed",
        "SetOrgDomains unchanged",
        "ProvisionMember changed",
        "ProvisionMember unchanged",
        "EmailNotVerified",
        "DomainNotListed",
        "RepeatedDomain",
        "RoleInternal",
        "OrgDomainNotFound",
        "member: Domain",
        "CreateInvitation changed",
        "BatchCreateInvitations changed",
        "BatchCreateInvitations unchanged",
        "RevokeInvitation changed",
        "AcceptInvitation changed",
        "CreateInvitation by an acting user changed",
        "BatchCreateInvitations by an acting user changed",
        "RevokeInvitation by an acting user changed",
        "InvitationNotFound",
        "InvitationAlreadyExists",
        "InvitationNotPending",
        "InvitationExpired",
        "InvitationExpiryTooLate",
        "EmailMismatch",
        "UserNotAvailable",
        "member: Invitation",
        "ActingUserBlocked",
        "Permission: UserBlocked",
        "AtLeastRole: UserBlocked",
        "AllOf: UserBlocked",
        "AnyOf: UserBlocked",
        "ProjectNotFound",
        "PermissionNotFound",
        "RoleNotFound",
        "RoleMappingNotFound",
        "OrgNotFound",
        "MemberNotFound",
        "ProjectAlreadyExists",
        "PermissionAlreadyExists",
        "RoleAlreadyExists",
        "RoleMappingAlreadyExists",
        "OrgAlreadyExists",
        "MemberAlreadyExists",
        "ReservedName",
        "LimitExceeded",
        "Contradiction",
        "DefaultRoleDisabled",
        "RoleDisabled",
        "RepeatedRole",
        "EndInThePast",
        "TooManyRoles",
        "RepeatedRow",
        "UpdateProject changed",
        "UpdateProject unchanged",
        "DeleteProject changed",
        "UpdatePermission changed",
        "UpdatePermission unchanged",
        "DeletePermission changed",
        "UpdateRole changed",
        "UpdateRole unchanged",
        "ReorderRoles changed",
        "ReorderRoles unchanged",
        "DeleteRole changed",
        "DeleteRoleMapping changed",
        "UpdateOrg changed",
        "UpdateOrg unchanged",
        "DeleteOrg changed",
        "BatchSubscribeOrgs changed",
        "BatchSubscribeOrgs unchanged",
        "Purge changed",
        "Purge unchanged",
        "OrgIdRetired",
        "ProjectKeyRetired",
        "UnknownAlias",
        "EtagMismatch",
        "NotConfirmed",
        "ProjectHasOrgs",
        "ProjectPermanent",
        "BuiltIn",
        "DefaultRoleUnsuitable",
        "RoleInUse",
        "IncompleteOrder",
        "ReplacementDisabled",
        "ReplacementUnsuitable",
        "DefaultRoleMapping",
        "RoleMappingInUse",
        "RolesWouldBeDisabled",
        "LastOwner",
        "ConvertRoleStructure changed",
        "ApplyConfiguration changed",
        "ApplyConfiguration unchanged",
        "WrongRoleStructure",
        "AddMember by an acting user changed",
        "SetMemberRoles by an acting user changed",
        "RemoveMember by an acting user changed",
        "UpdateOrg by an acting user changed",
        "DeleteOrg by an acting user changed",
        "ActingUserNotAMember",
        "ActingUserMissingPermission",
        "RoleOutOfScope",
        "ImpactChanged",
        "member: fallback role true",
        "member: Direct",
        "member: Creator",
        "member: Migration",
        "member: Live",
        "member: Suspended",
        "member: Overridden",
        "Permission: Allowed",
        "Permission: NotAMember",
        "Permission: MissingPermission",
        "Permission: RoleDisabled",
        "Permission: RoleExpired",
        "Permission: OrgNotFound",
        "Permission: UnknownPermission",
        "Role: Allowed",
        "Role: NotAMember",
        "Role: MissingPermission",
        "Role: RoleDisabled",
        "Role: RoleExpired",
        "Role: OrgNotFound",
        "Role: UnknownRole",
        "AtLeastRole: Allowed",
        "AtLeastRole: MissingPermission",
        "AtLeastRole: RoleDisabled",
        "AtLeastRole: RoleExpired",
        "AtLeastRole: UnknownRole",
        "AllOf: Allowed",
        "AllOf: NotAMember",
        "AllOf: MissingPermission",
        "AllOf: RoleDisabled",
        "AllOf: RoleExpired",
        "AllOf: OrgNotFound",
        "AllOf: UnknownPermission",
        "AnyOf: Allowed",
        "AnyOf: NotAMember",
        "AnyOf: MissingPermission",
        "AnyOf: RoleDisabled",
        "AnyOf: RoleExpired",
        "AnyOf: OrgNotFound",
        "AnyOf: UnknownPermission",
    ];
    let missed: Vec<_> = wanted.iter().filter(|name| counts.get(**name).is_none_or(|&times| times < 10)).collect();
    assert!(missed.is_empty(), "too rare: {missed:?} of {counts:#?}");
    println!("{counts:#?}");
}
