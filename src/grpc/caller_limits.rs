//! What one caller may use: a rate of calls, and a number of calls in flight.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::Status;

use super::caller::Caller;
use super::status;
use crate::domain::model::api_key::ApiKeyId;
use crate::domain::{Time, UserId};

/// The limits of each caller. A key is a caller of its own. 0 means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerLimits {
    pub calls_per_second: u32,
    /// Calls that may come at once after a pause. At least 1.
    pub burst: u32,
    pub calls_in_flight: u32,
}

/// The calls of all callers. Callers without credentials are not limited.
#[derive(Default)]
pub struct Callers {
    limits: CallerLimits,
    used: Mutex<HashMap<CallerId, Arc<Used>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CallerId {
    Key(ApiKeyId),
    Operator(UserId),
}

/// What a caller uses.
#[derive(Default)]
pub struct Used {
    /// When a call would be on time, in microseconds since 1970, if all calls were evenly spaced. This is the generic cell rate
    /// algorithm (ITU-T I.371), a token bucket with one number.
    due: AtomicI64,
    in_flight: AtomicU32,
}

/// A call in flight.
pub struct InFlight(Arc<Used>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Callers {
    pub fn new(limits: CallerLimits) -> Self {
        Self { limits, used: Mutex::default() }
    }

    /// Counts a call, or refuses it. `None` if nothing is limited.
    pub fn admit(&self, caller: &Caller, now: Time) -> Result<Option<InFlight>, Status> {
        let CallerLimits { calls_per_second, calls_in_flight, .. } = self.limits;
        if calls_per_second == 0 && calls_in_flight == 0 {
            return Ok(None);
        }
        let Some(used) = self.used(caller) else { return Ok(None) };
        self.take(&used, now)?;
        let in_flight = used.in_flight.fetch_add(1, Relaxed);
        let guard = InFlight(used);
        if calls_in_flight > 0 && in_flight >= calls_in_flight {
            let why = format!("the caller has {calls_in_flight} calls in flight, which is its limit");
            return Err(status::caller_too_fast(&why, Duration::from_millis(100)));
        }
        Ok(Some(guard))
    }

    /// Returns the rate of a caller whose stream counts each check. `None` if it has none.
    pub fn rate(&self, caller: &Caller) -> Option<Rate<'_>> {
        if self.limits.calls_per_second == 0 {
            return None;
        }
        Some(Rate { callers: self, used: self.used(caller)? })
    }

    /// Returns what a caller uses. `None` for a caller without credentials.
    fn used(&self, caller: &Caller) -> Option<Arc<Used>> {
        let id = match (caller.key(), caller.operator()) {
            (Some((id, _)), _) => CallerId::Key(id),
            (None, operator) => CallerId::Operator(operator?.clone()),
        };
        // There are no more entries than keys and operators.
        Some(self.used.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone())
    }

    /// Takes a call from the rate of a caller.
    fn take(&self, used: &Used, now: Time) -> Result<(), Status> {
        let CallerLimits { calls_per_second, burst, .. } = self.limits;
        if calls_per_second == 0 {
            return Ok(());
        }
        used.take(now, 1_000_000 / i64::from(calls_per_second), burst).map_err(|wait| {
            status::caller_too_fast(&format!("the caller sends more than {calls_per_second} calls a second"), wait)
        })
    }
}

/// The rate of calls of one caller.
pub struct Rate<'a> {
    callers: &'a Callers,
    used: Arc<Used>,
}

impl Rate<'_> {
    /// Takes a call from the rate, or refuses it.
    pub fn take(&self, now: Time) -> Result<(), Status> {
        self.callers.take(&self.used, now)
    }
}

impl Used {
    /// Takes a call from the rate. Returns how long to wait if the burst is used up.
    fn take(&self, now: Time, interval: i64, burst: u32) -> Result<(), Duration> {
        let tolerance = interval.saturating_mul(i64::from(burst.max(1)) - 1);
        let taken = self.due.fetch_update(Relaxed, Relaxed, |due| {
            let due = due.max(now.0);
            (due - now.0 <= tolerance).then_some(due + interval)
        });
        taken.map(|_| ()).map_err(|due| Duration::from_micros((due - now.0 - tolerance).unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let used = Used::default();
        let (start, interval) = (1_000_000_000, 100);
        for _ in 0..5 {
            used.take(Time(start), interval, 5).unwrap();
        }
        assert_eq!(used.take(Time(start), interval, 5), Err(Duration::from_micros(100)));
        assert_eq!(used.take(Time(start + 99), interval, 5), Err(Duration::from_micros(1)));
        for call in 1..100 {
            used.take(Time(start + call * interval), interval, 5).unwrap();
            used.take(Time(start + call * interval), interval, 5).unwrap_err();
        }
        // A pause gives the burst back, and no more.
        for _ in 0..5 {
            used.take(Time(start * 2), interval, 5).unwrap();
        }
        used.take(Time(start * 2), interval, 5).unwrap_err();
    }

    #[test]
    fn calls_in_flight_are_counted_for_each_caller() {
        let callers = Callers::new(CallerLimits { calls_in_flight: 2, ..CallerLimits::default() });
        let caller = |id: &str| Caller::Operator { id: UserId::stored(id), by: super::super::caller::Credential::Uid };
        let admit = |id| callers.admit(&caller(id), Time(0)).map(|guard| guard.unwrap());
        let (first, _second) = (admit("ann").unwrap(), admit("ann").unwrap());
        assert_eq!(admit("ann").map(|_| ()).unwrap_err().code(), tonic::Code::ResourceExhausted);
        let _other = admit("bob").unwrap();
        drop(first);
        admit("ann").unwrap();
        assert!(callers.admit(&Caller::Local, Time(0)).unwrap().is_none());
    }
}
