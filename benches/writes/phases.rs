//! Where the time of a bulk write goes: each phase by itself, as the writer and the API run them.

use std::time::{Duration, Instant};

use prost::Message;
use rolecall::clock;
use rolecall::domain::Command;
use rolecall::domain::commands::command::Write;
use rolecall::domain::commands::group::{Known, Work, decide_group};
use rolecall::domain::impact::impact;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::limits::Limits;
use rolecall::store::Committed;
use rolecall::wire::{self, member_write};

use crate::product::Product;

const PHASES: [&str; 7] =
    ["decode", "impact", "decide without impact", "encode changes", "begin", "persist without encoding", "commit"];

/// The times of the phases of some calls.
#[derive(Default)]
pub struct Phases([Duration; PHASES.len()]);

impl Phases {
    pub fn print(&self, rows: usize) {
        let total: Duration = self.0.iter().sum();
        for (phase, time) in PHASES.iter().zip(self.0) {
            let share = time.as_secs_f64() / total.as_secs_f64() * 100.0;
            println!("    {phase:<26} {share:>5.1} % {:>8.0} ns a member", time.as_nanos() as f64 / rows as f64);
        }
    }

    /// Writes a command phase by phase, beside the product's writer. The product must not write afterwards.
    pub async fn write(&mut self, product: &mut Product, command: Command) {
        let mut clock = Clock(Instant::now());
        let bytes = request(&command).encode_to_vec();
        clock.lap();
        let decoded = wire::BatchWriteMembersRequest::decode(&*bytes).expect("it was encoded just now");
        self.0[0] += clock.lap();
        drop(decoded);

        let work = [Work { command, call: product.call(0), tag: 1 }];
        let (before, now) = (product.state.clone(), clock::now());
        clock.lap();
        let group = decide_group(before.clone(), &work, &Known::new(), now, &Limits::default());
        let decided = clock.lap();
        let changes = &group.commits[0].changes;
        impact(&before, &group.next, changes, Visibility::All, now);
        let compared = clock.lap();
        self.0[1] += compared;
        self.0[2] += decided.saturating_sub(compared);
        let encoded: usize = changes.iter().map(|change| wire::change::encode(change).len()).sum();
        assert!(encoded > 0);
        let encoding = clock.lap();
        self.0[3] += encoding;
        let tx = product.store.begin_write().await.expect("a transaction begins");
        self.0[4] += clock.lap();
        let ready = tx.persist(&group.commits, now).await.expect("the rows are written");
        self.0[5] += clock.lap().saturating_sub(encoding);
        assert!(matches!(ready.commit().await, Committed::Yes));
        self.0[6] += clock.lap();
        product.state = group.next;
    }
}

struct Clock(Instant);

impl Clock {
    /// Returns the time since the last lap.
    fn lap(&mut self) -> Duration {
        let last = std::mem::replace(&mut self.0, Instant::now());
        self.0 - last
    }
}

/// Returns the request of a command.
fn request(command: &Command) -> wire::BatchWriteMembersRequest {
    let Command::BatchWriteMembers(batch) = command else { panic!("not a batch") };
    let rows = batch.rows.iter().map(|row| {
        let Write::Add(roles) = &row.write else { panic!("not an addition") };
        let role = |role: &str| wire::RoleAssignment { role: role.into(), ..wire::RoleAssignment::default() };
        let roles = roles.iter().map(|given| role(given.role.as_str())).collect();
        wire::MemberWrite {
            org_id: row.org_id.to_string(),
            user_id: row.user_id.to_string(),
            write: Some(member_write::Write::Add(wire::RoleAssignments { roles })),
        }
    });
    wire::BatchWriteMembersRequest { rows: rows.collect(), ..wire::BatchWriteMembersRequest::default() }
}
