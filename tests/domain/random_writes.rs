//! Random member writes by acting users that are mostly allowed: on existing members, with roles in the scope of the
//! acting user.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use rolecall::domain::commands::command::{RoleAssignment, Write};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{RoleName, Time, UserId};

use crate::model::{OrgModel, ProjectModel, lasts_as_long};
use crate::random_history::Step;
use crate::random_org::{ORG, USERS, expiry, write};

/// A member write that is completed when the current roles are known.
#[derive(Clone, Debug)]
pub struct RandomWrite {
    acting: &'static str,
    kind: Kind,
    /// Selects an existing member, or any user if `any_user` is set.
    target: Index,
    any_user: bool,
    picks: Vec<Pick>,
    advance: i64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Add,
    /// Replaces all roles.
    Set,
    /// Adds one role, or replaces one in SINGLE_ROLE.
    Change,
    /// Extends a temporary role.
    Extend,
    /// Removes one role.
    RemoveRole,
    Remove,
}

#[derive(Clone, Debug)]
struct Pick {
    /// Selects a role in scope, unless `name` is set.
    index: Index,
    name: Option<&'static str>,
    expiry: Expiry,
}

#[derive(Clone, Copy, Debug)]
enum Expiry {
    Permanent,
    /// The latest expiry allowed.
    Latest,
    Until(Option<Time>),
    /// Seconds from now.
    Within(i64),
}

/// `names` may contain unknown roles.
pub fn random_write(actors: &'static [&'static str], names: &'static [&'static str]) -> BoxedStrategy<RandomWrite> {
    let expiries = prop_oneof![
        2 => Just(Expiry::Permanent),
        3 => Just(Expiry::Latest),
        3 => expiry().prop_map(Expiry::Until),
        3 => (1i64..200).prop_map(Expiry::Within),
    ];
    let name = prop_oneof![5 => Just(None), 1 => select(names).prop_map(Some)];
    let pick = (any::<Index>(), name, expiries).prop_map(|(index, name, expiry)| Pick { index, name, expiry });
    let kind = prop_oneof![
        4 => Just(Kind::Add),
        3 => Just(Kind::Set),
        7 => Just(Kind::Change),
        3 => Just(Kind::Extend),
        2 => Just(Kind::RemoveRole),
        1 => Just(Kind::Remove),
    ];
    let any_user = prop_oneof![7 => Just(false), 1 => Just(true)];
    let advance = prop_oneof![3 => 0i64..3, 1 => 3i64..12];
    (select(actors), kind, any::<Index>(), any_user, vec(pick, 1..3), advance)
        .prop_map(|(acting, kind, target, any_user, picks, advance)| RandomWrite {
            acting,
            kind,
            target,
            any_user,
            picks,
            advance,
        })
        .boxed()
}

/// The model at the time of the write.
struct Situation<'a> {
    project: &'a ProjectModel,
    org: &'a OrgModel,
    now: Time,
}

impl RandomWrite {
    /// Completes the write. `clock` is the time before the step advances it.
    pub fn step(&self, project: &ProjectModel, clock: Time) -> Step {
        let user = *self.target.get::<&'static str>(&USERS);
        let step = match project.orgs.get(ORG) {
            Some(org) => {
                let situation = Situation { project, org, now: Time(clock.0 + self.advance) };
                let user = if self.any_user { user } else { self.target_of(&situation) };
                write(user, self.write(user, &situation))
            }
            None => write(user, Write::Remove),
        };
        Step { acting_user: Some(UserId::stored(self.acting)), ..Step::plain(self.advance, step) }
    }

    fn target_of(&self, situation: &Situation<'_>) -> &'static str {
        let is_member = |user: &str| !situation.held(user).is_empty();
        let adds = matches!(self.kind, Kind::Add);
        // Few temporary roles are suspended, so extend those first.
        let suspended = |user: &&str| {
            situation.held(user).iter().any(|(role, expire_time)| expire_time.is_some() && situation.is_disabled(role))
        };
        if matches!(self.kind, Kind::Extend) && USERS.iter().any(suspended) {
            let fit: Vec<&'static str> = USERS.into_iter().filter(suspended).collect();
            return self.target.get::<&'static str>(&fit);
        }
        let fit: Vec<&'static str> = USERS.into_iter().filter(|user| is_member(user) != adds).collect();
        let fit = if fit.is_empty() { USERS.to_vec() } else { fit };
        self.target.get::<&'static str>(&fit)
    }

    fn write(&self, user: &str, situation: &Situation<'_>) -> Write {
        let permission =
            if matches!(self.kind, Kind::Add) { "rolecall::can_invite" } else { "rolecall::can_change_roles" };
        let held = situation.held(user);
        let picked = |pick: &Pick| situation.picked(pick, self.acting, permission, &held);
        let kept = |role: &str| RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false };
        let all_but = |left_out: &str| -> Vec<RoleAssignment> {
            held.iter().filter(|(role, _)| role != left_out).map(|(role, _)| kept(role)).collect()
        };
        let single = situation.project.structure == RoleStructure::SingleRole;
        match self.kind {
            Kind::Add => Write::Add(distinct(self.picks.iter().map(picked).collect())),
            Kind::Set => Write::Set(distinct(self.picks.iter().map(picked).collect())),
            Kind::Change => {
                let new = picked(&self.picks[0]);
                let mut given = all_but(new.role.as_str());
                // SINGLE_ROLE allows one permanent and one temporary role.
                if single {
                    let is_temporary =
                        |role: &str| held.iter().any(|(other, expire_time)| other == role && expire_time.is_some());
                    given.retain(|other| is_temporary(other.role.as_str()) != new.expire_time.is_some());
                }
                given.push(new);
                Write::Set(given)
            }
            Kind::Extend => {
                let mut temporary: Vec<_> = held.iter().filter(|(_, expire_time)| expire_time.is_some()).collect();
                if temporary.iter().any(|(role, _)| situation.is_disabled(role)) {
                    temporary.retain(|(role, _)| situation.is_disabled(role));
                }
                if temporary.is_empty() {
                    return Write::Set(distinct(self.picks.iter().map(picked).collect()));
                }
                let (role, expire_time) = self.picks[0].index.get(&temporary);
                let later = |expire_time: Time| expire_time.0 + self.picks[0].index.index(20) as i64;
                let latest =
                    situation.project.latest_given_expiry(situation.org, self.acting, permission, role, situation.now);
                let expire_time = match latest {
                    Some(latest) if lasts_as_long(latest, *expire_time) => latest,
                    _ => expire_time.map(|expire_time| Time(later(expire_time))),
                };
                let mut given = all_but(role);
                given.push(RoleAssignment {
                    role: RoleName::stored(role.as_str()),
                    expire_time,
                    permanent: expire_time.is_none(),
                });
                Write::Set(given)
            }
            Kind::RemoveRole => {
                let left_out = held.get(self.picks[0].index.index(held.len().max(1))).map(|(role, _)| role.as_str());
                let rest = all_but(left_out.unwrap_or_default());
                if rest.is_empty() { Write::Remove } else { Write::Set(rest) }
            }
            Kind::Remove => Write::Remove,
        }
    }
}

impl Situation<'_> {
    fn is_disabled(&self, role: &str) -> bool {
        self.project.mappings[&self.org.mapping].disabled.contains(role)
    }

    /// Returns the visible roles that a user holds, with their expiries.
    fn held(&self, user: &str) -> Vec<(String, Option<Time>)> {
        let Some(member) = self.org.members.get(user) else { return Vec::new() };
        let held = |expire_time: Option<Time>| expire_time.is_none_or(|expire_time| expire_time > self.now);
        let roles = member.roles.iter().filter(|(role, it)| held(it.expire_time) && !self.project.is_internal(role));
        roles.map(|(role, it)| (role.clone(), it.expire_time)).collect()
    }

    fn picked(&self, pick: &Pick, acting: &str, permission: &str, held: &[(String, Option<Time>)]) -> RoleAssignment {
        let fits = |role: &str| !self.is_disabled(role) || held.iter().any(|(other, _)| other == role);
        let latest = |role: &str| self.project.latest_given_expiry(self.org, acting, permission, role, self.now);
        let names = self.project.roles.iter().map(|(role, _)| role.as_str());
        let scope: Vec<&str> = names.filter(|role| fits(role) && latest(role).is_some()).collect();
        let role = match pick.name {
            Some(name) => name,
            None if scope.is_empty() => "Member",
            None => pick.index.get(&scope),
        };
        let expire_time = match pick.expiry {
            Expiry::Permanent => None,
            Expiry::Latest => latest(role).flatten(),
            Expiry::Until(expire_time) => expire_time,
            Expiry::Within(time) => Some(Time(self.now.0 + time)),
        };
        RoleAssignment { role: RoleName::stored(role), expire_time, permanent: expire_time.is_none() }
    }
}

/// Keeps the first assignment of each role.
fn distinct(given: Vec<RoleAssignment>) -> Vec<RoleAssignment> {
    let mut once: Vec<RoleAssignment> = Vec::new();
    for one in given {
        if !once.iter().any(|other| other.role == one.role) {
            once.push(one);
        }
    }
    once
}
