//! Tables of prices, and names that are looked for in them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::meter::fuzz::price_table(data));
