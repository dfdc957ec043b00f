//! The layer around every method: keeps the deadline, and sees to it that every error carries its reason.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::status;
use crate::wire::ErrorReason;

/// Puts a [`Door`] around a service.
#[derive(Clone, Copy, Debug)]
pub struct DoorLayer;

/// See the module.
#[derive(Clone, Debug)]
pub struct Door<S>(S);

/// When a call must be answered, for methods that wait.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

impl<S> Layer<S> for DoorLayer {
    type Service = Door<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Door(inner)
    }
}

impl<S> Service<http::Request<Body>> for Door<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let deadline = request.headers().get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
        let deadline = deadline.map(|timeout| Instant::now() + timeout.saturating_sub(margin(timeout)));
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let path = request.uri().path().to_owned();
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = match deadline {
                None => answer.await?,
                Some(deadline) => match in_time(deadline, answer).await {
                    Some(response) => response?,
                    None => {
                        status::plain(ErrorReason::DeadlinePassed, "the deadline of the call has passed").into_http()
                    }
                },
            };
            Ok(explained(&path, response))
        })
    }
}

/// An answer, or none where the deadline passes before. The clock is asked beside the timer: where tonic's own runs out in
/// the same millisecond, it may wake the call first.
async fn in_time<T>(deadline: Instant, answer: impl Future<Output = T>) -> Option<T> {
    let mut answer = pin!(answer);
    let mut timer = pin!(sleep_until(deadline));
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        let passed = Instant::now() >= deadline || timer.as_mut().poll(cx).is_ready();
        if passed { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// tonic answers a passed deadline with CANCELLED; being a little earlier, this layer can say DEADLINE_EXCEEDED.
fn margin(timeout: Duration) -> Duration {
    (timeout / 10).min(Duration::from_millis(5))
}

/// Gives an error that tonic made itself the code and the details that callers were promised.
fn explained(path: &str, response: http::Response<Body>) -> http::Response<Body> {
    let headers = response.headers();
    if !headers.contains_key("grpc-status") {
        return response;
    }
    let Some(status) = Status::from_header_map(headers) else { return response };
    if status.code() == Code::Ok {
        return response;
    }
    tracing::debug!(path, code = ?status.code(), message = status.message(), "call failed");
    if !status.details().is_empty() {
        return response;
    }
    let message = status.message();
    match status.code() {
        Code::OutOfRange => status::too_large(message),
        // Without a message it is the router's; with one, an encoding that is not served.
        Code::Unimplemented if message.is_empty() => {
            status::plain(ErrorReason::UnknownMethod, format!("`{path}` is no method of this server"))
        }
        // tonic's own internal errors are about the frames of a request, save for those of writing an answer.
        Code::Internal if !message.starts_with("Error ") => status::malformed(message),
        Code::Internal => {
            tracing::error!(path, message, "internal error");
            status::plain(ErrorReason::Internal, message)
        }
        code => status::call_failed(code, message),
    }
    .into_http()
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
    fn timeouts_read_as_the_specification_says() {
        assert_eq!(parse("20S"), Some(Duration::from_secs(20)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse("5m"), Some(Duration::from_millis(5)));
        for bad in ["", "S", "5", "-5S", "123456789S", "5x", "5é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
