//! Requests of callers that speak Chat Completions, said in Anthropic's form.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::inward::fuzz::fuzz_inward_chat(data));
