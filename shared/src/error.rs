//! What makes a function fail.
//!
//! A handler's error makes Lambda retry the event twice, and then hand it to the on-failure queue, whose alarm pages.
//! So an error is only for what a retry could mend:
//!
//! * *Retryable* ([`Retry`]): the case could not be read or written, another delivery is at work on the same target,
//!   a step met throttling. What was done so far is done and idempotent; the next delivery finishes it.
//! * *Permanent*: no type here. A change AWS refuses for good is a step that failed and an outcome that says so
//!   ([`crate::outcome`]); retrying it would only delay the page.
//! * *A human must* ([`crate::config::ConfigError`] at start-up, [`crate::containment::CannotContain`] for a target):
//!   the deployment is broken, or no permitted change would contain the target.

use crate::aws::Fault;
use crate::text::printable;

/// A failure the next delivery of the same event can mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} on {resource}: {cause}. Done: {done}. Not done: {not_done}. Next: Lambda delivers the event again; after three tries it is in the on-failure queue"
)]
pub struct Retry {
    /// What failed.
    pub what: &'static str,
    /// Which resource it failed on.
    pub resource: String,
    /// What AWS said, or who else is at work.
    pub cause: String,
    /// What was done all the same.
    pub done: String,
    /// What was not done.
    pub not_done: String,
}

impl Retry {
    /// A call that failed before anything was changed.
    #[must_use]
    pub fn before_any_change(what: &'static str, resource: impl Into<String>, fault: &Fault) -> Self {
        Self {
            what,
            resource: printable(&resource.into(), 120),
            cause: fault.to_string(),
            done: "nothing".to_owned(),
            not_done: "everything".to_owned(),
        }
    }
}

impl From<Retry> for lambda_runtime::Diagnostic {
    /// Alarms and the on-failure queue read `error_type`; it must not be a Rust type name.
    fn from(retry: Retry) -> Self {
        Self { error_type: "Retryable".to_owned(), error_message: retry.to_string() }
    }
}
