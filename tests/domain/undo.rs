//! Changes are complete: they can be undone, redone and replayed without a decision.

use proptest::prelude::*;

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::permission::PermissionSet;
use rolecall::domain::model::project::ProjectRecord;
use rolecall::domain::state::Counters;
use rolecall::domain::state::change::{GrantsKey, MembershipKey};
use rolecall::domain::{Change, Project, Revision, State, UserId};

use crate::history_runner::HistoryRunner;
use crate::random_history::{History, USERS, config, empty_state, history};
use crate::state_to_model::model_of;

/// Returns the commits of a history, and the states before the first and after each.
fn run_history(History { limits, steps, .. }: &History) -> (Vec<State>, Vec<Commit>) {
    let mut runner = HistoryRunner::new(*limits);
    let mut states = vec![runner.state.clone()];
    let mut commits = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        if let Some(commit) = runner.run(step).commit {
            commits.push(commit);
            states.push(runner.state.clone());
        }
        if number % 24 == 23 {
            let (purging, after): (Vec<_>, Vec<_>) = runner.purge(2, 4).into_iter().unzip();
            commits.extend(purging);
            states.extend(after);
        }
    }
    (states, commits)
}

fn counters(state: &State) -> Vec<Counters> {
    state.projects().map(|project| project.counters()).collect()
}

/// Returns true if `before` is what the state contains and `after` is different.
fn before_matches_state(state: &State, change: &Change) -> bool {
    let project = state.project_numbered(change.project());
    let Some(project) = project else {
        return matches!(change, Change::Project(edit) if edit.before.is_none() && edit.after.is_some());
    };
    match change {
        Change::Project(edit) => {
            edit.before.as_ref() == Some::<&ProjectRecord>(&project.record) && edit.before != edit.after
        }
        Change::Permission(edit) => {
            edit.before.as_ref() == project.permissions.get(edit.key.id).map(AsRef::as_ref) && edit.before != edit.after
        }
        Change::Role(edit) => {
            edit.before.as_ref() == project.roles.get(edit.key.id).map(AsRef::as_ref) && edit.before != edit.after
        }
        Change::RoleSet(edit) => {
            edit.before.as_ref() == project.role_sets.get(edit.key.id).map(AsRef::as_ref) && edit.before != edit.after
        }
        Change::RoleMapping(edit) => {
            let held = project.role_mappings.get(edit.key.id).map(|mapping| &mapping.record);
            edit.before.as_ref() == held && edit.before != edit.after
        }
        Change::Grants(edit) => {
            let empty = PermissionSet::default();
            let row = row(project, edit.key).unwrap_or(&empty);
            let (removed, added) = (edit.before.as_ref().unwrap_or(&empty), edit.after.as_ref().unwrap_or(&empty));
            let not_empty = edit.before.as_ref().is_none_or(|set| !set.is_empty())
                && edit.after.as_ref().is_none_or(|set| !set.is_empty())
                && !(removed.is_empty() && added.is_empty());
            not_empty && removed.iter().all(|id| row.contains(id)) && !added.iter().any(|id| row.contains(id))
        }
        Change::Org(edit) => {
            let held = project.org_numbered(edit.key.id).map(|org| &org.record);
            let before = edit.before.as_ref();
            // Of a purged org the state knows only that its id was used.
            let purged = before.filter(|record| record.lifecycle.is_purged());
            let is_known = purged.is_none_or(|record| project.was_deleted(record.profile.org_id.as_str()));
            before.filter(|record| !record.lifecycle.is_purged()) == held && is_known && before != edit.after.as_ref()
        }
        Change::Subscription(edit) => {
            let held = project.org_numbered(edit.key.id).map(|org| org.record.role_mapping);
            edit.before == held && edit.before != edit.after
        }
        Change::Fallbacks(edit) => {
            let held = project.org_numbered(edit.key.id).and_then(|org| org.fallbacks.clone());
            edit.before == held && edit.before != edit.after
        }
        Change::Remap(edit) => {
            let (Some(before), Some(after)) = (&edit.before, &edit.after) else { return false };
            let org = project.org_numbered(edit.key.id).expect("the org exists");
            // Some membership or invitation has each set before, and none has a set after.
            let has = |set| {
                let memberships = USERS.map(|user| project.membership(org, &UserId::stored(user)));
                memberships.into_iter().flatten().any(|it| it.role_set == set && it.temporary.is_empty())
                    || org.any_invitation(|invitation| invitation.record.role_set() == Some(set))
            };
            before.len() == after.len()
                && !before.is_empty()
                && before.iter().all(|set| has(*set) && !after.contains(set))
                && after.iter().all(|set| !has(*set) && project.role_sets.get(*set).is_some())
                && after.iter().enumerate().all(|(at, set)| !after[..at].contains(set))
        }
        Change::Membership(edit) => {
            let MembershipKey { org, user, .. } = &edit.key;
            let held = project.org_numbered(*org).and_then(|org| project.membership(org, user));
            edit.before == held && edit.before != edit.after
        }
        Change::Invitation(edit) => {
            let org = project.org_numbered(edit.key.org).expect("the org exists");
            let invitations = org.invitations();
            let held = invitations.into_iter().find(|invitation| invitation.id == edit.key.id);
            // The State has pending ones only.
            let pending = edit.before.as_ref().filter(|record| record.role_set().is_some());
            pending == held.map(|invitation| &invitation.record) && edit.before != edit.after
        }
        Change::OrgDomains(edit) => {
            let held = project.org_numbered(edit.key.id).and_then(|org| org.domains.clone());
            edit.before == held && edit.before != edit.after
        }
        Change::Removal(edit) => {
            let removed =
                project.org_numbered(edit.key.org).is_some_and(|org| project.was_removed(org, &edit.key.user));
            edit.before.is_some() == removed && edit.before != edit.after
        }
        Change::ApiKey(edit) => edit.before.as_ref() == project.api_keys.get(edit.key.id) && edit.before != edit.after,
        Change::Block(edit) => edit.before == project.block_of(edit.key.user.as_str()) && edit.before != edit.after,
    }
}

fn row(project: &Project, key: GrantsKey) -> Option<&PermissionSet> {
    project.role_mappings.get(key.role_mapping)?.row(key.role)
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn undoing_all_commits_gives_the_empty_state_and_redoing_them_the_last_one(history in history()) {
        let (states, commits) = run_history(&history);
        let last = states.last().expect("the first state is empty");
        let mut state = last.clone();
        for (commit, before) in commits.iter().zip(&states).rev() {
            for change in commit.changes.iter().rev() {
                state.apply(&change.clone().undone());
            }
            state.set_revision(before.revision());
            prop_assert!(state == *before, "undone: revision {:?}", commit.revision);
            prop_assert_eq!(model_of(&state, &USERS), model_of(before, &USERS));
        }
        prop_assert!(state == empty_state());
        for (commit, after) in commits.iter().zip(&states[1..]) {
            state.apply_commit(commit.revision, &commit.changes);
            prop_assert!(state == *after, "redone: revision {:?}", commit.revision);
        }
        prop_assert_eq!(counters(&state), counters(last));
        prop_assert_eq!(state.revision(), last.revision());
        prop_assert_eq!(model_of(&state, &USERS), model_of(last, &USERS));
    }

    #[test]
    fn a_change_undone_twice_is_unchanged(history in history()) {
        let (_, commits) = run_history(&history);
        for change in commits.iter().flat_map(|commit| &commit.changes) {
            prop_assert_eq!(&change.clone().undone().undone(), change);
        }
    }

    #[test]
    fn replaying_the_changes_gives_an_equal_state_with_equal_counters(history in history()) {
        let (states, commits) = run_history(&history);
        let last = states.last().expect("the first state is empty");
        let mut replayed = empty_state();
        // Another key gives other hashes, but reads show the same.
        let mut elsewhere = State::new(HashKey::new([3; 16]));
        for commit in &commits {
            replayed.apply_commit(commit.revision, &commit.changes);
            elsewhere.apply_commit(commit.revision, &commit.changes);
        }
        prop_assert!(replayed == *last);
        prop_assert_eq!(replayed.revision(), last.revision());
        prop_assert_eq!(counters(&replayed), counters(last));
        prop_assert_eq!(model_of(&elsewhere, &USERS), model_of(last, &USERS));
        prop_assert_eq!(counters(&elsewhere), counters(last));
    }

    #[test]
    fn the_before_of_every_change_equals_the_state(history in history()) {
        let (states, commits) = run_history(&history);
        for (commit, before) in commits.iter().zip(&states) {
            let mut draft = before.clone();
            for change in &commit.changes {
                prop_assert!(before_matches_state(&draft, change), "{:?}", change);
                draft.apply(change);
                prop_assert!(before_matches_state(&draft, &change.clone().undone()), "undone: {:?}", change);
            }
            draft.set_revision(Revision { ..commit.revision });
            prop_assert_eq!(draft.revision().number, before.revision().number + 1);
        }
    }
}
