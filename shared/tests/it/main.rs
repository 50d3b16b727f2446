//! The pure core, tested as the rest of the workspace sees it: no AWS, no clock, no network, no feature.
#![expect(clippy::expect_used, reason = "a fixture that does not hold is a failed test")]

mod card;
mod case;
#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the same file is the face of the fuzz crate")]
mod checks;
mod decide;
mod events;
mod evidence;
mod group_rules;
mod guardrails;
mod hostile_report;
mod instance;
mod merged;
mod metrics;

mod page;
mod plan;
mod recheck;
mod register;
mod release;
mod report;
mod rungs;
mod seeds;
mod steps_instance;
mod support;
