//! `rolecall health`, for probes.

use std::time::Duration;

use clap::Parser;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use super::connect::Remote;
use super::connect::tls::TlsArgs;
use super::trouble::Trouble;
use crate::server::Listen;

#[derive(Parser)]
pub struct Args {
    /// The server: `HOST:PORT` or `unix:PATH`; of several, separated by commas, the first is asked.
    #[arg(long, env = "ROLECALL_LISTEN", default_value = "127.0.0.1:50051", value_delimiter = ',', num_args = 1)]
    address: Vec<Listen>,

    /// The service to ask about, as in `rolecall.v1.CheckService`; empty for the server as a whole.
    #[arg(long, default_value = "")]
    service: String,

    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    timeout: u64,

    #[command(flatten)]
    tls: TlsArgs,
}

pub async fn run(args: Args) -> Result<(), String> {
    let address = args.address.first().ok_or("no address to ask; set --address")?;
    let remote = Remote::new(address.clone(), &args.tls).map_err(Trouble::line)?;
    let asked = ask(&remote, &args.service);
    let status = tokio::time::timeout(Duration::from_secs(args.timeout), asked).await;
    match status.map_err(|_| format!("{address} did not answer within {} s", args.timeout))? {
        Ok(()) => {
            println!("SERVING");
            Ok(())
        }
        Err(why) => Err(why),
    }
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
