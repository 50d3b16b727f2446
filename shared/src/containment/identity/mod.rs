//! Identities: IAM users, sessions of roles, and the principals that only a person can contain.

mod decide;
mod observed;

pub use decide::{as_named_at_source, decide, missing};
pub use observed::{
    ATTACHED_POLICIES, AccessKey, Credential, OWN_DENY, Observed, ObservedRole, ObservedUser, Principal, REVOCATION_MARGIN,
    ServiceCredential,
};
