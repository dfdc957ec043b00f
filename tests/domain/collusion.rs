//! No sequence of writes by acting users gives any user more than their scope allows (G1 to G3, G6).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use rolecall::domain::commands::command::{Write, WriteMember};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Command, Time};

use crate::case_counts::{CaseCounts, check_cases};
use crate::model::{OrgModel, ProjectModel, lasts_as_long};
use crate::random_history::Step;
use crate::random_org::{ORG, PROJECT, START, USERS, VISIBLE, random_org};
use crate::random_writes::random_write;
use crate::state_to_model::model_of;

/// The latest expiry with which each role could be held. `None` is permanent.
type Reach = BTreeMap<String, Option<Time>>;

/// Returns everything that the roles of the colluders can lead to, in any number of steps.
fn reach(project: &ProjectModel, org: &OrgModel, colluders: &[&str], now: Time) -> Reach {
    let mut reach = Reach::new();
    for user in colluders {
        extend_reach(&mut reach, held(project, org, user, now));
    }
    let disabled = &project.mappings[&org.mapping].disabled;
    loop {
        let before = reach.clone();
        for (role, expire_time) in &before {
            if disabled.contains(role) {
                continue;
            }
            let gives = ["rolecall::can_invite", "rolecall::can_change_roles"];
            if gives.iter().any(|permission| project.grants(org, role, permission)) {
                extend_reach(&mut reach, project.scope(role).into_iter().map(|other| (other, *expire_time)));
            }
            // G3: its holder can step down to a lower role.
            if project.structure == RoleStructure::SingleRole && !project.is_internal(role) {
                let lower = project.roles.iter().skip_while(|(name, _)| name != role);
                let lower = lower.filter(|(_, details)| !details.built_in_or_internal);
                extend_reach(&mut reach, lower.map(|(name, _)| (name.clone(), *expire_time)));
            }
        }
        if reach == before {
            return reach;
        }
    }
}

fn extend_reach(reach: &mut Reach, roles: impl IntoIterator<Item = (String, Option<Time>)>) {
    for (role, expire_time) in roles {
        let latest = reach.entry(role).or_insert(expire_time);
        if lasts_as_long(expire_time, *latest) {
            *latest = expire_time;
        }
    }
}

/// Returns all roles of a user with their expiries, suspended roles and fallback roles included.
fn held(project: &ProjectModel, org: &OrgModel, user: &str, now: Time) -> Vec<(String, Option<Time>)> {
    let Some(member) = org.members.get(user) else { return Vec::new() };
    let mut held = Vec::new();
    for (role, expire_time, _, _, fallback_role) in project.member_roles(org, member, now) {
        if expire_time.is_none_or(|expire_time| expire_time > now) {
            held.push((role, expire_time));
            held.extend(fallback_role.map(|(role, _)| (role, expire_time)));
        }
    }
    held
}

/// The two users who act. The others only receive roles.
const COLLUDERS: [&str; 2] = ["ann", "bob"];

/// Returns all roles of a user, each with its latest expiry.
fn holds(project: &ProjectModel, org: &OrgModel, user: &str, now: Time) -> Reach {
    let mut reach = Reach::new();
    extend_reach(&mut reach, held(project, org, user, now));
    reach
}

/// Checks a write that changed something. A live role of the acting user must cover each role that was added, extended,
/// removed or shortened. No other user changes.
fn is_covered(project: &ProjectModel, after: &OrgModel, step: &Step, now: Time) -> TestCaseResult {
    let Command::WriteMember(WriteMember { row, .. }) = &step.command else {
        unreachable!("random writes write members")
    };
    let (user, acting) =
        (row.user_id.as_str(), step.acting_user.as_ref().expect("random writes have an acting user").as_str());
    let permission = match row.write {
        Write::Add(_) => "rolecall::can_invite",
        Write::Set(_) => "rolecall::can_change_roles",
        Write::Remove => "rolecall::can_remove_users",
    };
    let org = &project.orgs[ORG];
    for other in USERS.into_iter().filter(|&other| other != user) {
        prop_assert_eq!(org.members.get(other), after.members.get(other), "{} changed as well", other);
    }
    let (had, has) = (holds(project, org, user, now), holds(project, after, user, now));
    let latest_expiry = |role: &str| project.latest_given_expiry(org, acting, permission, role, now);
    for (role, expire_time) in &has {
        if had.get(role).is_none_or(|had| !lasts_as_long(*had, *expire_time)) {
            let lower = if acting == user { project.latest_step_down_expiry(org, user, role, now) } else { None };
            let covered =
                latest_expiry(role).into_iter().chain(lower).any(|latest| lasts_as_long(latest, *expire_time));
            prop_assert!(covered, "{user} gets {role} until {expire_time:?} by {acting}");
        }
    }
    for (role, expire_time) in had.iter().filter(|_| acting != user) {
        let less = has.get(role).is_none_or(|has| !lasts_as_long(*has, *expire_time));
        prop_assert!(!less || latest_expiry(role).is_some(), "{acting} takes {role} from {user}");
    }
    Ok(())
}

/// Counts the kinds of roles that the colluders start with.
fn count_start(project: &ProjectModel, org: &OrgModel, reach: &Reach, counts: &CaseCounts) {
    let now = Time(START);
    let shown = COLLUDERS.iter().filter_map(|user| org.members.get(*user));
    let shown: Vec<_> = shown.flat_map(|member| project.member_roles(org, member, now)).collect();
    let has_state = |state| shown.iter().any(|(_, _, it, ..)| *it == state);
    let single = project.structure == RoleStructure::SingleRole;
    let not_expired = |expire_time: &Option<Time>| expire_time.is_some_and(|expire_time| expire_time > now);
    let disabled = &project.mappings[&org.mapping].disabled;
    counts.count_if(
        single && shown.iter().any(|(_, expire_time, ..)| not_expired(expire_time)),
        "a temporary role in SINGLE_ROLE",
    );
    counts.count_if(has_state(RoleState::Overridden), "an overridden role");
    counts.count_if(has_state(RoleState::Suspended), "a suspended role");
    counts.count_if(shown.iter().any(|(.., fallback_role)| fallback_role.is_some()), "a fallback role");
    counts.count_if(shown.iter().any(|(role, ..)| project.is_internal(role)), "an internal role");
    let built_in_or_internal = |role: &String| project.is_internal(role) && disabled.contains(role);
    counts.count_if(shown.iter().any(|(role, ..)| built_in_or_internal(role)), "a suspended internal role");
    counts.count_if(VISIBLE.iter().any(|role| !reach.contains_key(*role)), "an unreachable role");
}

/// Minimum counts per thousand cases.
const WANTED: [(&str, u32); 12] = [
    ("two or more changing writes", 500),
    ("five or more changing writes", 100),
    ("a temporary role in SINGLE_ROLE", 50),
    ("an overridden role", 50),
    ("a suspended role", 50),
    ("a fallback role", 50),
    ("an internal role", 50),
    ("a suspended internal role", 20),
    ("an unreachable role", 200),
    ("OutlastsGranter", 50),
    ("RoleOutOfScope", 50),
    ("a suspended role is extended", 2),
];

#[test]
fn g2_colluding_acting_users_never_exceed_their_combined_scope() {
    check_cases(
        &(random_org(), vec(random_write(&COLLUDERS, &VISIBLE), 16)),
        &WANTED,
        |(random_org, writes), counts| {
            let mut runner = random_org.run();
            let start = model_of(&runner.state, &USERS);
            let project = &start.projects[PROJECT];
            let org = &project.orgs[ORG];
            let begun = Time(START);
            let reach = reach(project, org, &COLLUDERS, begun);
            count_start(project, org, &reach, counts);
            let had: Vec<Reach> = USERS.iter().map(|user| holds(project, org, user, begun)).collect();
            let mut now = start.clone();
            let mut changing = 0;
            let mut extended = false;
            for write in &writes {
                let step = write.step(&now.projects[PROJECT], runner.clock);
                let outcome = runner.run(&step);
                if let Err(reason) = outcome.result {
                    counts.count(format!("{reason:?}"));
                }
                if outcome.commit.is_none() {
                    continue;
                }
                changing += 1;
                let before = std::mem::replace(&mut now, model_of(&runner.state, &USERS));
                let (was, project) = (&before.projects[PROJECT], &now.projects[PROJECT]);
                let org = &project.orgs[ORG];
                is_covered(was, org, &step, outcome.now)?;
                for (user, had) in USERS.iter().zip(&had) {
                    let holds = holds(project, org, user, outcome.now);
                    for (role, expire_time) in &holds {
                        let by =
                            |reach: &Reach| reach.get(role).is_some_and(|latest| lasts_as_long(*latest, *expire_time));
                        prop_assert!(
                            by(had) || by(&reach),
                            "{user} holds {role} until {expire_time:?}; {reach:?}; {step:?}"
                        );
                    }
                    let disabled = &project.mappings[&org.mapping].disabled;
                    let longer = |(role, expire_time): (&String, &Option<Time>)| {
                        disabled.contains(role) && had.get(role).is_some_and(|had| !lasts_as_long(*had, *expire_time))
                    };
                    extended |= holds.iter().any(longer);
                }
            }
            counts.count_if(extended, "a suspended role is extended");
            counts.count_if(changing >= 2, "two or more changing writes");
            counts.count_if(changing >= 5, "five or more changing writes");
            counts.count(format!("{changing:2} changing writes"));
            Ok(())
        },
    );
}
