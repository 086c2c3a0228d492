//! Records of the ledger.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::ledger::fuzz::record(data));
