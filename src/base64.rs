//! Base64 (RFC 4648), both alphabets: for new keys, proxy passwords, sealed states and header values.

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

/// Decodes a text without padding. Only what [`encode`] writes is taken: an alphabet is not mixed with the
/// other one, and bits that carry nothing are zero. So no two texts mean the same bytes.
pub fn decode(text: &[u8], alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let [.., plus, slash] = *alphabet;
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut word = 0_u32;
        for &byte in group {
            word = (word << 6) | digit(byte, plus, slash)?;
        }
        word <<= 6 * (4 - group.len());
        let [_, first, second, third] = word.to_be_bytes();
        let (taken, left) = match group.len() {
            2 => (&[first][..], word & 0xffff),
            3 => (&[first, second][..], word & 0xff),
            _ => (&[first, second, third][..], 0),
        };
        if left != 0 {
            return None;
        }
        out.extend_from_slice(taken);
    }
    Some(out)
}

/// Decodes a text of the standard alphabet whose last group is filled with `=`.
pub fn decode_padded(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let bare = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    // What is left has the length that the padding said, or the padding was too long or too short.
    let whole = bare.len().div_ceil(4) * 4 == text.len();
    if whole { decode(bare, STANDARD) } else { None }
}

/// What one digit is worth.
fn digit(byte: u8, plus: u8, slash: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        _ if byte == plus => Some(62),
        _ if byte == slash => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{STANDARD, URL_SAFE, decode, decode_padded, encode, encode_padded};

    #[test]
    fn it_agrees_with_the_standard() {
        // RFC 4648 section 10.
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in cases {
            assert_eq!(encode_padded(plain.as_bytes()), encoded);
            assert_eq!(decode_padded(encoded.as_bytes()).as_deref(), Some(plain.as_bytes()), "{encoded}");
        }
        assert_eq!(encode(&[0xfb, 0xff], URL_SAFE), "-_8");
    }

    #[test]
    fn what_is_never_written_is_refused() {
        for wrong in ["Z", "Zg=", "Zg", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm-v", "Zm9v\n", "Zm=v"] {
            assert_eq!(decode_padded(wrong.as_bytes()), None, "{wrong}");
        }
        for wrong in ["Z", "Zg==", "Zh", "Zm9vZ", "+_8", " Zg"] {
            assert_eq!(decode(wrong.as_bytes(), URL_SAFE), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_it_wrote(bytes in vec(any::<u8>(), 0..80)) {
            for alphabet in [STANDARD, URL_SAFE] {
                assert_eq!(decode(encode(&bytes, alphabet).as_bytes(), alphabet), Some(bytes.clone()));
            }
            assert_eq!(decode_padded(encode_padded(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn what_it_reads_it_writes_the_same(text in "[A-Za-z0-9_-]{0,12}") {
            if let Some(bytes) = decode(text.as_bytes(), URL_SAFE) {
                assert_eq!(encode(&bytes, URL_SAFE), text);
            }
        }
    }
}
