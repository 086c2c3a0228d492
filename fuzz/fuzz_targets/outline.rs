//! Outlines of regular expressions: any line as an expression, and the rest as a text.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::policy::input::fuzz::fuzz_outline(data));
