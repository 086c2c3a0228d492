//! The fuzz bodies of tokens and sets of keys: nothing that nobody signed is ever good, and nothing panics.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use crate::glob::Glob;
use crate::identity::jwt::issuer::Issuer;
use crate::identity::jwt::keys::KeySet;
use crate::identity::jwt::token::{Algorithm, Token};
use crate::ids::TeamName;

/// A token that is good for ever, signed with the key of RFC 8037 appendix A.
const GOOD: &str = include_str!("good_token.txt");

/// The set that the key is in.
const KEYS: &[u8] = include_bytes!("good_keys.json");

/// The one who has made `GOOD`.
pub(super) fn issuer() -> Issuer {
    Issuer {
        issuer: "https://login.example.com".into(),
        tag: None,
        audience: "tollgate".into(),
        user_claim: "email".to_owned(),
        groups_claim: "groups".to_owned(),
        skew_s: 60,
        teams: vec![(Glob::new("pay-dev"), TeamName::new("payments"))],
        default_team: None,
        roles: Vec::new(),
        algorithms: Algorithm::ALL.to_vec(),
    }
}

/// Presents any text, and the good token with bytes altered.
pub fn fuzz_token(data: &[u8]) {
    let keys = KeySet::read(KEYS).expect("a good set");
    let issuer = issuer();
    let good = GOOD.trim().as_bytes();
    let verify =
        |text: &[u8]| Token::read(text).and_then(|token| issuer.verify(&token, &keys, 1_800_000_000));
    assert!(data == good || verify(data).is_err(), "a token that nobody signed");
    let mut bent = good.to_vec();
    for pair in data.chunks_exact(3) {
        let &[high, low, bits] = pair else { continue };
        let place = usize::from(u16::from_be_bytes([high, low])) % bent.len();
        if let Some(byte) = bent.get_mut(place) {
            *byte ^= bits;
        }
    }
    assert_eq!(verify(&bent).is_ok(), bent == good, "{}", String::from_utf8_lossy(&bent));
}

/// Reads any document as a set of keys; a set that is read has keys, and verifies no token of another.
pub fn fuzz_keys(data: &[u8]) {
    let Ok(keys) = KeySet::read(data) else { return };
    assert!(!keys.is_empty());
    let token = Token::read(GOOD.trim().as_bytes()).expect("a good token");
    let same = data.windows(KEY.len()).any(|window| window == KEY.as_bytes());
    assert!(keys.verify(&token).is_err() || same, "another key has verified a signature");
}

/// The `x` of the good key.
const KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
