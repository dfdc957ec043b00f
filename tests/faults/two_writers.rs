//! Two servers on one PostgreSQL test the lock on the `head` row.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::{Call, Command, State};
use rolecall::engine::Engine;
use rolecall::limits::Limits;
use rolecall::replica;
use rolecall::store::Store;
use rolecall::writer::{Failure, Writer};

use crate::model::Model;
use crate::random_history::{USERS, hash_key, history};
use crate::state_to_model::model_of;
use crate::support::postgres;

/// Commands of both writers together.
const COMMANDS: usize = 20_000;
/// Commands of one writer that wait at the same time.
const IN_FLIGHT: usize = 48;

struct Server {
    store: Store,
    engine: Arc<Engine>,
    writer: Arc<Writer>,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_make_one_history_without_gaps_that_the_model_accepts() {
    let Some(database) = postgres::database().await else { return };
    let limits = Limits::default();
    let servers = [server(&database, limits).await, server(&database, limits).await];
    let mut runner = TestRunner::deterministic();
    let mut commands = Vec::new();
    while commands.len() < COMMANDS {
        let history = history().new_tree(&mut runner).expect("strategies do not filter").current();
        let steps = history.steps.into_iter().map(|step| step.command);
        // Most commands after the deletion of a project would be refused.
        commands.extend(steps.filter(|command| !matches!(command, Command::DeleteProject(_))));
    }
    commands.truncate(COMMANDS);
    // No two invitations have one id. The model does not know the clock, by which a default expiry is set.
    let next_month = rolecall::clock::now().plus_seconds(30 * 24 * 60 * 60);
    for (number, command) in commands.iter_mut().enumerate() {
        if let Command::CreateInvitations(create) = command {
            let ids = (number as u128 + 1) << 32;
            for (row, id) in create.rows.iter_mut().zip(ids..) {
                row.id = InvitationId(id);
                row.expire_time = row.expire_time.or(Some(next_month));
            }
        }
    }
    let commands = Arc::new(commands);

    let begun = Instant::now();
    let (one, other) = tokio::join!(submit(&servers[0], &commands, 0), submit(&servers[1], &commands, 1));
    println!("{COMMANDS} commands in {:?}, {} and {} accepted", begun.elapsed(), one, other);
    assert!(one > 1_000 && other > 1_000, "too few commands were accepted: {one} and {other}");

    // The reason of a commit is the number of its command.
    let mut model = Model::default();
    let mut state = State::new(hash_key());
    let mut by_kind: HashMap<String, usize> = HashMap::new();
    loop {
        let commits = servers[0].store.commits_since(state.revision(), 1_000).await.unwrap();
        if commits.is_empty() {
            break;
        }
        for commit in commits {
            assert_eq!(commit.revision.number, state.revision().number + 1, "a revision is missing");
            assert!(commit.revision.at > state.revision().at, "the time of revisions does not grow");
            let command: &Command =
                &commands[commit.reason.parse::<usize>().expect("the reason is the command's number")];
            assert_eq!(&*commit.kind, command.kind());
            let result = model.run(command, crate::model::CallOptions::default(), commit.revision.at, &limits);
            // Reads do not show that deleted data is purged.
            let purged = matches!(command, Command::Purge(_));
            assert!(
                result.is_ok_and(|outcome| outcome.changed != purged),
                "the model refuses {command:?} at {:?}",
                commit.revision
            );
            state.apply_commit(commit.revision, &commit.changes);
            *by_kind.entry(commit.kind.to_string()).or_default() += 1;
        }
    }
    println!("commits by kind: {by_kind:?}");
    let mut from_state = model_of(&state, &USERS);
    for (key, project) in &mut from_state.projects {
        // The model does not count role sets after a role was deleted.
        if model.projects.get(key).is_some_and(|project| project.role_sets.is_none()) {
            project.role_sets = None;
        }
    }
    assert!(from_state == model, "the history and the model differ");

    let [first, second] = &servers;
    for server in [first, second] {
        let deadline = Instant::now() + Duration::from_secs(20);
        while server.engine.load().state.revision() != state.revision() {
            assert!(Instant::now() < deadline, "a server does not catch up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(*server.engine.load().state == state, "the state of a server differs from the history");
    }
    let loaded = first.store.load(hash_key()).await.unwrap();
    assert!(loaded == state, "the tables differ from the history");
}

/// Submits every second command, several at a time. Returns how many were accepted.
async fn submit(server: &Server, commands: &Arc<Vec<Command>>, first: usize) -> usize {
    let sent = (first..commands.len()).step_by(2).map(|number| {
        let command = commands[number].clone();
        let call = Call::plain("test", &number.to_string());
        async move {
            match server.writer.submit(command, call).await {
                Ok(_) => 1,
                Err(Failure::Refused(_)) => 0,
                Err(failure) => panic!("command {number}: {failure}"),
            }
        }
    });
    futures_util::stream::iter(sent).buffered(IN_FLIGHT).fold(0, |done, one| async move { done + one }).await
}

async fn server(database: &str, limits: Limits) -> Server {
    let store = Store::open(database).await.unwrap();
    store.migrate().await.unwrap();
    store.initialize().await.unwrap();
    let state = store.load(hash_key()).await.unwrap();
    let engine = Arc::new(Engine::new(store.store_id().await.unwrap(), state, &[]));
    let (writer, _) = Writer::start(store.clone(), engine.clone(), limits);
    tokio::spawn(replica::follow(store.clone(), engine.clone()));
    Server { store, engine, writer }
}
