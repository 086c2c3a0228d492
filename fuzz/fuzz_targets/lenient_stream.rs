//! Answers of servers of plain Messages; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::anthropic_lenient::fuzz::fuzz_lenient_stream(data));
