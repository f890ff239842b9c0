//! `tests::fuzz::client_stream` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::client_stream(bytes));
