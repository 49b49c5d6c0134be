//! Fuzzes `cairn_types::fuzzing::datatype`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cairn_types::fuzzing::datatype(data));
