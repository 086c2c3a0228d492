//! What the platform team sees and changes: numbers, and the API of administrators. Pure but for counters:
//! the gateway does the work.

pub mod api;
pub mod heads_metrics;
mod mcp_metrics;
pub mod metrics;
