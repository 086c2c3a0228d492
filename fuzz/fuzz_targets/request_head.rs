//! Request heads: any bytes, any cut, and what goes upstream for them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::http::fuzz::request_head(data));
