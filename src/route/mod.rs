//! Where to: from the model that a caller names to the targets that may serve it.
//!
//! Facts in, a plan out. Whether a target is up and whether the caller may use it is decided elsewhere.

pub mod model;
pub mod version;

#[cfg(test)]
mod tests;
