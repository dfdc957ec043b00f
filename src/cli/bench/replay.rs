//! `rolecall bench-replay`: measures any gRPC server with the client of `bench` and ready-made requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;

use super::drive::{Target, call_each, measure};
use super::report::Side;
use super::requests::Calls;
use crate::cli::connect::Remote;
use crate::cli::key::KeyArgs;
use crate::cli::trouble::{BUG, Trouble};
use crate::server::Listen;
use crate::wire::frame::HEADER_BYTES;

#[derive(Parser)]
pub struct Args {
    /// The server: `HOST:PORT` or `unix:PATH`.
    #[arg(long)]
    server: Listen,

    /// The process whose CPU time counts.
    #[arg(long)]
    pid: Option<u32>,

    /// The method, such as `/package.Service/Method`.
    #[arg(long)]
    path: String,

    /// A file with requests in their gRPC frames, one after the other.
    #[arg(long)]
    requests: PathBuf,

    /// Writes the answer to each request, in its frame, to a file. Measures nothing.
    #[arg(long, conflicts_with = "seconds")]
    answers: Option<PathBuf>,

    #[arg(long, default_value_t = 1)]
    checks_per_call: u64,

    #[arg(long, default_value_t = 2)]
    connections: usize,

    #[arg(long, default_value_t = 4)]
    in_flight: usize,

    #[arg(long, default_value_t = 3.0, value_parser = super::seconds)]
    seconds: f64,

    #[command(flatten)]
    key: KeyArgs,
}

/// Prints the figures in JSON, as those of a side of `bench --json`.
pub async fn run(args: Args) -> Result<(), Trouble> {
    let file_error = |path: &Path, error: &dyn std::fmt::Display| {
        Trouble::new(format!("`{}`: {error}", path.display()), "give files of gRPC frames")
    };
    let requests = std::fs::read(&args.requests).map_err(|error| file_error(&args.requests, &error))?;
    let frames = frames(requests.into()).map_err(|error| file_error(&args.requests, &error))?;
    let calls = Arc::new(Calls { path: args.path, frames });
    let target = Target {
        remote: Remote::without_tls(args.server).with_key(&args.key)?,
        pid: args.pid,
        connections: args.connections,
        in_flight: args.in_flight,
    };
    if let Some(path) = args.answers {
        let found = vec![Vec::new(); calls.frames.len()];
        let keep = |found: &mut Vec<Vec<u8>>, at: usize, answer: &[u8]| {
            found[at] = answer.into();
            Ok(())
        };
        let answers = call_each(&target, &calls, found, keep).await?;
        return std::fs::write(&path, answers.concat()).map_err(|error| file_error(&path, &error));
    }
    let round = measure(&target, &calls, Duration::from_secs_f64(args.seconds)).await?;
    let side = Side::of(&[round], args.checks_per_call);
    println!("{}", serde_json::to_string(&side).map_err(|error| Trouble::new(error.to_string(), BUG))?);
    Ok(())
}

/// Splits requests. Refuses a file that ends in the middle of one, or has none.
fn frames(mut bytes: Bytes) -> Result<Vec<Bytes>, &'static str> {
    let mut frames = Vec::new();
    while let Some(&[_, length @ ..]) = bytes.first_chunk::<HEADER_BYTES>() {
        let end = HEADER_BYTES + u32::from_be_bytes(length) as usize;
        if bytes.len() < end {
            break;
        }
        frames.push(bytes.split_to(end));
    }
    if bytes.is_empty() && !frames.is_empty() { Ok(frames) } else { Err("it does not hold whole gRPC frames") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_whole_frames() {
        let two = b"\0\0\0\0\x01a\0\0\0\0\0";
        assert_eq!(frames(Bytes::from_static(two)).unwrap(), [&two[..6], &two[6..]]);
        for broken in [&two[..8], &two[..5], b""] {
            assert!(frames(Bytes::from_static(broken)).is_err(), "{broken:?}");
        }
    }
}
