//! Pages of the lists of an MCP server, against `serde_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate::mcp::list::fuzz::fuzz_mcp_list(data));
