//! Telling people: the function's answer, the notification, the note on the finding.

pub mod answer;
pub mod links;
pub mod notification;
pub mod sealed;
#[cfg(feature = "json")]
pub mod security_hub;
