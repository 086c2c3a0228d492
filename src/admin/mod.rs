//! What the platform team sees: numbers and, later, pages. It changes nothing.

pub mod metrics;
