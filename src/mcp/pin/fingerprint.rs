//! The two hashes of a definition: of what a model sees, and of everything else.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::json::{fields, write_string};
use crate::mcp::canonical::{Ambiguous, canonical, name};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() || pairs.len() != 32 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).ok().filter(|_| pair.iter().all(u8::is_ascii_hexdigit))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(out))
    }

    /// Its first 12 digits, which is what people are shown.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT_DIGITS);
        text
    }
}

/// Digits of a hash that people are shown, and the fewest by which they may name it.
pub const SHORT_DIGITS: usize = 12;

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'d> Deserialize<'d> for Hash {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("a hash is not 64 hexadecimal digits"))
    }
}

/// Both hashes of a definition, equal for all notations of one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of the canonical object of `name`, `description` and `inputSchema`: what clients put into prompts.
    pub model: Hash,
    /// Of the canonical object of all other members: title, annotations, output schema, `_meta`, icons.
    pub rest: Hash,
}

impl Fingerprint {
    /// Hashes a definition.
    ///
    /// # Errors
    /// Where it is no JSON object, or has two members of one name.
    pub fn of(raw: &[u8]) -> Result<Self, Ambiguous> {
        let mut members: Vec<(String, Vec<u8>)> = Vec::new();
        fields(raw, |field| {
            let mut form = Vec::new();
            canonical(field.value.bytes(raw), &mut form)?;
            members.push((name(&field.key)?.into_owned(), form));
            Ok::<_, Ambiguous>(())
        })?;
        members.sort_unstable();
        if members.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err(Ambiguous::Twice);
        }
        let (model, rest): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(name, _)| FOR_MODELS.contains(&name.as_str()));
        Ok(Self { model: hash(&model), rest: hash(&rest) })
    }

    /// One hash for both: what people approve and reject.
    pub fn id(&self) -> Hash {
        Hash::of(&[self.model.0, self.rest.0].concat())
    }
}

/// What Claude Code and other clients give to a model.
const FOR_MODELS: [&str; 3] = ["description", "inputSchema", "name"];

/// The hash of an object of these members, which are sorted and canonical.
fn hash(members: &[(String, Vec<u8>)]) -> Hash {
    let mut form = b"{".to_vec();
    for (place, (name, value)) in members.iter().enumerate() {
        form.extend_from_slice(if place == 0 { b"" } else { b"," });
        write_string(&mut form, name);
        form.push(b':');
        form.extend_from_slice(value);
    }
    form.push(b'}');
    Hash::of(&form)
}
