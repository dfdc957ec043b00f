//! Writes and deletes many rows of a table in few statements.

use std::fmt::Write;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait,
    PrimaryKeyToColumn, Statement, Value,
};

/// Values that one statement can bind.
const SQLITE_VALUES_MAX: usize = 32_766;
const POSTGRES_VALUES_MAX: usize = 65_535;
/// Rows that one DELETE of SQLite names: it limits the depth of an expression to 1,000.
const SQLITE_TERMS: usize = 256;

/// Inserts rows. None of them may exist.
pub async fn insert<E: EntityTrait>(tx: &DatabaseTransaction, rows: &[E::Model]) -> Result<(), DbErr> {
    insert_or::<E>(tx, rows, "").await
}

/// Inserts rows, or overwrites existing ones, except for the columns in `kept`.
pub async fn upsert<E: EntityTrait>(
    tx: &DatabaseTransaction,
    rows: &[E::Model],
    kept: &[E::Column],
) -> Result<(), DbErr> {
    let key: Vec<&str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
    let kept: Vec<&str> = kept.iter().map(IdenStatic::as_str).collect();
    let written = E::Column::iter().map(|column| column.as_str());
    let written = written.filter(|column| !key.contains(column) && !kept.contains(column));
    let set: Vec<String> = written.map(|column| format!("\"{column}\" = excluded.\"{column}\"")).collect();
    let action = if set.is_empty() { "NOTHING".into() } else { format!("UPDATE SET {}", set.join(", ")) };
    insert_or::<E>(tx, rows, &format!(" ON CONFLICT ({}) DO {action}", quoted(&key))).await
}

/// Deletes the rows with these values in `columns`. `values` holds them row by row.
pub async fn delete<E: EntityTrait>(
    tx: &DatabaseTransaction,
    columns: &[E::Column],
    values: &[Value],
) -> Result<(), DbErr> {
    let database = tx.get_database_backend();
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let head = format!("DELETE FROM \"{}\" WHERE ", E::default().table_name());
    let rows = if database == DbBackend::Sqlite { SQLITE_TERMS } else { chunk_rows(database, names.len()) };
    for chunk in values.chunks(rows * names.len()) {
        let mut sql = head.clone();
        if database == DbBackend::Sqlite {
            // SQLite scans the whole table for a list of rows, but uses the index for each term of an OR.
            let term: Vec<String> = names.iter().map(|name| format!("\"{name}\" = ?")).collect();
            let terms = vec![format!("({})", term.join(" AND ")); chunk.len() / names.len()];
            sql.push_str(&terms.join(" OR "));
        } else {
            sql.push_str(&format!("({}) IN (VALUES ", quoted(&names)));
            push_places(&mut sql, database, chunk.len() / names.len(), names.len());
            sql.push(')');
        }
        tx.execute_raw(Statement::from_sql_and_values(database, sql, chunk.to_vec())).await?;
    }
    Ok(())
}

async fn insert_or<E: EntityTrait>(tx: &DatabaseTransaction, rows: &[E::Model], conflict: &str) -> Result<(), DbErr> {
    let database = tx.get_database_backend();
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let head = format!("INSERT INTO \"{}\" ({}) VALUES ", E::default().table_name(), quoted(&names));
    for chunk in rows.chunks(chunk_rows(database, columns.len())) {
        let mut sql = head.clone();
        push_places(&mut sql, database, chunk.len(), columns.len());
        sql.push_str(conflict);
        let values: Vec<Value> = chunk.iter().flat_map(|row| columns.iter().map(|&column| row.get(column))).collect();
        tx.execute_raw(Statement::from_sql_and_values(database, sql, values)).await?;
    }
    Ok(())
}

fn chunk_rows(database: DbBackend, columns: usize) -> usize {
    let values_max = if database == DbBackend::Sqlite { SQLITE_VALUES_MAX } else { POSTGRES_VALUES_MAX };
    values_max / columns
}

/// Writes `($1, $2), ($3, $4)` and so on. On SQLite it writes `(?, ?), (?, ?)`: SQLite looks up each numbered placeholder
/// among all others.
fn push_places(sql: &mut String, database: DbBackend, rows: usize, columns: usize) {
    let mut place = 0;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            place += 1;
            sql.push_str(if column == 0 { "" } else { ", " });
            // Writing to a text cannot fail.
            let _ = match database {
                DbBackend::Sqlite => sql.write_str("?"),
                _ => write!(sql, "${place}"),
            };
        }
        sql.push(')');
    }
}

/// Quotes column names: some are words of SQL.
fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
