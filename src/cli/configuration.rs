//! Configuration as code: a project's permissions, roles and role mappings as a YAML document.

pub mod apply;
pub mod convert;
pub mod diff;
pub mod document;
pub mod export;
pub mod generate;
mod local;
pub mod plan;
pub mod policy;
