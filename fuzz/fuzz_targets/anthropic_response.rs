//! Anthropic answers, whole and as events; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::anthropic::fuzz::fuzz_anthropic_response(data));
