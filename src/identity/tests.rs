//! Tests of key texts and the ring.

use crate::identity::principal::Principal;
use crate::identity::token::{KeyHash, Presented, generate};
use crate::identity::virtual_keys::{KeyRing, Unfit};
use crate::ids::KeyName;

fn principal(name: &str, hash: KeyHash) -> Principal {
    Principal::of_key(KeyName::new(name), hash.id())
}

fn ring(keys: &[(&str, &str)]) -> KeyRing {
    KeyRing::new(keys.iter().map(|(name, key)| {
        let hash = KeyHash::of(key.as_bytes());
        (hash, principal(name, hash))
    }))
}

fn name<'r>(found: Result<&'r Principal, Unfit<'r>>) -> Result<&'r str, Unfit<'r>> {
    found.map(|found| found.key.as_str())
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
    assert_eq!(name(ring.find(b"tg_one", 0)), Ok("ci"));
    assert_eq!(name(ring.find(b"tg_two", 0)), Ok("dev"));
    for wrong in [&b""[..], b"tg_", b"tg_onE", b"tg_one ", b"tg_one\0"] {
        assert_eq!(ring.find(wrong, 0), Err(Unfit::Unknown), "{wrong:?}");
    }
}

#[test]
fn the_first_known_candidate_counts() {
    let ring = ring(&[("ci", "tg_one"), ("dev", "tg_two")]);
    let presented =
        Presented { tollgate_key: None, authorization: Some(b"Bearer sk-ant-oat"), api_key: Some(b"tg_two") };
    assert_eq!(name(ring.find_any(presented.candidates(), 0)), Ok("dev"));
    assert_eq!(ring.find_any(Presented::default().candidates(), 0), Err(Unfit::Unknown));
}

#[test]
fn one_hash_is_one_key() {
    let ring = ring(&[("first", "same"), ("second", "same")]);
    assert_eq!(ring.len(), 1);
    assert_eq!(name(ring.find(b"same", 0)), Ok("first"));
}

#[test]
fn a_key_ends_at_its_time_and_not_before() {
    let hash = KeyHash::of(b"tg_ci");
    let ring = KeyRing::new([(hash, Principal { until_ms: Some(1_000), ..principal("ci", hash) })]);
    assert_eq!(name(ring.find(b"tg_ci", 999)), Ok("ci"));
    assert_eq!(ring.ids(999).count(), 1);
    for late in [1_000, 1_001, u64::MAX] {
        assert!(matches!(ring.find(b"tg_ci", late), Err(Unfit::Expired(who)) if who.key.as_str() == "ci"));
        assert_eq!(ring.ids(late).count(), 0);
    }
}

#[test]
fn a_revoked_key_is_known_and_opens_nothing() {
    let (old, new) = (KeyHash::of(b"tg_old"), KeyHash::of(b"tg_new"));
    let ended = Principal { until_ms: Some(1), ..principal("old", old) };
    let ring =
        KeyRing::new([(new, principal("new", new))]).with_revoked([(old, ended), (new, principal("x", new))]);
    assert!(matches!(ring.find(b"tg_old", 5), Err(Unfit::Revoked(who)) if who.key.as_str() == "old"));
    assert_eq!(name(ring.find(b"tg_new", 5)), Ok("new"));
    assert_eq!((ring.len(), ring.ids(5).count()), (1, 1));
    // A good key beside it counts, and of several bad ones the first that is known is told of.
    assert_eq!(name(ring.find_any([&b"tg_old"[..], b"tg_new"], 5)), Ok("new"));
    assert!(matches!(ring.find_any([&b"tg_no"[..], b"tg_old"], 5), Err(Unfit::Revoked(_))));
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
