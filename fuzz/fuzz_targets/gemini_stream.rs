//! Gemini's answers; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::gemini::fuzz::fuzz_gemini_stream(data));
