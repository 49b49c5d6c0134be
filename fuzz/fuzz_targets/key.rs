//! Fuzzes `cairn_types::fuzzing::key`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cairn_types::fuzzing::key(data));
