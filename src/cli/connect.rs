//! A connection to a running server, over TCP or a unix socket.

use std::error::Error;

use tonic::transport::{Channel, Endpoint, Uri};

use crate::server::Listen;

/// Connects. The error says where and why not.
pub async fn connect(address: &Listen) -> Result<Channel, String> {
    let connected = match address {
        Listen::Tcp(name) => match Endpoint::from_shared(format!("http://{name}")) {
            Ok(endpoint) => endpoint.connect().await,
            Err(error) => Err(error),
        },
        Listen::Unix(path) => {
            let path = path.clone();
            // Nothing resolves the URI. It only gives requests an authority.
            let endpoint = Endpoint::from_static("http://localhost");
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
            });
            endpoint.connect_with_connector(connector).await
        }
    };
    connected.map_err(|error| format!("{address} does not answer: {}", cause(&error)))
}

/// Returns the innermost message. A transport error itself says only that it is one.
fn cause(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
