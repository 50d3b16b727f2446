//! The decision about an identity, as a table.

mod clicks;
mod ladder;
mod mfa;
mod missing;
mod persistence;
mod plans;
mod properties;
mod source;
mod sources;
mod verdicts;
