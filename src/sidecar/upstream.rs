//! A connection to an upstream server.

use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::grpc::generated::replication::replication_service_client::ReplicationServiceClient;
use crate::trace;

/// A connected client, with the key that it sends.
pub type Client = ReplicationServiceClient<InterceptedService<Channel, Credentials>>;

/// Bytes of one frame. A frame has a mebibyte, and one change more.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// An upstream server.
#[tonic::async_trait]
pub trait Connect: Send + Sync {
    fn address(&self) -> &str;

    /// Connects. Returns why it cannot, and what to do.
    async fn connect(&self) -> Result<Client, String>;
}

/// The metadata `authorization` of all calls. `None` sends none.
#[derive(Clone, Default)]
pub struct Credentials(pub Option<MetadataValue<Ascii>>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        for (name, value) in trace::headers() {
            if let (Ok(name), Ok(value)) = (name.parse::<MetadataKey<Ascii>>(), value.parse()) {
                request.metadata_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

/// Makes a client of a connection.
pub fn client(channel: Channel, credentials: Credentials) -> Client {
    ReplicationServiceClient::with_interceptor(channel, credentials).max_decoding_message_size(FRAME_BYTES_MAX)
}
