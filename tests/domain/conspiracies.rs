//! No sequence of writes of acting users raises anybody above what their scope allows (G1 to G3, G6).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use rolecall::domain::commands::command::{Write, WriteMember};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Command, State, Time};

use crate::model::{Customer, Model, Space, lasts};
use crate::seen::seen;
use crate::strategies::Step;
use crate::tally::{Tally, hold};
use crate::teams::{ORG, PROJECT, START, USERS, VISIBLE, team};
use crate::wishes::wish;

/// Until when each role could come to be held at the latest; none is for ever.
type Reach = BTreeMap<String, Option<Time>>;

/// What may come of the roles that the conspirators hold: by what those manage, and what comes of that.
fn reach(space: &Space, customer: &Customer, conspirators: &[&str], now: Time) -> Reach {
    let mut reach = Reach::new();
    for user in conspirators {
        raise(&mut reach, held(space, customer, user, now));
    }
    let disabled = &space.mappings[&customer.mapping].disabled;
    loop {
        let before = reach.clone();
        for (role, expire_time) in &before {
            if disabled.contains(role) {
                continue;
            }
            let gives = ["rolecall::can_invite", "rolecall::can_change_roles"];
            if gives.iter().any(|permission| space.grants(customer, role, permission)) {
                raise(&mut reach, space.scope(role).into_iter().map(|other| (other, *expire_time)));
            }
            // G3: whoever holds it can have a lower one instead.
            if space.structure == RoleStructure::SingleRole && !space.about_role(role).marked {
                let lower = space.roles.iter().skip_while(|(name, _)| name != role);
                let lower = lower.filter(|(_, about)| !about.marked);
                raise(&mut reach, lower.map(|(name, _)| (name.clone(), *expire_time)));
            }
        }
        if reach == before {
            return reach;
        }
    }
}

fn raise(reach: &mut Reach, roles: impl IntoIterator<Item = (String, Option<Time>)>) {
    for (role, expire_time) in roles {
        let latest = reach.entry(role).or_insert(expire_time);
        if lasts(expire_time, *latest) {
            *latest = expire_time;
        }
    }
}

/// All that a user holds, suspended roles and those that stand in included, and until when.
fn held(space: &Space, customer: &Customer, user: &str, now: Time) -> Vec<(String, Option<Time>)> {
    let Some(member) = customer.members.get(user) else { return Vec::new() };
    let mut held = Vec::new();
    for (role, expire_time, _, _, fallback_role) in space.shown(customer, member, now) {
        if expire_time.is_none_or(|expire_time| expire_time > now) {
            held.push((role, expire_time));
            held.extend(fallback_role.map(|role| (role, expire_time)));
        }
    }
    held
}

fn look(state: &State) -> Model {
    seen(state, &USERS)
}

/// Two, of whom one may hold much and the other little; the others look on.
const CONSPIRATORS: [&str; 2] = ["ann", "bob"];

/// All that a user holds, each until the latest end.
fn holds(space: &Space, customer: &Customer, user: &str, now: Time) -> Reach {
    let mut reach = Reach::new();
    raise(&mut reach, held(space, customer, user, now));
    reach
}

/// A write that changed something: each role that came or lasts longer is covered by a live one of the acting user, each
/// that went or ends earlier as well, and nobody else has another.
fn is_covered(space: &Space, after: &Customer, step: &Step, now: Time) -> TestCaseResult {
    let Command::WriteMember(WriteMember { row, .. }) = &step.command else { unreachable!("wishes write members") };
    let (user, acting) = (row.user_id.as_str(), step.acting_user.as_ref().expect("wishes have one").as_str());
    let permission = match row.write {
        Write::Add(_) => "rolecall::can_invite",
        Write::Set(_) => "rolecall::can_change_roles",
        Write::Remove => "rolecall::can_remove_users",
    };
    let customer = &space.orgs[ORG];
    for other in USERS.into_iter().filter(|&other| other != user) {
        prop_assert_eq!(customer.members.get(other), after.members.get(other), "{} is somebody else", other);
    }
    let (had, has) = (holds(space, customer, user, now), holds(space, after, user, now));
    let longest = |role: &str| space.longest(customer, acting, permission, role, now);
    for (role, expire_time) in &has {
        if had.get(role).is_none_or(|had| !lasts(*had, *expire_time)) {
            let lower = if acting == user { space.lowers_to(customer, user, role, now) } else { None };
            let covered = longest(role).into_iter().chain(lower).any(|latest| lasts(latest, *expire_time));
            prop_assert!(covered, "{user} gets {role} until {expire_time:?} by {acting}");
        }
    }
    for (role, expire_time) in had.iter().filter(|_| acting != user) {
        let less = has.get(role).is_none_or(|has| !lasts(*has, *expire_time));
        prop_assert!(!less || longest(role).is_some(), "{acting} takes {role} from {user}");
    }
    Ok(())
}

/// What the conspirators begin with.
fn met_at_first(space: &Space, customer: &Customer, reach: &Reach, tally: &Tally) {
    let now = Time(START);
    let shown = CONSPIRATORS.iter().filter_map(|user| customer.members.get(*user));
    let shown: Vec<_> = shown.flat_map(|member| space.shown(customer, member, now)).collect();
    let recorded_role = |state| shown.iter().any(|(_, _, it, ..)| *it == state);
    let single = space.structure == RoleStructure::SingleRole;
    let ends = |expire_time: &Option<Time>| expire_time.is_some_and(|expire_time| expire_time > now);
    let disabled = &space.mappings[&customer.mapping].disabled;
    tally.met_if(single && shown.iter().any(|(_, expire_time, ..)| ends(expire_time)), "a lent role in SINGLE_ROLE");
    tally.met_if(recorded_role(RoleState::Overridden), "a overridden role");
    tally.met_if(recorded_role(RoleState::Suspended), "a suspended role");
    tally.met_if(shown.iter().any(|(.., fallback_role)| fallback_role.is_some()), "a fallback role");
    tally.met_if(shown.iter().any(|(role, ..)| space.about_role(role).marked), "an internal role");
    let marked = |role: &String| space.about_role(role).marked && disabled.contains(role);
    tally.met_if(shown.iter().any(|(role, ..)| marked(role)), "a suspended internal role");
    tally.met_if(VISIBLE.iter().any(|role| !reach.contains_key(*role)), "a role out of reach");
}

/// As often in a thousand cases.
const WANTED: [(&str, u32); 12] = [
    ("two or more changing writes", 500),
    ("five or more changing writes", 100),
    ("a lent role in SINGLE_ROLE", 50),
    ("a overridden role", 50),
    ("a suspended role", 50),
    ("a fallback role", 50),
    ("an internal role", 50),
    ("a suspended internal role", 20),
    ("a role out of reach", 200),
    ("OutlastsGranter", 50),
    ("RoleOutOfScope", 50),
    ("a suspended role is held for longer", 2),
];

#[test]
fn g2_nobody_is_raised_above_what_the_scope_of_the_conspirators_allows() {
    hold(&(team(), vec(wish(&CONSPIRATORS, &VISIBLE), 16)), &WANTED, |(team, wishes), tally| {
        let mut lifecycle = team.lived();
        let start = look(&lifecycle.state);
        let space = &start.projects[PROJECT];
        let customer = &space.orgs[ORG];
        let begun = Time(START);
        let reach = reach(space, customer, &CONSPIRATORS, begun);
        met_at_first(space, customer, &reach, tally);
        let had: Vec<Reach> = USERS.iter().map(|user| holds(space, customer, user, begun)).collect();
        let mut now = start.clone();
        let mut changing = 0;
        for wish in &wishes {
            let step = wish.step(&now.projects[PROJECT], lifecycle.clock);
            let lived = lifecycle.live(&step);
            if let Err(reason) = lived.result {
                tally.met(format!("{reason:?}"));
            }
            if lived.commit.is_none() {
                continue;
            }
            changing += 1;
            let before = std::mem::replace(&mut now, look(&lifecycle.state));
            let (was, space) = (&before.projects[PROJECT], &now.projects[PROJECT]);
            let customer = &space.orgs[ORG];
            is_covered(was, customer, &step, lived.now)?;
            for (user, had) in USERS.iter().zip(&had) {
                let holds = holds(space, customer, user, lived.now);
                for (role, expire_time) in &holds {
                    let by = |reach: &Reach| reach.get(role).is_some_and(|latest| lasts(*latest, *expire_time));
                    prop_assert!(
                        by(had) || by(&reach),
                        "{user} holds {role} until {expire_time:?}; {reach:?}; {step:?}"
                    );
                }
                let disabled = &space.mappings[&customer.mapping].disabled;
                let longer = |(role, expire_time): (&String, &Option<Time>)| {
                    disabled.contains(role) && had.get(role).is_some_and(|had| !lasts(*had, *expire_time))
                };
                tally.met_if(holds.iter().any(longer), "a suspended role is held for longer");
            }
        }
        tally.met_if(changing >= 2, "two or more changing writes");
        tally.met_if(changing >= 5, "five or more changing writes");
        tally.met(format!("{changing:2} changing writes"));
        Ok(())
    });
}
