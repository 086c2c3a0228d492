//! The whole product as a user meets it: the real binary between real clients and peers that misbehave.
#![expect(clippy::expect_used, reason = "a test that cannot set its scene stops with the reason")]
#![expect(clippy::panic, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests run on the wall clock, on threads that may sleep")]
#![expect(clippy::indexing_slicing, reason = "a missing field of a reply fails the test, as it should")]
#![expect(clippy::print_stderr, reason = "installing peers takes a while and says so")]

// The scene: clients and peers.
mod client;
mod gateway;
mod mcp_caller;
mod mcp_rights;
mod mcp_sdk;
mod mcp_suite;
mod peer;
mod peers;
mod program;
mod sse;
mod targets;

// The model side, byte for byte.
mod llm_errors;
mod llm_fidelity;
mod llm_paths;

// Providers of other dialects.
mod chaos;
mod cloud_callers;
mod cloud_credentials;
mod clouds;
mod counting;
mod dialects;
mod features;
mod openai_callers;
mod sdks;
mod vendors;

// The way to the upstream.
mod failover;
mod full_disk;
mod https_proxy;
mod network;
mod routing;
mod upstream_tls;

// What a hostile or broken network does.
mod backpressure;
mod broken_streams;
mod deadlines;
mod http_refusals;
mod pings;

// The MCP side.
mod mcp_auto;
mod mcp_cache;
mod mcp_calls;
mod mcp_catalog;
mod mcp_claude_code;
mod mcp_code;
mod mcp_confined;
mod mcp_conformance;
mod mcp_embedding;
mod mcp_faults;
mod mcp_fidelity;
mod mcp_growing;
mod mcp_isolation;
mod mcp_large_results;
mod mcp_matrix;
mod mcp_old_sdks;
mod mcp_openapi;
mod mcp_pins;
mod mcp_results;
mod mcp_sessions;
mod mcp_tasks;
mod mcp_tool_modes;
mod mcp_tool_search;
mod policies;

// Where calls may run, and which model they get.
mod policy;
mod residency;
mod versions;

// Who may call.
mod keys;
mod sign_in;

// What is watched.
mod guards;
mod scans;

// Money and records.
mod budgets;
mod ledger;
mod ledger_export;
mod ledger_heads;
mod ledger_tail;
mod prices;
mod tools_spent;

// For administrators.
mod admin_api;

// The life of the process.
mod cli;
mod clock_jumps;
mod engine;
mod reload;
mod shutdown;

// Real parts.
mod claude_code;
mod curl;
mod real_model;
