//! The decision about an identity, as a table.

mod budgets;
mod clicks;
mod ladder;
mod mfa;
mod missing;
mod persistence;
mod plans;
mod properties;
mod proposals;
mod source;
mod sources;
mod verdicts;
