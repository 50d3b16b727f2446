//! AWS at arm's length: clients, the count of dependent calls, and what a failed call means.

mod calls;
mod clients;
mod fault;

pub use calls::CallLog;
#[cfg(feature = "identity")]
pub use clients::Clients;
pub use clients::load_config;
#[cfg(feature = "s3")]
pub use clients::s3;
pub use fault::{Fault, FaultClass, is_no_such_entity};
