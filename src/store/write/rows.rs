//! Writes and deletes many rows of a table in few statements.
//!
//! SQLite gets a placeholder for each value, PostgreSQL an array for each column: the text of a statement is then the same for
//! any number of rows, so PostgreSQL parses it once.

use sea_orm::{DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait, PrimaryKeyToColumn, Value};

use super::batch::Batch;

/// Values that one statement of SQLite can bind.
const SQLITE_VALUES_MAX: usize = 32_766;
/// Rows of one statement of PostgreSQL. It limits the memory that a statement takes.
const POSTGRES_ROWS_MAX: usize = 10_000;
/// Rows that one DELETE of SQLite names: it limits the depth of an expression to 1,000.
const SQLITE_TERMS: usize = 256;

/// Inserts rows. None of them may exist.
pub async fn insert<E: EntityTrait>(batch: &mut Batch<'_>, rows: &[E::Model]) -> Result<(), DbErr> {
    insert_or::<E>(batch, rows, "").await
}

/// Inserts rows, or overwrites existing ones, except for the columns in `kept`.
pub async fn upsert<E: EntityTrait>(batch: &mut Batch<'_>, rows: &[E::Model], kept: &[E::Column]) -> Result<(), DbErr> {
    let key: Vec<&str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
    let kept: Vec<&str> = kept.iter().map(IdenStatic::as_str).collect();
    let written = E::Column::iter().map(|column| column.as_str());
    let written = written.filter(|column| !key.contains(column) && !kept.contains(column));
    let set: Vec<String> = written.map(|column| format!("\"{column}\" = excluded.\"{column}\"")).collect();
    let action = if set.is_empty() { "NOTHING".into() } else { format!("UPDATE SET {}", set.join(", ")) };
    insert_or::<E>(batch, rows, &format!(" ON CONFLICT ({}) DO {action}", quoted(&key))).await
}

/// Deletes the rows with these values in `columns`. `values` holds them row by row.
pub async fn delete<E: EntityTrait>(
    batch: &mut Batch<'_>,
    columns: &[E::Column],
    values: &[Value],
) -> Result<(), DbErr> {
    let is_sqlite = batch.database() == DbBackend::Sqlite;
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let table = E::default().table_name();
    let rows_max = if is_sqlite { SQLITE_TERMS } else { POSTGRES_ROWS_MAX };
    for chunk in values.chunks(rows_max * names.len()) {
        let write = |batch: &mut Batch<'_>| {
            let filter = if is_sqlite {
                // SQLite scans the whole table for a list of rows, but uses the index for each term of an OR.
                let term: Vec<String> = names.iter().map(|name| format!("\"{name}\" = ?")).collect();
                chunk.iter().for_each(|value| _ = batch.bind(value.clone()));
                vec![format!("({})", term.join(" AND ")); chunk.len() / names.len()].join(" OR ")
            } else {
                let column = |at: usize| chunk.iter().skip(at).step_by(names.len()).cloned().collect();
                let arrays: Vec<Vec<Value>> = (0..names.len()).map(column).collect();
                format!("({}) IN (SELECT {})", quoted(&names), unnested(batch, &names, arrays)?)
            };
            Ok(format!("DELETE FROM \"{table}\" WHERE {filter}"))
        };
        batch.add(table, chunk.len(), write).await?;
    }
    Ok(())
}

async fn insert_or<E: EntityTrait>(batch: &mut Batch<'_>, rows: &[E::Model], conflict: &str) -> Result<(), DbErr> {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    insert_rows(batch, E::default().table_name(), &names, rows, |row, column| row.get(columns[column]), conflict).await
}

/// Inserts rows with these columns. `value` returns the value of a row in a column, by its place. `conflict` says what to do
/// with an existing row. Empty: fail.
pub async fn insert_rows<R>(
    batch: &mut Batch<'_>,
    table: &'static str,
    names: &[&str],
    rows: &[R],
    value: impl Fn(&R, usize) -> Value,
    conflict: &str,
) -> Result<(), DbErr> {
    let is_sqlite = batch.database() == DbBackend::Sqlite;
    let rows_max = if is_sqlite { SQLITE_VALUES_MAX / names.len() } else { POSTGRES_ROWS_MAX };
    for chunk in rows.chunks(rows_max) {
        let write = |batch: &mut Batch<'_>| {
            let source = if is_sqlite {
                for row in chunk {
                    (0..names.len()).for_each(|column| _ = batch.bind(value(row, column)));
                }
                let row = format!("({})", vec!["?"; names.len()].join(", "));
                format!("VALUES {}", vec![row; chunk.len()].join(", "))
            } else {
                let column = |column: usize| chunk.iter().map(|row| value(row, column)).collect();
                format!("SELECT {}", unnested(batch, names, (0..names.len()).map(column).collect())?)
            };
            Ok(format!("INSERT INTO \"{table}\" ({}) {source}{conflict}", quoted(names)))
        };
        batch.add(table, chunk.len() * names.len(), write).await?;
    }
    Ok(())
}

/// Returns what selects rows from arrays, each with the values of a column.
fn unnested(batch: &mut Batch<'_>, names: &[&str], columns: Vec<Vec<Value>>) -> Result<String, DbErr> {
    let (mut selected, mut arrays, mut aliases) = (Vec::new(), Vec::new(), Vec::new());
    for (name, mut values) in names.iter().zip(columns) {
        let nulls: Vec<bool> = values.iter().map(|value| !value.is_some()).collect();
        if nulls.contains(&true) {
            // The driver sends no NULL in an array.
            values.iter_mut().filter(|value| !value.is_some()).for_each(|value| *value = value.dummy_value());
            selected.push(format!("CASE WHEN \"{name} is null\" THEN NULL ELSE \"{name}\" END"));
            arrays.push(format!("{}::bool[]", batch.bind(nulls)));
            aliases.push(format!("\"{name} is null\""));
        } else {
            selected.push(format!("\"{name}\""));
        }
        let Some(first) = values.first() else { continue };
        let sql_type = match first {
            Value::Bool(_) => "bool",
            Value::SmallInt(_) => "int2",
            Value::BigInt(_) => "int8",
            Value::String(_) => "text",
            Value::Bytes(_) => "bytea",
            other => return Err(DbErr::Type(format!("no array of {other:?} can be written"))),
        };
        arrays.push(format!("{}::{sql_type}[]", batch.bind(Value::Array(first.array_type(), Some(Box::new(values))))));
        aliases.push(format!("\"{name}\""));
    }
    Ok(format!("{} FROM unnest({}) AS rows ({})", selected.join(", "), arrays.join(", "), aliases.join(", ")))
}

/// Quotes column names: some are words of SQL.
fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
