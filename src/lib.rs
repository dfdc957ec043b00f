//! Rolecall: roles and permissions for products that sell to organizations, answered over gRPC.
//!
//! The rooms and the arrows between them are listed, and proven, in `tests/house.rs`.

pub mod domain;
pub mod limits;
pub mod store;
pub mod wire;
