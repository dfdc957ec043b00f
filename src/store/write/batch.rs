//! Sends the statements of a transaction together. A round trip to the database costs as much as writing many rows.

use std::fmt;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement, Value};

use crate::store::sql::Sql;

/// Values that wait before they are sent. Later ones are prepared while the database writes.
const VALUES_MAX: usize = 4_096;

/// Statements of one transaction that were not sent yet.
pub struct Batch<'a> {
    tx: &'a DatabaseTransaction,
    tables: Vec<&'static str>,
    statements: Vec<String>,
    values: Vec<Value>,
    weight: usize,
}

/// The placeholder of a value.
pub struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "${number}"),
            None => f.write_str("?"),
        }
    }
}

impl<'a> Batch<'a> {
    pub fn new(tx: &'a DatabaseTransaction) -> Self {
        Self { tx, tables: Vec::new(), statements: Vec::new(), values: Vec::new(), weight: 0 }
    }

    pub fn database(&self) -> DbBackend {
        self.tx.get_database_backend()
    }

    /// Binds a value of the next statement and returns its placeholder, for one use.
    pub fn bind(&mut self, value: impl Into<Value>) -> Place {
        self.values.push(value.into());
        // SQLite looks up each numbered placeholder among all others.
        Place((self.database() != DbBackend::Sqlite).then_some(self.values.len()))
    }

    /// Adds a statement that writes a table. `write` binds its values. `weight` is their number, also in arrays.
    pub async fn add(
        &mut self,
        table: &'static str,
        weight: usize,
        write: impl FnOnce(&mut Self) -> Result<String, DbErr>,
    ) -> Result<(), DbErr> {
        // The parts of one statement of PostgreSQL do not see each other's rows.
        if self.tables.contains(&table) || self.weight + weight > VALUES_MAX {
            self.send().await?;
        }
        let statement = write(self)?;
        self.statements.push(statement);
        self.tables.push(table);
        self.weight += weight;
        Ok(())
    }

    /// Sends what waits, then this statement.
    pub async fn execute(&mut self, sql: Sql) -> Result<(), DbErr> {
        self.send().await?;
        self.tx.execute_raw(sql.statement(self.database())).await?;
        Ok(())
    }

    /// Sends what waits. The order of its statements does not matter: each writes another table, and there are no foreign
    /// keys.
    pub async fn send(&mut self) -> Result<(), DbErr> {
        self.tables.clear();
        self.weight = 0;
        let (statements, values) = (std::mem::take(&mut self.statements), std::mem::take(&mut self.values));
        let Some((last, others)) = statements.split_last() else { return Ok(()) };
        let database = self.database();
        let sql = match database {
            DbBackend::Sqlite => statements.join("; "),
            _ if others.is_empty() => last.clone(),
            _ => {
                let named = others.iter().enumerate().map(|(number, other)| format!("s{number} AS ({other})"));
                format!("WITH {} {last}", named.collect::<Vec<_>>().join(", "))
            }
        };
        self.tx.execute_raw(Statement::from_sql_and_values(database, sql, values)).await?;
        Ok(())
    }
}
