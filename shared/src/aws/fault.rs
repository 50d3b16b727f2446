//! What a failed call means for whoever waits for it.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::text::printable;

/// A call AWS did not answer as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// AWS's error code, or ours for an answer without one (`Timeout`, `NoConnection`, `Unreadable`).
    pub code: String,
    /// AWS's message, made printable.
    pub message: String,
    /// Whether to try again.
    pub class: FaultClass,
}

/// Whether a retry could mend a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// Yes: throttling, a lost connection, a server error, an IAM entity in the middle of another change.
    Retryable,
    /// No: not permitted, not there, not valid.
    Permanent,
}

impl Fault {
    /// Whether a retry could mend it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.class == FaultClass::Retryable
    }
}

/// Whether IAM says that the thing asked for does not exist.
pub fn is_no_such_entity<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchEntity")
}

/// Codes a retry can mend, beyond any 5xx (CONTAINMENT A19).
const RETRYABLE_CODES: [&str; 17] = [
    "ConcurrentModification",
    "ConditionalRequestConflict",
    "EntityTemporarilyUnmodifiable",
    "ExpiredToken",
    "ExpiredTokenException",
    "OperationAborted",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottledException",
    "RequestTimeout",
    "ResourceContention",
    "ScalingActivityInProgress",
    "ServiceFailure",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (code, message) = match &error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                let code = meta.code().unwrap_or("Unreadable").to_owned();
                let no_message = || format!("HTTP {} without a message", status.unwrap_or_default());
                (code, meta.message().map_or_else(no_message, str::to_owned))
            }
            SdkError::TimeoutError(_) => ("Timeout".to_owned(), "AWS did not answer in time".to_owned()),
            SdkError::DispatchFailure(_) => ("NoConnection".to_owned(), DisplayErrorContext(&error).to_string()),
            SdkError::ResponseError(_) => ("Unreadable".to_owned(), DisplayErrorContext(&error).to_string()),
            _ => ("NotSent".to_owned(), DisplayErrorContext(&error).to_string()),
        };
        let mended_by_retry = match &error {
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
            // An answer that names no error is not the service's: something on the way answered in its place.
            SdkError::ServiceError(service) if service.err().meta().code().is_none() => true,
            _ => status.is_some_and(|status| status >= 500 || status == 429) || RETRYABLE_CODES.contains(&code.as_str()),
        };
        Self {
            code: printable(&code, 64),
            message: printable(&message, 200),
            class: if mended_by_retry { FaultClass::Retryable } else { FaultClass::Permanent },
        }
    }
}
