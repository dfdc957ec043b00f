//! Columns and indexes that all tables use.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub fn index(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for &column in columns {
        index.col(column);
    }
    index.to_owned()
}

/// Returns a column for ids, counts or times. Ids are unsigned 32-bit numbers; PostgreSQL has no narrower type for them.
pub fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().to_owned()
}

pub fn small(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).small_integer().not_null().to_owned()
}

pub fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().to_owned()
}

pub fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().to_owned()
}

pub fn text(database: DbBackend, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name).text().not_null().to_owned();
    if database == DbBackend::Postgres {
        // sea-query cannot set the collation of a column.
        column.extra("COLLATE \"C\"");
    }
    column
}

pub fn optional(mut column: ColumnDef) -> ColumnDef {
    column.null().to_owned()
}
