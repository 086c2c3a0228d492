//! The price list that is imported.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::meter::fuzz::price_list(data));
