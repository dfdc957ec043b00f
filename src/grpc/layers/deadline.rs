//! The inner layer: answers DEADLINE_EXCEEDED when the deadline of a call passes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::grpc::status;
use crate::wire::ErrorReason;

/// Puts a [`KeepDeadline`] around a service.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer;

/// See the module.
#[derive(Clone, Debug)]
pub struct KeepDeadline<S>(S);

/// When a call must be answered, for methods that wait.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

impl<S> Layer<S> for DeadlineLayer {
    type Service = KeepDeadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        KeepDeadline(inner)
    }
}

impl<S> Service<http::Request<Body>> for KeepDeadline<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let timeout = request.headers().get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
        let Some(timeout) = timeout else { return Box::pin(self.0.call(request)) };
        let deadline = Instant::now() + timeout;
        request.extensions_mut().insert(Deadline(deadline));
        let answer = self.0.call(request);
        Box::pin(async move {
            tokio::time::timeout_at(deadline, answer).await.unwrap_or_else(|_| {
                Ok(status::plain(ErrorReason::DeadlinePassed, "the deadline of the call has passed").into_http())
            })
        })
    }
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
