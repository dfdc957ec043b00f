//! Measures checks of random rows in memory: nanoseconds for each item of a batch of 1,000, without transport and
//! decoding. `cargo bench --bench lookup [MEMBERSHIPS]...`

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use rolecall::domain::{Decision, Item, Project, Time};
use state::{MEMBERS, PERMISSIONS, PROJECT, Random, id, permission, state};

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
        let state = state(size);
        let Some(project) = state.project_numbered(PROJECT) else { continue };
        let mut random = Random(7);
        let batches: Vec<Batch> = (0..BATCHES).map(|_| Batch::new(size, &mut random)).collect();
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

/// The rows of a batch. Their texts are next to each other, as in a request.
struct Batch {
    texts: String,
    rows: Vec<[Range<usize>; 3]>,
}

impl Batch {
    fn new(memberships: u32, random: &mut Random) -> Self {
        let mut batch = Self { texts: String::new(), rows: Vec::new() };
        for _ in 0..BATCH {
            let text = |text: String| {
                let start = batch.texts.len();
                batch.texts += &text;
                start..batch.texts.len()
            };
            batch.rows.push(row(memberships, random).map(text));
        }
        batch
    }

    /// Returns how many items are allowed.
    fn check(&self, project: &Project) -> usize {
        let items = self.rows.iter().map(|row| {
            let [org_id, user_id, permission] = row.clone().map(|range| &self.texts.as_bytes()[range]);
            Item { org_id, user_id, permission }
        });
        let mut decisions = Vec::with_capacity(BATCH);
        project.check_batch(items, Time(0), &mut decisions, |member| {
            black_box(member.org);
        });
        decisions.iter().filter(|&&decision| decision == Decision::Allowed).count()
    }
}

/// Returns the ids of a member, and a permission.
fn row(memberships: u32, random: &mut Random) -> [String; 3] {
    let member = random.below(memberships);
    [id(1, member / MEMBERS), id(2, member), permission(random.below(PERMISSIONS))]
}
