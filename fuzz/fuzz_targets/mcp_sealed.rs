//! Sealed texts: presented as they are, and as changes to a good one.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::sealed::fuzz::fuzz_open(data));
