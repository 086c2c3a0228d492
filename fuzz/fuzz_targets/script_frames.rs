//! Frames between the gateway and the process of a script: any line in both directions.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::script::fuzz::fuzz_frames(data));
