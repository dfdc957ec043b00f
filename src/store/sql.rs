//! Statements with few values, written as text where SQL is clearer than calls. `$1` means the same to both databases.
//! Statements with thousands of values are in `write/rows.rs`, which uses `?` on SQLite.

use std::fmt;

use sea_orm::{DbBackend, Statement, Value};

#[derive(Default)]
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

/// The placeholder of a value in a statement.
#[derive(Clone, Copy)]
pub struct Bound(usize);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0)
    }
}

impl Sql {
    /// Binds a value. Its placeholder may appear in the text several times.
    pub fn bind(&mut self, value: impl Into<Value>) -> Bound {
        self.values.push(value.into());
        Bound(self.values.len())
    }

    /// Binds the values of an `IN`.
    pub fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> String {
        let bound: Vec<String> = values.into_iter().map(|value| self.bind(value).to_string()).collect();
        // PostgreSQL refuses `IN ()`.
        if bound.is_empty() { "NULL".into() } else { bound.join(", ") }
    }

    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn statement(self, database: DbBackend) -> Statement {
        Statement::from_sql_and_values(database, self.text, self.values)
    }
}
