//! The messages of `proto/rolecall/v1`, generated once, and how the things of the domain look in them.

/// What is generated. Services and clients name these messages as `crate::wire::…`.
#[allow(clippy::all, clippy::pedantic, rustdoc::all)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages/rolecall.v1.rs"));
}

pub mod change;
pub mod impact;
pub mod json;
pub mod outcome;
pub mod resource;

pub use messages::*;
pub use outcome::outcome;
pub use resource::{member, org, permission, project, role, role_mapping, subscription, timestamp};
