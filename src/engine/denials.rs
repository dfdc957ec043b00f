//! Refused calls that are not in the database yet (A1). They are beside the State: they have no revision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::domain::Time;
use crate::domain::model::event::{Denial, EventPlace};
use crate::limits::{DENIAL_TEXT_BYTES_MAX, DENIALS_PER_MINUTE_MAX};
use crate::metrics::Counter;

const MINUTE_MICROS: i64 = 60 * 1_000_000;
/// Denials in memory: those of this minute, and those of earlier ones that are not in the database yet.
const DENIALS_MAX: usize = 2 * DENIALS_PER_MINUTE_MAX;

/// A refused call of a known caller. A text is empty if the call has no such value.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefusedCall<'a> {
    pub at: Time,
    /// The name of the RPC, as in `SetMemberRoles`.
    pub kind: &'a str,
    pub actor: &'a str,
    pub key_id: &'a str,
    pub project: &'a str,
    pub org_id: &'a str,
    pub acting_user: &'a str,
    /// The reason of the error, as in `MISSING_PERMISSION`.
    pub reason: &'a str,
    pub missing_permission: &'a str,
}

/// See the module. It takes a bounded amount of memory, also while the database is away.
#[derive(Default)]
pub struct Denials {
    /// Refused calls of known callers since the start.
    pub denied: Counter,
    kept: Mutex<Kept>,
    unauthenticated: AtomicU64,
}

#[derive(Default)]
struct Kept {
    minute: i64,
    /// The denials of `minute`.
    count: usize,
    denials: BTreeMap<Equal, Recorded>,
}

/// What equal denials have in common. The texts are empty for those that exceed the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Equal {
    minute: i64,
    kind: String,
    actor: String,
    key_id: String,
    project: String,
    reason: String,
}

#[derive(Clone, Debug)]
struct Recorded {
    denial: Denial,
    stored: Option<(EventPlace, u64)>,
}

/// A denial whose count is not in the database yet.
#[derive(Clone, Debug)]
pub struct Unwritten {
    key: Equal,
    pub denial: Denial,
    /// `None` if it is not in the database at all.
    pub place: Option<EventPlace>,
}

impl Denials {
    /// Records a refused call. Never waits for the database.
    pub fn record(&self, call: RefusedCall<'_>) {
        self.denied.add(1);
        let minute = call.at.0.div_euclid(MINUTE_MICROS);
        let key = Equal {
            minute,
            kind: cut(call.kind),
            actor: cut(call.actor),
            key_id: cut(call.key_id),
            project: cut(call.project),
            reason: cut(call.reason),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.minute != minute {
            (kept.minute, kept.count) = (minute, 0);
        }
        if let Some(equal) = kept.denials.get_mut(&key) {
            equal.denial.count += 1;
            return;
        }
        if kept.count < DENIALS_PER_MINUTE_MAX && kept.denials.len() < DENIALS_MAX {
            kept.count += 1;
            let denial = Denial {
                at: call.at,
                kind: key.kind.clone(),
                actor: key.actor.clone(),
                key_id: key.key_id.clone(),
                project: key.project.clone(),
                org_id: cut(call.org_id),
                acting_user: cut(call.acting_user),
                reason: key.reason.clone(),
                missing_permission: cut(call.missing_permission),
                count: 1,
            };
            kept.denials.insert(key, Recorded { denial, stored: None });
            return;
        }
        // A minute has its own row of the others, unless the database is away.
        let others = Equal { minute, ..Equal::default() };
        let unwritten =
            |(_, recorded): &(&Equal, &mut Recorded)| recorded.denial.kind.is_empty() && recorded.stored.is_none();
        match kept.denials.iter_mut().find(unwritten) {
            Some((_, recorded)) => recorded.denial.count += 1,
            None => {
                let denial = Denial { at: call.at, ..Denial::default() };
                let recorded = kept.denials.entry(others).or_insert(Recorded { denial, stored: None });
                recorded.denial.count += 1;
            }
        }
    }

    /// Counts a call of an unknown caller.
    pub fn record_unauthenticated(&self) {
        self.unauthenticated.fetch_add(1, Relaxed);
    }

    /// Returns the number of calls of unknown callers since the start.
    pub fn unauthenticated(&self) -> u64 {
        self.unauthenticated.load(Relaxed)
    }

    /// Returns the denials whose count is not in the database yet.
    pub fn unwritten(&self) -> Vec<Unwritten> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let unwritten = kept.denials.iter().filter(|(_, recorded)| recorded.is_unwritten());
        let unwritten = unwritten.map(|(key, recorded)| Unwritten {
            key: key.clone(),
            denial: recorded.denial.clone(),
            place: recorded.stored.map(|(place, _)| place),
        });
        unwritten.collect()
    }

    /// Notes that denials are stored at these places. Forgets those of earlier minutes.
    pub fn written(&self, denials: &[Unwritten], places: &[EventPlace]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (written, place) in denials.iter().zip(places) {
            if let Some(recorded) = kept.denials.get_mut(&written.key) {
                recorded.stored = Some((*place, written.denial.count));
            }
        }
        let minute = kept.minute;
        kept.denials.retain(|key, recorded| key.minute == minute || recorded.is_unwritten());
    }

    /// Forgets where denials are stored. In another history the places may be those of other denials.
    pub(super) fn forget_places(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.denials.values_mut().for_each(|recorded| recorded.stored = None);
    }
}

impl Recorded {
    fn is_unwritten(&self) -> bool {
        self.stored.is_none_or(|(_, count)| count < self.denial.count)
    }
}

/// Returns a text as it is stored: bounded, and without NUL, which PostgreSQL refuses.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(DENIAL_TEXT_BYTES_MAX)].replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(actor: &str, seconds: i64) -> RefusedCall<'_> {
        let at = Time(seconds * 1_000_000);
        RefusedCall { at, kind: "SetMemberRoles", actor, reason: "MISSING_PERMISSION", ..RefusedCall::default() }
    }

    fn places(denials: &[Unwritten]) -> Vec<EventPlace> {
        (1..).map(|denial| EventPlace { revision: 7, denial }).take(denials.len()).collect()
    }

    #[test]
    fn a1_equal_denials_of_a_minute_are_one_with_a_count() {
        let denials = Denials::default();
        for seconds in [0, 1, 59, 60] {
            denials.record(call("ann", seconds));
        }
        denials.record(call("bob", 1));
        let unwritten = denials.unwritten();
        let counts: Vec<_> = unwritten.iter().map(|it| (&*it.denial.actor, it.denial.at.0, it.denial.count)).collect();
        assert_eq!(counts, [("ann", 0, 3), ("bob", 1_000_000, 1), ("ann", 60_000_000, 1)]);
    }

    #[test]
    fn a1_a_count_that_grew_is_written_again_at_its_place() {
        let denials = Denials::default();
        denials.record(call("ann", 1));
        let first = denials.unwritten();
        denials.record(call("ann", 2));
        denials.written(&first, &places(&first));
        let again = denials.unwritten();
        assert_eq!((again[0].denial.count, again[0].place), (2, Some(EventPlace { revision: 7, denial: 1 })));
        denials.written(&again, &places(&again));
        assert!(denials.unwritten().is_empty());
        denials.record(call("ann", 61));
        let next = denials.unwritten();
        assert_eq!((next[0].denial.count, next[0].place), (1, None), "another minute has another row");
        denials.forget_places();
        assert_eq!(denials.unwritten().len(), 2, "in another history they are stored again");
    }

    #[test]
    fn a1_many_different_denials_take_bounded_memory_and_are_counted() {
        let denials = Denials::default();
        // Nothing is written: the database is away.
        for minute in 0..5 {
            for number in 0..3 * DENIALS_PER_MINUTE_MAX {
                denials.record(call(&format!("{number}{}", "x".repeat(100_000)), 60 * minute));
            }
        }
        let unwritten = denials.unwritten();
        let kept = |it: &&Unwritten| !it.denial.kind.is_empty();
        assert!(unwritten.iter().filter(kept).count() > DENIALS_PER_MINUTE_MAX);
        assert_eq!(unwritten.len(), DENIALS_MAX);
        assert!(unwritten.iter().all(|it| it.denial.actor.len() <= DENIAL_TEXT_BYTES_MAX));
        let total: u64 = unwritten.iter().map(|it| it.denial.count).sum();
        assert_eq!(total, 15 * DENIALS_PER_MINUTE_MAX as u64, "none is lost");
        denials.written(&unwritten, &places(&unwritten));
        denials.record(call("ann", 300));
        assert_eq!(denials.unwritten().len(), 1);
    }

    #[test]
    fn texts_are_cut_between_characters_and_without_nul() {
        assert_eq!(cut("a\0b"), "a\u{FFFD}b");
        let long = "é".repeat(DENIAL_TEXT_BYTES_MAX);
        assert_eq!(cut(&long).len(), DENIAL_TEXT_BYTES_MAX / 2 * 2);
    }
}
