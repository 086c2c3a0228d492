//! The members of a JSON object, against `serde_json` and by both ways of skipping.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::json::fuzz::fuzz_fields(data));
