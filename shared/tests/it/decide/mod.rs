//! The decision about an identity, as a table.

mod drift;
mod plans;
mod properties;
mod source;
mod verdicts;
