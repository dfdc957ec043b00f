//! Deletes a role with very many holders and an org with very many members, while checks and writes continue. Prints how
//! long the deletes took and how long other calls waited.
//!
//! `cargo run --release --example large_deletes`; see `-- --help`.

#[path = "access_matrix/cpu.rs"]
#[allow(dead_code)] // Only `access_matrix` counts CPU time.
mod cpu;
#[path = "access_matrix/target.rs"]
#[allow(dead_code)]
mod target;

#[path = "large_deletes/load.rs"]
mod load;
#[path = "large_deletes/watch.rs"]
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::wire;
use tonic::Status;
use tonic::transport::Channel;

use load::{BIG_ORG, CLERK, Loaded};
use target::{ServerArgs, Target};
use watch::Watch;

/// Deletes a role that a million members hold, and an org of 200,000 members, while batches of checks and writes
/// continue. Exits with 1 if a check finds a member with neither the role nor its replacement.
#[derive(Parser)]
#[command(name = "large_deletes", max_term_width = 100)]
struct Args {
    /// The number of members who hold the role, in orgs of a thousand.
    #[arg(long, default_value_t = 1_000_000)]
    members: usize,

    /// The number of members of the deleted org.
    #[arg(long, default_value_t = 200_000)]
    org_members: usize,

    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    target::exit_code(run(&Args::parse()).map(|()| true))
}

fn run(args: &Args) -> Result<(), String> {
    Target::new(&args.server, None)?.work(async |target| deletes(args, &target.address).await)
}

async fn deletes(args: &Args, address: &str) -> Result<(), String> {
    let channel = target::connect(address).await?;
    let start = Instant::now();
    let loaded = load::load(channel.clone(), args.members, args.org_members).await?;
    println!("loaded {} memberships in {:.1} s", HumanCount(loaded.memberships as u64), start.elapsed().as_secs_f64());

    let idle = Watch::start(address, &loaded.clerks).await?.stop_after(Duration::from_secs(3)).await?;
    println!("without other load: {idle}");

    let watch = Watch::start(address, &loaded.clerks).await?;
    let (took, migrated) = delete_role(channel.clone(), &loaded).await?;
    println!("deleted a role with {} holders in {:.3} s", HumanCount(migrated as u64), took.as_secs_f64());
    println!("during the delete and for 3 s after it: {}", watch.stop_after(Duration::from_secs(3)).await?);

    let watch = Watch::start(address, &loaded.clerks).await?;
    let (took, removed) = delete_org(channel, &loaded).await?;
    println!("deleted an org with {} members in {:.3} s", HumanCount(removed as u64), took.as_secs_f64());
    println!(
        "during the delete and for 20 s after it, while it is purged: {}",
        watch.stop_after(Duration::from_secs(20)).await?
    );
    Ok(())
}

async fn delete_role(channel: Channel, loaded: &Loaded) -> Result<(Duration, i32), String> {
    let request = wire::DeleteRoleRequest { project: loaded.project.clone(), name: CLERK.into(), ..Default::default() };
    let start = Instant::now();
    let deleted = RoleServiceClient::new(channel).delete_role(request).await.map_err(refused)?.into_inner();
    Ok((start.elapsed(), deleted.migrated_members))
}

async fn delete_org(channel: Channel, loaded: &Loaded) -> Result<(Duration, i32), String> {
    let request =
        wire::DeleteOrgRequest { project: loaded.project.clone(), org_id: BIG_ORG.into(), ..Default::default() };
    let start = Instant::now();
    let deleted = OrgServiceClient::new(channel).delete_org(request).await.map_err(refused)?.into_inner();
    Ok((start.elapsed(), deleted.removed_memberships))
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
fn bar(total: u64, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(message);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn refused(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
