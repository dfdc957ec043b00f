//! The rules: what the service knows (a [`State`]), what may happen to it ([`decide`]) and what it answers ([`Project::check`]).
//!
//! Nothing here waits, locks, logs, reads a clock or knows of a database or a wire. Time is an argument.

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
pub use model::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
pub use model::refusal::{Reason, Refusal};
pub use model::revision::Revision;
pub use model::time::Time;
pub use rules::check::{Ask, Decision, Question};
pub use state::State;
pub use state::change::{Change, Edit, Scoped};
pub use state::project::Project;
