//! Statements written as text, for what says more in SQL than in calls. `$1` means the same to both databases.

use std::fmt;

use sea_orm::{DbBackend, Statement, Value};

/// A statement in the making.
#[derive(Default)]
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

/// The place of a value in a statement.
#[derive(Clone, Copy)]
pub struct Bound(usize);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0)
    }
}

impl Sql {
    /// Takes a value; the place may stand in the text several times.
    pub fn bind(&mut self, value: impl Into<Value>) -> Bound {
        self.values.push(value.into());
        Bound(self.values.len())
    }

    /// Takes values for an `IN`.
    pub fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        let bound: Vec<String> = values.into_iter().map(|value| self.bind(value).to_string()).collect();
        // `IN ()` is no SQL on PostgreSQL.
        if bound.is_empty() { "NULL".into() } else { bound.join(", ") }
    }

    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn statement(self, database: DbBackend) -> Statement {
        Statement::from_sql_and_values(database, self.text, self.values)
    }
}
