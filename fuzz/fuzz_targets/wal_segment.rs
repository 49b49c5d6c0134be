//! Fuzzes `cairn_storage::fuzzing::wal_segment`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cairn_storage::fuzzing::wal_segment(data));
