//! Requests for Gemini; the first byte draws the target.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::gemini::fuzz::fuzz_gemini_request(data));
