//! Fuzzes `cairn_storage::fuzzing::blob_file`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cairn_storage::fuzzing::blob_file(data));
