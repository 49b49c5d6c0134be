//! Fuzzes `cairn_engine::fuzzing::catalog`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cairn_engine::fuzzing::catalog(data));
