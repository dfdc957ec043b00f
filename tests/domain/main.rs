//! The domain against its rules: random histories compared with a slow model, and plain tests named after the rules.

mod conspiracies;
mod fixture;
mod groups;
mod hidden;
mod histories;
mod impacts;
mod lifecycle;
mod manageable;
mod model;
mod rules;
mod seen;
mod strategies;
mod suspensions;
mod symbols;
mod tally;
mod teams;
mod undo;
mod wishes;
