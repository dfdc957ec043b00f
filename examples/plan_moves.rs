//! Moves very many orgs to a smaller plan and back, each time in one commit, while checks and writes continue. Prints how
//! long the moves took and how long other calls waited.
//!
//! `cargo run --release --example plan_moves`; see `-- --help`.

#[path = "access_matrix/cpu.rs"]
#[allow(dead_code)] // Only `access_matrix` counts CPU time.
mod cpu;
#[path = "access_matrix/target.rs"]
#[allow(dead_code)]
mod target;

#[path = "plan_moves/load.rs"]
mod load;
#[path = "plan_moves/moves.rs"]
mod moves;
#[path = "large_deletes/watch.rs"]
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tonic::Status;

use load::{Loaded, Sizes};
use moves::{Move, Moved};
use target::{ServerArgs, Target};
use watch::Watch;

/// Moves orgs from Paid to Free, which disables two of four roles, and back: once with SUSPEND and a fallback role, once
/// with REMAP. Exits with 1 if a check denies a permission that every member has all the time, or if the roles are wrong
/// afterwards.
///
/// Without --address it starts a server in this process and calls it over TCP. By default it loads 1,200,000 members;
/// `--orgs 100 --members 20` is quick.
#[derive(Parser)]
#[command(name = "plan_moves", max_term_width = 100)]
struct Args {
    /// The number of orgs to move in one commit. A call may have 10,000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    orgs: u16,

    /// The number of members of each org, at least 5. With several numbers everything is repeated for each.
    #[arg(long, value_delimiter = ',', default_value = "20,100")]
    members: Vec<usize>,

    /// The number of orgs in which one member has a temporary role. Such members are written one by one.
    #[arg(long, default_value_t = 0)]
    temporary: usize,

    /// The seconds for which checks and writes continue before and after a move.
    #[arg(long, default_value_t = 3)]
    seconds: u64,

    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    target::exit_code(run(&Args::parse()).map(|()| true))
}

fn run(args: &Args) -> Result<(), String> {
    if let Some(members) = args.members.iter().find(|members| **members < load::ORG_MEMBERS_MIN) {
        return Err(format!("--members {members}: an org needs at least {}", load::ORG_MEMBERS_MIN));
    }
    Target::new(&args.server, None)?.work(async |target| {
        for &org_members in &args.members {
            let orgs = usize::from(args.orgs);
            let sizes = Sizes { orgs, org_members, temporary: args.temporary.min(orgs) };
            there_and_back(args, &target.address, sizes).await?;
        }
        Ok(())
    })
}

async fn there_and_back(args: &Args, address: &str, sizes: Sizes) -> Result<(), String> {
    let channel = target::connect(address).await?;
    let start = Instant::now();
    let loaded = load::load(channel.clone(), sizes).await?;
    let (orgs, members) = (HumanCount(sizes.orgs as u64), HumanCount(loaded.watched.users as u64));
    println!("\n{orgs} orgs with {members} members loaded in {:.1} s", start.elapsed().as_secs_f64());
    let idle = Watch::start(address, &loaded.watched).await?.stop_after(Duration::from_secs(args.seconds)).await?;
    println!("without other load: {idle}");
    for step in [Move::Suspend, Move::BackFromSuspend, Move::Remap, Move::BackFromRemap] {
        let preview = moves::run(channel.clone(), &loaded, step, true).await?;
        let watch = Watch::start(address, &loaded.watched).await?;
        let done = moves::run(channel.clone(), &loaded, step, false).await?;
        let waits = watch.stop_after(Duration::from_secs(args.seconds)).await?;
        if preview.impact != done.impact {
            return Err(format!("{step}: the preview returned {:?}, and the move {:?}", preview.impact, done.impact));
        }
        report(step, &loaded, &preview, &done)?;
        println!("  during the move and for {} s after it: {waits}", args.seconds);
        moves::check_managers(channel.clone(), &loaded, step).await?;
    }
    Ok(())
}

/// Prints how long a move took. Returns an error if its impact is wrong.
fn report(step: Move, loaded: &Loaded, preview: &Moved, done: &Moved) -> Result<(), String> {
    let impact = &done.impact;
    println!(
        "{step}: previewed in {:.3} s, moved in {:.3} s, {} members affected",
        preview.took.as_secs_f64(),
        done.took.as_secs_f64(),
        HumanCount(impact.members as u64)
    );
    let expected = step.expected(loaded);
    let found: Vec<_> = impact.roles.iter().map(moves::counts).collect();
    if found == expected { Ok(()) } else { Err(format!("{step}: the impact on roles is {found:?}, not {expected:?}")) }
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
