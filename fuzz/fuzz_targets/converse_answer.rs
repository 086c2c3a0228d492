//! Answers of Bedrock's Converse; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::bedrock::converse::fuzz::fuzz_converse_answer(data));
