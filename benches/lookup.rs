//! Measures checks of random rows in memory: nanoseconds for each item of a batch of 1,000, without transport and
//! decoding. `cargo bench --bench lookup [MEMBERSHIPS]...`

use std::hint::black_box;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use rolecall::domain::model::lifecycle::Lifecycle;
use rolecall::domain::model::membership::{MembershipRecord, Origin};
use rolecall::domain::model::org::{OrgProfile, OrgRecord};
use rolecall::domain::model::permission::Permission;
use rolecall::domain::model::project::{Environment, ProjectRecord, RoleStructure};
use rolecall::domain::model::role_mapping::RoleMappingRecord;
use rolecall::domain::model::role_set::RoleSet;
use rolecall::domain::state::change::{GrantsKey, MembershipKey};
use rolecall::domain::{
    Change, Decision, Edit, Item, OrgId, PermissionName, Project, ProjectKey, RoleMappingName, Scoped, State, Time,
    UserId,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PROJECT: ProjectId = ProjectId(NonZeroU32::MIN);
const MEMBERS: u32 = 100;
const PERMISSIONS: u32 = 200;
const ROLES: u32 = 10;
const ROLE_MAPPINGS: u32 = 4;
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

fn permission(number: u32) -> String {
    format!("Product{}::CanDo{number:06}", number % 10)
}

/// Returns an id in the form of a UUID.
fn id(kind: u64, number: u32) -> String {
    let mut random = Random(kind << 40 | u64::from(number));
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Returns a State whose rows are those of `shared/bench`: 10 roles, 4 mappings, half of the permissions granted.
fn state(memberships: u32) -> State {
    let mut state = State::new(HashKey::new([42; 16]));
    let mut random = Random(42);
    let role = |number| RoleId::new(number).unwrap_or(RoleId(NonZeroU32::MIN));
    state.apply(&Change::Project(created(PROJECT, project())));
    for number in 1..=PERMISSIONS {
        let name = PermissionName::stored(permission(number - 1));
        let permission =
            Permission { name, description: "".into(), built_in: false, create_time: Time(0), aliases: [].into() };
        state.apply(&Change::Permission(created(scoped(PermissionId::new(number)), permission)));
    }
    for number in 1..=ROLES {
        state.apply(&Change::RoleSet(created(scoped(RoleSetId::new(number)), RoleSet::new([role(number)]))));
    }
    for number in 1..=ROLE_MAPPINGS {
        let record = RoleMappingRecord {
            name: RoleMappingName::stored(format!("mapping {number}")),
            description: "".into(),
            disabled_roles: [role(number)].into(),
            create_time: Time(0),
            aliases: [].into(),
            version: 1,
        };
        let mapping = scoped(RoleMappingId::new(number));
        state.apply(&Change::RoleMapping(created(mapping, record)));
        for role in (1..=ROLES).map(role) {
            let granted = (1..=PERMISSIONS).filter(|_| random.below(10) < 6).filter_map(PermissionId::new).collect();
            let key = GrantsKey { project: PROJECT, role_mapping: mapping.id, role };
            state.apply(&Change::Grants(created(key, granted)));
        }
    }
    for org in 0..memberships.div_ceil(MEMBERS) {
        let profile = OrgProfile {
            org_id: OrgId::stored(id(1, org)),
            display_name: "".into(),
            metadata: "".into(),
            create_time: Time(0),
        };
        let role_mapping = scoped(RoleMappingId::new(1 + org % ROLE_MAPPINGS)).id;
        let record = OrgRecord { profile: Arc::new(profile), role_mapping, lifecycle: Lifecycle::Existing };
        let no = scoped(OrgNo::new(org + 1));
        state.apply(&Change::Org(created(no, record)));
        for member in org * MEMBERS..memberships.min((org + 1) * MEMBERS) {
            let key = MembershipKey { project: PROJECT, org: no.id, user: UserId::stored(id(2, member)) };
            let record = MembershipRecord {
                role_set: scoped(RoleSetId::new(1 + random.below(ROLES))).id,
                origin: Origin::Direct,
                temporary: [].into(),
                origins: [].into(),
            };
            state.apply(&Change::Membership(created(key, record)));
        }
    }
    state
}

fn project() -> ProjectRecord {
    let role = RoleId(NonZeroU32::MIN);
    ProjectRecord {
        key: ProjectKey::default_project(),
        display_name: "".into(),
        environment: Environment::Live,
        role_structure: RoleStructure::SingleRole,
        default_role: role,
        default_owner_role: role,
        default_role_mapping: RoleMappingId(NonZeroU32::MIN),
        create_time: Time(0),
        version: 1,
        role_order_version: 1,
        lifecycle: Lifecycle::Existing,
    }
}

fn scoped<I>(id: Option<I>) -> Scoped<I> {
    match id {
        Some(id) => Scoped { project: PROJECT, id },
        None => unreachable!("ids begin at 1"),
    }
}

fn created<K, V>(key: K, value: V) -> Edit<K, V> {
    Edit { key, before: None, after: Some(value) }
}

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }
}
