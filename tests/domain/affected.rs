//! Whose access a write changes: a cache that drops what it says is never wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};

use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::id::RoleMappingId;
use rolecall::domain::rules::access::Access;
use rolecall::domain::rules::affected::{Affected, AffectedAnswers, all_affected, bounded};
use rolecall::domain::rules::membership::Member;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Ask, Change, Decision, Project, Question, State, Time, UserId};

use crate::histories::{lists, questions};
use crate::history_runner::HistoryRunner;
use crate::random_history::{History, ORGS, USERS, config, history};

const PROJECTS: [&str; 4] = ["single", "multi", "third", "default"];

/// Everything that a cache keeps about a user in an org.
#[derive(Clone, Debug, PartialEq)]
struct Answers {
    decisions: Vec<Decision>,
    access: Option<(Member, Access)>,
    /// What a viewer who sees all members gets.
    viewed: Option<(Member, Access)>,
}

struct Cached {
    answers: Answers,
    role_mapping: Option<RoleMappingId>,
    /// When a role of the member expires, as `access` shows it.
    expiry: Option<Time>,
}

/// The cache of one client. The keys are project, org and user.
#[derive(Default)]
struct Cache {
    kept: BTreeMap<(&'static str, &'static str, &'static str), Cached>,
    dropped: usize,
    compared: usize,
}

fn ask(project: &Project, org: &str, user: &str, questions: &[Question<'_>], now: Time) -> Cached {
    let decided = questions.iter().map(|&question| project.check(&Ask { org_id: org, user_id: user, question }, now));
    let found = project.org(org);
    let access = |visibility| found.and_then(|org| project.access(org, &UserId::stored(user), visibility, now));
    let answers = Answers {
        decisions: decided.collect(),
        access: access(Visibility::All),
        viewed: access(Visibility::VisibleOnly),
    };
    let roles = answers.access.iter().flat_map(|(member, _)| &member.roles);
    let expiry = roles.filter_map(|role| role.expire_time).filter(|expiry| *expiry > now).min();
    Cached { answers, role_mapping: found.map(|org| org.record.role_mapping), expiry }
}

impl Cache {
    /// Drops what a commit affects, and compares the rest with fresh answers.
    fn after(&mut self, state: &State, commit: &Commit, max: usize, questions: &[Question<'_>]) -> TestCaseResult {
        let now = commit.revision.at;
        let before = self.kept.len();
        self.kept.retain(|_, cached| cached.expiry.is_none_or(|expiry| expiry > now));
        let mut told = BTreeMap::new();
        // What a purge removes was deleted before.
        if &*commit.kind != "Purge" {
            let mut projects: Vec<_> = commit.changes.iter().map(Change::project).collect();
            projects.dedup();
            for id in projects {
                let changes = commit.changes.iter().filter(|change| change.project() == id);
                let all = bounded(all_affected(changes, now), max);
                prop_assert!(all.len() <= max);
                let project = state.project_numbered(id).expect("its key stays");
                self.drop_affected(project, &all, &mut told);
            }
        }
        self.dropped += before - self.kept.len();
        self.compared += self.kept.len();
        self.fill(state, now, questions, |key, kept, fresh| {
            if let Some(kept) = kept {
                prop_assert_eq!(&kept.answers, &fresh.answers, "{:?} after {}", key, commit.kind);
                prop_assert_eq!(kept.role_mapping, fresh.role_mapping);
            }
            if let Some(expiry) = told.get(&key) {
                prop_assert_eq!(*expiry, fresh.expiry, "the expiry of {:?} after {}", key, commit.kind);
            }
            Ok(())
        })
    }

    fn drop_affected(
        &mut self,
        project: &Project,
        all: &AffectedAnswers,
        told: &mut BTreeMap<(&'static str, &'static str, &'static str), Option<Time>>,
    ) {
        let org_is =
            |no, org: &str| project.org_numbered(no).is_some_and(|it| it.record.profile.org_id.as_str() == org);
        for (affected, expiry) in all {
            self.kept.retain(|&(key, org, user), cached| {
                let concerns = match affected {
                    Affected::Project => true,
                    Affected::RoleMapping(id) => cached.role_mapping == Some(*id),
                    Affected::Org(no) => org_is(*no, org),
                    Affected::User(id) => id.as_str() == user,
                    Affected::Member(no, id) => id.as_str() == user && org_is(*no, org),
                };
                key != project.record.key.as_str() || !concerns
            });
            if let Affected::Member(no, id) = affected {
                let keys = PROJECTS.into_iter().filter(|key| *key == project.record.key.as_str());
                let keys = keys.flat_map(|key| ORGS.map(|org| (key, org))).filter(|(_, org)| org_is(*no, org));
                let keys = keys.flat_map(|(key, org)| USERS.map(|user| (key, org, user)));
                told.extend(keys.filter(|(.., user)| id.as_str() == *user).map(|key| (key, *expiry)));
            }
        }
    }

    /// Asks everything, passes what was kept and the fresh answers to `compare`, and keeps the fresh ones.
    fn fill(
        &mut self,
        state: &State,
        now: Time,
        questions: &[Question<'_>],
        mut compare: impl FnMut((&'static str, &'static str, &'static str), Option<&Cached>, &Cached) -> TestCaseResult,
    ) -> TestCaseResult {
        for key in PROJECTS {
            let project = state.project_keyed(key);
            for (org, user) in ORGS.into_iter().flat_map(|org| USERS.map(|user| (org, user))) {
                let place = (key, org, user);
                let Some(project) = project else {
                    prop_assert!(!self.kept.contains_key(&place), "{:?} of a project that does not exist", place);
                    continue;
                };
                let fresh = ask(project, org, user, questions, now);
                compare(place, self.kept.get(&place), &fresh)?;
                self.kept.insert(place, fresh);
            }
        }
        Ok(())
    }
}

/// Returns how many answers were dropped, and how many were kept and compared.
fn runs(History { limits, steps, .. }: &History, max: usize) -> Result<(usize, usize), TestCaseError> {
    let lists = lists();
    let questions = questions(&lists);
    let mut runner = HistoryRunner::new(*limits);
    let mut cache = Cache::default();
    for (number, step) in steps.iter().enumerate() {
        if let Some(commit) = runner.run(step).commit {
            cache.after(&runner.state, &commit, max, &questions)?;
        }
        if number % 24 == 23 {
            for (commit, state) in runner.purge(2, 4) {
                cache.after(&state, &commit, max, &questions)?;
            }
        }
    }
    Ok((cache.dropped, cache.compared))
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_cache_that_drops_what_is_affected_is_never_wrong(history in history()) {
        let (dropped, compared) = runs(&history, 1_000)?;
        // Not because it drops everything all the time.
        prop_assert!(dropped < compared || compared < 1_000, "dropped {} and kept {}", dropped, compared);
    }

    #[test]
    fn a_cache_that_drops_wider_scopes_is_never_wrong(history in history()) {
        runs(&history, 1)?;
    }
}
