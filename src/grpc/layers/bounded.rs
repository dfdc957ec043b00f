//! The outermost service of a connection: bounds the memory of each call and the time for its body, and ends streams with the
//! connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::{Code, Status};

use super::calls::{Call, Calls, Kind, UnsentAnswer};
use crate::grpc::status;
use crate::limits::REFUSABLE_ANSWER_BYTES;
use crate::wire::ErrorReason;
use crate::wire::frame::HEADER_BYTES;

/// Serves the calls of one connection.
pub struct Bounded<S> {
    pub inner: S,
    pub calls: Arc<Calls>,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// Becomes true when the connection is closed: the server stops, or the connection is old.
    pub stop: watch::Receiver<bool>,
}

type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Resolves when the connection is closed.
fn stopped(mut stop: watch::Receiver<bool>) -> Stopped {
    Box::pin(async move {
        // Also if the sender is dropped.
        let _ = stop.wait_for(|stop| *stop).await;
    })
}

impl<S> Bounded<S> {
    /// Begins a call.
    pub fn call<B>(&self, request: http::Request<B>) -> BoundedCall<S::Future>
    where
        S: tower::Service<http::Request<RequestBody<B>>, Response = http::Response<Answer>, Error = Infallible> + Clone,
    {
        let kind = kind(request.uri().path());
        let call = match self.calls.begin(kind, request.uri().path()) {
            Ok(call) => call,
            Err(status) => return BoundedCall::Refused(Some(status)),
        };
        let stop = kind.lasts().then(|| self.stop.clone());
        let request = request.map(|inner| RequestBody {
            inner,
            call: call.clone(),
            timeout: Some(self.body_timeout),
            timer: None,
            // The checks that a stream has read are answered before it ends.
            stop: stop.clone().filter(|_| kind != Kind::Checks).map(stopped),
            messages: (kind == Kind::Checks).then(Messages::default),
        });
        // Methods are always ready.
        let answer = self.inner.clone().call(request);
        BoundedCall::Running { call, answer, stop }
    }
}

fn kind(path: &str) -> Kind {
    match path {
        "/grpc.health.v1.Health/Watch" => Kind::Stream,
        "/rolecall.v1.WatchService/Watch"
        | "/rolecall.replication.v1.ReplicationService/ReadSnapshot"
        | "/rolecall.replication.v1.ReplicationService/Follow" => Kind::Feed,
        "/grpc.health.v1.Health/Check" => Kind::Health,
        "/rolecall.v1.CheckService/StreamCheck" => Kind::Checks,
        _ if path.starts_with("/grpc.reflection.") => Kind::Stream,
        _ => Kind::Plain,
    }
}

/// The future of [`Bounded`].
pub enum BoundedCall<F> {
    Refused(Option<Status>),
    Running { call: Arc<Call>, answer: F, stop: Option<watch::Receiver<bool>> },
}

impl<F> Future for BoundedCall<F>
where
    F: Future<Output = Result<http::Response<Answer>, Infallible>> + Unpin,
{
    type Output = Result<http::Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (call, answer, stop) = match &mut *self {
            Self::Refused(status) => {
                let status = status.take().unwrap_or_else(|| Status::internal("polled after it was answered"));
                return Poll::Ready(Ok(status.into_http()));
            }
            Self::Running { call, answer, stop } => (call, answer, stop),
        };
        let response = ready!(call.run(|| Pin::new(answer).poll(cx)))?;
        call.answered();
        let code = final_code(&response);
        let (head, rest) = response.into_parts();
        let mut body = AnswerBody { rest, first: None, call: Some(call.clone()), stop: stop.take().map(stopped) };
        if body.stop.is_none() {
            // Encode the answer now, so that its bytes are counted even if the client never reads it.
            if let Poll::Ready(Some(frame)) = body.rest.poll_frame(cx) {
                let bytes = frame.as_ref().ok().and_then(|frame| frame.data_ref().map(Bytes::len)).unwrap_or(0);
                let taken = call.take(bytes);
                // A small answer may be the only record of a write.
                if let Err(status) = taken
                    && bytes > REFUSABLE_ANSWER_BYTES
                {
                    call.ends(status.code().into());
                    return Poll::Ready(Ok(status.into_http()));
                }
                body.first = Some(frame);
            }
        }
        if let Some(code) = code {
            call.ends(code);
        }
        Poll::Ready(Ok(http::Response::from_parts(head, body)))
    }
}

/// Returns the code in the head of a response. `None` if the code follows the body.
pub fn final_code(response: &http::Response<Answer>) -> Option<i32> {
    match (response.headers().get(Status::GRPC_STATUS), response.body()) {
        (Some(code), _) => Some(number(code)),
        (None, Answer::Message(_)) => Some(Code::Ok.into()),
        (None, _) if response.headers().get(CONTENT_TYPE) == Some(&GRPC_CONTENT_TYPE) => None,
        (None, _) => Some(code_of_http(response.status()).into()),
    }
}

/// Returns the code of an answer of HTTP that no status of gRPC was made into: a success, or an error of the router.
fn code_of_http(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        _ if status.is_success() => Code::Ok,
        _ if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Unknown,
    }
}

fn number(code: &HeaderValue) -> i32 {
    Code::from_bytes(code.as_bytes()).into()
}

/// The body of a request. Its bytes are taken from the budget as they arrive.
pub struct RequestBody<B> {
    inner: B,
    call: Arc<Call>,
    /// The time in which the body must arrive. `None` for a stream after its first bytes.
    timeout: Option<Duration>,
    /// Starts when the body has to be waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Ends the body of a stream.
    stop: Option<Stopped>,
    /// Where the messages of a stream of checks end. It may pause there for any time.
    messages: Option<Messages>,
}

/// Finds the ends of messages.
#[derive(Default)]
struct Messages {
    /// The bytes of the current message so far: of its header, then of the rest.
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    missing: usize,
}

impl Messages {
    /// Reads the next bytes. Returns true if a message ended in them.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        while !bytes.is_empty() {
            if self.header_bytes < HEADER_BYTES {
                let read = bytes.len().min(HEADER_BYTES - self.header_bytes);
                self.header[self.header_bytes..][..read].copy_from_slice(&bytes[..read]);
                self.header_bytes += read;
                bytes = &bytes[read..];
                let [_, length @ ..] = self.header;
                self.missing = u32::from_be_bytes(length) as usize;
            } else {
                let read = bytes.len().min(self.missing);
                self.missing -= read;
                bytes = &bytes[read..];
            }
            if self.header_bytes == HEADER_BYTES && self.missing == 0 {
                (self.header_bytes, ended) = (0, true);
            }
        }
        ended
    }
}

/// Returns the status of a body that ends too early. It is no fault of the server if the connection is lost.
fn cut_off(error: StdError) -> Status {
    let why = error.to_string();
    let status = Status::from_error(error);
    match status.code() {
        Code::Unknown => Status::cancelled(format!("the request did not arrive whole: {why}")),
        _ => status,
    }
}

impl<B> http_body::Body for RequestBody<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let Some(frame) = frame else { return Poll::Ready(None) };
            let frame = frame.map_err(|error| cut_off(error.into()))?;
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.call.take_frame(bytes)?;
            if self.stop.is_some() && bytes > 0 {
                (self.timeout, self.timer) = (None, None);
            }
            if let (Some(messages), Some(data)) = (&mut self.messages, frame.data_ref())
                && messages.read(data)
            {
                // The next message has the whole time again.
                self.timer = None;
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let Some(timeout) = self.timeout else { return Poll::Pending };
        if self.messages.as_ref().is_some_and(|messages| messages.header_bytes == 0) {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        let why = format!("the body of the request did not arrive within {} s", timeout.as_secs_f32());
        Poll::Ready(Some(Err(status::plain(ErrorReason::DeadlinePassed, why))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What a method answers.
pub enum Answer {
    /// The only message, in its frame. The status OK follows.
    Message(Bytes),
    /// The status OK, after its message.
    Trailers,
    /// A body that tonic writes.
    Body(Body),
}

impl Default for Answer {
    fn default() -> Self {
        Self::Body(Body::empty())
    }
}

impl Answer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self {
            Self::Body(body) => Pin::new(body).poll_frame(cx),
            Self::Message(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                *self = Self::Trailers;
                Poll::Ready(Some(Ok(frame)))
            }
            Self::Trailers => {
                *self = Self::default();
                let ok = (Status::GRPC_STATUS, HeaderValue::from_static("0"));
                Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::from_iter([ok])))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Body(body) if body.is_end_stream())
    }
}

/// The body of an answer. The call is in flight until the last byte is sent.
#[derive(Default)]
pub struct AnswerBody {
    rest: Answer,
    first: Option<Result<Frame<Bytes>, Status>>,
    call: Option<Arc<Call>>,
    stop: Option<Stopped>,
}

impl AnswerBody {
    /// Replaces the bytes of an answer.
    pub fn replaced(self, bytes: Bytes) -> Self {
        Self { rest: Answer::default(), first: Some(Ok(Frame::data(bytes))), ..self }
    }
}

/// Returns the trailers that end a call with a status.
fn ended(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

/// Bytes that keep their call in flight.
struct Unsent {
    bytes: Bytes,
    _call: Option<Arc<Call>>,
    _answer: Option<UnsentAnswer>,
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(self.poll_next(cx));
        if let (Some(call), Some(Ok(frame))) = (&self.call, &frame)
            && let Some(code) = frame.trailers_ref().and_then(|trailers| trailers.get(Status::GRPC_STATUS))
        {
            call.ends(number(code));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

impl AnswerBody {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match self.first.take() {
            Some(frame) => Poll::Ready(Some(frame)),
            // The answer of a stream reads its request.
            None if self.stop.is_some() => match self.call.clone() {
                Some(call) => call.run(|| self.rest.poll_frame(cx)),
                None => self.rest.poll_frame(cx),
            },
            None => self.rest.poll_frame(cx),
        };
        if frame.is_pending() {
            let Some(stop) = &mut self.stop else { return Poll::Pending };
            ready!(stop.as_mut().poll(cx));
            self.stop = None;
            self.rest = Answer::default();
            let status =
                status::call_failed(Code::Unavailable, "the server stops or the connection is old; call again");
            return Poll::Ready(Some(ended(&status)));
        }
        let call = self.call.clone();
        let mut answer = None;
        if let (Some(call), Poll::Ready(Some(Ok(frame)))) = (&call, &frame)
            && let Some(bytes) = frame.data_ref()
        {
            match call.take_answer(bytes.len()) {
                Ok(taken) => answer = taken,
                Err(status) => {
                    self.stop = None;
                    self.rest = Answer::default();
                    return Poll::Ready(Some(ended(&status)));
                }
            }
        }
        frame.map_ok(|frame| frame.map_data(|bytes| Bytes::from_owner(Unsent { bytes, _call: call, _answer: answer })))
    }
}
