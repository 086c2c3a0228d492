//! The bounds of speaking Gemini's dialect.

/// Bytes of one schema as it is written in the subset of OpenAPI, its references written out each time: an
/// eighth of the largest schema of a published tool would do.
pub const SCHEMA_WRITTEN_BYTES_MAX: usize = 1024 * 1024;

/// Schemas inside of schemas, references included. Published tools have 12.
pub const SCHEMA_DEPTH_MAX: usize = 32;

/// Sources of one search that are told of.
pub const SOURCES_MAX: usize = 64;

/// Bytes of the address and the title of a source: the addresses lead through Google and have about 250.
pub const SOURCE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of the body of an error in which the details of a quota are looked for.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;
