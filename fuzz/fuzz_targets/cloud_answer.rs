//! Answers for callers who speak to a cloud; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::cloud_caller::fuzz::fuzz_cloud_answer(data));
