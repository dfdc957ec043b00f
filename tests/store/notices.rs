//! Notices of new commits. Only PostgreSQL sends them: a SQLite file has one server.

use std::time::Duration;

use rolecall::domain::Command;
use rolecall::domain::commands::command::{BlockUser, UnblockUser};
use rolecall::domain::model::project::RoleStructure;
use rolecall::store::{Database, Notices};
use sea_orm::ConnectionTrait;

use crate::desk::{Desk, create_project, key, open, user};
use crate::support::on_both;

/// Longer than any notice takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN %'";

async fn next(notices: Notices) -> (Notices, u64) {
    tokio::time::timeout(LONG, notices.next()).await.expect("no notice")
}

fn block(id: &str) -> Command {
    Command::BlockUser(BlockUser { project: key("p"), user_id: user(id) })
}

#[test]
fn a_commit_is_announced_to_every_server_and_a_lost_connection_is_told() {
    on_both(async |database| {
        let (other, url) = (database.url.starts_with("postgres").then_some(&database), database.url.clone());
        let other = match other {
            Some(database) => Some(open(database).await),
            None => None,
        };
        let mut desk = Desk::new(database).await;
        desk.write(vec![create_project("p", RoleStructure::SingleRole)]).await;
        let Some(other) = other else {
            assert_eq!(desk.store.database(), Database::Sqlite);
            assert!(tokio::time::timeout(SHORT, desk.store.notices(7).next()).await.is_err());
            return;
        };
        let id = desk.store.store_id().await.unwrap();
        // There may have been commits before the database listened.
        let (own, first) = next(desk.store.notices(id)).await;
        let (notices, also_first) = next(other.notices(id)).await;
        assert_eq!([first, also_first], [u64::MAX; 2]);

        desk.write(vec![block("ann"), block("bob")]).await;
        let newest = desk.revision().number;
        let (own, announced) = next(own).await;
        assert_eq!(announced, newest, "a group is announced once, with its last revision");
        let (notices, announced) = next(notices).await;
        assert_eq!(announced, newest);
        assert!(tokio::time::timeout(SHORT, own.next()).await.is_err(), "there is a second notice");

        let admin = sea_orm::Database::connect(&url).await.unwrap();
        admin.execute_unprepared(CUT).await.unwrap();
        let unblock = Command::UnblockUser(UnblockUser { project: key("p"), user_id: user("ann") });
        desk.write(vec![unblock]).await;
        let (notices, announced) = next(notices).await;
        assert_eq!(announced, u64::MAX, "notices may have been missed");
        // As from another store of the database.
        admin.execute_unprepared(&format!("NOTIFY rolecall_commits, '{} 99'", id ^ 1)).await.unwrap();
        desk.write(vec![block("ann")]).await;
        assert_eq!(next(notices).await.1, desk.revision().number);
    });
}
