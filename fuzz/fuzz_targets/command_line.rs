//! Command lines: any text, taken apart as a shell would.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::policy::input::fuzz::fuzz_command_line(data));
