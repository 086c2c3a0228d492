//! Response heads; a first byte below the space says whether the request was HEAD.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::http::fuzz::response_head(data));
