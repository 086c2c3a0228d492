//! Results of tools cut and read on, against `serde_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::lean::fuzz::fuzz_results(data));
