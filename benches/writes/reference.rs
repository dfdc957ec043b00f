//! The reference: plain sqlx, which writes the rows that the product wrote into the same tables of another database.

use rolecall::store::Store;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgRow};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sea_orm::sqlx::{
    self, ConnectOptions, Connection, FromRow, PgConnection, QueryBuilder, Row as _, SqliteConnection,
};

/// The rows of some revisions.
#[derive(Default)]
pub struct Rows {
    pub commits: Vec<Commit>,
    pub changes: Vec<Change>,
    pub memberships: Vec<Membership>,
    pub requests: Vec<Request>,
}

macro_rules! tables {
    ($($row:ident $table:literal { $($field:ident: $type:ty,)* })*) => {
        $(#[derive(Clone)]
        pub struct $row {
            $($field: $type,)*
        }

        impl $row {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];
        })*

        mod insert {
            use super::*;

            database! { sqlite Sqlite SqliteRow 32_766 $($row { $($field)* })* }
            database! { postgres Postgres PgRow 65_535 $($row { $($field)* })* }
        }
    };
}

/// Writes rows by multi-row inserts, with as many rows in each as the database can bind.
macro_rules! database {
    ($module:ident $database:ident $result:ident $values_max:literal $($row:ident { $($field:ident)* })*) => {
        pub mod $module {
            use super::*;

            pub type Tx<'a> = sqlx::Transaction<'a, sqlx::$database>;

            pub trait Row: Sized {
                async fn insert(tx: &mut Tx<'_>, rows: &[Self]);
            }

            $(impl FromRow<'_, $result> for $row {
                fn from_row(row: &$result) -> Result<Self, sqlx::Error> {
                    Ok(Self { $($field: row.try_get(stringify!($field))?,)* })
                }
            }

            impl Row for $row {
                async fn insert(tx: &mut Tx<'_>, rows: &[Self]) {
                    for rows in rows.chunks($values_max / Self::COLUMNS.len()) {
                        let columns = Self::COLUMNS.join("\", \"");
                        let head = format!("INSERT INTO {} (\"{columns}\") ", Self::TABLE);
                        let mut query = QueryBuilder::<sqlx::$database>::new(head);
                        query.push_values(rows, |mut values, row| {
                            $(values.push_bind(&row.$field);)*
                        });
                        query.build().execute(&mut **tx).await.expect("rows can be inserted");
                    }
                }
            })*

            pub async fn all(tx: &mut Tx<'_>, rows: &Rows) {
                Row::insert(tx, &rows.commits).await;
                Row::insert(tx, &rows.changes).await;
                Row::insert(tx, &rows.memberships).await;
                Row::insert(tx, &rows.requests).await;
                let last = rows.commits.last().expect("there is a commit");
                let sql = "UPDATE head SET revision = $1, tag = $2, at = $3 WHERE id = 1";
                let head = sqlx::query(sql).bind(last.revision).bind(last.tag).bind(last.at);
                head.execute(&mut **tx).await.expect("the head can be written");
            }

            /// Reads the rows of revisions.
            pub async fn read(connection: &mut <sqlx::$database as sqlx::Database>::Connection, first: i64, last: i64) -> Rows {
                macro_rules! rows {
                    ($sql:literal) => {
                        sqlx::query_as($sql).bind(first).bind(last).fetch_all(&mut *connection).await.expect("rows can be read")
                    };
                }
                Rows {
                    commits: rows!("SELECT * FROM commits WHERE revision BETWEEN $1 AND $2 ORDER BY revision"),
                    changes: rows!("SELECT * FROM changes WHERE revision BETWEEN $1 AND $2 ORDER BY revision, seq"),
                    // In the order in which the product writes them.
                    memberships: rows!(
                        "SELECT m.* FROM changes c JOIN memberships m USING (project, org, user_id)
                         WHERE c.revision BETWEEN $1 AND $2 ORDER BY project, org, user_id"
                    ),
                    requests: rows!("SELECT * FROM requests WHERE revision BETWEEN $1 AND $2 ORDER BY revision"),
                }
            }
        }
    };
}

tables! {
    Commit "commits" {
        revision: i64,
        tag: i64,
        at: i64,
        kind: String,
        actor: String,
        key_id: Option<String>,
        reason: String,
        request_id: Option<String>,
        acting_user: Option<String>,
        digest: i64,
        project: i64,
        shown_changes: i64,
    }
    Change "changes" {
        revision: i64,
        seq: i64,
        project: i64,
        org: Option<i64>,
        user_id: Option<String>,
        noun: i16,
        object: Option<i64>,
        payload: Vec<u8>,
    }
    Membership "memberships" {
        project: i64,
        org: i64,
        user_id: String,
        role_set: i64,
        origin: i16,
        revision: i64,
        temporary: bool,
        other_origins: bool,
    }
    Request "requests" {
        caller: String,
        project: String,
        request_id: String,
        fingerprint: Vec<u8>,
        revision: i64,
        tag: i64,
        at: i64,
        used_at: i64,
        outcome: Vec<u8>,
    }
}

impl Rows {
    /// Splits the rows into those of `size` commits each.
    pub fn split(self, size: usize) -> Vec<Rows> {
        let parts = self.commits.chunks(size).map(|commits| {
            let last = commits.last().expect("a chunk is not empty").revision;
            let range = commits[0].revision..=last;
            Rows {
                commits: commits.to_vec(),
                changes: self.changes.iter().filter(|row| range.contains(&row.revision)).cloned().collect(),
                memberships: self.memberships.iter().filter(|row| range.contains(&row.revision)).cloned().collect(),
                requests: self.requests.iter().filter(|row| range.contains(&row.revision)).cloned().collect(),
            }
        });
        parts.collect()
    }
}

/// A connection to the product's database, which reads, and one to the reference's, which writes.
pub enum Reference {
    Sqlite { product: SqliteConnection, own: SqliteConnection },
    Postgres { product: PgConnection, own: PgConnection },
}

impl Reference {
    /// Connects to the product's database and to one of the same tables.
    pub async fn new(product: &str, own: &str) -> Self {
        // Created by the product itself, so that the tables are the same.
        Store::close(super::product::prepare(own).await).await;
        if product.starts_with("sqlite") {
            let connect = async |url: &str| {
                let options: SqliteConnectOptions = url.parse().expect("the URL is valid");
                let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
                options.disable_statement_logging().connect().await.expect("the file opens")
            };
            Self::Sqlite { product: connect(product).await, own: connect(own).await }
        } else {
            let connect = async |url: &str| {
                let options: PgConnectOptions = url.parse().expect("the URL is valid");
                options.disable_statement_logging().connect().await.expect("the server answers")
            };
            Self::Postgres { product: connect(product).await, own: connect(own).await }
        }
    }

    /// Reads the rows that the product wrote after a revision, up to another.
    pub async fn read(&mut self, after: i64, last: i64) -> Rows {
        match self {
            Self::Sqlite { product, .. } => insert::sqlite::read(product, after + 1, last).await,
            Self::Postgres { product, .. } => insert::postgres::read(product, after + 1, last).await,
        }
    }

    /// Writes rows in one transaction.
    pub async fn write(&mut self, rows: &Rows) {
        match self {
            Self::Sqlite { own, .. } => {
                let mut tx = own.begin_with("BEGIN IMMEDIATE").await.expect("a transaction begins");
                insert::sqlite::all(&mut tx, rows).await;
                tx.commit().await.expect("it commits");
            }
            Self::Postgres { own, .. } => {
                let mut tx = own.begin().await.expect("a transaction begins");
                insert::postgres::all(&mut tx, rows).await;
                tx.commit().await.expect("it commits");
            }
        }
    }
}
