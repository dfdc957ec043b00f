//! Moves very many orgs from one plan to a smaller one and back, in one commit each, while checks and writes go on. Prints
//! what the moves take, and how long anybody else had to wait.
//!
//! `cargo run --release --example plan_moves`; `-- --help` tells the rest.

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

/// Moves orgs from Paid to Free, where two of four roles are disabled, and back: once with SUSPEND and a fallback role, once
/// with REMAP. Exits with 1 if a check ever denies what every member may do all the time, or if roles are not what they
/// should be afterwards.
///
/// Without --address it starts a server of its own in this process and talks to it over TCP like anybody else. By default
/// it loads 1,200,000 members; `--orgs 100 --members 20` is a short look.
#[derive(Parser)]
#[command(name = "plan_moves", max_term_width = 100)]
struct Args {
    /// How many orgs are moved in one commit; a call takes 10,000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    orgs: u16,

    /// How many members each org has, at least 5; with several numbers it is all done for each.
    #[arg(long, value_delimiter = ',', default_value = "20,100")]
    members: Vec<usize>,

    /// In how many of the orgs, at most all, a member is lent a role until a time. Such members are written one by one.
    #[arg(long, default_value_t = 0)]
    lent: usize,

    /// How many seconds checks and writes go on before and after a move.
    #[arg(long, default_value_t = 3)]
    seconds: u64,

    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    target::removed(run(&Args::parse()).map(|()| true))
}

fn run(args: &Args) -> Result<(), String> {
    if let Some(few) = args.members.iter().find(|members| **members < load::ORG_MEMBERS_MIN) {
        return Err(format!("--members {few}: an org needs at least {}", load::ORG_MEMBERS_MIN));
    }
    Target::new(&args.server, None)?.work(async |target| {
        for &org_members in &args.members {
            let orgs = usize::from(args.orgs);
            let sizes = Sizes { orgs, org_members, lent: args.lent.min(orgs) };
            there_and_back(args, &target.address, sizes).await?;
        }
        Ok(())
    })
}

async fn there_and_back(args: &Args, address: &str, sizes: Sizes) -> Result<(), String> {
    let channel = target::connect(address).await?;
    let began = Instant::now();
    let loaded = load::load(channel.clone(), sizes).await?;
    let (orgs, members) = (HumanCount(sizes.orgs as u64), HumanCount(loaded.watched.users as u64));
    println!("\n{orgs} orgs with {members} members loaded in {:.1} s", began.elapsed().as_secs_f64());
    let quiet = Watch::begin(address, &loaded.watched).await?.over(Duration::from_secs(args.seconds)).await?;
    println!("nothing else going on: {quiet}");
    for step in [Move::Suspend, Move::BackFromSuspend, Move::Remap, Move::BackFromRemap] {
        let looked = moves::moved(channel.clone(), &loaded, step, true).await?;
        let watch = Watch::begin(address, &loaded.watched).await?;
        let done = moves::moved(channel.clone(), &loaded, step, false).await?;
        let seen = watch.over(Duration::from_secs(args.seconds)).await?;
        if looked.impact != done.impact {
            return Err(format!("{step}: the dry run said {:?}, and the move {:?}", looked.impact, done.impact));
        }
        told(step, &loaded, &looked, &done)?;
        println!("  meanwhile and {} s on: {seen}", args.seconds);
        moves::right_afterwards(channel.clone(), &loaded, step).await?;
    }
    Ok(())
}

/// Prints what a move took; it must have touched as many as it should.
fn told(step: Move, loaded: &Loaded, looked: &Moved, done: &Moved) -> Result<(), String> {
    let impact = &done.impact;
    println!(
        "{step}: looked at in {:.3} s, done in {:.3} s, {} members touched",
        looked.took.as_secs_f64(),
        done.took.as_secs_f64(),
        HumanCount(impact.members as u64)
    );
    let expected = step.roles(loaded);
    let found: Vec<_> = impact.roles.iter().map(moves::counts).collect();
    if found == expected { Ok(()) } else { Err(format!("{step}: {found:?} became of roles, not {expected:?}")) }
}

/// A bar on the standard error output; nothing where that is no terminal.
fn bar(total: u64, doing: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(doing);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn refused(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
