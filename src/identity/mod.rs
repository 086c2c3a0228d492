//! Who is calling: keys and tokens as callers present them, and the principals behind them.
//!
//! A virtual key is a text that a caller sends in one of three headers. Only its SHA-256 is kept; a look-up
//! hashes what was presented and compares whole hashes in constant time. A token of an issuer is verified
//! with the issuer's public keys ([`jwt`]). Nothing here reads a file, the clock or the environment:
//! `config` builds a `KeyRing` and swaps it whole, and whoever looks up says what time it is.

pub mod jwt;
pub mod principal;
pub mod role;
pub mod servers;
pub mod token;
pub mod virtual_keys;

#[cfg(test)]
mod tests;
