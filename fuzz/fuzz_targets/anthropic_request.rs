//! Bodies of Anthropic requests: what is found, and what is left after a splice.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::anthropic::fuzz::fuzz_anthropic_request(data));
