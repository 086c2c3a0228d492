//! Rules about inputs of tools: any line as a rule, and the rest as an input.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::policy::input::fuzz::fuzz_input_rule(data));
