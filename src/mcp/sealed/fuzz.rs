//! The fuzz body of sealed texts: nothing that was not sealed is ever opened.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use super::SealingKey;

/// Presents any text, and a good text that the bytes have altered.
pub fn fuzz_open(data: &[u8]) {
    // Nothing is ever sealed by this one: a fuzzer learns what the other one seals by watching comparisons.
    let unused = SealingKey::from_bytes(&[8; 32]).expect("a key of 32 bytes");
    assert!(unused.open("state", &[b"me"], 0, data).is_err(), "a text that nobody sealed");
    let key = SealingKey::from_bytes(&[7; 32]).expect("a key of 32 bytes");
    let good = key.seal("state", &[b"me"], 10, b"payload").expect("a short payload");
    let mut bent = good.clone().into_bytes();
    for pair in data.chunks_exact(2) {
        let &[place, bits] = pair else { continue };
        let place = usize::from(place) % bent.len();
        if let Some(byte) = bent.get_mut(place) {
            *byte ^= bits;
        }
    }
    let opened = key.open("state", &[b"me"], 0, &bent);
    assert_eq!(opened.is_ok(), bent == good.as_bytes());
}
