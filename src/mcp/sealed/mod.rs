//! Sealed texts: what we hand out and get back unread, unchanged, from the same caller and in time.
//!
//! A parked call's `requestState` and our ids of tasks pass through callers, who may keep, alter, exchange
//! and replay them. So they are encrypted and bound: AES-256-GCM, with the purpose and what else must be the
//! same again (principal, server, method and digest of the arguments) as associated data. The form, in
//! unpadded URL-safe base64:
//!
//! ```text
//! version 1 byte | expiry, seconds since 1970, 8 bytes | nonce 12 bytes | ciphertext | tag 16 bytes
//! ```
//!
//! A key lives as long as the process, so a nonce of 96 random bits is good for 2^32 texts (NIST SP 800-38D,
//! section 8.3), which at a thousand a second are fifty days of nothing else.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::base64;
use crate::limits;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;

/// The only form there is yet.
const VERSION: u8 = 1;

/// Bytes of version and expiry, which are not secret but authentic.
const HEAD_BYTES: usize = 9;

/// Bytes of what says that nothing was changed.
const TAG_BYTES: usize = 16;

/// Seals and opens; made once per process, or once per fleet from a shared secret.
pub struct SealingKey(LessSafeKey);

/// Never the key.
impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// Why a text was not made or is not believed. A caller is told only that its state is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// Larger than `limits::MCP_SEALED_BYTES_MAX`, or the payload would be.
    #[error("the sealed text is too long")]
    TooLong,
    /// Not base64, too short, or of a version that we do not know.
    #[error("the sealed text has not the form of one of ours")]
    Malformed,
    /// Altered, made with another key, for another purpose or for someone else: they cannot be told apart.
    #[error("the sealed text was not made for this")]
    Foreign,
    /// Good, but too late.
    #[error("the sealed text has expired")]
    Expired,
    /// The operating system has no randomness, or the cipher refuses to work.
    #[error("nothing can be sealed")]
    Unavailable,
}

impl SealingKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SealFault::Unavailable`] without randomness.
    pub fn generate() -> Result<Self, SealFault> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_none| SealFault::Unavailable)?;
        Self::from_bytes(&bytes)
    }

    /// Takes 32 random bytes as key, so that several processes can open each other's texts.
    ///
    /// # Errors
    /// [`SealFault::Unavailable`] when the cipher does not take it.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SealFault> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_why| SealFault::Unavailable)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals `payload` until `expires_unix_s`, a second in which it is still good. It is opened only with the
    /// same `purpose` and the same `binding`: a list of texts in which neither order nor ends can be shifted.
    ///
    /// # Errors
    /// [`SealFault::TooLong`] over `limits::MCP_SEALED_BYTES_MAX`, [`SealFault::Unavailable`].
    pub fn seal(
        &self,
        purpose: &str,
        binding: &[&[u8]],
        expires_unix_s: u64,
        payload: &[u8],
    ) -> Result<String, SealFault> {
        let whole = HEAD_BYTES + NONCE_LEN + payload.len() + TAG_BYTES;
        if whole.div_ceil(3) * 4 > limits::MCP_SEALED_BYTES_MAX {
            return Err(SealFault::TooLong);
        }
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_none| SealFault::Unavailable)?;
        let mut out = Vec::with_capacity(whole);
        out.push(VERSION);
        out.extend_from_slice(&expires_unix_s.to_be_bytes());
        let aad = associated(&out, purpose, binding);
        out.extend_from_slice(&nonce);
        let mut secret = payload.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut secret)
            .map_err(|_why| SealFault::Unavailable)?;
        out.extend_from_slice(&secret);
        Ok(base64::encode(&out, base64::URL_SAFE))
    }

    /// Gives back the payload of a text that this key sealed for `purpose` and `binding`.
    ///
    /// # Errors
    /// Any [`SealFault`] but `Unavailable`. A text is checked before its expiry is looked at, so `Expired`
    /// says that it was ours.
    pub fn open(
        &self,
        purpose: &str,
        binding: &[&[u8]],
        now_unix_s: u64,
        text: &[u8],
    ) -> Result<Vec<u8>, SealFault> {
        if text.len() > limits::MCP_SEALED_BYTES_MAX {
            return Err(SealFault::TooLong);
        }
        let whole = base64::decode(text, base64::URL_SAFE).ok_or(SealFault::Malformed)?;
        let (head, rest) = whole.split_at_checked(HEAD_BYTES).ok_or(SealFault::Malformed)?;
        let (nonce, secret) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealFault::Malformed)?;
        let Some((&VERSION, expires)) = head.split_first() else { return Err(SealFault::Malformed) };
        let expires: [u8; 8] = expires.try_into().map_err(|_len| SealFault::Malformed)?;
        let mut secret = secret.to_vec();
        let aad = Aad::from(associated(head, purpose, binding));
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut secret);
        let payload = opened.map_err(|_why| SealFault::Foreign)?.len();
        secret.truncate(payload);
        if u64::from_be_bytes(expires) < now_unix_s {
            return Err(SealFault::Expired);
        }
        Ok(secret)
    }
}

/// Everything that must be the same again, each part after its length.
fn associated(head: &[u8], purpose: &str, binding: &[&[u8]]) -> Vec<u8> {
    let mut out = head.to_vec();
    for part in std::iter::once(purpose.as_bytes()).chain(binding.iter().copied()) {
        let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}
