//! AWS at arm's length: clients, the count of dependent calls, and what a failed call means.

mod calls;
#[cfg(feature = "respond")]
mod clients;
#[cfg(feature = "instance")]
mod compute;
mod fault;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "respond")]
mod warm;

pub use calls::CallLog;
#[cfg(feature = "respond")]
pub use clients::{Access, Clients, load_config, s3};
#[cfg(feature = "instance")]
pub use compute::Compute;
pub use fault::{Fault, FaultClass, is_no_such_entity};
#[cfg(feature = "json")]
pub use json::{Call, JsonService};
#[cfg(feature = "respond")]
pub use warm::warm_up;
