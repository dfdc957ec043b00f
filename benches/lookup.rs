//! Measures checks of random rows in memory: nanoseconds for each item of a batch of 1,000, without transport and
//! decoding. `cargo bench --bench lookup [MEMBERSHIPS]...`

use std::time::{Duration, Instant};

use batch::Batch;
use state::{PROJECT, ROLES, Random, state};

#[path = "memory/batch.rs"]
mod batch;
#[path = "memory/state.rs"]
mod state;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BATCH: usize = 1_000;
const BATCHES: usize = 400;
/// How long each size is measured.
const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    let sizes: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 1_000_000] } else { sizes };
    println!("{:>12}  {:>12}  {:>12}  {:>8}", "memberships", "ns an item", "ns, fast", "allowed");
    for size in sizes {
        let state = state(size, |random| 1 + random.below(ROLES));
        let Some(project) = state.project_numbered(PROJECT) else { continue };
        let mut random = Random(7);
        let batches: Vec<Batch> = (0..BATCHES).map(|_| Batch::new(BATCH, size, &mut random)).collect();
        let mut times = Vec::new();
        let mut allowed = 0;
        let began = Instant::now();
        while began.elapsed() < MEASURED {
            for batch in &batches {
                let start = Instant::now();
                allowed = batch.check(project);
                times.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
            }
        }
        times.sort_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        println!("{size:>12}  {mean:>12.1}  {:>12.1}  {allowed:>8}", times[times.len() / 10]);
    }
}
