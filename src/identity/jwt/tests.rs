//! Tests of tokens: every algorithm, and every way to forge one that we have heard of.

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::base64;
use crate::corpus;
use crate::glob::Glob;
use crate::identity::jwt::discovery::{DiscoveryFault, jwks_uri};
use crate::identity::jwt::issuer::Issuer;
use crate::identity::jwt::keys::{KeySet, SetFault};
use crate::identity::jwt::token::{Algorithm, Token, looks_like_one};
use crate::identity::jwt::{Fault, fuzz};
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::ids::TeamName;
use crate::limits;

/// The moment of all tests, seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// The keys of an issuer, made once.
struct Signer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

fn signer() -> &'static Signer {
    static ONE: OnceLock<Signer> = OnceLock::new();
    ONE.get_or_init(|| Signer {
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
        ed25519: Ed25519KeyPair::generate().unwrap(),
    })
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    base64::encode(bytes.as_ref(), base64::URL_SAFE)
}

/// Modulus and exponent of an RSA key of 2048 bits, out of their DER form (RFC 8017 appendix A.1.1).
fn rsa_numbers(key: &RsaKeyPair) -> (Vec<u8>, Vec<u8>) {
    let der = key.public_key().as_ref();
    // SEQUENCE and INTEGER with two bytes of length each, and a zero before the modulus.
    let modulus = &der[9..9 + 256];
    let exponent = &der[9 + 256 + 2..];
    (modulus.to_vec(), exponent.to_vec())
}

fn jwks() -> Value {
    let Signer { rsa, p256, p384, ed25519 } = signer();
    let (n, e) = rsa_numbers(rsa);
    let point = |key: &EcdsaKeyPair, length: usize| {
        let bytes = key.public_key().as_ref();
        (encoded(&bytes[1..=length]), encoded(&bytes[1 + length..]))
    };
    let ((x, y), (x384, y384)) = (point(p256, 32), point(p384, 48));
    json!({ "keys": [
        { "kid": "rsa", "kty": "RSA", "use": "sig", "n": encoded(n), "e": encoded(e) },
        { "kid": "p256", "kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256" },
        { "kid": "p384", "kty": "EC", "crv": "P-384", "x": x384, "y": y384, "key_ops": ["verify"] },
        { "kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": encoded(ed25519.public_key()) },
    ] })
}

fn keys() -> KeySet {
    KeySet::read(jwks().to_string().as_bytes()).unwrap()
}

fn kid_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "p256",
        Algorithm::Es384 => "p384",
        Algorithm::EdDsa => "ed",
        _ => "rsa",
    }
}

fn signed(algorithm: Algorithm, header: &str, claims: &str) -> String {
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let signer = signer();
    let random = SystemRandom::new();
    let rsa = |encoding: &'static dyn signature::RsaEncoding| {
        let mut out = vec![0; signer.rsa.public_modulus_len()];
        signer.rsa.sign(encoding, &random, text.as_bytes(), &mut out).unwrap();
        out
    };
    let ecdsa = |key: &EcdsaKeyPair| key.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec();
    let signature = match algorithm {
        Algorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256),
        Algorithm::Ps384 => rsa(&signature::RSA_PSS_SHA384),
        Algorithm::Ps512 => rsa(&signature::RSA_PSS_SHA512),
        Algorithm::Es256 => ecdsa(&signer.p256),
        Algorithm::Es384 => ecdsa(&signer.p384),
        Algorithm::EdDsa => signer.ed25519.sign(text.as_bytes()).as_ref().to_vec(),
    };
    format!("{text}.{}", encoded(signature))
}

fn header(algorithm: Algorithm) -> String {
    json!({ "alg": algorithm.name(), "kid": kid_of(algorithm), "typ": "JWT" }).to_string()
}

/// Good claims, changed.
fn claims(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": "https://login.example.com",
        "aud": "tollgate",
        "sub": "00u1",
        "email": "ana@example.com",
        "groups": ["all", "pay-dev"],
        "iat": NOW - 10,
        "nbf": NOW - 10,
        "exp": NOW + 300,
    });
    change(&mut claims);
    claims.to_string()
}

fn verify(token: &str) -> Result<Principal, Fault> {
    verify_with(&fuzz::issuer(), token)
}

fn verify_with(issuer: &Issuer, token: &str) -> Result<Principal, Fault> {
    issuer.verify(&Token::read(token.as_bytes())?, &keys(), NOW)
}

/// What comes of good claims that were changed.
fn of(change: impl FnOnce(&mut Value)) -> Result<Principal, Fault> {
    verify(&signed(Algorithm::Es256, &header(Algorithm::Es256), &claims(change)))
}

#[test]
fn every_algorithm_is_verified() {
    for algorithm in Algorithm::ALL {
        let token = signed(algorithm, &header(algorithm), &claims(|_| {}));
        assert!(looks_like_one(token.as_bytes()));
        let who = verify(&token).unwrap_or_else(|fault| panic!("{algorithm:?}: {fault}"));
        assert_eq!(who.key.as_str(), "oidc:ana@example.com");
        assert_eq!(who.team.as_ref().map(TeamName::as_str), Some("payments"));
        assert_eq!(who.user.as_deref(), Some("ana@example.com"));
        assert_eq!(who.until_ms, Some((NOW + 360) * 1000));
        assert_eq!((who.role, who.service), (None, false));
        assert_eq!(who.groups.iter().map(|group| &**group).collect::<Vec<_>>(), ["all", "pay-dev"]);
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        // One bit of the signature, and one of the claims.
        let (text, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = base64::decode(signature.as_bytes(), base64::URL_SAFE).unwrap();
        bytes[7] ^= 1;
        assert_eq!(verify(&format!("{text}.{}", encoded(bytes))), Err(Fault::Signature));
        let other = signed(algorithm, &header(algorithm), &claims(|all| all["sub"] = json!("00u2")));
        let (text, _) = other.rsplit_once('.').unwrap();
        assert_eq!(verify(&format!("{text}.{signature}")), Err(Fault::Signature));
    }
}

#[test]
fn an_algorithm_that_the_config_leaves_out_is_refused() {
    let issuer = Issuer { algorithms: vec![Algorithm::Es384], ..fuzz::issuer() };
    let token = |algorithm| signed(algorithm, &header(algorithm), &claims(|_| {}));
    assert_eq!(verify_with(&issuer, &token(Algorithm::Es256)), Err(Fault::Algorithm));
    assert!(verify_with(&issuer, &token(Algorithm::Es384)).is_ok());
}

#[test]
fn forged_headers_are_refused() {
    let good = claims(|_| {});
    let es = |header: Value| verify(&signed(Algorithm::Es256, &header.to_string(), &good));
    for alg in ["none", "None", "", "HS256", "HS512", "ES256K", "es256", "RSA-OAEP"] {
        assert_eq!(es(json!({ "alg": alg, "kid": "p256" })), Err(Fault::Algorithm), "{alg}");
    }
    assert_eq!(es(json!({ "kid": "p256" })), Err(Fault::Algorithm));
    assert_eq!(es(json!({ "alg": ["ES256"], "kid": "p256" })), Err(Fault::Algorithm));
    assert_eq!(
        es(json!({ "alg": "ES256", "kid": "p256", "crit": ["b64"], "b64": false })),
        Err(Fault::Algorithm)
    );
    assert_eq!(es(json!({ "alg": "ES256", "kid": "other" })), Err(Fault::Key));
    assert!(matches!(es(json!({ "alg": "ES256", "kid": 1 })), Err(Fault::Malformed(_))));
    // The key is there, and is of another kind than the algorithm.
    for (alg, kid) in
        [("RS256", "p256"), ("ES384", "p256"), ("ES256", "rsa"), ("EdDSA", "p256"), ("ES256", "ed")]
    {
        assert_eq!(es(json!({ "alg": alg, "kid": kid })), Err(Fault::Key), "{alg} {kid}");
    }
    // Keys that a token brings along, or says where to find, are not looked at.
    let brought =
        json!({ "alg": "ES256", "kid": "other", "jwk": jwks()["keys"][1], "jku": "https://evil.example" });
    assert_eq!(es(brought), Err(Fault::Key));
    // Without a `kid` only where one key can have signed it.
    assert!(es(json!({ "alg": "ES256" })).is_ok());
    let mut two = jwks();
    let mut again = two["keys"][1].clone();
    again["kid"] = json!("again");
    two["keys"].as_array_mut().unwrap().push(again);
    let keys = KeySet::read(two.to_string().as_bytes()).unwrap();
    let token = signed(Algorithm::Es256, r#"{"alg":"ES256"}"#, &good);
    assert_eq!(keys.verify(&Token::read(token.as_bytes()).unwrap()), Err(Fault::Key));
}

#[test]
fn a_public_key_is_no_secret() {
    // The oldest of them: a token with HS256 whose secret is the public key, in any form of it.
    let good = claims(|_| {});
    let (n, _) = rsa_numbers(&signer().rsa);
    let der = signer().rsa.public_key().as_ref().to_vec();
    for secret in [n, der, jwks()["keys"][0].to_string().into_bytes()] {
        let text = format!("{}.{}", encoded(r#"{"alg":"HS256","kid":"rsa"}"#), encoded(&good));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        assert_eq!(verify(&format!("{text}.{}", encoded(tag))), Err(Fault::Algorithm));
    }
}

#[test]
fn broken_texts_are_refused() {
    let good = signed(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims(|_| {}));
    let (text, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = text.split_once('.').unwrap();
    let broken = [
        String::new(),
        "..".to_owned(),
        "...".to_owned(),
        head.to_owned(),
        text.to_owned(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{head}.{body}.{signature}.{head}.{body}"),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}.{signature}="),
        format!("{head}.{body}.{signature}+/"),
        format!(" {good}"),
        format!("{head}.{}.{signature}", encoded("[]")),
        format!("{head}.{}.{signature}", encoded("{\"iss\":1} x")),
        format!("{}.{body}.{signature}", encoded("\"alg\"")),
        format!("{}.{body}.{signature}", encoded([0xff, 0xfe])),
        format!("{head}.{body}.{}", encoded(vec![1; limits::JWT_SIGNATURE_BYTES_MAX])),
        format!("{head}.{}.{signature}", encoded(vec![b' '; limits::JWT_BYTES_MAX])),
        format!("{head}.{}.{signature}", encoded("[".repeat(5_000))),
    ];
    for text in broken {
        assert!(matches!(verify(&text), Err(Fault::Malformed(_))), "{text}");
    }
    // Cut at any place it is another token or none.
    for end in 0..good.len() {
        assert!(verify(good.get(..end).unwrap()).is_err(), "{end}");
    }
    assert!(verify(&good).is_ok());
    assert_eq!(verify(&format!("{head}.{body}.")), Err(Fault::Signature));
}

#[test]
fn names_that_stand_twice_are_refused() {
    let good = claims(|_| {});
    let inside = good.strip_prefix('{').unwrap();
    for doubled in [
        format!("{{\"aud\":\"other\",{inside}"),
        format!("{{\"\\u0061ud\":\"other\",{inside}"),
        format!("{{\"x\":{{\"a\":1,\"a\":1}},{inside}"),
        format!("{{\"x\":[{{\"a\":1,\"\\u0061\":1}}],{inside}"),
    ] {
        let token = signed(Algorithm::Es256, &header(Algorithm::Es256), &doubled);
        assert!(matches!(verify(&token), Err(Fault::Malformed(_))), "{doubled}");
    }
    let head = r#"{"alg":"none","alg":"ES256","kid":"p256"}"#;
    assert!(matches!(verify(&signed(Algorithm::Es256, head, &good)), Err(Fault::Malformed(_))));
}

#[test]
fn audiences_and_issuers_are_compared_to_the_letter() {
    assert!(of(|all| all["aud"] = json!(["other", "tollgate"])).is_ok());
    for aud in [
        json!("other"),
        json!("tollgate2"),
        json!("Tollgate"),
        json!([]),
        json!(["other"]),
        json!(1),
        json!([["tollgate"]]),
        json!({ "tollgate": true }),
        Value::Null,
    ] {
        assert_eq!(of(|all| all["aud"] = aud.clone()), Err(Fault::Audience), "{aud}");
    }
    assert_eq!(of(|all| drop(all.as_object_mut().unwrap().remove("aud"))), Err(Fault::Audience));
    for iss in ["https://login.example.com/", "http://login.example.com", "https://LOGIN.example.com", ""] {
        assert_eq!(of(|all| all["iss"] = json!(iss)), Err(Fault::Issuer), "{iss}");
    }
    assert_eq!(of(|all| all["iss"] = json!(["https://login.example.com"])), Err(Fault::Issuer));
}

#[test]
fn times_hold_within_the_skew() {
    let at = |claim: &'static str, time: u64| of(|all| all[claim] = json!(time)).map(|_| ());
    assert_eq!(at("exp", NOW - 59), Ok(()));
    assert_eq!(at("exp", NOW - 60), Err(Fault::Expired));
    assert_eq!(at("exp", 0), Err(Fault::Expired));
    assert_eq!(at("exp", u64::MAX), Ok(()));
    for claim in ["nbf", "iat"] {
        assert_eq!(at(claim, NOW + 60), Ok(()));
        assert_eq!(at(claim, NOW + 61), Err(Fault::NotYet));
        assert!(of(|all| drop(all.as_object_mut().unwrap().remove(claim))).is_ok());
        assert_eq!(of(|all| all[claim] = json!("1")), Err(Fault::Claim(claim.to_owned())));
    }
    assert!(of(|all| all["exp"] = json!(1_800_000_300.5)).is_ok());
    for exp in [json!("1800000300"), json!(-1), json!(1e300), json!(true), Value::Null] {
        assert_eq!(of(|all| all["exp"] = exp.clone()), Err(Fault::Claim("exp".to_owned())), "{exp}");
    }
    assert_eq!(
        of(|all| drop(all.as_object_mut().unwrap().remove("exp"))),
        Err(Fault::Claim("exp".to_owned()))
    );
}

#[test]
fn people_need_names_that_can_be_written_down() {
    for claim in ["sub", "email"] {
        for value in [json!(""), json!(7), json!(["a"]), json!("a\nb"), json!("x".repeat(257)), Value::Null] {
            assert_eq!(of(|all| all[claim] = value.clone()), Err(Fault::Claim(claim.to_owned())), "{value}");
        }
    }
}

#[test]
fn an_address_is_a_name_where_the_issuer_says_nothing_else() {
    for good in [json!(true), json!("true")] {
        assert!(of(|all| all["email_verified"] = good.clone()).is_ok(), "{good}");
    }
    let wrong = Err(Fault::Claim("email_verified".to_owned()));
    let bad = json!([false, "false", "no", "yes", "True", "1", "", 0, 1, 1.5, null, ["true"], [], {}]);
    for bad in bad.as_array().unwrap() {
        assert_eq!(of(|all| all["email_verified"] = bad.clone()), wrong, "{bad}");
    }
    // Whoever is named by another claim is not named by an address.
    let by_subject = Issuer { user_claim: "sub".to_owned(), ..fuzz::issuer() };
    let said = claims(|all| all["email_verified"] = json!(false));
    let token = signed(Algorithm::Es256, &header(Algorithm::Es256), &said);
    assert_eq!(verify_with(&by_subject, &token).unwrap().user.as_deref(), Some("00u1"));
}

#[test]
fn two_issuers_with_one_subject_are_two_people() {
    let of = |issuer: &str, tag: Option<&str>, user: &str| {
        let terms = Issuer { issuer: issuer.into(), tag: tag.map(Into::into), ..fuzz::issuer() };
        let said = claims(|all| (all["iss"], all["email"]) = (json!(issuer), json!(user)));
        verify_with(&terms, &signed(Algorithm::Es256, &header(Algorithm::Es256), &said)).unwrap()
    };
    let alone = of("https://a.example.com", None, "ana");
    let here = of("https://a.example.com", Some("a.example.com"), "ana");
    let there = of("https://b.example.com", Some("b.example.com"), "ana");
    assert_eq!(alone.key.as_str(), "oidc:ana");
    assert_eq!((here.key.as_str(), there.key.as_str()), ("oidc:a.example.com#ana", "oidc:b.example.com#ana"));
    assert_eq!(here.user, there.user, "a person may have two accounts");
    assert_ne!(here.key_id, there.key_id);
    assert_ne!(here.issuer, there.issuer);
    // Nobody can name themselves into another issuer: the first sign decides.
    assert_eq!(of("https://a", Some("a"), "b#ana").key.as_str(), "oidc:a#b#ana");
    // A person who is renamed is another one to budgets, and to whoever goes by ids.
    assert_ne!(here.key_id, of("https://a.example.com", None, "bo").key_id);
}

#[test]
fn groups_lead_to_teams_in_written_order() {
    let rows = [("pay-dev", "payments"), ("platform-*", "platform")];
    let teams: Vec<_> = rows.iter().map(|(group, team)| (Glob::new(group), TeamName::new(team))).collect();
    let strict = Issuer { teams, ..fuzz::issuer() };
    let open = Issuer { default_team: Some(TeamName::new("guests")), ..strict.clone() };
    let roles = vec![(Glob::new("audit"), Role::Auditor), (Glob::new("*-admins"), Role::Owner)];
    let admins = Issuer { roles, ..strict.clone() };
    let with = |issuer: &Issuer, groups: Value| {
        let token =
            signed(Algorithm::Es256, &header(Algorithm::Es256), &claims(|all| all["groups"] = groups));
        verify_with(issuer, &token).map(|who| (who.team.map(|team| team.to_string()), who.role))
    };
    let team = |name: &str| Ok((Some(name.to_owned()), None));
    assert_eq!(with(&strict, json!(["platform-sre", "pay-dev"])), team("payments"));
    assert_eq!(with(&strict, json!(["platform-sre"])), team("platform"));
    assert_eq!(with(&strict, json!("platform-sre")), team("platform"));
    let nobody = Err(Fault::NoTeam("ana@example.com".to_owned()));
    assert_eq!(with(&strict, json!(["sales"])), nobody);
    assert_eq!(with(&strict, json!([])), nobody);
    assert_eq!(with(&strict, Value::Null), nobody);
    assert_eq!(with(&open, json!(["sales"])), team("guests"));
    assert_eq!(with(&admins, json!(["tollgate-admins", "audit"])), Ok((None, Some(Role::Auditor))));
    let both = with(&admins, json!(["tollgate-admins", "pay-dev"]));
    assert_eq!(both, Ok((Some("payments".to_owned()), Some(Role::Owner))));
    let wrong = Err(Fault::Claim("groups".to_owned()));
    for groups in [json!([1]), json!({}), json!(["a", "x".repeat(513)]), json!(vec!["a"; 1025])] {
        assert_eq!(with(&open, groups), wrong);
    }
}

#[test]
fn whoever_has_other_rights_has_another_id() {
    let id = |change: fn(&mut Value)| of(change).unwrap().key_id;
    let same = id(|_| {});
    assert_eq!(same, id(|all| all["jti"] = json!("another session")));
    assert_eq!(same.len(), 12);
    assert_ne!(same, id(|all| all["sub"] = json!("00u2")));
    assert_ne!(same, id(|all| all["groups"] = json!(["all", "pay-dev", "on-call"])));
    assert_ne!(same, id(|all| all["groups"] = json!(["allpay-dev", "pay-dev"])));
    let who = of(|all| all["sid"] = json!("s-1")).unwrap();
    assert_eq!(who.handles.iter().map(|one| &**one).collect::<Vec<_>>(), ["00u1", "ana@example.com", "s-1"]);
}

#[test]
fn sets_of_keys_leave_out_what_is_of_no_use() {
    let good = jwks()["keys"][1].clone();
    let read = |keys: Value| KeySet::read(json!({ "keys": keys }).to_string().as_bytes());
    let (n, e) = rsa_numbers(&signer().rsa);
    let rsa = |n: &[u8], e: &[u8]| json!({ "kty": "RSA", "n": encoded(n), "e": encoded(e) });
    let mut even = n.clone();
    even[255] &= 0xfe;
    let changed = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let useless = [
        rsa(&n[..128], &e),
        rsa(&[&[0; 128], &n[..128]].concat(), &e),
        rsa(&n.repeat(5), &e),
        rsa(&even, &e),
        rsa(&n, &[1]),
        rsa(&n, &[]),
        rsa(&n, &[1, 0]),
        rsa(&n, &[1; 9]),
        json!({ "kty": "oct", "k": encoded([1; 32]) }),
        json!({ "kty": "OKP", "crv": "X25519", "x": encoded([1; 32]) }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded([1; 31]) }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": good["x"], "y": good["y"] }),
        changed("x", good["y"].clone()),
        changed("x", json!(encoded([0; 32]))),
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("alg", json!("ES384")),
        changed("alg", json!("HS256")),
        changed("kid", json!(5)),
        json!({}),
        json!("key"),
    ];
    for key in useless {
        assert_eq!(read(json!([key])).map(|_| ()), Err(SetFault::Empty), "{key}");
        let found = read(json!([key, good])).unwrap();
        assert_eq!((found.len(), found.left_out()), (1, 1), "{key}");
    }
    let zeros = rsa(&[&[0, 0], n.as_slice()].concat(), &e);
    assert_eq!(read(json!([zeros])).unwrap().len(), 1);
    for (text, fault) in [
        ("", SetFault::Shape),
        ("[]", SetFault::Shape),
        ("{}", SetFault::Shape),
        ("{\"keys\":{}}", SetFault::Shape),
        ("{\"keys\":[],\"keys\":[]}", SetFault::Shape),
        ("{\"keys\":[]}", SetFault::Empty),
    ] {
        assert_eq!(KeySet::read(text.as_bytes()).map(|_| ()), Err(fault), "{text}");
    }
    let large = " ".repeat(limits::JWKS_BYTES_MAX + 1);
    assert_eq!(KeySet::read(large.as_bytes()).map(|_| ()), Err(SetFault::TooLarge));
    assert_eq!(read(json!(vec![good; 500])).unwrap().len(), limits::JWKS_KEYS_MAX);
}

#[test]
fn discovery_is_for_the_one_who_was_asked() {
    let read = |text: &str| jwks_uri(text.as_bytes(), "https://login.example.com");
    let good = r#"{"issuer":"https://login.example.com","jwks_uri":"https://keys.example.com/k","x":[1]}"#;
    assert_eq!(read(good).as_deref(), Ok("https://keys.example.com/k"));
    assert_eq!(read(&good.replace("login", "Login")), Err(DiscoveryFault::Issuer));
    assert_eq!(read(&good.replace("com\",\"jwks", "com/\",\"jwks")), Err(DiscoveryFault::Issuer));
    assert_eq!(read(&good.replace("jwks_uri", "jwks")), Err(DiscoveryFault::NoKeys));
    assert_eq!(read(&good.replace("\"x\"", "\"issuer\"")), Err(DiscoveryFault::Shape));
    assert_eq!(read("<html>"), Err(DiscoveryFault::Shape));
}

#[test]
fn nothing_prints_a_token() {
    let token = signed(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims(|_| {}));
    let signature = token.rsplit('.').next().unwrap();
    for end in [token.len() - 1, token.len() / 2] {
        let fault = verify(token.get(..end).unwrap()).unwrap_err();
        assert!(!fault.to_string().contains(signature.get(..20).unwrap()), "{fault}");
    }
}

#[test]
fn the_seeds_of_the_fuzz_targets_hold() {
    corpus::replay("jwt", 6, fuzz::fuzz_token);
    corpus::replay("jwks", 5, fuzz::fuzz_keys);
}

proptest::proptest! {
    #[test]
    fn altered_tokens_are_refused(data in proptest::collection::vec(proptest::num::u8::ANY, 0..12)) {
        fuzz::fuzz_token(&data);
        fuzz::fuzz_keys(&data);
    }
}
