//! The outer layer: adds reason and details to errors that tonic makes itself.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::grpc::status;
use crate::wire::ErrorReason;

/// Puts an [`ErrorDetails`] around a service.
#[derive(Clone, Copy, Debug)]
pub struct ErrorDetailsLayer;

/// See the module.
#[derive(Clone, Debug)]
pub struct ErrorDetails<S>(S);

/// The future of [`ErrorDetails`]. `F` is `Unpin`, because the deadline layer boxes it, so nothing is boxed again here.
pub struct WithDetails<F> {
    path: String,
    answer: F,
}

impl<S> Layer<S> for ErrorDetailsLayer {
    type Service = ErrorDetails<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ErrorDetails(inner)
    }
}

impl<S> Service<http::Request<Body>> for ErrorDetails<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = WithDetails<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        WithDetails { path: request.uri().path().to_owned(), answer: self.0.call(request) }
    }
}

impl<F> Future for WithDetails<F>
where
    F: Future<Output = Result<http::Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let response = ready!(Pin::new(&mut self.answer).poll(cx))?;
        Poll::Ready(Ok(with_details(&self.path, response)))
    }
}

/// Replaces an error that tonic made itself by one with the code and details of the contract.
fn with_details(path: &str, response: http::Response<Body>) -> http::Response<Body> {
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
        // Without a message it is the router's. With one it is about an encoding that is not served.
        Code::Unimplemented if message.is_empty() => {
            status::plain(ErrorReason::UnknownMethod, format!("this server has no method `{path}`"))
        }
        // tonic's internal errors are about the frames of a request, except those about writing an answer.
        Code::Internal if !message.starts_with("Error ") => status::malformed(message),
        Code::Internal => {
            tracing::error!(path, message, "internal error");
            status::plain(ErrorReason::Internal, message)
        }
        code => status::call_failed(code, message),
    }
    .into_http()
}
