//! Answers DEADLINE_EXCEEDED when the deadline of a call passes.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::grpc::status;
use crate::wire::ErrorReason;

/// When a call must be answered. Methods that wait find it in the extensions of the request.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// Returns the deadline of a call. `None` if its caller set none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let timeout = parse(headers.get("grpc-timeout")?.to_str().ok()?)?;
        Some(Self(Instant::now() + timeout))
    }

    /// Waits for an answer, at most until the deadline.
    pub async fn keep<T>(self, answer: impl Future<Output = T>) -> Result<T, Status> {
        timeout_at(self.0, answer).await.map_err(|_| passed())
    }
}

pub fn passed() -> Status {
    status::plain(ErrorReason::DeadlinePassed, "the deadline of the call has passed")
}

/// Reads a `grpc-timeout`: at most 8 digits and a unit (the gRPC over HTTP/2 specification).
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_specified() {
        assert_eq!(parse("20S"), Some(Duration::from_secs(20)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse("5m"), Some(Duration::from_millis(5)));
        for bad in ["", "S", "5", "-5S", "123456789S", "5x", "5é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
