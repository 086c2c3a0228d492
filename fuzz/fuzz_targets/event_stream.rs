//! Binary event streams of Bedrock; the first byte says how they are split.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::bedrock::fuzz::fuzz_event_stream(data));
