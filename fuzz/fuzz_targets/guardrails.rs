//! Text to guardrails, and what they say to a user's and a role's finding.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tourniquet::event::{Parsed, parse};
use tourniquet::finding::Finding;
use tourniquet_fuzz::guardrails;

static FINDINGS: LazyLock<Vec<Finding>> = LazyLock::new(|| {
    let samples: [&[u8]; 3] = [
        include_bytes!("../../events/contain-identity/leaked-access-key.json"),
        include_bytes!("../../events/contain-identity/role-session-named.json"),
        include_bytes!("../../events/contain-identity/low-severity-user.json"),
    ];
    let finding = |parsed| match parsed {
        Parsed::Finding(finding) => Some(*finding),
        Parsed::Ignored(_) => None,
    };
    samples.into_iter().flat_map(parse).filter_map(finding).collect()
});

fuzz_target!(|text: &str| guardrails::check(text, &FINDINGS));
