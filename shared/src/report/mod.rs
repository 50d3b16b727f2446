//! Telling people: the function's answer, the notification, the note on the finding.

pub mod answer;
pub mod links;
pub mod notification;
#[cfg(feature = "json")]
pub mod security_hub;
