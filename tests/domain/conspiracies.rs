//! No sequence of writes of acting users raises anybody above what their scope allows (G1 to G3, G6).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use rolecall::domain::project::RoleStructure;
use rolecall::domain::{State, Time};

use crate::model::{Customer, Model, Space, lasts};
use crate::seen::seen;
use crate::strategies::config;
use crate::teams::{ORG, PROJECT, START, USERS, VISIBLE, team, wish};

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
        for (role, until) in &before {
            if disabled.contains(role) {
                continue;
            }
            let gives = ["rolecall::can_invite", "rolecall::can_change_roles"];
            if gives.iter().any(|permission| space.grants(customer, role, permission)) {
                raise(&mut reach, space.scope(role).into_iter().map(|other| (other, *until)));
            }
            // G3: whoever holds it can have a lower one instead.
            if space.structure == RoleStructure::SingleRole && !space.about_role(role).marked {
                let lower = space.roles.iter().skip_while(|(name, _)| name != role);
                let lower = lower.filter(|(_, about)| !about.marked);
                raise(&mut reach, lower.map(|(name, _)| (name.clone(), *until)));
            }
        }
        if reach == before {
            return reach;
        }
    }
}

fn raise(reach: &mut Reach, roles: impl IntoIterator<Item = (String, Option<Time>)>) {
    for (role, until) in roles {
        let latest = reach.entry(role).or_insert(until);
        if lasts(until, *latest) {
            *latest = until;
        }
    }
}

/// All that a user holds, suspended roles and those that stand in included, and until when.
fn held(space: &Space, customer: &Customer, user: &str, now: Time) -> Vec<(String, Option<Time>)> {
    let Some(member) = customer.members.get(user) else { return Vec::new() };
    let mut held = Vec::new();
    for (role, until, _, _, stand_in) in space.shown(customer, member, now) {
        if until.is_none_or(|until| until > now) {
            held.push((role, until));
            held.extend(stand_in.map(|role| (role, until)));
        }
    }
    held
}

fn look(state: &State) -> Model {
    seen(state, &USERS)
}

/// Two, of whom one may hold much and the other little; the others look on.
const CONSPIRATORS: [&str; 2] = ["ann", "bob"];

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn g2_nobody_is_raised_above_what_the_scope_of_the_conspirators_allows(
        team in team(),
        wishes in vec(wish(&CONSPIRATORS, &VISIBLE), 12),
    ) {
        let (mut life, _) = team.lived();
        let start = look(&life.state);
        let space = &start.projects[PROJECT];
        let customer = &space.orgs[ORG];
        let begun = Time(START);
        let reach = reach(space, customer, &CONSPIRATORS, begun);
        for wish in &wishes {
            let lived = life.live(wish);
            if lived.commit.is_none() {
                continue;
            }
            let now = look(&life.state);
            let space = &now.projects[PROJECT];
            for user in USERS {
                let mut had = Reach::new();
                raise(&mut had, held(&start.projects[PROJECT], customer, user, begun));
                for (role, until) in held(space, &space.orgs[ORG], user, lived.now) {
                    let by = |reach: &Reach| reach.get(&role).is_some_and(|latest| lasts(*latest, until));
                    prop_assert!(by(&had) || by(&reach), "{user} holds {role} until {until:?}; {reach:?}; {wish:?}");
                }
            }
        }
    }
}
