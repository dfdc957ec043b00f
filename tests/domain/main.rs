//! The domain against its rules: random histories compared with a slow model, and plain tests named after the rules.

mod fixture;
mod groups;
mod histories;
mod model;
mod rules;
mod seen;
mod strategies;
mod symbols;
mod undo;
