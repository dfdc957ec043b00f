//! Random histories: the service and the model must agree on every refusal, every answer and every check.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};

use rolecall::domain::command::Erase;
use rolecall::domain::decide::{Outcome, Terms, decide};
use rolecall::domain::group::{Commit, Known, Verdict, Work, decide_group};
use rolecall::domain::id::{OrgNo, RoleId};
use rolecall::domain::impact::Impact;
use rolecall::domain::membership::Seen;
use rolecall::domain::project::ProjectRecord;
use rolecall::domain::role::{Role, order_etag};
use rolecall::domain::role_mapping::RoleMappingRecord;
use rolecall::domain::{Ask, Call, Command, Project, Question, Reason, Refusal, State, Time, UserId};
use rolecall::limits::Limits;

use crate::impacts::{self, Digests, Moment};
use crate::model::{Called, Model, ModelOutcome, project_of};
use crate::seen::{answered, check, seen};
use crate::strategies::{
    Digest, History, ORGS, PERMISSIONS, PROJECTS, ROLES, Step, USERS, config, empty_state, history,
};
use crate::symbols::{mapping_etag, project_etag, resolved, role_etag};
use crate::teams::PROJECT as TEAM;

/// A history that is being lived through, one command after another.
pub struct Life {
    pub state: State,
    pub clock: Time,
    pub limits: Limits,
}

/// What became of one command.
pub struct Lived {
    /// The instant at which it was decided.
    pub now: Time,
    pub result: Result<ModelOutcome, Reason>,
    pub refusal: Option<Refusal>,
    pub impact: Option<Impact>,
    pub commit: Option<Commit>,
}

pub fn call() -> Call {
    Call {
        actor: "tester".into(),
        request: None,
        fingerprint: 0,
        reason: "".into(),
        acting_user: None,
        impact_digest: None,
    }
}

impl Life {
    pub fn new(limits: Limits) -> Self {
        Self { state: empty_state(), clock: Time(0), limits }
    }

    /// Decides one command, some time later, as the writer would.
    pub fn live(&mut self, step: &Step) -> Lived {
        self.clock = Time(self.clock.0 + step.advance);
        let before = self.state.revision();
        let now = Time(self.clock.0.max(before.at.0 + 1));
        let tag = (before.number as u32).wrapping_mul(0x9e37_79b9);
        let command = resolved(&self.state, &step.command);
        let call = Call { acting_user: step.acting_user.clone(), ..call() };
        let impact_digest = match step.digest {
            Digest::None => None,
            Digest::Fitting => {
                let dry = decide(&self.state, &command, &Terms { call: &call, now, limits: &self.limits });
                dry.ok().map(|dry| dry.impact.digest.as_str().into())
            }
            Digest::Stale => Some("stale".into()),
        };
        let work = Work { command, call: Call { impact_digest, ..call }, tag };
        let group = decide_group(self.state.clone(), &[work], &Known::new(), self.clock, &self.limits);
        self.state = group.next;
        let commit = group.commits.into_iter().next();
        let (result, refusal, impact) = match group.verdicts.into_iter().next() {
            Some(Verdict::Done { outcome, replayed: false, impact, .. }) => {
                (Ok(done(&outcome, commit.is_some())), None, Some(Impact::clone(&impact)))
            }
            Some(Verdict::Refused(refusal)) => (Err(refusal.reason()), Some(refusal), None),
            _ => panic!("a command without a request id was replayed"),
        };
        Lived { now, result, refusal, impact, commit }
    }

    /// Erases what is dead, `rows` memberships at a time, by at most so many commands a project. Returns the commits, each
    /// with the state after it.
    pub fn erase(&mut self, rows: usize, commands: usize) -> Vec<(Commit, State)> {
        let mut commits = Vec::new();
        for project in self.state.all_projects().map(|project| project.id).collect::<Vec<_>>() {
            for _ in 0..commands {
                let now = self.state.project_numbered(project).expect("it stays").clone();
                if !now.has_dying() {
                    break;
                }
                let (dead, living): (Vec<_>, Vec<_>) = memberships(&now).into_iter().partition(|(_, dead)| *dead);
                // A living member that is named by mistake stays.
                let named = dead.iter().take(rows).chain(living.first()).map(|(member, _)| member.clone()).collect();
                let last = dead.len() <= rows;
                let lived = self.live(&Step::plain(1, Command::Erase(Erase { project, members: named, last })));
                let commit = lived.commit.expect("something is dead, so something is erased");
                assert_eq!(memberships(self.state.project_numbered(project).expect("it stays")).len(), {
                    living.len() + dead.len() - dead.len().min(rows)
                });
                commits.push((commit, self.state.clone()));
            }
        }
        commits
    }
}

/// The memberships of a project, and whether each is of something dead.
fn memberships(project: &Project) -> Vec<((OrgNo, UserId), bool)> {
    let mut found = Vec::new();
    let numbers = (1..project.next_org().number()).filter_map(OrgNo::new);
    for org in numbers.filter_map(|no| project.org_numbered(no)) {
        for user in USERS.into_iter().chain(["dan", "eve"]).map(UserId::stored) {
            let Some(record) = project.membership(org, &user) else { continue };
            let gone = !project.record.life.is_living() || !org.record.life.is_living();
            found.push(((org.no, user), gone || project.dying_sets().contains(&record.role_set)));
        }
    }
    found
}

/// The service and the model, which live through the same.
pub struct Both {
    pub life: Life,
    pub model: Model,
    digests: Digests,
}

impl Both {
    pub fn new(life: Life, model: Model) -> Self {
        Self { life, model, digests: Digests::default() }
    }

    /// They agree on what becomes of a step, and on its impact.
    pub fn step(&mut self, step: &Step) -> TestCaseResult {
        let was = self.life.state.clone();
        let lived = self.life.live(step);
        let should = self.model.after(&step.command, called(step), lived.now, &self.life.limits);
        let (should, next) = match (should, &step.command, &lived.result) {
            // That something is erased cannot be seen.
            (Ok((it, next)), Command::Erase(_), Ok(is)) => (Ok(ModelOutcome { changed: is.changed, ..it }), Some(next)),
            (Ok((it, next)), ..) => (Ok(it), Some(next)),
            (Err(reason), ..) => (Err(reason), None),
        };
        prop_assert_eq!(&lived.result, &should);
        let Some(next) = next else { return Ok(()) };
        let before = std::mem::replace(&mut self.model, next);
        let Some(impact) = lived.impact.filter(|_| !matches!(step.command, Command::Erase(_))) else { return Ok(()) };
        let report = before.report(&step.command, &self.model, step.acting_user.is_some(), lived.now);
        let project = project_of(&step.command);
        let nobody_named = step.acting_user.is_some() && matches!(step.command, Command::DeleteOrg(_));
        let after = &self.life.state;
        impacts::agree(
            &impact,
            &report,
            &Moment { project: &project, before: &was, after, users: &USERS, nobody_named },
        )?;
        self.digests.keep(&impact)
    }
}

/// A step as the model takes it.
pub fn called(step: &Step) -> Called<'_> {
    let acting_user = step.acting_user.as_ref().map(UserId::as_str);
    Called { acting_user, stale_digest: step.digest == Digest::Stale }
}

fn done(outcome: &Outcome, changed: bool) -> ModelOutcome {
    ModelOutcome { changed, answer: answered(outcome) }
}

/// Some questions about several permissions: known, unknown, old names, repeated.
fn lists() -> Vec<Vec<String>> {
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

/// All that is asked about a user in an org: with the names of the strategies, and some that nobody has.
fn questions(lists: &[Vec<String>]) -> Vec<Question<'_>> {
    let roles = || ROLES.iter().copied();
    let mut questions: Vec<Question<'_>> = PERMISSIONS.iter().copied().map(Question::Permission).collect();
    questions.extend(roles().map(Question::Role).chain(roles().map(Question::AtLeastRole)));
    questions.extend(lists.iter().flat_map(|names| [Question::AllOf(names), Question::AnyOf(names)]));
    questions
}

/// Asks some of all that can be asked, by its number.
pub fn agree_on_checks(state: &State, model: &Model, now: Time, asked: impl Fn(usize) -> bool) -> TestCaseResult {
    let lists = lists();
    let questions = questions(&lists);
    for project in PROJECTS.into_iter().chain([TEAM]) {
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

/// What is seen is what the model says, as far as it says anything.
pub fn agree_on_contents(state: &State, model: &Model, now: Time) -> TestCaseResult {
    let (mut seen, model) = (seen(state, &USERS).without_idle_stand_ins(now), model.without_idle_stand_ins(now));
    for (key, space) in &mut seen.projects {
        if model.projects.get(key).is_some_and(|space| space.role_sets.is_none()) {
            space.role_sets = None;
        }
    }
    prop_assert!(seen == model, "it is otherwise than the model says:\n{}", difference(&seen, &model));
    Ok(())
}

/// The first lines that differ, and those before them: a whole model is long.
fn difference(seen: &Model, model: &Model) -> String {
    let (is, should) = (format!("{seen:#?}"), format!("{model:#?}"));
    let at = is.lines().zip(should.lines()).take_while(|(is, should)| is == should).count();
    let said: Vec<&str> = is.lines().take(at).filter(|line| line.trim_end().ends_with('{')).collect();
    let where_to = said.iter().rev().take(12).rev();
    let after = |text: &str| text.lines().skip(at).take(6).collect::<Vec<_>>().join("\n");
    let where_to = where_to.copied().collect::<Vec<_>>().join("\n");
    format!("{where_to}\nis:\n{}\nshould be:\n{}", after(&is), after(&should))
}

/// The first end of a role that is recorded: the instant itself and the one before are asked about.
fn some_end(model: &Model) -> Option<Time> {
    let spaces = model.projects.values();
    let members = spaces.flat_map(|space| space.orgs.values()).flat_map(|customer| customer.members.values());
    members.flat_map(|member| member.roles.values()).find_map(|given| given.until)
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_history_ends_as_the_model_says(history in history()) {
        let mut both = Both::new(Life::new(history.limits), Model::default());
        for (number, step) in history.steps.iter().enumerate() {
            both.step(step).map_err(|it| TestCaseError::fail(format!("step {number}, {step:?}: {it}")))?;
            let Both { life, model, .. } = &mut both;
            let now = life.state.revision().at.max(life.clock);
            if number % 16 == 15 {
                agree_on_contents(&life.state, model, life.state.revision().at)?;
                agree_on_checks(&life.state, model, now, |asked| asked % 9 == number / 16)?;
            }
            if number % 24 == 23 {
                life.erase(2, 3);
                agree_on_contents(&life.state, model, life.state.revision().at)?;
            }
        }
        let Both { mut life, model, .. } = both;
        agree_on_contents(&life.state, &model, life.state.revision().at)?;
        // A fifth of the questions each time, another one in another history.
        let some = life.state.revision().number as usize;
        let end = some_end(&model).into_iter().flat_map(|end| [end, Time(end.0 - 1)]);
        // Nobody asks about the past: who had a role that has ended since had no part in what came after.
        let present = life.state.revision().at;
        let later = history.asked_at.iter().map(|later| Time(present.0 + later.0));
        let instants = later.chain([present]).chain(end.map(|end| end.max(present)));
        for (turn, now) in instants.enumerate() {
            agree_on_checks(&life.state, &model, now, |asked| (asked + some) % 5 == turn)?;
        }
        life.erase(1, 1_000);
        prop_assert!(life.state.all_projects().all(|project| !project.has_dying()), "something is never erased");
        agree_on_contents(&life.state, &model, life.state.revision().at)?;
        agree_on_checks(&life.state, &model, life.state.revision().at, |asked| (asked + some).is_multiple_of(5))?;
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn a_refused_command_changes_nothing(history in history()) {
        let mut life = Life::new(history.limits);
        let mut copied = seen(&life.state, &USERS);
        for step in &history.steps {
            let before = life.state.clone();
            let lived = life.live(step);
            let after = seen(&life.state, &USERS);
            if lived.result.is_err() {
                prop_assert!(lived.commit.is_none());
                prop_assert!(life.state == before);
                prop_assert_eq!(life.state.revision(), before.revision());
                prop_assert_eq!(&after, &copied);
            }
            copied = after;
        }
    }

    #[test]
    fn a_command_that_changes_nothing_takes_no_revision(history in history()) {
        let mut life = Life::new(history.limits);
        let mut copied = seen(&life.state, &USERS);
        for step in &history.steps {
            let before = life.state.revision();
            let lived = life.live(step);
            let after = seen(&life.state, &USERS);
            let changed = after != copied;
            copied = after;
            if matches!(step.command, Command::Erase(_)) {
                prop_assert!(!changed, "erasing can be seen: {:?}", &step.command);
            } else {
                prop_assert_eq!(lived.commit.is_some(), changed, "{:?}", &step.command);
            }
            prop_assert_eq!(life.state.revision() != before, lived.commit.is_some());
            if let Some(commit) = lived.commit {
                prop_assert!(!commit.changes.is_empty());
            }
        }
    }

    #[test]
    fn revisions_count_by_one_and_time_grows_though_the_clock_goes_back(history in history()) {
        let mut life = Life::new(history.limits);
        for step in &history.steps {
            let before = life.state.revision();
            if let Some(commit) = life.live(step).commit {
                prop_assert_eq!(commit.revision, life.state.revision());
                prop_assert_eq!(commit.revision.number, before.number + 1);
                prop_assert!(commit.revision.at > before.at);
                prop_assert!(commit.revision.at >= life.clock);
            }
        }
    }

    #[test]
    fn a_clone_is_not_altered_by_what_comes_later(history in history()) {
        let mut life = Life::new(history.limits);
        let mut kept = Vec::new();
        for (number, step) in history.steps.iter().enumerate() {
            if number % 5 == 2 {
                kept.push((life.state.clone(), seen(&life.state, &USERS), life.state.revision()));
            }
            life.live(step);
        }
        for (clone, copied, revision) in kept {
            prop_assert_eq!(clone.revision(), revision);
            prop_assert_eq!(&seen(&clone, &USERS), &copied);
            agree_on_checks(&clone, &copied, revision.at, |number| number % 11 == 0)?;
        }
    }

    #[test]
    fn k3_a_batch_is_the_checks_one_by_one_in_the_order_asked(
        history in history(),
        picks in prop::collection::vec((0..=ORGS.len(), 0..=USERS.len(), 0..=PERMISSIONS.len() + 2), 0..200),
    ) {
        let History { limits, steps, .. } = history;
        let mut life = Life::new(limits);
        for step in &steps {
            life.live(step);
        }
        let lists = lists();
        let asks: Vec<Ask<'_>> = picks.iter().map(|&(org, user, permission)| Ask {
            org_id: ORGS.get(org).copied().unwrap_or(""),
            user_id: USERS.get(user).copied().unwrap_or(""),
            question: match PERMISSIONS.get(permission) {
                Some(name) => Question::Permission(name),
                None if permission == PERMISSIONS.len() => Question::Permission(""),
                None if permission == PERMISSIONS.len() + 1 => Question::AtLeastRole("Auditor"),
                None => Question::AnyOf(&lists[1]),
            },
        }).collect();
        for key in PROJECTS {
            let Some(project) = life.state.project_keyed(key) else { continue };
            let mut decisions = Vec::new();
            project.check_batch(asks.iter().copied(), life.clock, &mut decisions);
            let one_by_one: Vec<_> = asks.iter().map(|ask| project.check(ask, life.clock)).collect();
            prop_assert_eq!(decisions, one_by_one);
        }
    }
}

/// What an etag is of, without what only counts.
fn tagged(state: &State) -> Vec<(String, String)> {
    let mut tagged = Vec::new();
    for project in state.projects() {
        let id = project.id.number();
        let record = ProjectRecord { version: 0, role_order_version: 0, ..ProjectRecord::clone(&project.record) };
        tagged.push((format!("project {}", project_etag(project)), format!("{record:?}")));
        tagged.push((format!("order {}", order_etag(project)), format!("{id} {:?}", project.role_order)));
        for (role_id, role) in project.roles.entries() {
            let record = Role { version: 0, rank: 0, ..Role::clone(role) };
            let etag = role_etag(project, role.name.as_str()).expect("named");
            tagged.push((format!("role of {id} {etag}"), format!("{id} {role_id:?} {record:?}")));
        }
        for (mapping_id, mapping) in project.role_mappings.entries() {
            let record = RoleMappingRecord { version: 0, ..mapping.record.clone() };
            let etag = mapping_etag(project, record.name.as_str()).expect("named");
            let rows: Vec<_> = mapping.rows.entries::<RoleId>().collect();
            tagged.push((format!("mapping of {id} {etag}"), format!("{id} {mapping_id:?} {record:?} {rows:?}")));
        }
    }
    tagged
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn m9_an_etag_stands_for_one_content_ever_and_stays_while_that_stays(history in history()) {
        let mut life = Life::new(history.limits);
        let mut ever: BTreeMap<String, String> = BTreeMap::new();
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        for step in &history.steps {
            if life.live(step).commit.is_none() {
                continue;
            }
            let mut after = BTreeMap::new();
            for (etag, content) in tagged(&life.state) {
                prop_assert_eq!(ever.entry(etag.clone()).or_insert_with(|| content.clone()), &content, "{}", &etag);
                let kind = etag.split(' ').next().unwrap_or_default();
                after.insert(format!("{kind} {content}"), etag);
            }
            // Contents hold ids, so what is the same before and after is the same thing.
            for (content, etag) in &after {
                prop_assert_eq!(before.get(content).unwrap_or(etag), etag, "{:?}", &step.command);
            }
            before = after;
        }
    }
}

/// How often the histories come to what they are made for: a strategy that always refuses proves nothing.
#[test]
fn histories_reach_every_answer_and_every_refusal() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let lists = lists();
    let questions = questions(&lists);
    let mut runner = TestRunner::deterministic();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..600 {
        let history = history().new_tree(&mut runner).expect("strategies do not filter").current();
        let mut life = Life::new(history.limits);
        for step in &history.steps {
            let lived = life.live(step);
            let name = match &lived.result {
                Ok(ModelOutcome { changed, .. }) => {
                    let by = if step.acting_user.is_some() { " for a user" } else { "" };
                    format!("{}{by} {}", step.command.kind(), if *changed { "changed" } else { "unchanged" })
                }
                Err(reason) => format!("{reason:?}"),
            };
            *met.entry(name).or_default() += 1;
        }
        for project in PROJECTS.into_iter().filter(|key| life.state.project_keyed(key).is_some()) {
            let there = life.state.project_keyed(project).expect("looked up above");
            for (org, user) in ORGS.iter().flat_map(|org| USERS.map(|user| (org, user))) {
                let (found, id) = (there.org(org), UserId::stored(user));
                let record = found.and_then(|org| Some((org, there.membership(org, &id)?)));
                let member = record.map(|(org, record)| there.member(org, &id, &record, Seen::Whole, life.clock));
                for role in member.iter().flat_map(|member| &member.roles) {
                    *met.entry(format!("member: stand-in {}", role.stand_in.is_some())).or_default() += 1;
                    *met.entry(format!("member: {:?}", role.standing)).or_default() += 1;
                    *met.entry(format!("member: {:?}", role.origin)).or_default() += 1;
                }
                for &question in questions.iter().skip(life.clock.0 as usize % 7).step_by(7) {
                    let decision = check(&life.state, project, org, user, question, life.clock);
                    let text = format!("{question:?}");
                    let kind = text.split('(').next().unwrap_or_default();
                    *met.entry(format!("{kind}: {decision:?}")).or_default() += 1;
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
        "Erase changed",
        "Erase unchanged",
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
        "WrongRoleStructure",
        "AddMember for a user changed",
        "SetMemberRoles for a user changed",
        "RemoveMember for a user changed",
        "UpdateOrg for a user changed",
        "DeleteOrg for a user changed",
        "ActingUserNotAMember",
        "ActingUserMissingPermission",
        "RoleOutOfScope",
        "OutlastsGranter",
        "UserNotAvailable",
        "ImpactChanged",
        "member: stand-in true",
        "member: Direct",
        "member: Creator",
        "member: Migration",
        "member: Live",
        "member: Suspended",
        "member: Shadowed",
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
    let missed: Vec<_> = wanted.iter().filter(|name| met.get(**name).is_none_or(|&times| times < 10)).collect();
    assert!(missed.is_empty(), "hardly ever met: {missed:?} of {met:#?}");
    println!("{met:#?}");
}
