//! Calls the method that a request names.
//!
//! Check and BatchCheck have a fast path: without the router, and without tonic's buffers, streams and boxes. It takes only a
//! request that is one whole message without compression. tonic answers all other requests.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body as _, Frame};
use prost::{Message, Name};
use prost_types::FileDescriptorSet;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tower::Service;
use tracing::{Instrument, Span};

use super::DESCRIPTORS;
use super::app::Checks;
use super::authn::{self, Unknown};
use super::authz::Authorized;
use super::caller::Access;
use super::codec;
use super::layers::bounded::{Answer, RequestBody, final_code};
use super::layers::calls::set_access;
use super::layers::deadline::Deadline;
use super::layers::error_details::with_details;
use super::peer::Peer;
use super::services::{batch_check, check, envoy};
use super::source::{Source, Upstream};
use super::status::{self, NAMELESS};
use crate::clock;
use crate::domain::commands::call::SYSTEM;
use crate::domain::{Call, Command};
use crate::limits::BULK_REQUEST_BYTES_MAX;
use crate::metrics::calls::code_name;
use crate::trace;
use crate::wire::batch_check::BatchCheckBody;
use crate::wire::frame::{HEADER_BYTES, frame};
use crate::writer::{Failure, Writer};

/// Messages below this are copied. Copying takes less than 1 % of the time of their checks.
const COPIED_BYTES: usize = 64 << 10;

/// The methods of this API.
const ROLECALL: &str = "/rolecall.";
/// The paths that need no known caller: health, reflection and the description of the HTTP API (W2.a). All others need one, so
/// that a new service cannot be forgotten.
const OPEN: [&str; 3] = ["/grpc.health.", "/grpc.reflection.", "/.well-known/"];

/// What a sidecar answers.
const SIDECAR: [&str; 7] = [
    "v1.CheckService/Check",
    "v1.CheckService/BatchCheck",
    "v1.CheckService/StreamCheck",
    "v1.CheckService/Explain",
    "v1.CheckService/GetAccess",
    "v1.ServerService/GetServerInfo",
    "v1.ServerService/WhoAmI",
];

/// Every method of a server.
#[derive(Clone)]
pub struct Methods {
    checks: Arc<Checks>,
    /// `None` on a sidecar.
    writer: Option<Arc<Writer>>,
    routes: Routes,
    /// True if Check and BatchCheck may take the fast path. HTTP sockets do not serve gRPC.
    grpc: bool,
    /// The client of the connection.
    pub peer: Arc<Peer>,
}

/// Returns the paths of all methods of gRPC. Those of checks come first.
pub fn paths() -> Vec<String> {
    let mut paths = vec!["/rolecall.v1.CheckService/Check".into(), "/rolecall.v1.CheckService/BatchCheck".into()];
    for descriptors in [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        // What the compiler of the proto files wrote can be read.
        let files = FileDescriptorSet::decode(descriptors).unwrap_or_default().file;
        for (file, service) in files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service))) {
            let of_service = format!("/{}.{}/", file.package(), service.name());
            for method in &service.method {
                let path = format!("{of_service}{}", method.name());
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
    }
    paths.push(format!("/{}/Check", envoy::SERVICE));
    let reflection = |version| format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    paths.extend(["v1", "v1alpha"].map(reflection));
    paths
}

/// Returns true if a sidecar answers calls of the service.
pub fn is_for_sidecars(service: &str) -> bool {
    let of_service = |method: &str| service.strip_prefix("rolecall.") == method.split('/').next();
    service == envoy::SERVICE || SIDECAR.into_iter().any(of_service)
}

/// The future of [`Methods`].
pub type AnswerFuture = Pin<Box<dyn Future<Output = Result<http::Response<Answer>, Infallible>> + Send>>;

impl Methods {
    pub fn new(checks: Arc<Checks>, writer: Option<Arc<Writer>>, routes: Routes) -> Self {
        Self { checks, writer, routes: routes.prepare(), grpc: true, peer: Arc::default() }
    }

    /// Returns the methods of HTTP sockets.
    pub fn http(checks: Arc<Checks>, writer: Option<Arc<Writer>>, routes: Routes) -> Self {
        Self { grpc: false, ..Self::new(checks, writer, routes) }
    }

    /// Returns the methods for the calls of one connection.
    pub fn of(self, peer: Peer) -> Self {
        Self { peer: Arc::new(peer), ..self }
    }
}

impl<B> Service<http::Request<RequestBody<B>>> for Methods
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<StdError>,
{
    type Response = http::Response<Answer>;
    type Error = Infallible;
    type Future = AnswerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<RequestBody<B>>) -> AnswerFuture {
        let deadline = Deadline::of(request.headers());
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let path = request.uri().clone();
        // The span of a call of HTTP is made where its status code is.
        let span = if self.grpc { trace::call(path.path(), request.headers()) } else { None };
        let answer = self.clone().answer(request);
        let answer: AnswerFuture = match deadline {
            None => Box::pin(answer),
            Some(deadline) => Box::pin(async move {
                let late = |status: Status| Ok(with_details(path.path(), status.into_http()).map(Answer::Body));
                deadline.keep(answer).await.unwrap_or_else(late)
            }),
        };
        match span {
            None => answer,
            Some(span) => Box::pin(traced(span, answer)),
        }
    }
}

/// Answers a sampled call in its span. The span of a stream ends when the stream has begun.
async fn traced(span: Span, answer: AnswerFuture) -> Result<http::Response<Answer>, Infallible> {
    let response = answer.instrument(span.clone()).await?;
    trace::ended(&span, code_name(final_code(&response).unwrap_or_default()));
    Ok(response)
}

impl Methods {
    /// Finds out who makes the current call. The body of a request is read only for known callers.
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Unknown> {
        let published = self.checks.engine.load();
        let now = clock::now();
        let caller = self.checks.authentication.caller(&published.state, headers, &self.peer, now)?;
        let in_flight = self.checks.callers.admit(&caller, now)?;
        set_access(Access { caller, engine: self.checks.engine.clone(), peer: self.peer.clone(), in_flight });
        Ok(())
    }

    /// Makes a caller an operator whose e-mail domain the workspace lists (W4), and authenticates the call again.
    async fn provision(&self, unknown: Unknown, headers: &HeaderMap) -> Result<(), Status> {
        let command = match unknown {
            Unknown::No(status) => return Err(status),
            Unknown::Provisionable(command) => command,
        };
        let operator = command.user_id.clone();
        let call = Call::plain(SYSTEM, "signed in with an address of a listed domain");
        let Some(writer) = &self.writer else { return Err(authn::unknown_operator(operator.as_str())) };
        match writer.submit(Command::ProvisionMember(*command), call).await {
            Ok(_) => {}
            Err(Failure::Refused(refusal)) => {
                tracing::info!(%operator, %refusal, "an operator is not provisioned");
                return Err(authn::unknown_operator(operator.as_str()));
            }
            Err(failure) => return Err(status::failed(failure, &NAMELESS, &mut |_, _| None)),
        }
        self.authenticate(headers).map_err(|unknown| match unknown {
            Unknown::No(status) => status,
            Unknown::Provisionable(_) => authn::unknown_operator(operator.as_str()),
        })
    }

    async fn answer<B>(self, request: http::Request<RequestBody<B>>) -> Result<http::Response<Answer>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<StdError>,
    {
        let app = &*self.checks;
        if !OPEN.iter().any(|prefix| request.uri().path().starts_with(prefix))
            && let Err(unknown) = self.authenticate(request.headers())
            && let Err(status) = self.provision(unknown, request.headers()).await
        {
            if status.code() == Code::Unauthenticated {
                app.engine.denials.record_unauthenticated();
            }
            return Ok(with_details(request.uri().path(), status.into_http()).map(Answer::Body));
        }
        if let Source::Upstream(upstream) = &app.source
            && let Err(status) = refuse_others(request.uri().path(), &**upstream)
        {
            return Ok(with_details(request.uri().path(), status.into_http()).map(Answer::Body));
        }
        let for_tonic = match request.uri().path() {
            _ if !self.grpc || request.headers().contains_key("grpc-encoding") => Err(request.map(Body::new)),
            "/rolecall.v1.CheckService/Check" => unary(request, |request| check::check(app, request)).await,
            "/rolecall.v1.CheckService/BatchCheck" => {
                unary(request, |request| batch_check::batch_check(app, request)).await
            }
            _ => Err(request.map(Body::new)),
        };
        let request = match for_tonic {
            Ok(answer) => return Ok(answer),
            Err(request) => request,
        };
        let path = request.uri().path().to_owned();
        let mut routes = self.routes;
        let response = routes.call(request).await?;
        Ok(with_details(&path, response).map(Answer::Body))
    }
}

/// Refuses what a sidecar does not answer.
fn refuse_others(path: &str, upstream: &dyn Upstream) -> Result<(), Status> {
    match path.strip_prefix(ROLECALL) {
        Some(method) if !SIDECAR.contains(&method) => Err(status::only_upstream(upstream.addresses())),
        _ => Ok(()),
    }
}

/// Answers a unary call. Returns the request if tonic has to answer it.
async fn unary<B, T, U, F>(
    request: http::Request<RequestBody<B>>,
    method: impl FnOnce(Request<T>) -> F,
) -> Result<http::Response<Answer>, http::Request<Body>>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<StdError>,
    T: Message + Name + Default + Authorized,
    U: Message,
    F: Future<Output = Result<Response<U>, Status>>,
{
    let (head, mut body) = request.into_parts();
    let answer = match read_message(&mut body).await {
        Read::ForTonic(read) => {
            return Err(http::Request::from_parts(head, Body::new(PartlyReadBody { read, rest: body })));
        }
        Read::Failed(status) => Err(status),
        Read::Message(bytes) => match decode(bytes) {
            Err(status) => Err(status),
            Ok(message) => {
                let metadata = MetadataMap::from_headers(head.headers);
                method(Request::from_parts(metadata, head.extensions, message)).await
            }
        },
    };
    Ok(match answer {
        Ok(answer) => {
            let (metadata, message, extensions) = answer.into_parts();
            let mut response = http::Response::new(Answer::Message(frame(&message)));
            *response.headers_mut() = metadata.into_headers();
            *response.extensions_mut() = extensions;
            response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
            response
        }
        Err(status) => with_details(head.uri.path(), status.into_http()).map(Answer::Body),
    })
}

/// Decodes a message. A small batch check, which is read in place, is copied: if it waits for a revision it would keep the
/// whole buffer in which it arrived, which has up to 2 MiB and does not count for the budget.
fn decode<T: Message + Name + Default + Authorized>(mut message: Bytes) -> Result<T, Status> {
    if T::NAME == BatchCheckBody::NAME && message.len() < COPIED_BYTES {
        message = Bytes::copy_from_slice(&message);
    }
    codec::decode(&mut message)
}

/// What the body of a request is.
enum Read {
    /// One message.
    Message(Bytes),
    /// Something that tonic has to answer, of which this was read.
    ForTonic(Bytes),
    Failed(Status),
}

async fn read_message<B>(body: &mut RequestBody<B>) -> Read
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    // A message that arrives in one frame is read where it is. A part of one is copied: until the rest arrives it would keep
    // the whole buffer in which it arrived.
    let (mut first, mut joined) = (Bytes::new(), BytesMut::new());
    let mut expected = None;
    while !body.is_end_stream()
        && let Some(part) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
    {
        let data = match part.map(Frame::into_data) {
            Err(status) => return Read::Failed(status),
            Ok(Err(_trailers)) => continue,
            Ok(Ok(data)) => data,
        };
        if joined.is_empty() && body.is_end_stream() {
            first = data;
        } else {
            joined.put_slice(&data);
        }
        let so_far = if joined.is_empty() { &first[..] } else { &joined };
        if expected.is_none() {
            expected = so_far.first_chunk().map(|&header| expected_bytes(header));
        }
        let read = so_far.len();
        match expected {
            Some(bytes) if bytes > HEADER_BYTES + BULK_REQUEST_BYTES_MAX || read > bytes => break,
            Some(bytes) if !joined.is_empty() => joined.reserve(bytes - read),
            _ => {}
        }
    }
    let mut read = if joined.is_empty() { first } else { joined.freeze() };
    if expected == Some(read.len()) { Read::Message(read.split_off(HEADER_BYTES)) } else { Read::ForTonic(read) }
}

/// Returns the number of bytes of a message with its header. `usize::MAX` for a compressed one, which tonic answers.
fn expected_bytes([compressed, length @ ..]: [u8; HEADER_BYTES]) -> usize {
    if compressed == 0 { HEADER_BYTES + u32::from_be_bytes(length) as usize } else { usize::MAX }
}

/// A body of which a part was read.
struct PartlyReadBody<B> {
    read: Bytes,
    rest: RequestBody<B>,
}

impl<B> http_body::Body for PartlyReadBody<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.rest).poll_frame(cx);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))))
    }
}
