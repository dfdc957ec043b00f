//! Reads: lists that the State cannot answer alone, commits, and what is left to purge.

mod activity;
pub mod changes;
pub mod event;
mod find;
pub mod invitation;
pub mod member_ids;
pub mod membership;
mod objects;
pub mod org;
mod past;
mod purge;
pub mod snapshot;
pub mod subscription;
