//! Columns and indexes as all tables have them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub fn index(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for &column in columns {
        index.col(column);
    }
    index.to_owned()
}

/// Ids, counts, instants. Ids are unsigned 32-bit numbers, for which PostgreSQL has no narrower type.
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
        // sea-query knows no collation of a column.
        column.extra("COLLATE \"C\"");
    }
    column
}

pub fn optional(mut column: ColumnDef) -> ColumnDef {
    column.null().to_owned()
}
