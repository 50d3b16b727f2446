//! AWS at arm's length: clients, the count of dependent calls, and what a failed call means.

#[cfg(feature = "blocks")]
mod blocks;
mod calls;
#[cfg(feature = "respond")]
mod clients;
#[cfg(feature = "instance")]
mod compute;
mod fault;
#[cfg(feature = "json")]
mod json;
mod load;
#[cfg(feature = "blocks")]
mod pace;
#[cfg(feature = "respond")]
mod scheduler;
#[cfg(feature = "seal")]
mod snapshots;
#[cfg(feature = "respond")]
mod topic;
#[cfg(feature = "respond")]
mod warm;

#[cfg(feature = "blocks")]
pub use blocks::{Blocks, ebs};
pub use calls::CallLog;
#[cfg(feature = "respond")]
pub use clients::{Access, Clients, s3};
#[cfg(feature = "instance")]
pub use compute::Compute;
pub use fault::{Fault, FaultClass, is_no_such_entity};
#[cfg(feature = "json")]
pub use json::{Call, JsonService};
pub use load::load_config;
#[cfg(feature = "respond")]
pub use scheduler::{Scheduler, Schedules};
#[cfg(feature = "seal")]
pub use snapshots::{Copying, Snapshot, Snapshots, State};
#[cfg(feature = "respond")]
pub use topic::publish;
#[cfg(feature = "respond")]
pub use warm::warm_up;
