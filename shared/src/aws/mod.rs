//! AWS at arm's length: clients, the count of dependent calls, and what a failed call means.

mod calls;
mod clients;
mod fault;

pub use calls::CallLog;
#[cfg(feature = "identity")]
pub use clients::{Clients, load_config};
pub use fault::{Fault, FaultClass};
