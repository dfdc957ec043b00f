//! The product: a store with its writer, and the commands that the measurements submit.

use std::sync::Arc;

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::commands::command::{
    BatchWriteMembers, CreateOrg, CreateProject, MemberWrite, RoleAssignment, Write, WriteMember,
};
use rolecall::domain::model::project::{Environment, RoleStructure};
use rolecall::domain::model::template::B2B;
use rolecall::domain::{Call, Command, OrgId, ProjectKey, RequestKey, RoleName, State, UserId};
use rolecall::engine::Engine;
use rolecall::limits::Limits;
use rolecall::store::Store;
use rolecall::writer::Writer;
use tokio::task::JoinSet;

/// Members of an org.
pub const MEMBERS: usize = 100;
const ACTOR: &str = "console";

pub struct Product {
    pub writer: Arc<Writer>,
    pub store: Store,
    /// The newest State, for [`super::phases`].
    pub state: State,
    engine: Arc<Engine>,
    orgs: usize,
    users: u64,
    /// Every command has a request id.
    request_ids: bool,
}

impl Product {
    /// Starts a writer on an empty database, with a project.
    pub async fn start(url: &str, request_ids: bool) -> Self {
        let store = prepare(url).await;
        let state = store.load(HashKey::new([7; 16])).await.expect("the State loads");
        let engine = Arc::new(Engine::new(store.store_id().await.expect("it has an id"), state.clone(), &[]));
        let (writer, _) = Writer::start(store.clone(), engine.clone(), Limits::default());
        let project = Command::CreateProject(CreateProject {
            key: project(),
            display_name: "A project".into(),
            environment: Environment::Live,
            role_structure: RoleStructure::SingleRole,
            reuse_deleted_key: false,
            template: &B2B,
            owner_role: None,
        });
        let product = Self { writer, store, state, engine, orgs: 0, users: 0, request_ids };
        product.submit(project, 0).await;
        product
    }

    pub async fn submit(&self, command: Command, number: u64) {
        let call = self.call(number);
        if let Err(failure) = self.writer.submit(command, call).await {
            panic!("a write failed: {failure}");
        }
    }

    pub fn call(&self, number: u64) -> Call {
        let request_id: Arc<str> = uuid(!number).into();
        let key = RequestKey { caller: ACTOR.into(), project: project(), request_id };
        Call { request: self.request_ids.then_some(key), ..Call::plain(ACTOR, "import from the old system") }
    }

    pub fn revision(&self) -> i64 {
        self.engine.pin().state.revision().number as i64
    }

    /// Takes the State that the writer has published.
    pub fn take_state(&mut self) {
        self.state = State::clone(&self.engine.pin().state);
    }

    /// Creates more orgs.
    pub async fn create_orgs(&mut self, count: usize) {
        let mut writes = JoinSet::new();
        for number in self.orgs..self.orgs + count {
            let command = Command::CreateOrg(CreateOrg {
                project: project(),
                org_id: org(number),
                display_name: format!("Org {number}"),
                metadata: "{}".into(),
                role_mapping: None,
                creator: None,
                reuse_deleted_id: false,
            });
            let writer = self.writer.clone();
            writes.spawn(async move { writer.submit(command, Call::plain(ACTOR, "")).await.is_ok() });
            if writes.len() == 256 {
                assert!(writes.join_all().await.into_iter().all(|created| created));
                writes = JoinSet::new();
            }
        }
        assert!(writes.join_all().await.into_iter().all(|created| created));
        self.orgs += count;
    }

    /// Returns a command that adds members to the newest orgs.
    pub fn batch(&mut self, rows: usize) -> Command {
        let first = self.orgs - rows.div_ceil(MEMBERS);
        self.batch_from(first, rows)
    }

    /// Returns the same for the orgs of a call, if all orgs were created before.
    pub fn batch_at(&mut self, call: usize, rows: usize) -> Command {
        self.batch_from(call * rows.div_ceil(MEMBERS), rows)
    }

    fn batch_from(&mut self, first: usize, rows: usize) -> Command {
        let rows = (0..rows).map(|row| self.row(first + row / MEMBERS)).collect();
        let batch = BatchWriteMembers { project: project(), rows, allow_ownerless: false, keep_invitations: false };
        Command::BatchWriteMembers(batch)
    }

    /// Returns a command that adds a member to one of the orgs.
    pub fn one(&mut self) -> Command {
        let row = self.row(self.users as usize * 7919 % self.orgs);
        let one = WriteMember { project: project(), row, allow_ownerless: false, keep_invitations: false };
        Command::WriteMember(one)
    }

    fn row(&mut self, number: usize) -> MemberWrite {
        self.users += 1;
        let role = RoleName::stored(["Member", "Member", "Admin", "Owner"][self.users as usize % 4]);
        let given = vec![RoleAssignment { role, expire_time: None, permanent: false }];
        MemberWrite { org_id: org(number), user_id: UserId::stored(uuid(self.users)), write: Write::Add(given) }
    }
}

/// Creates the tables of a database.
pub async fn prepare(url: &str) -> Store {
    let store = Store::open(url).await.expect("the database opens");
    store.migrate().await.expect("the tables are created");
    store.initialize().await.expect("the store is initialized");
    store
}

fn project() -> ProjectKey {
    ProjectKey::stored("shop")
}

fn org(number: usize) -> OrgId {
    OrgId::stored(uuid(u64::MAX / 2 + number as u64))
}

/// Returns a text like a random UUID.
fn uuid(number: u64) -> String {
    // SplitMix64.
    let mixed = |number: u64| {
        let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let bits = u128::from(mixed(number)) << 64 | u128::from(mixed(!number));
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}
