//! The rules: what the service knows (a [`State`]), what may happen to it ([`decide`]) and what it answers ([`Project::check`]).
//!
//! Nothing here waits, locks, logs, reads a clock or knows of a database or a wire. Time is an argument.

pub mod alias;
pub mod change;
pub mod check;
pub mod command;
pub mod decide;
pub mod delegation;
pub mod disabling;
pub mod etag;
pub mod fallback;
pub mod group;
pub mod hash;
pub mod id;
pub mod impact;
pub mod manageable;
pub mod mapping_rows;
pub mod member_list;
pub mod membership;
pub mod name;
pub mod names;
pub mod org;
pub mod pages;
pub mod permission;
pub mod permission_set;
pub mod project;
pub mod purge;
pub mod refusal;
pub mod revision;
pub mod role;
pub mod role_mapping;
pub mod role_set;
pub mod state;
pub mod subscription;
pub mod succession;
pub mod suggest;
pub mod table;
pub mod template;
pub mod time;
pub mod trie;
pub mod usage;
pub mod viewer;

pub use change::{Change, Edit, Scoped};
pub use check::{Ask, Decision, Question};
pub use command::{Actor, Call, Command, RequestKey};
pub use decide::{Decided, Outcome, Terms, decide};
pub use name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
pub use project::Project;
pub use refusal::{Reason, Refusal};
pub use revision::Revision;
pub use state::State;
pub use time::Time;
