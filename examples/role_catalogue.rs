//! Loads a real catalogue of roles over gRPC and works with it: asks, duplicates, compares, renames. Prints what each takes.
//!
//! `cargo run --release --example role_catalogue -- FILE`; `-- --help` tells the rest.

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

/// Loads a catalogue of roles into a role mapping, asks what its roles grant, duplicates and compares the mapping, and
/// renames a role in it. Exits with 1 if one answer differs from the file.
#[derive(Parser)]
#[command(name = "role_catalogue", max_term_width = 100)]
struct Args {
    /// Lines of `role TAB title TAB stage TAB permissions`, the permissions diverged by spaces; lines that begin with `#`
    /// are skipped; gzipped.
    file: PathBuf,

    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    target::removed(run(&Args::parse()).map(|()| true))
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
        let work = Work::begin(&catalogue, target::connect(&target.address).await?).await?;
        temporary("load", work.load()).await?;
        temporary("ask what every 20th role grants", work.ask()).await?;
        temporary("duplicate the mapping", work.duplicate()).await?;
        temporary("compare it with its duplicate", work.compare()).await?;
        temporary("rename a role, and use both names", work.rename()).await
    })
}

async fn temporary(what: &str, work: impl Future<Output = Result<String, String>>) -> Result<(), String> {
    let began = Instant::now();
    let said = work.await.map_err(|why| format!("{what}: {why}"))?;
    println!("{:>8.3} s  {what}: {said}", began.elapsed().as_secs_f64());
    Ok(())
}
