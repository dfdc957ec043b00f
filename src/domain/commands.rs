//! Commands, and how each is decided: it is refused, or becomes changes and an outcome.

pub mod alias;
pub mod call;
pub mod command;
pub mod decide;
pub mod disabling;
pub mod draft;
pub mod expired;
pub mod fallback;
pub mod group;
pub mod invitation;
pub mod manageable;
pub mod membership;
pub mod org;
pub mod org_domain;
pub mod outcome;
pub mod permission;
pub mod project;
pub mod provisioning;
pub mod purge;
pub mod replacement;
pub mod role;
pub mod role_mapping;
pub mod role_set;
pub mod subscription;
pub mod user;
