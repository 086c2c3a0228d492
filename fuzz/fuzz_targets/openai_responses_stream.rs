//! Answers of Responses; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(
    |data: &[u8]| tollgate::llm::openai_responses::fuzz::fuzz_openai_responses_stream(data)
);
