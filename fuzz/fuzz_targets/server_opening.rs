//! Fuzzes `cairn_server::fuzzing::opening`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cairn_server::fuzzing::opening(data));
