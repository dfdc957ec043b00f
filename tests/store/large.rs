//! A store with more rows than the driver reads ahead.

use rolecall::domain::commands::command::Write;
use rolecall::domain::model::project::RoleStructure;

use crate::desk::{Desk, create_org, create_project, given, hash_key, member, write_members};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    many_rows_are_loaded
}

async fn many_rows_are_loaded(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole), create_org("shop", "acme", None)]).await;
    for group in 0..3 {
        let rows = (0..8_000)
            .map(|number| member("acme", &format!("user-{group}-{number}"), Write::Add(given(&["Member"], desk.now))))
            .collect();
        desk.write(vec![write_members("shop", rows)]).await;
    }
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
}
