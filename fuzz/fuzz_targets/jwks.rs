//! Sets of keys: any document.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::identity::jwt::fuzz::fuzz_keys(data));
