//! How many tokens a request has, before a provider says so.
//!
//! Where a provider counts by itself, its number is the one to give. Elsewhere [`estimate`] goes through all
//! of a conversation: system, turns, tools, images, documents. Texts are counted by a public vocabulary that
//! is not the model's own, so [`Ratio`] learns for each model how much more or less its provider counts, and
//! [`Counts`] remembers what has been counted once. Counts are never 0: a client that reads 0 believes that
//! there is room.

mod cache;
mod content;
mod image;
mod ratio;
#[cfg(test)]
mod tests;

pub use cache::Counts;
pub use content::{estimate, rough};
pub use image::{Images, Size, size_of};
pub use ratio::Ratio;
