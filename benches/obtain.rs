//! Measures how long checks wait for the State while others write: `cargo bench --bench obtain [MEMBERSHIPS]`.
//!
//! Two readers obtain the published State, check a small batch and drop the State, as handlers do. Deciding and publishing
//! are those of the writer, without a database. On a busy machine the longest times are those of threads that had to wait
//! for a processor. The columns of the clock show them: the time of reading it twice, in the same loop.

#![allow(clippy::expect_used)]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use batch::Batch;
use rolecall::domain::commands::command::{
    BatchWriteMembers, DeleteRole, MemberWrite, Purge, RoleAssignment, Write, WriteMember,
};
use rolecall::domain::commands::group::{Known, Verdict, Work, decide_group};
use rolecall::domain::{Call, Command, OrgId, ProjectKey, RoleName, State, Time, UserId};
use rolecall::engine::Engine;
use rolecall::limits::{Limits, PURGE_ROWS_MAX};
use state::{MEMBERS, PROJECT, ROLES, Random, id, member_key, role, state};

#[path = "memory/batch.rs"]
mod batch;
#[path = "memory/state.rs"]
mod state;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const READERS: u64 = 2;
const BATCH: usize = 100;
const MEASURED: Duration = Duration::from_secs(3);
const WRITES_PER_SECOND: u32 = 5_000;
const BULK: u32 = 10_000;
/// No mapping disables these roles, and they are visible.
const FREE_ROLES: std::ops::Range<u32> = 5..ROLES;
/// The purger waits as long between two chunks.
const CHUNK_DELAY: Duration = Duration::from_millis(10);

fn main() {
    let size = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    println!("{size} memberships, nanoseconds");
    println!(
        "{:26} {:8} {:>8} {:>7} {:>7} {:>7} {:>9} {:>11}",
        "meanwhile", "", "times", "p50", "p99", "p99.9", "max", "above 20 us"
    );
    let held_by_all = state(size, |_| FREE_ROLES.start);
    measure("nothing", size, &held_by_all, |_| std::thread::sleep(MEASURED));
    measure("5,000 changes a second", size, &held_by_all, |writer| {
        for _ in 0..MEASURED.as_secs() as u32 * WRITES_PER_SECOND {
            let command = writer.change(size);
            writer.commit(command);
            writer.pause(Duration::from_secs(1) / WRITES_PER_SECOND);
        }
    });
    measure("bulks of 10,000 changes", size, &held_by_all, |writer| {
        while writer.began.elapsed() < MEASURED {
            let command = writer.bulk(size);
            writer.commit(command);
        }
    });
    measure("a role of all is deleted", size, &held_by_all, |writer| {
        for deleted in FREE_ROLES.start..FREE_ROLES.end - 1 {
            writer.commit(delete(deleted, Some(deleted + 1)));
        }
    });
    let internal = state(size, |_| ROLES);
    measure("it is deleted and purged", size, &internal, |writer| {
        writer.commit(delete(ROLES, None));
        let members: Vec<_> = (0..size).map(|member| member_key(member / MEMBERS, member)).collect();
        let began = writer.began;
        for chunk in members.chunks(PURGE_ROWS_MAX).take_while(|_| began.elapsed() < 2 * MEASURED) {
            std::thread::sleep(CHUNK_DELAY);
            let members = chunk.iter().map(|key| (key.org, key.user.clone())).collect();
            writer.commit(Command::Purge(Purge { project: PROJECT, members, last: false }));
        }
    });
}

fn measure(meanwhile: &str, size: u32, state: &State, write: impl FnOnce(&mut Writer<'_>)) {
    let engine = Engine::new(1, state.clone(), &[]);
    let stopped = AtomicBool::new(false);
    let [mut clock, mut obtained, mut dropped] = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                scope.spawn({
                    let (engine, stopped) = (&engine, &stopped);
                    move || read(engine, size, reader, stopped)
                })
            })
            .collect();
        write(&mut Writer { engine: &engine, random: Random(7), began: Instant::now(), commits: 0 });
        stopped.store(true, Relaxed);
        let mut all: [Vec<u32>; 3] = Default::default();
        for reader in readers {
            for (all, times) in all.iter_mut().zip(reader.join().expect("a reader ends")) {
                all.extend(times);
            }
        }
        all
    });
    print(meanwhile, "clock", &mut clock);
    print("", "obtain", &mut obtained);
    print("", "drop", &mut dropped);
}

/// Returns the times of reading the clock, of obtaining the State and of dropping it.
fn read(engine: &Engine, size: u32, reader: u64, stopped: &AtomicBool) -> [Vec<u32>; 3] {
    let mut random = Random(reader);
    let batches: Vec<Batch> = (0..1_000).map(|_| Batch::new(BATCH, size, &mut random)).collect();
    let mut times: [Vec<u32>; 3] = Default::default();
    for batch in batches.iter().cycle() {
        if stopped.load(Relaxed) {
            break;
        }
        let start = Instant::now();
        let read = Instant::now();
        let published = engine.pin();
        let obtained = Instant::now();
        std::hint::black_box(published.state.project_numbered(PROJECT).map(|project| batch.check(project)));
        let checked = Instant::now();
        drop(published);
        let end = Instant::now();
        let all = [read - start, obtained - read, end - checked];
        times.iter_mut().zip(all).for_each(|(times, time)| times.push(time.as_nanos() as u32));
    }
    times
}

fn print(meanwhile: &str, what: &str, times: &mut [u32]) {
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(at);
    let max = times[times.len() - 1];
    let above = times.len() - times.partition_point(|&time| time <= 20_000);
    println!("{meanwhile:26} {what:8} {:>8} {p50:>7} {p99:>7} {p999:>7} {max:>9} {above:>11}", times.len());
}

struct Writer<'a> {
    engine: &'a Engine,
    random: Random,
    began: Instant,
    commits: u32,
}

impl Writer<'_> {
    fn commit(&mut self, command: Command) {
        let state = State::clone(&self.engine.pin().state);
        let base = state.revision();
        let work = Work { command, call: Call::plain("bench", ""), tag: self.commits };
        let group = decide_group(state, &[work], &Known::new(), Time(1), &Limits::default());
        assert!(matches!(group.verdicts[..], [Verdict::Done { .. }]), "the command is accepted");
        // A member may get the role that it has.
        self.engine.publish(base, group.next, group.commits);
        self.commits += 1;
    }

    /// Waits until as many intervals have passed as there are commits.
    fn pause(&self, interval: Duration) {
        std::thread::sleep((interval * self.commits).saturating_sub(self.began.elapsed()));
    }

    fn change(&mut self, size: u32) -> Command {
        let row = self.row(size);
        Command::WriteMember(WriteMember { project: project(), row, allow_ownerless: true, keep_invitations: false })
    }

    fn bulk(&mut self, size: u32) -> Command {
        let mut rows: Vec<MemberWrite> = (0..BULK).map(|_| self.row(size)).collect();
        // A batch names a member once.
        rows.sort_by(|one, other| one.user_id.cmp(&other.user_id));
        rows.dedup_by(|one, other| one.user_id == other.user_id);
        let (allow_ownerless, keep_invitations) = (true, false);
        Command::BatchWriteMembers(BatchWriteMembers { project: project(), rows, allow_ownerless, keep_invitations })
    }

    /// Gives a random member a random role.
    fn row(&mut self, size: u32) -> MemberWrite {
        let member = self.random.below(size);
        let role = self.random.below(FREE_ROLES.len() as u32) + FREE_ROLES.start;
        let role = RoleAssignment { role: role_name(role), expire_time: None, permanent: false };
        let (org_id, user_id) = (OrgId::stored(id(1, member / MEMBERS)), UserId::stored(id(2, member)));
        MemberWrite { org_id, user_id, write: Write::Set(vec![role]) }
    }
}

fn delete(deleted: u32, replacement: Option<u32>) -> Command {
    let replacement = replacement.map(role_name);
    Command::DeleteRole(DeleteRole { project: project(), name: role_name(deleted), etag: None, replacement })
}

fn role_name(number: u32) -> RoleName {
    role(number).name
}

fn project() -> ProjectKey {
    ProjectKey::default_project()
}
