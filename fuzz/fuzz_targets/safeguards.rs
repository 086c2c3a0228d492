//! Answers with the results of safeguards, which may only become stricter.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::anthropic::guard::fuzz::fuzz_guard(data));
