//! The last day on which each org was active (U4). It is beside the State: it has no revision and is not in the history.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::domain::Project;
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::time::{Day, Time};
use crate::domain::rules::activity::AllowedMember;

/// See the module.
#[derive(Default)]
pub struct Activity {
    /// What this process has noted. Checks read it without a lock.
    days: ArcSwap<Days>,
    /// The days that are not in the database yet. A task holds the lock while it changes `days`.
    unwritten: Mutex<BTreeMap<(ProjectId, OrgNo), Day>>,
}

/// The days by project and org number. Two bytes for each org: those of 10,000 orgs are in the processor's caches, and
/// a day in the org itself would be copied with each edit of the org.
#[derive(Clone, Default)]
pub struct Days(Vec<Arc<[AtomicU16]>>);

/// An org and its last active day.
pub type ActiveDay = (ProjectId, OrgNo, Day);

impl Activity {
    pub fn load(&self) -> Guard<Arc<Days>> {
        self.days.load()
    }

    /// Notes what a check allowed on a day. Only the first such check of an org on a day does more than compare.
    #[inline]
    pub fn note(&self, noted: &[AtomicU16], day: Day, member: AllowedMember<'_>, now: Time) {
        let last = noted.get(member.org.no.number() as usize).map_or(0, |last| last.load(Relaxed));
        if last < day.0 {
            self.note_first(day, member, now);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_first(&self, day: Day, member: AllowedMember<'_>, now: Time) {
        if member.counts_as_activity(now) {
            self.note_day(member.project, member.org.no, day);
        }
    }

    /// Notes that an org of the project was active on a day.
    pub fn note_day(&self, project: &Project, org: OrgNo, day: Day) {
        let (project, next_org) = (project.id, project.next_org());
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let mut days = self.days.load_full();
        if days.of(project).len() <= org.number() as usize {
            days = Arc::new(days.grown(project, next_org.number().max(org.number() + 1)));
            self.days.store(days.clone());
        }
        let Some(last) = days.of(project).get(org.number() as usize) else { return };
        if last.load(Relaxed) < day.0 {
            last.store(day.0, Relaxed);
            unwritten.insert((project, org), day);
        }
    }

    /// Returns the days that are not in the database yet.
    pub fn unwritten(&self) -> Vec<ActiveDay> {
        let unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        unwritten.iter().map(|(&(project, org), &day)| (project, org, day)).collect()
    }

    /// Forgets that days were not written, unless they have changed since.
    pub fn written(&self, days: &[ActiveDay]) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        for (project, org, day) in days {
            if unwritten.get(&(*project, *org)) == Some(day) {
                unwritten.remove(&(*project, *org));
            }
        }
    }

    /// Forgets everything. In another history the numbers may be those of other orgs.
    pub(super) fn clear(&self) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        self.days.store(Arc::default());
        unwritten.clear();
    }
}

impl Days {
    /// Returns the days of a project, by org number. An org without an entry is not known to be active.
    #[inline]
    pub fn of(&self, project: ProjectId) -> &[AtomicU16] {
        match self.0.get(project.number() as usize) {
            Some(days) => days,
            None => &[],
        }
    }

    /// Returns a copy with entries for the org numbers below `orgs`, and some more.
    fn grown(&self, project: ProjectId, orgs: u32) -> Self {
        let (mut all, before) = (self.0.clone(), self.of(project));
        let day = |at: usize| AtomicU16::new(before.get(at).map_or(0, |day| day.load(Relaxed)));
        let days: Arc<[AtomicU16]> = (0..orgs as usize + orgs as usize / 2).map(day).collect();
        if all.len() <= project.number() as usize {
            all.resize(project.number() as usize + 1, Arc::default());
        }
        all[project.number() as usize] = days;
        Self(all)
    }
}
