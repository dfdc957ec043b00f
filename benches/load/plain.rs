//! The reference: plain sqlx reads the rows of orgs and memberships in one transaction and decodes them.

use std::time::Duration;

use futures_util::TryStreamExt;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{Connection, query_as};

const ORGS: &str =
    r#"SELECT project, "no", org_id, display_name, metadata, create_time, role_mapping, deleted_at, purged FROM orgs"#;
const MEMBERSHIPS: &str = "SELECT project, org, user_id, role_set, origin, temporary, other_origins FROM memberships";

type Org = (i64, i64, String, String, String, i64, i64, Option<i64>, bool);
type Membership = (i64, i64, String, i64, i16, bool, bool);

/// Reads all rows. Returns the number of memberships and how long it took after connecting.
macro_rules! read {
    ($connection:expr, $begin:expr) => {{
        let mut tx = $connection.begin_with($begin).await.unwrap();
        let mut orgs = query_as::<_, Org>(ORGS).fetch(&mut *tx);
        while let Some(org) = orgs.try_next().await.unwrap() {
            std::hint::black_box(org);
        }
        drop(orgs);
        let mut rows = query_as::<_, Membership>(MEMBERSHIPS).fetch(&mut *tx);
        let mut memberships = 0;
        while let Some(row) = rows.try_next().await.unwrap() {
            std::hint::black_box(row);
            memberships += 1;
        }
        drop(rows);
        tx.rollback().await.unwrap();
        memberships
    }};
}

/// Rows that SQLite reads ahead, as in a server. With the driver's default of 50 the reference is slower.
const ROWS_AHEAD: usize = 4_096;

pub async fn read(url: &str) -> usize {
    if url.starts_with("sqlite:") {
        let options: SqliteConnectOptions = url.parse().unwrap();
        let options = options.busy_timeout(Duration::from_secs(10)).row_buffer_size(ROWS_AHEAD);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let memberships = read!(connection, "BEGIN");
        connection.close().await.unwrap();
        return memberships;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    let memberships = read!(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    connection.close().await.unwrap();
    memberships
}
