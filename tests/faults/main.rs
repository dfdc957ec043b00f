//! What must hold whatever dies or races: nothing acknowledged is lost, nothing is half done, histories stay one.

#[path = "../support/database.rs"]
mod support;

#[allow(dead_code)]
#[path = "../domain/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "../domain/seen.rs"]
mod seen;
#[allow(dead_code)]
#[path = "../domain/strategies.rs"]
mod strategies;

mod database;
mod kill;
mod two_writers;
