//! What changed a decision (A3): a write, or the expiry of a role.

use crate::domain::model::decision::Decision;
use crate::domain::model::name::UserId;
use crate::domain::model::time::Time;
use crate::domain::rules::check::Ask;
use crate::domain::state::State;

impl State {
    /// Decides a check. `None` if the project does not exist.
    pub fn decision(&self, project: &str, ask: &Ask<'_>, now: Time) -> Option<Decision> {
        self.project_keyed(project).map(|project| project.check(ask, now))
    }

    /// Returns the last expiry of a role that changed the decision, after one time and up to another, and the decision before it.
    pub fn last_expiry(
        &self,
        project: &str,
        ask: &Ask<'_>,
        after: Time,
        until: Time,
    ) -> Option<(Time, Option<Decision>)> {
        let found = self.project_keyed(project)?;
        let record = found.membership(found.org(ask.org_id)?, &UserId::stored(ask.user_id))?;
        let expiries = record.temporary.iter().map(|role| role.expire_time);
        let mut expiries: Vec<Time> = expiries.filter(|expiry| after < *expiry && *expiry <= until).collect();
        expiries.sort_unstable();
        expiries.into_iter().rev().find_map(|expiry| {
            let before = self.decision(project, ask, Time(expiry.0 - 1));
            (before != self.decision(project, ask, expiry)).then_some((expiry, before))
        })
    }
}
