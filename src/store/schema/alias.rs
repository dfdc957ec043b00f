//! The old names of permissions, roles and role mappings; `noun` as in the table `changes`.

use sea_orm::entity::prelude::*;

/// What can be renamed. The numbers are those of the nouns in the table `changes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Renamed {
    Permission = 2,
    Role = 3,
    RoleMapping = 5,
}

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "aliases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub noun: i16,
    #[sea_orm(primary_key, auto_increment = false)]
    pub alias: String,
    pub id: i64,
    pub place: i16,
}

super::without_relations!();
