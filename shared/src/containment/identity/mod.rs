//! Identities: IAM users, sessions of roles, and the principals that only a person can contain.

mod decide;
#[cfg(feature = "identity")]
pub mod observe;
mod observed;
#[cfg(feature = "identity")]
mod source;

pub use decide::{as_named_at_source, decide, drift};
pub use observed::{
    AccessKey, Credential, Observed, ObservedRole, ObservedUser, Principal, REVOCATION_MARGIN, ServiceCredential,
};
