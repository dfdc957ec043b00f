//! The layers around every method, from the outer to the inner: `bounded`, `deadline`, `error_details`. [`super::methods`] calls
//! the inner two.

pub mod bounded;
pub mod calls;
pub mod deadline;
pub mod error_details;
