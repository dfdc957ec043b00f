//! The layers around every method, from the outer to the inner: `bounded`, `error_details`, `deadline`.

pub mod bounded;
pub mod calls;
pub mod deadline;
pub mod error_details;
