//! Answers of Chat Completions; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::openai_chat::fuzz::fuzz_openai_chat_stream(data));
