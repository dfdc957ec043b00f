//! The tower layers around every method. `error_details` is the outer one.

pub mod deadline;
pub mod error_details;
