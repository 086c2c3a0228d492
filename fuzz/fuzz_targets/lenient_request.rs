//! Requests translated for servers of plain Messages; the first byte says for what kind of server.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::anthropic_lenient::fuzz::fuzz_lenient_request(data));
