//! The domain: the state of all projects ([`State`]), how a command is decided ([`decide`]) and how a check is answered
//! ([`Project::check`]).
//!
//! This module does not wait, lock, log or read a clock, and it knows no database and no wire format. Time is an
//! argument. Inside it, imports name the layer: `tests/architecture.rs` checks their order.

pub mod collections;
pub mod commands;
pub mod impact;
pub mod model;
pub mod rules;
pub mod state;

pub use commands::call::{Actor, Call, RequestKey};
pub use commands::command::Command;
pub use commands::decide::{Decided, decide};
pub use commands::draft::Terms;
pub use commands::outcome::Outcome;
pub use model::decision::Decision;
pub use model::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
pub use model::reason::Reason;
pub use model::refusal::Refusal;
pub use model::revision::Revision;
pub use model::time::Time;
pub use rules::check::{Ask, Question};
pub use rules::check_batch::{Columns, Item};
pub use state::State;
pub use state::change::{Change, Edit, Scoped};
pub use state::project::Project;
