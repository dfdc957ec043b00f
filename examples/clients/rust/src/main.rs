//! Asks Rolecall whether a user may do something: rolecall-check ORG USER PERMISSION.

use std::error::Error;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};

#[allow(dead_code, clippy::all)]
mod rolecall {
    tonic::include_proto!("rolecall.v1");
}

use rolecall::check_request::Question;
use rolecall::check_service_client::CheckServiceClient;
use rolecall::{CheckRequest, CheckResponse};

const TRIES: u32 = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [org_id, user_id, permission] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "give ORG USER PERMISSION")?;
    let question = Some(Question::Permission(permission));
    let request = CheckRequest { org_id, user_id, question, ..CheckRequest::default() };
    let deadline = std::env::var("ROLECALL_DEADLINE").map_or(Ok(2), |seconds| seconds.parse())?;
    let asked = async { check(connect().await?, request).await };
    let answer = tokio::time::timeout(Duration::from_secs(deadline), asked).await??;
    println!("{}", answer.decision().as_str_name());
    Ok(())
}

async fn connect() -> Result<Channel, Box<dyn Error>> {
    let server = std::env::var("ROLECALL_SERVER")?; // unix:PATH or HOST:PORT
    if let Some(path) = server.strip_prefix("unix:").map(String::from) {
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        return Ok(Endpoint::from_static("http://localhost").connect_with_connector(connector).await?);
    }
    let ca = Certificate::from_pem(std::fs::read(std::env::var("ROLECALL_CA")?)?);
    let tls = ClientTlsConfig::new().ca_certificate(ca);
    Ok(Endpoint::from_shared(format!("https://{server}"))?.tls_config(tls)?.connect().await?)
}

/// Tonic has no retry policy. This does the same.
async fn check(channel: Channel, asked: CheckRequest) -> Result<CheckResponse, Box<dyn Error>> {
    let mut client = CheckServiceClient::new(channel);
    let key = format!("Bearer {}", std::env::var("ROLECALL_KEY")?).parse::<tonic::metadata::AsciiMetadataValue>()?;
    for failed in 1.. {
        let mut request = Request::new(asked.clone());
        request.metadata_mut().insert("authorization", key.clone());
        match client.check(request).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(error) if error.code() != Code::Unavailable || failed == TRIES => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(25) * 2_u32.pow(failed)).await,
        }
    }
    Err("no tries left".into())
}
