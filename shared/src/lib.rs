//! Tourniquet contains a compromised AWS identity or resource within one Lambda hop of the finding.
//!
//! A finding walks one way: parse, observe, decide, remember, act, verify, report. The modules below are that walk,
//! in dependency order from the driver down to the identifiers; nothing knows what stands above it.

#[cfg(feature = "recheck")]
pub mod recheck;
#[cfg(feature = "release")]
pub mod release;
#[cfg(any(feature = "identity", feature = "instance"))]
pub mod respond;
#[cfg(feature = "seal")]
pub mod seal;

pub mod register;

#[cfg(feature = "aws")]
pub mod config;

pub mod report;

pub mod case;

pub mod containment;

pub mod plan;
pub mod step;

pub mod guardrails;

pub mod evidence;

pub mod event;

pub mod finding;
pub mod outcome;
pub mod policy;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod error;

pub mod id;
pub mod text;
pub mod timestamp;
