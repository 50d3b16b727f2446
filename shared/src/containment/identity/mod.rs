//! Identities: IAM users, sessions of roles, and the principals that only a person can contain.

mod changes;
mod created;
mod decide;
mod ladder;
mod mfa;
mod observed;
mod persistence;
mod sources;

pub use changes::missing;
pub use created::line_to_contain;
pub use decide::{as_named_at_source, decide};
pub use ladder::{not_denied, scp_lines, widen};
pub use mfa::{MfaEvidence, PERSISTENCE_STAGE, mfa_left, mfa_suspects, mfa_to_deactivate};
pub use observed::{
    ATTACHED_POLICIES, AccessKey, Credential, GROUPS, MFA_DEVICES, MfaDevice, OWN_DENY, Observed, ObservedRole, ObservedUser,
    Principal, REVOCATION_MARGIN, ServiceCredential,
};
pub use persistence::{Sign, SignKind, signs_since};
