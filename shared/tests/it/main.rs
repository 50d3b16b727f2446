//! The pure core, tested as the rest of the workspace sees it: no AWS, no clock, no network, no feature.
#![expect(clippy::expect_used, reason = "a fixture that does not hold is a failed test")]

mod case;
mod decide;
mod events;
mod guardrails;
mod plan;
mod report;
mod support;
