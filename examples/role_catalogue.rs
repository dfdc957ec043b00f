//! Loads a real catalogue of roles over gRPC, then checks, duplicates, compares and renames. Prints how long each step took.
//!
//! `cargo run --release --example role_catalogue -- FILE`; see `-- --help`.

#[path = "access_matrix/cpu.rs"]
#[allow(dead_code)] // Only `access_matrix` counts CPU time.
mod cpu;
#[path = "access_matrix/target.rs"]
#[allow(dead_code)]
mod target;

#[path = "role_catalogue/catalogue.rs"]
mod catalogue;
#[path = "role_catalogue/work.rs"]
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::HumanCount;

use catalogue::Catalogue;
use target::{ServerArgs, Target};
use work::Work;

/// Loads a catalogue of roles into a role mapping, checks what its roles grant, duplicates and compares the mapping, and
/// renames a role. Exits with 1 if an answer differs from the file.
#[derive(Parser)]
#[command(name = "role_catalogue", max_term_width = 100)]
struct Args {
    /// A gzipped file. Its lines are `role TAB title TAB stage TAB permissions`, with the permissions separated by spaces.
    /// Lines that begin with `#` are skipped.
    file: PathBuf,

    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    target::exit_code(run(&Args::parse()).map(|()| true))
}

fn run(args: &Args) -> Result<(), String> {
    let catalogue = Catalogue::read(&args.file)?;
    println!(
        "{}: {} roles, {} permissions, {} grants",
        args.file.display(),
        HumanCount(catalogue.roles.len() as u64),
        HumanCount(catalogue.permissions.len() as u64),
        HumanCount(catalogue.grants() as u64),
    );
    Target::new(&args.server, None)?.work(async |target| {
        let work = Work::start(&catalogue, target::connect(&target.address).await?).await?;
        timed("load", work.load()).await?;
        timed("check what every 20th role grants", work.check()).await?;
        timed("duplicate the mapping", work.duplicate()).await?;
        timed("compare it with its duplicate", work.compare()).await?;
        timed("rename a role, and use both names", work.rename()).await
    })
}

async fn timed(what: &str, work: impl Future<Output = Result<String, String>>) -> Result<(), String> {
    let start = Instant::now();
    let result = work.await.map_err(|why| format!("{what}: {why}"))?;
    println!("{:>8.3} s  {what}: {result}", start.elapsed().as_secs_f64());
    Ok(())
}
