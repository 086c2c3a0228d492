//! Answers of Anthropic's form, said in the callers' dialects; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::inward::fuzz::fuzz_inward_voice(data));
