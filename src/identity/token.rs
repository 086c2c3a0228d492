//! Keys as texts: found in the headers of a request, made anew, hashed.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::base64;
use crate::limits;
use crate::secret::Secret;

/// What the headers of one request hold that may be a key: whole header values, as received.
///
/// Of a header that is repeated the caller of this type fills in the first line.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a> {
    /// Value of `x-tollgate-key`: asked first, since nobody else uses it.
    pub tollgate_key: Option<&'a [u8]>,
    /// Value of `authorization`; only the scheme `Bearer` (any case) carries a key.
    pub authorization: Option<&'a [u8]>,
    /// Value of `x-api-key`.
    pub api_key: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// Keys to look up, best first: trimmed, not empty, at most `limits::KEY_BYTES_MAX` long.
    pub fn candidates(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.texts().filter(|key| key.len() <= limits::KEY_BYTES_MAX)
    }

    /// All that may be a key or a token, best first: trimmed, not empty.
    pub fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bearer = self.authorization.and_then(bearer);
        [self.tollgate_key, bearer, self.api_key]
            .into_iter()
            .flatten()
            .map(<[u8]>::trim_ascii)
            .filter(|key| !key.is_empty())
    }
}

/// Says which headers are there, never what they hold.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("tollgate_key", &self.tollgate_key.is_some())
            .field("authorization", &self.authorization.is_some())
            .field("api_key", &self.api_key.is_some())
            .finish()
    }
}

/// The credentials of a `Bearer` authorization (RFC 6750 section 2.1; RFC 9110 section 11.1: any case).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let space = value.iter().position(|&byte| byte == b' ' || byte == b'\t')?;
    let (scheme, rest) = value.split_at_checked(space)?;
    scheme.eq_ignore_ascii_case(b"bearer").then(|| rest.trim_ascii())
}

/// SHA-256 of a key: all that is ever stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Reads the stored form: 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0_u8, |value, &digit| {
                let nibble = u8::try_from(char::from(digit).to_digit(16)?).ok()?;
                Some((value << 4) | nibble)
            })?;
        }
        Some(Self(out))
    }

    /// The stored form: 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|n| char::from_digit(n.into(), 16))
            .collect()
    }

    /// The first 12 digits of the stored form: how people name a key.
    pub fn id(self) -> String {
        self.to_hex().chars().take(12).collect()
    }

    /// The hash itself.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The id only: of a weak key that a person chose, the whole hash would be worth guessing against.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({}..)", self.id())
    }
}

/// Makes a new key: `tg_` and 43 URL-safe characters that carry 256 random bits.
///
/// # Errors
/// What the operating system says when it has no randomness to give.
pub fn generate() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(format!("{PREFIX}{}", base64::encode(&bytes, base64::URL_SAFE))))
}

/// What every generated key begins with, so that scanners of repositories can find lost ones.
pub const PREFIX: &str = "tg_";
