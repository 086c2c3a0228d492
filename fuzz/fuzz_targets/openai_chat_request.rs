//! Requests translated for Chat Completions; the first byte says for what kind of server.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::openai_chat::fuzz::fuzz_openai_chat_request(data));
