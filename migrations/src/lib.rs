//! The tables of Rolecall: one migration a file, append-only, each fit for the release before it.

use sea_orm_migration::prelude::*;

pub use sea_orm_migration::MigratorTrait;

mod columns;
mod m0001_first_tables;
mod m0002_whole_core;
mod m0003_plans;

/// Brings a database to the tables that this release knows.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first_tables::Migration),
            Box::new(m0002_whole_core::Migration),
            Box::new(m0003_plans::Migration),
        ]
    }
}
