//! The two files of a table of embeddings: weights and tokenizer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::search::meaning::fuzz::fuzz_files(data));
