//! The public keys of an issuer (JSON Web Key Sets, RFC 7517), and what they say of a signature.

use std::fmt;

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaParameters,
    RsaPublicKeyComponents,
};
use serde_json::{Map, Value};

use crate::base64;
use crate::identity::jwt::token::{Algorithm, Token};
use crate::identity::jwt::{Fault, strict};
use crate::limits;

/// The keys of one issuer that can verify a signature. Never empty.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: usize,
}

/// One key.
struct Key {
    kid: Option<String>,
    /// The only algorithm that it is good for, where its set says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    /// Modulus and exponent, big-endian, without zeros in front.
    Rsa(Vec<u8>, Vec<u8>),
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

/// Why a document is no set of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetFault {
    /// Beyond `limits::JWKS_BYTES_MAX`.
    #[error("it is larger than {} KiB", limits::JWKS_BYTES_MAX / 1024)]
    TooLarge,
    /// Not JSON, not an object with `keys`, or a name stands twice.
    #[error("it is no JSON Web Key Set")]
    Shape,
    /// All of them are of other kinds, too short, or broken.
    #[error("it has no key that can be used: RSA of 2048 bits and more, P-256, P-384 or Ed25519")]
    Empty,
}

impl KeySet {
    /// Reads a set. Keys that cannot be used are left out, as RFC 7517 section 5 has it: of other kinds, for
    /// other uses, RSA of less than `limits::RSA_BITS_MIN` bits, and those that are no keys.
    ///
    /// # Errors
    /// When it is no set, or none of its keys can be used.
    pub fn read(document: &[u8]) -> Result<Self, SetFault> {
        if document.len() > limits::JWKS_BYTES_MAX {
            return Err(SetFault::TooLarge);
        }
        let mut members = strict::object(document).ok_or(SetFault::Shape)?;
        let Some(Value::Array(list)) = members.remove("keys") else { return Err(SetFault::Shape) };
        let keys: Vec<Key> = list.iter().filter_map(key).take(limits::JWKS_KEYS_MAX).collect();
        if keys.is_empty() {
            return Err(SetFault::Empty);
        }
        Ok(Self { left_out: list.len() - keys.len(), keys })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys of the document cannot be used.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Verifies the signature of a token. A token that names its key is verified with that one; one that
    /// names none only where a single key can have signed it.
    ///
    /// # Errors
    /// `Key` and `Signature`.
    pub fn verify(&self, token: &Token<'_>) -> Result<(), Fault> {
        let fitting = self.keys.iter().filter(|key| match &token.kid {
            Some(kid) => key.kid.as_ref() == Some(kid),
            None => true,
        });
        let mut fitting = fitting.filter(|key| key.fits(token.algorithm));
        let key = fitting.next().ok_or(Fault::Key)?;
        if token.kid.is_none() && fitting.next().is_some() {
            return Err(Fault::Key);
        }
        key.verify(token).ok_or(Fault::Signature)
    }
}

impl Key {
    /// Whether the key is of the kind that the algorithm needs, and its set does not say otherwise.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::Es256 => matches!(self.material, Material::P256(_)),
            Algorithm::Es384 => matches!(self.material, Material::P384(_)),
            Algorithm::EdDsa => matches!(self.material, Material::Ed25519(_)),
            _ => matches!(self.material, Material::Rsa(..)),
        };
        kind && self.algorithm.is_none_or(|only| only == algorithm)
    }

    fn verify(&self, token: &Token<'_>) -> Option<()> {
        match &self.material {
            Material::Rsa(n, e) => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(rsa(token.algorithm)?, token.signed, &token.signature).ok()
            }
            Material::P256(key) | Material::P384(key) | Material::Ed25519(key) => {
                key.verify_sig(token.signed, &token.signature).ok()
            }
        }
    }
}

/// Without its bytes, which would fill lines.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// Reads one member of `keys`; nothing where it is of no use.
fn key(value: &Value) -> Option<Key> {
    let members = value.as_object()?;
    let text = |name: &str| members.get(name).map(Value::as_str);
    // `use` and `key_ops` may say that it is not for signatures.
    if text("use").is_some_and(|usage| usage != Some("sig")) {
        return None;
    }
    if let Some(operations) = members.get("key_ops")
        && !operations.as_array()?.iter().any(|one| one.as_str() == Some("verify"))
    {
        return None;
    }
    let algorithm = match text("alg") {
        None => None,
        Some(name) => Some(Algorithm::from_name(name?)?),
    };
    let kid = match text("kid") {
        None => None,
        Some(kid) => Some(kid.filter(|kid| kid.len() <= limits::JWT_NAME_BYTES_MAX)?.to_owned()),
    };
    let key = Key { kid, algorithm, material: material(members)? };
    // A key whose set names an algorithm of another kind verifies nothing.
    algorithm.is_none_or(|algorithm| key.fits(algorithm)).then_some(key)
}

fn material(members: &Map<String, Value>) -> Option<Material> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let bytes = |name: &str| base64::decode(text(name)?.as_bytes(), base64::URL_SAFE);
    match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let (n, e) = (unpadded(bytes("n")?), unpadded(bytes("e")?));
            let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
            let fits = (limits::RSA_BITS_MIN..=limits::RSA_BITS_MAX).contains(&bits(&n));
            // An exponent of 1 would make every text its own signature.
            (fits && odd(&n) && odd(&e) && e.len() <= 8 && e != [1]).then_some(Material::Rsa(n, e))
        }
        ("EC", Some("P-256")) => {
            let point = point(&bytes("x")?, &bytes("y")?, 32)?;
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok().map(Material::P256)
        }
        ("EC", Some("P-384")) => {
            let point = point(&bytes("x")?, &bytes("y")?, 48)?;
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).ok().map(Material::P384)
        }
        ("OKP", Some("Ed25519")) => ParsedPublicKey::new(&ED25519, bytes("x")?).ok().map(Material::Ed25519),
        _ => None,
    }
}

/// A number without zeros in front.
fn unpadded(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|&byte| byte == 0).collect()
}

/// The bits of a number without zeros in front.
fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |first| first.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(zeros).unwrap_or_default())
}

/// A point in the uncompressed form of SEC 1 section 2.3.3.
fn point(x: &[u8], y: &[u8], length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [&[4], x, y].concat())
}
