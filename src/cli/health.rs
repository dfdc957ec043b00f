//! `rolecall health`, for probes.

mod details;

use std::time::{Duration, SystemTime};

use clap::Parser;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use super::client::trouble;
use super::connect::Remote;
use super::connect::tls::TlsArgs;
use super::key::KeyArgs;
use super::trouble::Trouble;
use crate::grpc::generated::server_service_client::ServerServiceClient;
use crate::server::Listen;
use crate::wire::GetServerInfoRequest;

#[derive(Parser)]
pub struct Args {
    /// The server: `HOST:PORT` or `unix:PATH`; of several, separated by commas, the first is asked.
    #[arg(
        long,
        visible_alias = "server",
        env = "ROLECALL_LISTEN",
        default_value = "127.0.0.1:50051",
        value_delimiter = ',',
        num_args = 1
    )]
    address: Vec<Listen>,

    /// The service to ask about, as in `rolecall.v1.CheckService`; empty for the server as a whole.
    #[arg(long, default_value = "")]
    service: String,

    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    timeout: u64,

    /// Also says how each part is: the database, the age of the data, the upstream of a sidecar. The exit code stays the same. If
    /// every call needs credentials, so does this.
    #[arg(long, short)]
    verbose: bool,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    tls: TlsArgs,
}

pub async fn run(args: Args) -> Result<(), String> {
    let address = args.address.first().ok_or("no address to ask; set --address")?;
    let remote = Remote::new(address.clone(), &args.tls).map_err(Trouble::line)?;
    let asked = ask(&remote, &args.service);
    let timeout = Duration::from_secs(args.timeout);
    let status = tokio::time::timeout(timeout, asked).await;
    let status = status.map_err(|_| format!("{address} did not answer within {} s", args.timeout))?;
    if status.is_ok() {
        println!("SERVING");
    }
    if args.verbose {
        let described = tokio::time::timeout(timeout, describe(remote, &args.key)).await;
        match described.unwrap_or_else(|_| Err(format!("no answer within {} s", args.timeout))) {
            Ok(lines) => println!("{}", lines.join("\n")),
            // It was said already.
            Err(why) if status.as_ref() == Err(&why) => {}
            Err(why) => println!("no details: {why}"),
        }
    }
    status
}

/// Asks a server how its parts are.
async fn describe(remote: Remote, key: &KeyArgs) -> Result<Vec<String>, String> {
    let remote = remote.with_key(key).map_err(Trouble::line)?;
    let channel = remote.connect().await.map_err(Trouble::line)?;
    let answer = ServerServiceClient::new(channel).get_server_info(GetServerInfoRequest {}).await;
    let info = answer.map_err(|status| trouble(&status, &remote.address).line())?.into_inner();
    Ok(details::lines(&info, SystemTime::now().into()))
}

/// Asks a server whether a service serves.
async fn ask(remote: &Remote, service: &str) -> Result<(), String> {
    let address = &remote.address;
    let channel = remote.connect().await.map_err(Trouble::line)?;
    let request = HealthCheckRequest { service: service.into() };
    let answer = HealthClient::new(channel).check(request).await;
    let answer = answer.map_err(|status| format!("{address} answers {:?}: {}", status.code(), status.message()))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(format!("{address} says {}", status.as_str_name())),
    }
}
