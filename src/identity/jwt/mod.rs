//! Tokens of issuers (JSON Web Tokens, RFC 7519), from the text that a caller presents to a principal.
//!
//! The way: [`token`] takes the text apart, [`issuer`] says whose it is and what it has to say, [`keys`] has
//! the issuer's public keys and verifies the signature, and only then are the claims believed. Signatures are
//! RSA (PKCS #1 and PSS), ECDSA on P-256 and P-384, and Ed25519; there is no `none`, and nothing that a
//! public key could be mistaken for a secret in (RFC 8725 section 3.1). Names that come twice are refused, in
//! tokens and in sets of keys. What is here reads no clock: whoever verifies says what time it is.

pub mod discovery;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod issuer;
pub mod keys;
mod strict;
#[cfg(test)]
mod tests;
pub mod token;

pub use fault::Fault;
