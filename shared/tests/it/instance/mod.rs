//! The decision about an instance, as a table.

mod missing;
mod plans;
mod support;
mod verdicts;
