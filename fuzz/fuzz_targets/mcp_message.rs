//! Messages of the Model Context Protocol, against `serde_json` and by both ways to the id.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::message::fuzz::fuzz_message(data));
