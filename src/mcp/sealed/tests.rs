//! Tests of sealed texts: what comes back opens once more only where nothing is different.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::fuzz::fuzz_open;
use super::{SealFault, SealingKey};
use crate::corpus::replay;
use crate::limits;

fn key() -> SealingKey {
    SealingKey::from_bytes(&[42; 32]).unwrap()
}

#[test]
fn a_text_comes_back_until_it_expires() {
    let key = key();
    let text = key.seal("state", &[b"alice", b"server"], 100, b"call 7").unwrap();
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{text}");
    for (now, expected) in [
        (0, Ok(b"call 7".to_vec())),
        (100, Ok(b"call 7".to_vec())),
        (101, Err(SealFault::Expired)),
        (u64::MAX, Err(SealFault::Expired)),
    ] {
        assert_eq!(key.open("state", &[b"alice", b"server"], now, text.as_bytes()), expected, "{now}");
    }
}

#[test]
fn another_place_is_refused() {
    let key = key();
    let text = key.seal("state", &[b"alice", b"server"], 100, b"call 7").unwrap();
    let cases: [(&str, &[&[u8]]); 7] = [
        ("task", &[b"alice", b"server"]),
        ("state", &[b"bob", b"server"]),
        ("state", &[b"server", b"alice"]),
        ("state", &[b"alices", b"erver"]),
        ("state", &[b"alice", b"server", b""]),
        ("state", &[b"alice"]),
        ("state", &[]),
    ];
    for (purpose, binding) in cases {
        assert_eq!(key.open(purpose, binding, 0, text.as_bytes()), Err(SealFault::Foreign), "{purpose}");
    }
    let other = SealingKey::generate().unwrap();
    let opened = other.open("state", &[b"alice", b"server"], 0, text.as_bytes());
    assert_eq!(opened, Err(SealFault::Foreign));
}

#[test]
fn a_text_is_never_made_twice() {
    let key = key();
    assert_ne!(key.seal("state", &[], 1, b"x").unwrap(), key.seal("state", &[], 1, b"x").unwrap());
}

#[test]
fn lengths_are_bounded() {
    let key = key();
    let long = vec![b'A'; limits::MCP_SEALED_BYTES_MAX + 1];
    assert_eq!(key.open("state", &[], 0, &long), Err(SealFault::TooLong));
    assert_eq!(key.seal("state", &[], 0, &long), Err(SealFault::TooLong));
    let most = limits::MCP_SEALED_BYTES_MAX / 4 * 3 - 37;
    let text = key.seal("state", &[], 0, &vec![1; most]).unwrap();
    assert_eq!(key.open("state", &[], 0, text.as_bytes()).unwrap().len(), most);
    for short in ["", "A", "AQ", "AQAAAAAAAAAA"] {
        assert_eq!(key.open("state", &[], 0, short.as_bytes()), Err(SealFault::Malformed), "{short}");
    }
}

#[test]
fn nothing_prints_the_key() {
    assert_eq!(format!("{:?}", key()), "SealingKey(***)");
}

proptest! {
    #[test]
    fn any_payload_comes_back(payload in vec(any::<u8>(), 0..200), part in vec(any::<u8>(), 0..20)) {
        let text = key().seal("state", &[&part], 5, &payload).unwrap();
        assert_eq!(key().open("state", &[&part], 5, text.as_bytes()), Ok(payload));
    }

    #[test]
    fn no_flipped_bit_is_overlooked(
            payload in vec(any::<u8>(), 0..40),
            place in any::<usize>(),
            bit in 0_u32..8,
        ) {
        let mut text = key().seal("state", &[], 5, &payload).unwrap().into_bytes();
        let place = place % text.len();
        text[place] ^= 1_u8 << bit;
        assert!(key().open("state", &[], 5, &text).is_err());
    }

    #[test]
    fn no_cut_text_is_taken(payload in vec(any::<u8>(), 0..40), keep in any::<usize>()) {
        let text = key().seal("state", &[], 5, &payload).unwrap().into_bytes();
        assert!(key().open("state", &[], 5, &text[..keep % text.len()]).is_err());
    }

    #[test]
    fn any_text_may_be_presented(data in vec(any::<u8>(), 0..120)) {
        fuzz_open(&data);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("mcp_sealed", 2, fuzz_open);
}
