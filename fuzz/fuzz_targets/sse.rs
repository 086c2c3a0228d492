//! Event streams; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::http::sse::fuzz::fuzz_sse(data));
