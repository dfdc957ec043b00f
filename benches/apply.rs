//! Measures writes in memory: microseconds for applying a change to the State, and for dropping the State before it, as
//! each commit does. Both include what an edit copies. `cargo bench --bench apply [MEMBERSHIPS]...`

use std::time::Instant;

use rolecall::domain::model::id::{PermissionId, RoleId, RoleMappingId, RoleSetId};
use rolecall::domain::model::membership::MembershipRecord;
use rolecall::domain::model::permission::Permission;
use rolecall::domain::model::role_set::RoleSet;
use rolecall::domain::state::change::GrantsKey;
use rolecall::domain::{Change, Edit, PermissionName, State, Time};
use state::{
    MEMBERS, PERMISSIONS, PROJECT, ROLES, Random, created, member_key, membership, org_key, org_record, role, role_id,
    scoped, state,
};

#[path = "memory/state.rs"]
mod state;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Commits of each kind.
const COMMITS: u32 = 1_000;
const GROUP: usize = 64;
const BULK: usize = 10_000;
const BULKS: usize = 9;

fn main() {
    let sizes: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 1_000_000] } else { sizes };
    println!("microseconds for each change, medians");
    println!("{:>12}  {:44}  {:>8}  {:>8}", "memberships", "commit", "apply", "drop");
    for size in sizes {
        measure(size);
    }
}

fn measure(size: u32) {
    let mut bench = Bench { size, state: state(size, |random| 1 + random.below(ROLES)), random: Random(7), next: size };
    let first_org = size.div_ceil(MEMBERS);
    let new: Vec<Change> = (0..COMMITS).map(|_| bench.new_member()).collect();
    let removed = new.iter().map(|change| change.clone().undone()).collect::<Vec<_>>();
    bench.commit("a membership is created", singles(new));
    let changed = (0..COMMITS).map(|_| bench.changed_member()).collect();
    bench.commit("a membership gets another role", singles(changed));
    bench.commit("a membership is removed", singles(removed));
    let groups = (0..COMMITS).map(|_| (0..GROUP).map(|_| bench.changed_member()).collect()).collect();
    bench.commit("64 memberships get other roles", groups);
    let bulks = (0..BULKS).map(|_| (0..BULK).map(|_| bench.new_member()).collect()).collect();
    bench.commit("10,000 memberships are created", bulks);
    let orgs =
        (first_org..first_org + COMMITS).map(|org| Change::Org(created(org_key(org), org_record(org)))).collect();
    bench.commit("an org is created", singles(orgs));
    let members = (first_org..first_org + BULKS as u32 * (BULK as u32 / MEMBERS)).collect::<Vec<_>>();
    let filled = members.chunks(BULK / MEMBERS as usize).map(|orgs| bench.filled(orgs)).collect();
    bench.commit("10,000 memberships are created in 100 new orgs", filled);
    bench.commit("a permission is created", singles((0..COMMITS).map(permission).collect()));
    bench.commit("a role is granted a permission", singles((0..COMMITS).map(grant).collect()));
    bench.commit("a role is created", (0..COMMITS).map(new_role).collect());
}

fn singles(changes: Vec<Change>) -> Vec<Vec<Change>> {
    changes.into_iter().map(|change| vec![change]).collect()
}

struct Bench {
    size: u32,
    state: State,
    random: Random,
    /// The number of the next new member.
    next: u32,
}

impl Bench {
    /// Applies each commit to a clone of the State, as deciding does, and drops the State before it.
    fn commit(&mut self, name: &str, commits: Vec<Vec<Change>>) {
        let (mut applied, mut dropped) = (Vec::new(), Vec::new());
        for changes in &commits {
            let start = Instant::now();
            let mut next = self.state.clone();
            changes.iter().for_each(|change| next.apply(change));
            let ready = Instant::now();
            let before = std::mem::replace(&mut self.state, next);
            drop(before);
            let end = Instant::now();
            applied.push((ready - start).as_secs_f64() * 1e6 / changes.len() as f64);
            dropped.push((end - ready).as_secs_f64() * 1e6 / changes.len() as f64);
        }
        println!("{:>12}  {name:44}  {:>8.2}  {:>8.2}", self.size, median(&mut applied), median(&mut dropped));
    }

    fn new_member(&mut self) -> Change {
        let org = self.random.below(self.size.div_ceil(MEMBERS));
        self.next += 1;
        let record = membership(1 + self.random.below(ROLES));
        Change::Membership(created(member_key(org, self.next), record))
    }

    fn changed_member(&mut self) -> Change {
        let member = self.random.below(self.size);
        let [before, after]: [Option<MembershipRecord>; 2] =
            std::array::from_fn(|_| Some(membership(1 + self.random.below(ROLES))));
        Change::Membership(Edit { key: member_key(member / MEMBERS, member), before, after })
    }

    fn filled(&mut self, orgs: &[u32]) -> Vec<Change> {
        let orgs = orgs.iter().flat_map(|&org| std::iter::repeat_n(org, MEMBERS as usize));
        let members = orgs.map(|org| {
            self.next += 1;
            Change::Membership(created(member_key(org, self.next), membership(1)))
        });
        members.collect()
    }
}

fn permission(number: u32) -> Change {
    let name = PermissionName::stored(format!("New::Permission{number}"));
    let permission =
        Permission { name, description: "".into(), built_in: false, create_time: Time(0), aliases: [].into() };
    Change::Permission(created(scoped(PermissionId::new(PERMISSIONS + 1 + number)), permission))
}

fn grant(number: u32) -> Change {
    let key = GrantsKey { project: PROJECT, role_mapping: scoped(RoleMappingId::new(1)).id, role: role_id(5) };
    Change::Grants(created(key, PermissionId::new(PERMISSIONS + 1 + number).into_iter().collect()))
}

/// A role, and the set of roles that its first member gets.
fn new_role(number: u32) -> Vec<Change> {
    let number = ROLES + 1 + number;
    let set = RoleSet::new([role_id(number)]);
    vec![
        Change::Role(created(scoped(RoleId::new(number)), role(number))),
        Change::RoleSet(created(scoped(RoleSetId::new(number)), set)),
    ]
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
