//! Requests translated for Responses; the first byte says for what kind of server.
#![no_main]
libfuzzer_sys::fuzz_target!(
    |data: &[u8]| tollgate::llm::openai_responses::fuzz::fuzz_openai_responses_request(data)
);
