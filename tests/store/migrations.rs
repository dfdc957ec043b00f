//! The tables can be dropped and created again.

use rolecall::domain::model::project::RoleStructure;
use rolecall_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database};

use crate::desk::{Desk, create_org, create_project, open};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    tables_are_dropped_and_created_again
}

async fn tables_are_dropped_and_created_again(database: TestDatabase) {
    open(&database).await.close().await;
    let direct = Database::connect(&database.url).await.unwrap();
    Migrator::down(&direct, None).await.unwrap();
    for table in ["head", "memberships", "fallback_roles"] {
        assert!(direct.execute_unprepared(&format!("SELECT 1 FROM {table}")).await.is_err(), "{table} still exists");
    }
    direct.close().await.unwrap();

    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole), create_org("shop", "acme", None)]).await;
}
