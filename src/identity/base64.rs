//! Base64 encoding (RFC 4648), both alphabets: for new keys and for proxy passwords.

/// The alphabet of RFC 4648 section 4, used in headers.
pub const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The alphabet of RFC 4648 section 5, safe in URLs and shells.
pub const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes `bytes` without padding.
pub fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte)) << (8 * (3 - group.len()));
        // n bytes carry 8n bits, which n + 1 digits of 6 bits hold.
        for place in 0..=group.len() {
            let digit = usize::try_from((word >> (18 - 6 * place)) & 63).unwrap_or(0);
            out.push(char::from(alphabet.get(digit).copied().unwrap_or(b'A')));
        }
    }
    out
}

/// Encodes `bytes` and fills the last group with `=`, as HTTP Basic authorization wants it.
pub fn encode_padded(bytes: &[u8]) -> String {
    let mut out = encode(bytes, STANDARD);
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}
