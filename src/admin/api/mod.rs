//! What administrators can ask for and change over HTTP: which addresses there are, who may use them, what
//! goes in and comes out. Pure: the gateway reads requests, does the work and answers.
//!
//! One table, `routes::ROUTES`, says what there is. Requests are found in it and bodies are read by it, and
//! the OpenAPI document is made from it, so that the three cannot differ.

pub mod difference;
pub mod document;
pub mod explain;
pub mod guard;
pub mod pace;
pub mod routes;
pub mod shape;
pub mod tag;

#[cfg(test)]
mod tests;
