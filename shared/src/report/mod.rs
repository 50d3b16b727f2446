//! Telling people: the function's answer, the notification, the note on the finding, the case's page, the metrics.

pub mod answer;
pub mod budget;
pub mod links;
pub mod message;
pub mod metrics;
pub mod notification;
pub mod page;
pub mod proposal;
pub mod rechecked;
pub mod released;
pub mod sealed;
#[cfg(feature = "json")]
pub mod security_hub;
pub mod timing;
