//! What the platform team sees: numbers and, later, pages. It changes nothing.

mod mcp_metrics;
pub mod metrics;
