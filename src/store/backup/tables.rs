//! The tables of a backup, in the order of the file. `head` is the last one: a store without it is no store.

use sea_orm::sea_query::ColumnType;
use sea_orm::{ColumnTrait, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::store::ids::unreadable;
use crate::store::schema::*;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Flag,
    Small,
    Number,
    Text,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub optional: bool,
}

#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<Column>,
    /// The columns of the primary key, which order the rows.
    pub key: Vec<&'static str>,
}

/// Returns all tables.
pub fn tables() -> Result<Vec<Table>, StoreError> {
    Ok(vec![
        table::<commit::Entity>()?,
        table::<change::Entity>()?,
        table::<denial::Entity>()?,
        table::<request::Entity>()?,
        table::<project::Entity>()?,
        table::<permission::Entity>()?,
        table::<role::Entity>()?,
        table::<managed_role::Entity>()?,
        table::<role_set::Entity>()?,
        table::<role_set_role::Entity>()?,
        table::<role_mapping::Entity>()?,
        table::<disabled_role::Entity>()?,
        table::<grant::Entity>()?,
        table::<alias::Entity>()?,
        table::<org::Entity>()?,
        table::<membership::Entity>()?,
        table::<temporary_role::Entity>()?,
        table::<role_origin::Entity>()?,
        table::<fallback::Entity>()?,
        table::<invitation::Entity>()?,
        table::<blocked_user::Entity>()?,
        table::<api_key::Entity>()?,
        table::<org_domain::Entity>()?,
        table::<org_activity::Entity>()?,
        table::<removed_member::Entity>()?,
        table::<head::Entity>()?,
    ])
}

fn table<E: EntityTrait>() -> Result<Table, StoreError> {
    let column = |column: E::Column| {
        let definition = column.def();
        let kind = match definition.get_column_type() {
            ColumnType::Boolean => Kind::Flag,
            ColumnType::SmallInteger => Kind::Small,
            ColumnType::BigInteger => Kind::Number,
            ColumnType::String(_) | ColumnType::Text => Kind::Text,
            ColumnType::Blob | ColumnType::VarBinary(_) => Kind::Bytes,
            _ => {
                return Err(unreadable("a column of a type that backups do not have; this is a bug, please report it"));
            }
        };
        Ok(Column { name: column.as_str().into(), kind, optional: definition.is_null() })
    };
    Ok(Table {
        name: E::default().table_name(),
        columns: E::Column::iter().map(column).collect::<Result<_, _>>()?,
        key: E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sea_orm::{ConnectionTrait, DbBackend, Statement};

    use super::*;
    use crate::store::Store;

    /// A table that is forgotten here would be missing in every restored store.
    #[tokio::test]
    async fn a_backup_has_all_tables_and_columns_of_the_migrations() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("a.db").display())).await.unwrap();
        store.migrate().await.unwrap();
        let sql = r#"SELECT tables.name, columns.name, columns.type, columns."notnull", columns.pk
            FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
            WHERE tables.type = 'table' AND tables.name NOT IN ('seaql_migrations') ORDER BY tables.name, columns.name"#;
        let rows = store.reads().query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        let mut migrated: BTreeMap<String, Vec<(String, Kind, bool, i64)>> = BTreeMap::new();
        for row in rows {
            let text = |at: usize| row.try_get_by_index::<String>(at).unwrap();
            let kind = match text(2).to_lowercase().as_str() {
                "boolean" => Kind::Flag,
                "smallint" => Kind::Small,
                "integer" => Kind::Number,
                "text" => Kind::Text,
                "blob" => Kind::Bytes,
                other => panic!("{other}"),
            };
            let optional = row.try_get_by_index::<i64>(3).unwrap() == 0;
            let place_in_key = row.try_get_by_index::<i64>(4).unwrap();
            migrated.entry(text(0)).or_default().push((text(1), kind, optional, place_in_key));
        }
        let mut backed_up = BTreeMap::new();
        for table in tables().unwrap() {
            let place = |name: &str| table.key.iter().position(|key| *key == name).map_or(0, |at| at as i64 + 1);
            let column = |column: &Column| (column.name.clone(), column.kind, column.optional, place(&column.name));
            let mut columns: Vec<_> = table.columns.iter().map(column).collect();
            columns.sort_by(|one, other| one.0.cmp(&other.0));
            backed_up.insert(table.name.to_string(), columns);
        }
        assert_eq!(backed_up, migrated);
        store.close().await;
    }
}
