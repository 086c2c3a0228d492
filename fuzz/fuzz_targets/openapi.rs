//! OpenAPI documents, and arguments of calls of their operations.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::openapi::fuzz::fuzz_openapi(data));
