//! Bytes to findings, and from there to plan and messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tourniquet::event::Parsed;
use tourniquet_fuzz::{event, walk};

fuzz_target!(|bytes: &[u8]| {
    for parsed in event::check(bytes) {
        if let Parsed::Finding(finding) = parsed {
            walk::check(&finding);
        }
    }
});
