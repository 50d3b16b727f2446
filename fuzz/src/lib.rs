//! What must hold of everything an attacker, or a mistake, can put before the parsers and the ledger verifier.
//!
//! The fuzz targets look for an input that breaks one of these checks; `shared/tests/it` includes this folder and runs
//! the same checks over samples, seeds and generated input, with a stable compiler.

pub mod chain;
pub mod event;
pub mod guardrails;
pub mod text;
pub mod walk;
