//! The tables of Rolecall. Until the first release one file creates them all. From then on each migration is a new file,
//! and none is changed.

use sea_orm_migration::prelude::*;

pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod columns;
mod m0001_tables;

/// Creates the tables that this release uses.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_tables::Migration)]
    }
}
