//! The case: what was known, decided and done about one target, written so that nobody can change it unseen.
//!
//! A case is a chain of ledger entries under `cases/<case>/`, each holding the SHA-256 of the one before, and one
//! *open case* object under `targets/`, which is the idempotency key, the lease and the memory of the original state
//! in a single conditional write.

pub mod belongs;
mod chain;
mod entry;
#[cfg(feature = "s3")]
mod journal;
mod open_case;
mod rechecked;
pub mod sealed;
#[cfg(feature = "s3")]
pub mod store;

pub use chain::{Broken, ChainReport, event_key, verify_chain};
pub use entry::{Actor, Entry, EntryKind, Object};
#[cfg(feature = "s3")]
pub use journal::Journal;
pub use open_case::{Lease, Memory, OpenCase, Releasing, State};
pub use rechecked::{Look, MOST_HAND_BACKS, RecheckRecord};

pub use crate::id::CaseId;
