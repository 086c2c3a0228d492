//! Tests of key texts and the ring.

use crate::identity::principal::Principal;
use crate::identity::token::{KeyHash, Presented, generate};
use crate::identity::virtual_keys::KeyRing;
use crate::ids::KeyName;

fn principal(name: &str, hash: KeyHash) -> Principal {
    Principal {
        key: KeyName::new(name),
        key_id: hash.id().into(),
        team: None,
        user: None,
        admin: false,
        models: None,
        servers: None,
        regions: None,
    }
}

fn ring(keys: &[(&str, &str)]) -> KeyRing {
    KeyRing::new(keys.iter().map(|(name, key)| {
        let hash = KeyHash::of(key.as_bytes());
        (hash, principal(name, hash))
    }))
}

fn candidates(tollgate: &str, authorization: &str, api: &str) -> Vec<String> {
    let some = |text: &'static str| (text != "-").then_some(text.as_bytes());
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let presented = Presented {
        tollgate_key: some(leak(tollgate)),
        authorization: some(leak(authorization)),
        api_key: some(leak(api)),
    };
    presented.candidates().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

#[test]
fn keys_are_read_in_the_order_of_the_three_headers() {
    assert_eq!(candidates("t", "Bearer b", "a"), ["t", "b", "a"]);
    assert_eq!(candidates("-", "bEaReR   b ", " a\t"), ["b", "a"]);
    assert_eq!(candidates("-", "Bearer\tb", "-"), ["b"]);
}

#[test]
fn what_is_no_key_is_passed_over() {
    let none: [&str; 0] = [];
    assert_eq!(candidates("-", "-", "-"), none);
    assert_eq!(candidates("", "Bearer", " "), none);
    assert_eq!(candidates("-", "Bearer  ", "-"), none);
    assert_eq!(candidates("-", "Basic dXNlcjpwYXNz", "-"), none);
    assert_eq!(candidates("-", "Bearerb", "-"), none);
    assert_eq!(candidates("-", "-", &"x".repeat(crate::limits::KEY_BYTES_MAX + 1)), none);
    assert_eq!(candidates("-", "-", &"x".repeat(crate::limits::KEY_BYTES_MAX)).len(), 1);
}

#[test]
fn the_ring_finds_its_keys_and_no_others() {
    let ring = ring(&[("ci", "tg_one"), ("dev", "tg_two")]);
    assert_eq!(ring.len(), 2);
    assert_eq!(ring.find(b"tg_one").map(|found| found.key.as_str()), Some("ci"));
    assert_eq!(ring.find(b"tg_two").map(|found| found.key.as_str()), Some("dev"));
    for wrong in [&b""[..], b"tg_", b"tg_onE", b"tg_one ", b"tg_one\0"] {
        assert!(ring.find(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn the_first_known_candidate_counts() {
    let ring = ring(&[("ci", "tg_one"), ("dev", "tg_two")]);
    let presented =
        Presented { tollgate_key: None, authorization: Some(b"Bearer sk-ant-oat"), api_key: Some(b"tg_two") };
    assert_eq!(ring.find_any(presented.candidates()).map(|found| found.key.as_str()), Some("dev"));
    assert!(ring.find_any(Presented::default().candidates()).is_none());
}

#[test]
fn one_hash_is_one_key() {
    let ring = ring(&[("first", "same"), ("second", "same")]);
    assert_eq!(ring.len(), 1);
    assert_eq!(ring.find(b"same").map(|found| found.key.as_str()), Some("first"));
}

#[test]
fn generated_keys_are_long_url_safe_and_distinct() {
    let (one, two) = (generate().unwrap(), generate().unwrap());
    assert_ne!(one.expose(), two.expose());
    let body = one.expose().strip_prefix("tg_").unwrap();
    assert_eq!(body.len(), 43);
    assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
}

#[test]
fn hashes_survive_their_stored_form() {
    let hash = KeyHash::of(b"abc");
    // FIPS 180-2, appendix B.1.
    assert_eq!(hash.to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
    assert_eq!(hash.id(), "ba7816bf8f01");
    for wrong in ["", "ba", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65)] {
        assert_eq!(KeyHash::from_hex(wrong), None, "{wrong}");
    }
}

#[test]
fn nothing_prints_a_key() {
    let presented = Presented { authorization: Some(b"Bearer tg_hidden"), ..Presented::default() };
    assert!(!format!("{presented:?}").contains("hidden"));
    let hash = KeyHash::of(b"tg_hidden");
    assert!(!format!("{hash:?}").contains(&hash.to_hex()));
    assert_eq!(format!("{:?}", ring(&[("ci", "tg_hidden")])), "KeyRing(1 keys)");
}
