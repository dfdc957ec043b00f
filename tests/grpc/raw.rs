//! A gRPC client that can send what no generated client sends. It has no timeout of its own.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_stream::iter;
use tonic::{Code, Status};

#[derive(Clone)]
pub struct Raw(SendRequest<BoxBody<Bytes, Infallible>>);

impl Raw {
    pub async fn connect(address: &str) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        // A call makes two small writes. Without this the second waits for the acknowledgement of the first.
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends one message and returns the message of the response.
    pub async fn call(&self, path: &str, message: &[u8]) -> Result<Bytes, Status> {
        self.send(path, &[], framed(0, message)).await
    }

    /// Does the same with a `grpc-timeout`.
    pub async fn call_within(&self, timeout: &str, path: &str, message: &[u8]) -> Result<Bytes, Status> {
        self.send(path, &[("grpc-timeout", timeout)], framed(0, message)).await
    }

    /// Sends a body unchanged to `SERVICE/METHOD`.
    pub async fn send(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Bytes, Status> {
        self.send_body(path, headers, Full::new(body).boxed()).await
    }

    /// Does the same with a body in several frames.
    pub async fn send_frames(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        frames: Vec<Frame<Bytes>>,
    ) -> Result<Bytes, Status> {
        let frames = frames.into_iter().map(Ok::<_, Infallible>);
        self.send_body(path, headers, BodyExt::boxed(StreamBody::new(iter(frames)))).await
    }

    pub async fn send_body(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: BoxBody<Bytes, Infallible>,
    ) -> Result<Bytes, Status> {
        let mut request = http::Request::post(format!("http://localhost/{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let (head, body) = self.0.clone().send_request(request).await.unwrap().into_parts();
        assert_eq!(head.status, 200, "gRPC responses are HTTP 200");
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Err(status);
        }
        if path.ends_with("WatchService/Watch") {
            return first_message(body).await;
        }
        let body = body.collect().await.unwrap();
        let status = body.trailers().and_then(Status::from_header_map).expect("the trailers carry a status");
        match status.code() {
            Code::Ok => Ok(body.to_bytes().split_off(5)),
            _ => Err(status),
        }
    }
}

/// Returns the first message of a stream that has no end.
async fn first_message(mut body: hyper::body::Incoming) -> Result<Bytes, Status> {
    let mut received = BytesMut::new();
    loop {
        let frame = body.frame().await.expect("the trailers carry a status").unwrap();
        match frame.into_data() {
            Ok(data) => received.put(data),
            Err(frame) => {
                let trailers = frame.into_trailers().expect("only data and trailers are sent");
                return Err(Status::from_header_map(&trailers).expect("the trailers carry a status"));
            }
        }
        if let Some((head, rest)) = received.split_at_checked(5) {
            let len = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            if rest.len() >= len {
                return Ok(Bytes::copy_from_slice(&rest[..len]));
            }
        }
    }
}

/// Returns a message in the frame that gRPC sends. `flag` 1 marks it as compressed.
pub fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(5 + message.len());
    body.put_u8(flag);
    body.put_u32(message.len() as u32);
    body.put_slice(message);
    body.freeze()
}
