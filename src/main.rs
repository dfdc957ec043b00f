//! The `rolecall` binary.

use std::process::ExitCode;

/// Gives memory back after a burst of large calls, which the allocator of glibc keeps, and takes 10 % fewer instructions for a
/// check (docs/decisions.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    rolecall::cli::run()
}
