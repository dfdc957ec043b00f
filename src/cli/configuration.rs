//! Configuration as code: a project's permissions, roles and role mappings as a YAML document.

pub mod document;
