//! Requests for Anthropic's models in a cloud; the first byte says for which and what is asked.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::anthropic::hosted::fuzz::fuzz_hosted_request(data));
