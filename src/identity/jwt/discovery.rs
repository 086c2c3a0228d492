//! The document in which an issuer says where its keys are (OpenID Connect Discovery 1.0 section 4).

use serde_json::Value;

use crate::identity::jwt::strict;
use crate::limits;

/// Why a document does not say where keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryFault {
    /// Not JSON, a name stands twice, or it is too large.
    #[error("the discovery document cannot be read")]
    Shape,
    /// It speaks for somebody else.
    #[error("the discovery document names another `issuer` than the config; they must agree to the letter")]
    Issuer,
    /// It does not say it.
    #[error("the discovery document has no `jwks_uri`; write `jwks_url`")]
    NoKeys,
}

/// Reads the address of the keys of `issuer`.
///
/// # Errors
/// When the document is that of another issuer, or does not say it.
pub fn jwks_uri(document: &[u8], issuer: &str) -> Result<String, DiscoveryFault> {
    if document.len() > limits::JWKS_BYTES_MAX {
        return Err(DiscoveryFault::Shape);
    }
    let members = strict::object(document).ok_or(DiscoveryFault::Shape)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(DiscoveryFault::Issuer);
    }
    text("jwks_uri").map(str::to_owned).ok_or(DiscoveryFault::NoKeys)
}
