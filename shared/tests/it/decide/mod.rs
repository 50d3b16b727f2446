//! The decision about an identity, as a table.

mod missing;
mod plans;
mod properties;
mod source;
mod verdicts;
