//! The text of a token, taken apart; nothing of it is believed yet.

use serde_json::{Map, Value};

use crate::base64;
use crate::identity::jwt::{Fault, strict};
use crate::limits;

/// The algorithms that are verified (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    Rs256,
    /// RSA with PKCS #1 v1.5 and SHA-384.
    Rs384,
    /// RSA with PKCS #1 v1.5 and SHA-512.
    Rs512,
    /// RSA with PSS and SHA-256.
    Ps256,
    /// RSA with PSS and SHA-384.
    Ps384,
    /// RSA with PSS and SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name; `none` and those with shared secrets are none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A token whose parts could be read.
#[derive(Debug)]
pub struct Token<'t> {
    /// What is signed: the first two parts with the dot between them.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: Algorithm,
    /// Which key has signed it.
    pub(super) kid: Option<String>,
    pub(super) claims: Map<String, Value>,
}

/// Whether a text has the look of a token, so that it is worth to be read: three parts, the first of which
/// begins as the beginning of a JSON object does.
pub fn looks_like_one(text: &[u8]) -> bool {
    text.starts_with(b"ey") && text.iter().filter(|&&byte| byte == b'.').count() == 2
}

impl<'t> Token<'t> {
    /// Takes a text apart (RFC 7515 section 3.1), of at most `limits::JWT_BYTES_MAX` bytes.
    ///
    /// # Errors
    /// `Malformed`, and `Algorithm`, also for extensions that have to be understood and are not.
    pub fn read(text: &'t [u8]) -> Result<Self, Fault> {
        if text.len() > limits::JWT_BYTES_MAX {
            return Err(Fault::Malformed("it is too long"));
        }
        let mut parts = text.split(|&byte| byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Malformed("it has not three parts"));
        };
        if signature.len() > limits::JWT_SIGNATURE_BYTES_MAX {
            return Err(Fault::Malformed("its signature is too long"));
        }
        let signed = text.get(..header.len() + 1 + claims.len()).unwrap_or_default();
        let decoded =
            |part| base64::decode(part, base64::URL_SAFE).ok_or(Fault::Malformed("it is no base64url"));
        let object =
            |part| strict::object(&decoded(part)?).ok_or(Fault::Malformed("a part is no JSON object"));
        let header = object(header)?;
        let claims = object(claims)?;
        let signature = decoded(signature)?;
        // What an extension means we do not know, and whoever names one wants it to be known.
        if header.contains_key("crit") {
            return Err(Fault::Algorithm);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= limits::JWT_NAME_BYTES_MAX => Some(kid.clone()),
            Some(_) => return Err(Fault::Malformed("its `kid` is none")),
        };
        Ok(Self { signed, signature, algorithm: algorithm.ok_or(Fault::Algorithm)?, kid, claims })
    }

    /// Who it says has made it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Whether it says that it is for `audience`, alone or among others.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(only)) => only == audience,
            Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }
}
