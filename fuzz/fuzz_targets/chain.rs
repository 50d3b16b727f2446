//! Ledgers to verdicts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tourniquet_fuzz::chain;

fuzz_target!(|bytes: &[u8]| chain::check_text(bytes));
