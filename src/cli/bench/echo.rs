//! `rolecall bench-echo`: the least that a gRPC server of this kind can cost. It drops each request and answers zeros.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use clap::Parser;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::limits::BULK_REQUEST_BYTES_MAX;
use crate::server::{Bound, Listen, telemetry};

/// Windows and frames that large requests do not wait for.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
const FRAME_BYTES_MAX: u32 = 1 << 20;

#[derive(Parser)]
pub struct Args {
    /// Where to listen: `HOST:PORT` or `unix:PATH`.
    #[arg(long)]
    listen: Listen,

    /// The bytes of every answer.
    #[arg(long)]
    answer_bytes: usize,
}

pub async fn run(args: Args) -> Result<(), String> {
    telemetry::start("info", true, None)?;
    let bound = args.listen.bind().await.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .add_service(Echo(Fixed(Bytes::from(vec![0; args.answer_bytes]))));
    tracing::info!(address = %bound.address(), "listening");
    match bound {
        Bound::Tcp(listener, _) => {
            server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))).await
        }
        Bound::Unix(_file, listener) => server.serve_with_incoming(UnixListenerStream::new(listener)).await,
    }
    .map_err(|error| error.to_string())
}

/// Leaves bytes as they are.
#[derive(Default, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Answers every request with the same bytes.
#[derive(Clone)]
struct Fixed(Bytes);

impl tonic::server::UnaryService<Bytes> for Fixed {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

#[derive(Clone)]
struct Echo(Fixed);

impl tonic::server::NamedService for Echo {
    /// That of the real service: both servers get the same requests.
    const NAME: &'static str = "rolecall.v1.CheckService";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let fixed = self.0.clone();
        Box::pin(async move {
            let bytes_max = Some(BULK_REQUEST_BYTES_MAX);
            Ok(tonic::server::Grpc::new(Raw).apply_max_message_size_config(bytes_max, None).unary(fixed, request).await)
        })
    }
}
