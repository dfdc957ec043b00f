//! Applying a configuration: from any project to any configuration, whole or not at all. The random histories
//! (`histories.rs`) apply small changes and compare them with the model. Here the configurations are of other projects.

mod examples;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use rolecall::domain::commands::command::*;
use rolecall::domain::commands::outcome::Applied;
use rolecall::domain::model::name::folded;
use rolecall::domain::model::project::Environment;
use rolecall::domain::model::refusal::Refusal;
use rolecall::domain::model::template::EMPTY;
use rolecall::domain::rules::configuration::configuration_etag;
use rolecall::domain::{
    Change, Command, Decided, OrgId, Outcome, Project, ProjectKey, Reason, RoleMappingName, RoleName, State, Terms,
    Time, UserId, decide,
};
use rolecall::grpc::configuration::command as read;
use rolecall::limits::Limits;
use rolecall::wire;

use crate::case_counts::{CaseCounts, check_some_cases};
use crate::histories::{lists, questions};
use crate::history_runner::{HistoryRunner, call};
use crate::random_history::{History, PROJECTS, Step, config, empty_state, history};
use crate::state_to_model::check;

fn project<'a>(state: &'a State, key: &str) -> &'a Project {
    state.project_keyed(key).expect("the project exists")
}

/// Returns what a configuration says. Built-in permissions and the order of aliases are not part of it.
fn exported(project: &Project) -> wire::Configuration {
    let mut configuration = wire::configuration::configuration(project);
    configuration.permissions.iter_mut().for_each(|permission| permission.aliases.sort());
    configuration.roles.iter_mut().for_each(|role| role.aliases.sort());
    configuration.role_mappings.iter_mut().for_each(|mapping| mapping.aliases.sort());
    configuration
}

fn request(key: &str, configuration: &wire::Configuration) -> wire::ApplyConfigurationRequest {
    wire::ApplyConfigurationRequest {
        project: key.into(),
        configuration: Some(configuration.clone()),
        ..Default::default()
    }
}

fn command(request: &wire::ApplyConfigurationRequest) -> Command {
    Command::ApplyConfiguration(read(request, &Limits::default()).expect("the request is well-formed"))
}

fn decided(state: &State, command: &Command, now: Time) -> Result<Decided, Refusal> {
    decided_within(state, command, now, &Limits::default())
}

fn decided_within(state: &State, command: &Command, now: Time, limits: &Limits) -> Result<Decided, Refusal> {
    let call = call();
    decide(state, command, &Terms::new(&call, now, limits))
}

fn applied(decided: &Decided) -> &Applied {
    let Outcome::Configuration(applied) = &decided.outcome else { panic!("a configuration is applied") };
    applied
}

/// Returns the state after a history, and the time then.
fn ran(history: &History) -> (State, Time) {
    let mut runner = HistoryRunner::new(Limits::default());
    for step in &history.steps {
        runner.run(step);
    }
    let now = runner.clock.max(runner.state.revision().at);
    (runner.state, now)
}

fn existing_key(state: &State, key: &'static str) -> &'static str {
    if state.project_keyed(key).is_some() { key } else { "default" }
}

fn create(key: &str, configuration: &wire::Configuration) -> Command {
    Command::CreateProject(CreateProject {
        key: ProjectKey::stored(key),
        display_name: String::new(),
        environment: match configuration.environment() {
            wire::Environment::Test => Environment::Test,
            _ => Environment::Live,
        },
        role_structure: rolecall::domain::model::project::RoleStructure::SingleRole,
        reuse_deleted_key: true,
        template: &EMPTY,
        owner_role: Some(RoleName::stored(&*configuration.default_owner_role)),
    })
}

/// Adds an org for each role mapping with a member for each role, and compares all their checks. The names of both projects are
/// equal.
fn checks_agree(one: &State, other: &State, key: &str, now: Time) -> TestCaseResult {
    let (mut one, mut other) = (one.clone(), other.clone());
    let project = project(&one, key).clone();
    let lists = lists();
    for (_, mapping) in project.role_mappings.entries() {
        let org = format!("probe-{}", mapping.record.name).replace(' ', "-");
        let create = Command::CreateOrg(CreateOrg {
            project: ProjectKey::stored(key),
            org_id: OrgId::stored(&*org),
            display_name: String::new(),
            metadata: String::new(),
            role_mapping: Some(RoleMappingName::stored(mapping.record.name.as_str())),
            creator: None,
            reuse_deleted_id: false,
        });
        for (at, &role) in project.role_order.iter().enumerate() {
            let user = format!("probe-{at}");
            let role = RoleAssignment { role: project.role_name(role), expire_time: None, permanent: true };
            let add = Command::WriteMember(WriteMember {
                project: ProjectKey::stored(key),
                row: MemberWrite {
                    org_id: OrgId::stored(&*org),
                    user_id: UserId::stored(&*user),
                    write: Write::Add(vec![role]),
                },
                allow_ownerless: true,
                keep_invitations: false,
            });
            for command in if at == 0 { vec![&create, &add] } else { vec![&add] } {
                let results = [&one, &other].map(|state| decided(state, command, now));
                let reasons = results.each_ref().map(|result| result.as_ref().err().map(Refusal::reason));
                prop_assert_eq!(reasons[0], reasons[1], "{:?}", command);
                let [Ok(first), Ok(second)] = results else { continue };
                (one, other) = (first.next, second.next);
            }
            for question in questions(&lists) {
                let answers = [&one, &other].map(|state| check(state, key, &org, &user, question, now));
                prop_assert_eq!(answers[0], answers[1], "{} {} {:?}", &org, &user, question);
            }
        }
    }
    Ok(())
}

/// Returns true if names of the two configurations are equal except for their case, or a wanted alias is another name there.
fn names_collide(from: &wire::Configuration, to: &wire::Configuration) -> bool {
    let names = |configuration: &wire::Configuration| {
        let roles = configuration.roles.iter().map(|role| format!("r{}", role.name));
        let mappings = configuration.role_mappings.iter().map(|mapping| format!("m{}", mapping.name));
        roles.chain(mappings).collect::<BTreeSet<_>>()
    };
    let (from, to) = (names(from), names(to));
    to.iter().any(|name| from.iter().any(|other| name != other && folded(name) == folded(other)))
}

/// What a change of members may be refused for. A result that is invalid by itself has other reasons.
const OF_MEMBERS: [Reason; 6] = [
    Reason::RolesWouldBeDisabled,
    Reason::ReplacementDisabled,
    Reason::ReplacementUnsuitable,
    Reason::RoleDisabled,
    Reason::RoleInUse,
    Reason::LastOwner,
];

/// Applies the configuration of one random project to another one, with one strategy for all roles that are disabled.
#[derive(Clone, Debug)]
struct Case {
    from: History,
    to: History,
    keys: (&'static str, &'static str),
    strategy: u32,
    keeps_orgs: bool,
    allow_ownerless: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let keys = (select(&PROJECTS[..]), select(&PROJECTS[..]));
    (history(), history(), keys, 0..3u32, any::<bool>(), any::<bool>()).prop_map(
        |(from, to, keys, strategy, keeps_orgs, allow_ownerless)| Case {
            from,
            to,
            keys,
            strategy,
            keeps_orgs,
            allow_ownerless,
        },
    )
}

#[test]
fn any_configuration_is_applied_to_any_project_wholly_or_not_at_all() {
    let wanted = [("applied", 600), ("applied to members", 150), ("converted", 150), ("refused for members", 10)];
    check_some_cases(500, &case(), &wanted, applied_wholly_or_not_at_all);
}

fn applied_wholly_or_not_at_all(case: Case, counts: &CaseCounts) -> TestCaseResult {
    let Case { keys, strategy, keeps_orgs, allow_ownerless, .. } = case;
    let ((from, now), (to, _)) = (ran(&case.from), ran(&case.to));
    let (key, other) = (existing_key(&from, keys.0), existing_key(&to, keys.1));
    let from = if keeps_orgs { from } else { state_without_orgs(&from, key, now) };
    let (before, wanted) = (exported(project(&from, key)), exported(project(&to, other)));
    let mut wanted = wire::Configuration { environment: before.environment, ..wanted };
    if wanted.display_name.is_empty() {
        // It is not in the document then, and stays.
        wanted.display_name = before.display_name.clone();
    }
    let mut request = wire::ApplyConfigurationRequest { prune: true, allow_ownerless, ..request(key, &wanted) };
    let on_disabled = match strategy {
        0 => None,
        1 => Some(wire::OnDisabled { strategy: wire::DisabledRoleStrategy::Suspend.into(), ..Default::default() }),
        _ => Some(wire::OnDisabled {
            strategy: wire::DisabledRoleStrategy::Remap.into(),
            default_replacement: wanted.default_role.clone(),
            ..Default::default()
        }),
    };
    let configuration = request.configuration.as_mut().expect("it is set");
    configuration.role_mappings.iter_mut().for_each(|mapping| mapping.on_disabled = on_disabled.clone());
    let kept: BTreeSet<&str> = wanted.role_mappings.iter().map(|mapping| mapping.name.as_str()).collect();
    request.deleted_role_mappings = before
        .role_mappings
        .iter()
        .filter(|mapping| !kept.contains(mapping.name.as_str()))
        .map(|mapping| wire::DeletedRoleMapping {
            name: mapping.name.clone(),
            move_subscribers_to: wanted.default_role_mapping.clone(),
            on_disabled: on_disabled.clone(),
        })
        .collect();
    match decided(&from, &command(&request), now) {
        Ok(decided) => {
            counts.count("applied");
            counts.count_if(decided.impact.members > 0, "applied to members");
            counts.count_if(before.role_structure != wanted.role_structure, "converted");
            prop_assert_eq!(&exported(project(&decided.next, key)), &wanted);
            prop_assert_eq!(decided.changes.is_empty(), before == wanted);
            prop_assert_eq!(applied(&decided).steps.is_empty(), before == wanted, "{:?}", applied(&decided));
            let etag = configuration_etag(project(&from, key));
            prop_assert_eq!(applied(&decided).etag == etag, before == wanted);
            // The same document is applied once.
            let again = self::decided(&decided.next, &command(&request), now).expect("it is valid");
            prop_assert_eq!(again.changes, vec![]);
            // Undoing the changes leads back.
            let mut undone = decided.next.clone();
            decided.changes.iter().rev().for_each(|change| undone.apply(&change.clone().undone()));
            prop_assert_eq!(&exported(project(&undone, key)), &before);
            // The preview that the caller saw still holds, and no other.
            let stale = wire::ApplyConfigurationRequest { etag, ..request.clone() };
            let result = self::decided(&decided.next, &command(&stale), now).map(|_| ());
            let reason = result.err().map(|refusal| refusal.reason());
            prop_assert_eq!(reason, (before != wanted).then_some(Reason::EtagMismatch));
        }
        Err(refusal) => {
            let reason = refusal.reason();
            let collides = [Reason::RoleAlreadyExists, Reason::RoleMappingAlreadyExists].contains(&reason)
                && names_collide(&before, &wanted);
            let of_members =
                keeps_orgs && OF_MEMBERS.contains(&reason) && (reason != Reason::LastOwner || !allow_ownerless);
            counts.count_if(of_members, "refused for members");
            prop_assert!(collides || of_members, "{:?}: {}", reason, refusal);
            prop_assert!(!refusal.rule().is_empty());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn an_exported_configuration_changes_nothing(history in history(), key in select(&PROJECTS[..]), prune: bool) {
        let (state, now) = ran(&history);
        let key = existing_key(&state, key);
        let configuration = exported(project(&state, key));
        let request = wire::ApplyConfigurationRequest { prune, ..request(key, &configuration) };
        // P7: whatever the limits are now.
        let none = Limits { permissions: 0, roles: 0, role_mappings: 0, grants: 0, managed_roles: 0, ..Limits::default() };
        let command = Command::ApplyConfiguration(read(&request, &none).expect("the request is well-formed"));
        let decided = decided_within(&state, &command, now, &none).expect("the configuration is valid");
        prop_assert_eq!(decided.changes, vec![]);
        let Outcome::Configuration(applied) = &decided.outcome else { panic!("a configuration is applied") };
        prop_assert!(applied.steps.is_empty() && applied.unmanaged.is_empty(), "{:?}", applied);
        prop_assert_eq!(&applied.etag, &configuration_etag(project(&state, key)));
    }

    #[test]
    fn a_deleted_project_that_is_created_from_its_export_is_equal(history in history(), key in select(&PROJECTS[..])) {
        let (state, now) = ran(&history);
        prop_assume!(state.project_keyed(key).is_some());
        let configuration = exported(project(&state, key));
        let (key_name, confirm) = (ProjectKey::stored(key), key.into());
        let delete = DeleteProject { project: key_name, etag: None, confirm, force: true };
        let deleted = decided(&state, &Command::DeleteProject(delete), now).expect("it can be deleted").next;
        let created = decided(&deleted, &create(key, &configuration), now).expect("it can be created").next;
        let request = wire::ApplyConfigurationRequest { prune: true, ..request(key, &configuration) };
        let again = decided(&created, &command(&request), now).expect("the configuration is valid");
        prop_assert_eq!(&exported(project(&again.next, key)), &configuration);
        prop_assert_eq!(&applied(&again).etag, &configuration_etag(project(&again.next, key)));
        checks_agree(&state_without_orgs(&state, key, now), &again.next, key, now)?;
    }

    #[test]
    fn without_prune_nothing_is_deleted_and_the_rest_is_named(history in history(), other_history in history(), key in select(&PROJECTS[..])) {
        let ((from, now), (to, _)) = (ran(&history), ran(&other_history));
        let (key, other) = (existing_key(&from, key), existing_key(&to, key));
        let from = state_without_orgs(&from, key, now);
        let (before, wanted) = (exported(project(&from, key)), exported(project(&to, other)));
        let Ok(decided) = decided(&from, &command(&request(key, &wanted)), now) else { return Ok(()) };
        let after = exported(project(&decided.next, key));
        let names = |configuration: &wire::Configuration| -> BTreeSet<String> {
            let permissions = configuration.permissions.iter();
            let permissions = permissions.filter(|permission| !permission.name.starts_with("rolecall::"));
            let permissions = permissions.map(|permission| format!("p {}", permission.name));
            let roles = configuration.roles.iter().map(|role| format!("r {}", role.name));
            let mappings = configuration.role_mappings.iter().map(|mapping| format!("m {}", mapping.name));
            permissions.chain(roles).chain(mappings).collect()
        };
        // An object that was found by an old name has its wanted name again.
        prop_assert!(names(&after).len() >= names(&before).len());
        let unmanaged: BTreeSet<String> = applied(&decided)
            .unmanaged
            .iter()
            .map(|object| format!("{} {}", wire::configuration::object(object).kind().as_str_name()
                .trim_start_matches("CONFIGURATION_OBJECT_KIND_").replace("ROLE_MAPPING", "m").replace("ROLE", "r")
                .replace("PERMISSION", "p"), object.name))
            .collect();
        let rest: BTreeSet<String> = names(&after).difference(&names(&wanted)).cloned().collect();
        prop_assert_eq!(unmanaged, rest);
        for role in &wanted.roles {
            prop_assert!(after.roles.iter().any(|it| it.name == role.name && it.description == role.description));
        }
        let order = |configuration: &wire::Configuration| -> Vec<String> {
            let named = configuration.roles.iter().filter(|role| wanted.roles.iter().any(|it| it.name == role.name));
            named.map(|role| role.name.clone()).collect()
        };
        prop_assert_eq!(order(&after), order(&wanted));
    }
}

fn state_without_orgs(state: &State, key: &str, now: Time) -> State {
    let mut orgs = Vec::new();
    project(state, key).for_each_org(|org| orgs.push(org.record.profile.org_id.clone()));
    let mut state = state.clone();
    for org_id in orgs {
        let delete = Command::DeleteOrg(DeleteOrg { project: ProjectKey::stored(key), org_id });
        state = decided(&state, &delete, now).expect("an org can be deleted").next;
    }
    state
}
