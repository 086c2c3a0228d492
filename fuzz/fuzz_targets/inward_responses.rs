//! Requests of callers that speak Responses, said in Anthropic's form.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::inward::fuzz::fuzz_inward_responses(data));
