//! The meter: what a call costs, and whether there is budget for it.

pub mod book;
pub mod budget;
mod cells;
pub mod cost;
pub mod decimal;
pub mod desk;
mod instances;
pub mod litellm;
pub mod names;
pub mod notice;
pub mod price;
pub mod rate;
pub mod refused;
pub mod scope;
pub mod table;
pub mod window;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

#[cfg(test)]
mod tests;
