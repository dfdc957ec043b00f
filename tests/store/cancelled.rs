//! A cancelled read leaves nothing behind on its connection, which others use next.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use rolecall::domain::model::project::RoleStructure;
use rolecall::store::{OrgRow, Page, ReadError, Store};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::desk::{Desk, create_project, key};
use crate::lists::listing;
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    a_cancelled_read_leaves_its_connection_clean
}

/// Concurrent callers: more than there are connections, so that some are cancelled while they wait for one.
const CALLERS: usize = 16;
const READS: usize = 100;

async fn a_cancelled_read_leaves_its_connection_clean(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let store = desk.store.clone();
    let callers = (0..CALLERS).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            for read in 0..READS {
                go_away_after((caller + read) % 12, &store).await;
                let time = Duration::from_micros((caller * READS + read) as u64 * 37 % 2_000);
                // It does not matter if it was answered in time.
                let _ = tokio::time::timeout(time, orgs(&store)).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let readers = (0..CALLERS).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..READS {
                // Outside of a transaction: a query would continue a transaction that was left open.
                store.head().await.unwrap();
                orgs(&store).await.unwrap();
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    if store.database() == rolecall::store::Database::Postgres {
        nobody_is_idle_in_a_transaction(&desk.database.url).await;
    }
    store.close().await;
}

async fn orgs(store: &Store) -> Result<Page<OrgRow>, ReadError> {
    store.list_orgs(listing(&key("shop"), None, None, 10)).await
}

/// Begins to read and drops the future after so many polls. That reaches every point where it waits; timers of a millisecond
/// do not.
async fn go_away_after(polls: usize, store: &Store) {
    let mut reading = pin!(orgs(store));
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls || reading.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        polled += 1;
        if polled == polls { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn nobody_is_idle_in_a_transaction(url: &str) {
    let direct = sea_orm::Database::connect(url).await.unwrap();
    let ask = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let began = Instant::now();
    loop {
        let row = direct.query_one_raw(Statement::from_string(DbBackend::Postgres, ask)).await.unwrap().unwrap();
        let idle: i64 = row.try_get_by_index(0).unwrap();
        if idle == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{idle} connections are idle in a transaction");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    direct.close().await.unwrap();
}
