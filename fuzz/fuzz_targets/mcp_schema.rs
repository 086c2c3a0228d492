//! Schemas of tools made smaller, against `serde_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::lean::fuzz::fuzz_schema(data));
