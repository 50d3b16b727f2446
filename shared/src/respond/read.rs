//! What reading a target has in common, whatever it is.

use aws_smithy_types::DateTime;

use crate::aws::{Fault, FaultClass};
use crate::case::OpenCase;
use crate::case::store::{CaseStore, Etag};
use crate::error::Retry;
use crate::guardrails::Guardrails;
use crate::timestamp::Timestamp;

/// The file the guardrails come from, for messages.
const GUARDRAILS_FILE: &str = "guardrails.toml";

/// Why there are no guardrails.
pub(crate) struct NoGuardrails {
    pub(crate) reason: String,
    /// Whether they may be readable a moment later.
    pub(crate) passing: bool,
}

pub(crate) async fn guardrails(store: &CaseStore) -> Result<Guardrails, NoGuardrails> {
    let unread = |fault: Fault| NoGuardrails { passing: fault.is_retryable(), reason: fault.to_string() };
    let text = store.guardrails().await.map_err(unread)?;
    Guardrails::parse(GUARDRAILS_FILE, &text).map_err(|error| NoGuardrails { reason: error.to_string(), passing: false })
}

pub(super) async fn open_case(store: &CaseStore, key: &str) -> Result<Option<(OpenCase, Etag)>, Retry> {
    store.open_case(key).await.map_err(|fault| Retry::before_any_change("reading the open case", OpenCase::key(key), &fault))
}

/// What could not be read. The rest is contained all the same; the outcome says what is missing.
#[derive(Default)]
pub(super) struct Unread {
    pub(super) what: Vec<String>,
    pub(super) passing: bool,
}

impl Unread {
    pub(super) fn note<T>(&mut self, what: &str, fault: &Fault) -> Option<T> {
        self.what.push(format!("{what}: {fault}"));
        self.passing |= fault.is_retryable();
        None
    }

    #[cfg(feature = "identity")]
    pub(super) fn list<T, E: Into<Fault>>(&mut self, what: &str, read: Result<Vec<T>, E>) -> Vec<T> {
        read.unwrap_or_else(|error| self.note(what, &error.into()).unwrap_or_default())
    }
}

pub(super) fn timestamp(instant: Option<&DateTime>) -> Option<Timestamp> {
    Timestamp::from_unix(instant?.secs())
}

pub(super) fn incomplete(operation: &str) -> Fault {
    Fault {
        code: "Unreadable".to_owned(),
        message: format!("{operation} answered without the fields it documents"),
        class: FaultClass::Retryable,
    }
}
