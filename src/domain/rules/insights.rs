//! The numbers of a project (U4).

use crate::domain::model::id::OrgNo;
use crate::domain::model::time::{Day, Time};
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::project::Project;

/// The days of the longest window of [`active_orgs`].
pub const WINDOW_MAX: u16 = 30;

/// A user who is a member of several orgs counts in each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberCounts {
    pub visible: u64,
    pub internal: u64,
}

/// The orgs that were active in the last 1, 7 and 30 days, today included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActiveOrgs {
    pub daily: u64,
    pub weekly: u64,
    pub monthly: u64,
}

impl Project {
    /// Counts the members of all orgs. It looks at every membership: about 10 ms for a million.
    pub fn count_members(&self, now: Time) -> MemberCounts {
        let mut counts = MemberCounts::default();
        self.for_each_org(|org| {
            self.each_membership(org, |member| {
                let holds =
                    |visibility| member.held(now).any(|role| visibility == Visibility::All || self.is_visible(role));
                if holds(Visibility::VisibleOnly) {
                    counts.visible += 1;
                } else if holds(Visibility::All) {
                    counts.internal += 1;
                }
            });
        });
        counts
    }

    /// Counts the pending invitations of all orgs that have not expired.
    pub fn count_invitations(&self, now: Time) -> u64 {
        let mut count = 0;
        self.for_each_org(|org| self.each_invitation(org, now, |_, _| count += 1));
        count
    }

    /// Counts the existing orgs by their last active days. Of several days of an org the latest counts.
    pub fn active_orgs(&self, mut days: Vec<(OrgNo, Day)>, today: Day) -> ActiveOrgs {
        days.sort_unstable_by(|one, other| other.cmp(one));
        days.dedup_by_key(|(org, _)| *org);
        let exists = |no| self.org_numbered(no).is_some_and(|org| org.record.lifecycle.exists());
        active_orgs(days.into_iter().filter(|&(no, _)| exists(no)).map(|(_, day)| day), today)
    }
}

/// Counts the days in each window. A later day than today, by another server's clock, is in all of them.
fn active_orgs(days: impl Iterator<Item = Day>, today: Day) -> ActiveOrgs {
    let mut active = ActiveOrgs::default();
    for day in days.filter(|&day| day != Day::NEVER) {
        active.daily += u64::from(day >= today);
        active.weekly += u64::from(day > today.minus(7));
        active.monthly += u64::from(day > today.minus(WINDOW_MAX));
    }
    active
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u4_windows_include_today_and_end_with_it() {
        let today = Day(20_000);
        let windows = [
            (20_001, [1, 1, 1]),
            (20_000, [1, 1, 1]),
            (19_999, [0, 1, 1]),
            (19_994, [0, 1, 1]),
            (19_993, [0, 0, 1]),
            (19_971, [0, 0, 1]),
            (19_970, [0, 0, 0]),
            (0, [0, 0, 0]),
        ];
        for (day, [daily, weekly, monthly]) in windows {
            let counted = active_orgs([Day(day)].into_iter(), today);
            assert_eq!(counted, ActiveOrgs { daily, weekly, monthly }, "{day}");
        }
        let all = active_orgs(windows.iter().map(|&(day, _)| Day(day)), today);
        assert_eq!(all, ActiveOrgs { daily: 2, weekly: 4, monthly: 6 });
    }

    #[test]
    fn u4_windows_of_a_clock_at_the_epoch_count_no_org_that_was_never_active() {
        let counted = active_orgs([Day(0), Day(1)].into_iter(), Day(0));
        assert_eq!(counted, ActiveOrgs { daily: 1, weekly: 1, monthly: 1 });
    }

    #[test]
    fn u4_a_day_is_a_utc_day() {
        let midnight = Time(20_000 * 24 * 60 * 60 * 1_000_000);
        assert_eq!(midnight.day(), Day(20_000));
        assert_eq!(Time(midnight.0 - 1).day(), Day(19_999));
        assert_eq!(midnight.plus_seconds(24 * 60 * 60 - 1).day(), Day(20_000));
        assert_eq!((Time(-1).day(), Time(i64::MAX).day()), (Day(0), Day(u16::MAX)));
    }
}
