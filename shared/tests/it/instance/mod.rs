//! The decision about an instance, as a table.

mod missing;
mod page;
mod plans;
mod support;
mod verdicts;
