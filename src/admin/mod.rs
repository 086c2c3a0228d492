//! What the platform team sees: numbers and, later, pages. It changes nothing.

pub mod heads_metrics;
mod mcp_metrics;
pub mod metrics;
