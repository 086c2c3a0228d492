//! Paths and bodies of callers who speak to a cloud; the first byte says to which and what is asked.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::cloud_caller::fuzz::fuzz_cloud_request(data));
