//! Parts of messages on their way from one era to the other.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::bridge::fuzz::fuzz_bridge(data));
