//! Ids, names, time, refusals, and the record of every noun.

pub mod api_key;
pub mod decision;
pub mod email;
pub mod etag;
pub mod event;
pub mod fallback;
pub mod id;
pub mod invitation;
pub mod lifecycle;
pub mod membership;
pub mod name;
pub mod org;
pub mod org_domain;
pub mod permission;
pub mod project;
pub mod reason;
pub mod refusal;
pub mod revision;
pub mod role;
pub mod role_mapping;
pub mod role_set;
pub mod template;
pub mod time;
pub mod user;
