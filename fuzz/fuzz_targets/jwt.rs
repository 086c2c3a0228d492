//! Tokens: any text, and a good token with bytes altered.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::identity::jwt::fuzz::fuzz_token(data));
