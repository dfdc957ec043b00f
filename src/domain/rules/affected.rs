//! Whose access a write may change: which answers a cache of checks and of GetAccess must drop.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::model::id::{OrgNo, RoleMappingId};
use crate::domain::model::membership::MembershipRecord;
use crate::domain::model::name::UserId;
use crate::domain::model::time::Time;
use crate::domain::state::change::{Change, Edit};

/// Answers about one project that may have become wrong. The order is from the most answers to the fewest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Affected {
    /// All answers of the project.
    Project,
    /// Those about orgs of the role mapping.
    RoleMapping(RoleMappingId),
    /// Those about the org.
    Org(OrgNo),
    /// Those about the user, in all orgs.
    User(UserId),
    /// Those about the user in the org.
    Member(OrgNo, UserId),
}

/// What a write affects, each with the time at which the access changes again without a write. `None` if that is not known, or
/// does not happen.
pub type AffectedAnswers = BTreeMap<Affected, Option<Time>>;

/// Returns which answers a change may make wrong. `None`: no answer.
pub fn affected(change: &Change) -> Option<Affected> {
    match change {
        // The default roles and the default role mapping only decide what later writes do.
        Change::Project(edit) => {
            differs(edit, |project| (project.lifecycle.exists(), project.role_structure)).then_some(Affected::Project)
        }
        // A new name may answer a question that was answered with "unknown".
        Change::Permission(edit) => differs(edit, |it| (&it.name, &it.aliases)).then_some(Affected::Project),
        Change::Role(edit) => {
            differs(edit, |role| (&role.name, &role.aliases, role.internal, role.rank)).then_some(Affected::Project)
        }
        // Nobody has a role set when it is created or dropped.
        Change::RoleSet(edit) => changes(edit, |set| set).then_some(Affected::Project),
        // Orgs come and go by changes of their own.
        Change::RoleMapping(edit) => {
            let changes = changes(edit, |mapping| (&mapping.name, &mapping.disabled_roles));
            changes.then_some(Affected::RoleMapping(edit.key.id))
        }
        Change::Grants(edit) => Some(Affected::RoleMapping(edit.key.role_mapping)),
        Change::Org(edit) => differs(edit, |org| org.lifecycle.exists().then_some(org.role_mapping))
            .then_some(Affected::Org(edit.key.id)),
        Change::Subscription(edit) => Some(Affected::Org(edit.key.id)),
        Change::Fallbacks(edit) => Some(Affected::Org(edit.key.id)),
        Change::Remap(edit) => Some(Affected::Org(edit.key.id)),
        Change::Membership(edit) => Some(Affected::Member(edit.key.org, edit.key.user.clone())),
        Change::Block(edit) => Some(Affected::User(edit.key.user.clone())),
        Change::Invitation(_) | Change::ApiKey(_) | Change::OrgDomains(_) | Change::Removal(_) => None,
    }
}

/// Returns what the changes of a write at this time affect.
pub fn all_affected<'a>(changes: impl Iterator<Item = &'a Change> + Clone, at: Time) -> AffectedAnswers {
    // Orgs are moved to a new role mapping, and away from a deleted one, by changes of their own.
    let created_or_deleted = |change: &Change| match change {
        Change::RoleMapping(edit) if edit.before.is_none() || edit.after.is_none() => Some(edit.key.id),
        _ => None,
    };
    let without_orgs: BTreeSet<RoleMappingId> = changes.clone().filter_map(created_or_deleted).collect();
    let mut all = AffectedAnswers::new();
    for change in changes {
        let Some(affected) = affected(change) else { continue };
        if !matches!(&affected, Affected::RoleMapping(id) if without_orgs.contains(id)) {
            all.insert(affected, next_expiry(change, at));
        }
    }
    all
}

/// Leaves out what another entry contains, and reduces to at most `max` entries. They contain all answers that `all` contains.
pub fn bounded(all: AffectedAnswers, max: usize) -> AffectedAnswers {
    let mut all = without_contained(all);
    if all.len() > max {
        let member = |affected: &Affected| match affected {
            Affected::Member(org, user) => Some((*org, user.clone())),
            _ => None,
        };
        let (orgs, users): (BTreeSet<OrgNo>, BTreeSet<UserId>) = all.keys().filter_map(member).unzip();
        let by_user = users.len() < orgs.len();
        let wider = |affected| match affected {
            Affected::Member(_, user) if by_user => (Affected::User(user), None),
            Affected::Member(org, _) => (Affected::Org(org), None),
            affected => (affected, None),
        };
        all = without_contained(all.into_keys().map(wider).collect());
    }
    if all.len() > max { AffectedAnswers::from([(Affected::Project, None)]) } else { all }
}

fn without_contained(mut all: AffectedAnswers) -> AffectedAnswers {
    if all.contains_key(&Affected::Project) {
        return AffectedAnswers::from([(Affected::Project, None)]);
    }
    let mut orgs = BTreeSet::new();
    // Orgs come before members.
    all.retain(|affected, _| match affected {
        Affected::Org(org) => orgs.insert(*org),
        Affected::Member(org, _) => !orgs.contains(org),
        _ => true,
    });
    all
}

/// Returns when the first role of a changed member expires after a time.
fn next_expiry(change: &Change, at: Time) -> Option<Time> {
    let Change::Membership(Edit { after: Some(MembershipRecord { temporary, .. }), .. }) = change else { return None };
    temporary.iter().map(|role| role.expire_time).filter(|expiry| *expiry > at).min()
}

/// Returns true if the two sides differ in what `read` returns. A created or deleted thing differs.
fn differs<'a, K, V, T: PartialEq>(edit: &'a Edit<K, V>, read: impl Fn(&'a V) -> T) -> bool {
    edit.before.as_ref().map(&read) != edit.after.as_ref().map(&read)
}

/// Does the same, but returns false for a created or deleted thing.
fn changes<'a, K, V, T: PartialEq>(edit: &'a Edit<K, V>, read: impl Fn(&'a V) -> T) -> bool {
    edit.before.is_some() && edit.after.is_some() && differs(edit, read)
}
