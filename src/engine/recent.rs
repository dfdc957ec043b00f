//! The latest commits, for those who follow this process. All of them read the same ones.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::Revision;
use crate::domain::commands::group::Commit;

/// Commits that are kept.
const COMMITS_MAX: usize = 16_384;
/// Changes of all kept commits together. A larger commit is read from the database.
const CHANGES_MAX: usize = 131_072;

/// See the module. The numbers of the commits have no gap.
#[derive(Default)]
pub struct Recent {
    commits: VecDeque<Arc<Commit>>,
    changes: usize,
}

impl Recent {
    /// Adds the commits that follow the published revision.
    pub fn extend(&mut self, commits: impl Iterator<Item = Commit>) {
        for commit in commits {
            if self.commits.back().is_some_and(|last| last.revision.number + 1 != commit.revision.number) {
                self.clear();
            }
            self.changes += commit.changes.len();
            // Nobody who follows needs the answer to a repetition.
            self.commits.push_back(Arc::new(Commit { request: None, ..commit }));
        }
        while self.commits.len() > COMMITS_MAX || self.changes > CHANGES_MAX {
            self.changes -= self.commits.pop_front().map_or(0, |commit| commit.changes.len());
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns at most `limit` commits after a revision. `None` if they are not kept.
    pub fn after(&self, revision: Revision, limit: usize) -> Option<Vec<Arc<Commit>>> {
        let first = self.commits.front()?.revision.number;
        let skipped = usize::try_from((revision.number + 1).checked_sub(first)?).ok()?;
        (skipped < self.commits.len()).then(|| self.commits.iter().skip(skipped).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Change, Edit, Time};

    fn commit(number: u64, changes: usize) -> Commit {
        let project = crate::domain::collections::numbered::Numbered::from_number(std::num::NonZeroU32::MIN);
        Commit {
            revision: Revision { number, tag: 1, at: Time(0) },
            kind: "AddMember".into(),
            actor: "ann".into(),
            key: None,
            acting_user: None,
            reason: "".into(),
            request: None,
            changes: vec![Change::Project(Edit { key: project, before: None, after: None }); changes],
        }
    }

    fn numbers(recent: &Recent, after: u64) -> Option<Vec<u64>> {
        let after = Revision { number: after, tag: 1, at: Time(0) };
        recent.after(after, 3).map(|commits| commits.iter().map(|commit| commit.revision.number).collect())
    }

    #[test]
    fn followers_get_the_commits_after_their_revision() {
        let mut recent = Recent::default();
        recent.extend((5..10).map(|number| commit(number, 1)));
        assert_eq!(numbers(&recent, 3), None);
        assert_eq!(numbers(&recent, 4), Some(vec![5, 6, 7]));
        assert_eq!(numbers(&recent, 8), Some(vec![9]));
        assert_eq!(numbers(&recent, 9), None, "nothing newer");
        // After a gap the earlier ones are of no use.
        recent.extend([commit(12, 1)].into_iter());
        assert_eq!(numbers(&recent, 8), None);
        assert_eq!(numbers(&recent, 11), Some(vec![12]));
    }

    #[test]
    fn a_commit_with_too_many_changes_is_not_kept() {
        let mut recent = Recent::default();
        recent.extend([commit(1, 1), commit(2, CHANGES_MAX + 1)].into_iter());
        assert_eq!(numbers(&recent, 0), None);
        recent.extend([commit(3, 1)].into_iter());
        assert_eq!(numbers(&recent, 1), None);
        assert_eq!(numbers(&recent, 2), Some(vec![3]));
    }
}
