//! The driver of `register-actions`: the custom resource that keeps the buttons in Security Hub.
//!
//! A stack waits up to an hour for an answer that does not come. So everything ends in one, whatever the request is and
//! whatever becomes of it, before Lambda's deadline; a request that cannot be answered changes nothing.

mod answer;
mod decide;
#[cfg(feature = "register")]
mod function;
#[cfg(feature = "register")]
mod hub;
mod request;
#[cfg(feature = "register")]
mod send;

pub use answer::{Ending, Outcome, document};
pub use decide::{Action, Change, changes};
#[cfg(feature = "register")]
pub use function::{Function, Report};
pub use request::{Request, ResponseUrl, Wish};
