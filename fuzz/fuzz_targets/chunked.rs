//! Chunked bodies; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::http::fuzz::chunked(data));
