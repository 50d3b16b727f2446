//! AWS at arm's length: clients, the count of dependent calls, and what a failed call means.

mod calls;
#[cfg(feature = "identity")]
mod clients;
mod fault;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "identity")]
mod warm;

pub use calls::CallLog;
#[cfg(feature = "identity")]
pub use clients::{Access, Clients, load_config, s3};
pub use fault::{Fault, FaultClass, is_no_such_entity};
#[cfg(feature = "json")]
pub use json::{Call, JsonService};
#[cfg(feature = "identity")]
pub use warm::warm_up;
