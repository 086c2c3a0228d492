//! Config files: any bytes lead to a config or to faults, never to a panic.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::config::fuzz::config_file(data));
