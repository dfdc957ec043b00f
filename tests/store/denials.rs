//! Refused calls in the database (A1).

use rolecall::domain::Time;
use rolecall::domain::model::event::{Denial, EventPlace};
use rolecall::domain::model::project::RoleStructure;
use sea_orm::{ConnectionTrait, Statement};

use crate::desk::{Desk, create_project};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    a1_denials_are_stored_in_the_order_of_the_commits
    a1_old_denials_are_deleted_in_steps
}

fn denial(actor: &str, at: i64, count: u64) -> Denial {
    Denial { at: Time(at), kind: "AddMember".into(), actor: actor.into(), count, ..Denial::default() }
}

/// Returns `revision.id actor count` of each stored denial.
async fn stored(desk: &Desk) -> Vec<String> {
    let direct = sea_orm::Database::connect(&desk.database.url).await.unwrap();
    let sql = "SELECT revision, id, actor, count FROM denials ORDER BY revision, id";
    let rows = direct.query_all_raw(Statement::from_string(direct.get_database_backend(), sql)).await.unwrap();
    direct.close().await.unwrap();
    let shown = |row: &sea_orm::QueryResult| {
        let (revision, id): (i64, i64) = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
        let (actor, count): (String, i64) = (row.try_get_by_index(2).unwrap(), row.try_get_by_index(3).unwrap());
        format!("{revision}.{id} {actor} {count}")
    };
    rows.iter().map(shown).collect()
}

async fn a1_denials_are_stored_in_the_order_of_the_commits(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let places =
        desk.store.write_denials(vec![(denial("ann", 1, 1), None), (denial("bob", 2, 1), None)]).await.unwrap();
    assert_eq!(places, [EventPlace { revision: 0, denial: 1 }, EventPlace { revision: 0, denial: 2 }]);
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let later = vec![(denial("ann", 1, 5), Some(places[0])), (denial("eve", 3, 1), None)];
    let places = desk.store.write_denials(later).await.unwrap();
    assert_eq!(places, [EventPlace { revision: 0, denial: 1 }, EventPlace { revision: 1, denial: 1 }]);
    assert_eq!(stored(&desk).await, ["0.1 ann 5", "0.2 bob 1", "1.1 eve 1"]);
}

async fn a1_old_denials_are_deleted_in_steps(database: TestDatabase) {
    let desk = Desk::new(database).await;
    let many = (0..1_500).map(|number| (denial("ann", number, 1), None)).collect();
    desk.store.write_denials(many).await.unwrap();
    assert!(desk.store.delete_old_denials(Time(1_490)).await.unwrap());
    assert_eq!(stored(&desk).await.len(), 500);
    assert!(desk.store.delete_old_denials(Time(1_490)).await.unwrap());
    assert_eq!(stored(&desk).await.len(), 10);
    assert!(!desk.store.delete_old_denials(Time(1_490)).await.unwrap());
}
