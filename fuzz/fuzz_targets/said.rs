//! Writers of answers: whatever happens, what they write is in the form that callers read.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::llm::said::fuzz::fuzz_said(data));
