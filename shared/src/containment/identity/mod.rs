//! Identities: IAM users, sessions of roles, and the principals that only a person can contain.

mod changes;
mod decide;
mod observed;

pub use changes::missing;
pub use decide::{as_named_at_source, decide};
pub use observed::{
    ATTACHED_POLICIES, AccessKey, Credential, OWN_DENY, Observed, ObservedRole, ObservedUser, Principal, REVOCATION_MARGIN,
    ServiceCredential,
};
