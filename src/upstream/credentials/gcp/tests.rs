//! What files say, what is asked because of them, and what the answers are read as.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value as Tree, json};

use super::{Fetch, METADATA_HOST, SCOPE, Source, read};
use crate::base64::{self, URL_SAFE};
use crate::secret::Secret;
use crate::upstream::credentials::{Ask, Fault, Fresh, Step};

fn source(file: &Tree) -> Result<Source, Fault> {
    read(file.to_string().as_bytes())
}

fn ask(step: Step<Secret>) -> Ask {
    match step {
        Step::Ask(ask) => ask,
        Step::Done(fresh) => panic!("{fresh:?}"),
    }
}

fn done(step: Result<Step<Secret>, Fault>) -> Fresh<Secret> {
    match step.unwrap() {
        Step::Done(fresh) => fresh,
        Step::Ask(ask) => panic!("{ask:?}"),
    }
}

/// A key, and the file of an account that has it.
fn account() -> (RsaKeyPair, Tree) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = key.as_der().unwrap();
    let digits = base64::encode_padded(der.as_ref());
    let lines: Vec<&str> =
        digits.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let file = json!({"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": pem, "token_uri": "https://oauth2.googleapis.com/token"});
    (key, file)
}

#[test]
fn a_service_account_vouches_for_itself_with_its_key() {
    let (key, file) = account();
    let account = source(&file).unwrap();
    let (mut fetch, sent) = Fetch::begin(&account, None, 1_000).unwrap();
    assert_eq!((sent.method, &*sent.url), ("POST", "https://oauth2.googleapis.com/token"));
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let token = sent.body.expose().strip_prefix(grant).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::decode(signature.as_bytes(), URL_SAFE).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &signature).unwrap();
    let part = |part: &str| -> Tree {
        serde_json::from_slice(&base64::decode(part.as_bytes(), URL_SAFE).unwrap()).unwrap()
    };
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(head), json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let expected = json!({"iss": "a@p.iam.gserviceaccount.com", "scope": SCOPE,
        "aud": "https://oauth2.googleapis.com/token", "iat": 1000, "exp": 4600});
    assert_eq!(part(claims), expected);
    let fresh =
        done(fetch.answer(200, br#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#));
    assert_eq!((fresh.value, fresh.expires_s), (Secret::new("ya29.x"), Some(4599)));
    let refused = Fault::Refused { status: 400, code: "invalid_grant".to_owned() };
    assert_eq!(fetch.answer(400, br#"{"error":"invalid_grant"}"#).unwrap_err(), refused);
    assert!(!format!("{account:?}").contains("BEGIN"));
}

#[test]
fn keys_that_are_none_are_told() {
    let (_, file) = account();
    for key in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
    ] {
        let mut file = file.clone();
        file["private_key"] = json!(format!("{key} "));
        let account = source(&file).unwrap();
        assert_eq!(Fetch::begin(&account, None, 1).unwrap_err(), Fault::Key, "{key}");
    }
    let mut away = file;
    away["token_uri"] = json!("http://evil.example/");
    assert_eq!(source(&away).unwrap_err(), Fault::Address("token_uri"));
    away["client_email"] = json!(7);
    away.as_object_mut().unwrap().remove("token_uri");
    assert_eq!(source(&away).unwrap_err(), Fault::Missing("client_email"));
    assert!(matches!(source(&json!({"type": "gdch_service_account"})).unwrap_err(), Fault::Unsupported(_)));
    assert!(matches!(read(b"key: x").unwrap_err(), Fault::Form(_)));
}

#[test]
fn people_and_machines_are_asked_once() {
    let person =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s&", "refresh_token": "1//r"});
    let (_, sent) = Fetch::begin(&source(&person).unwrap(), None, 1).unwrap();
    assert_eq!(sent.url, "https://oauth2.googleapis.com/token");
    let body = "grant_type=refresh_token&client_id=c&client_secret=s%26&refresh_token=1%2F%2Fr";
    assert_eq!(sent.body.expose(), body);
    let machine = Source::Metadata { account: "default".into(), host: METADATA_HOST.into() };
    let (mut fetch, sent) = Fetch::begin(&machine, None, 50).unwrap();
    let url = "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token";
    assert_eq!((&*sent.url, sent.own_machine), (url, true));
    assert_eq!(sent.headers, [("metadata-flavor", Secret::new("Google"))]);
    let fresh = done(fetch.answer(200, br#"{"access_token":"t","expires_in":100}"#));
    assert_eq!(fresh.expires_s, Some(150));
    for wrong in ["{}", r#"{"access_token":"t"}"#, r#"{"access_token":"a b\n","expires_in":1}"#, ""] {
        assert_eq!(fetch.answer(200, wrong.as_bytes()).unwrap_err(), Fault::Answer, "{wrong}");
    }
}

fn workload(credential_source: &Tree) -> Tree {
    json!({"type": "external_account", "audience": "//iam.googleapis.com/p", "token_url":
        "https://sts.googleapis.com/v1/token", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": credential_source})
}

#[test]
fn another_issuers_token_is_exchanged_and_exchanged_again() {
    let field = json!({"type": "json", "subject_token_field_name": "value"});
    let at = "https://vstoken.example/id?audience=x";
    let mut file = workload(&json!({"url": at, "headers": {"Authorization": "bearer b"}, "format": field}));
    let account = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a:generateAccessToken";
    file["service_account_impersonation_url"] = json!(account);
    let (mut fetch, first) = Fetch::begin(&source(&file).unwrap(), None, 1).unwrap();
    assert_eq!((first.method, &*first.url), ("GET", at));
    assert_eq!(first.headers, [("authorization", Secret::new("bearer b"))]);
    let second = ask(fetch.answer(200, br#"{"value":"ey.J"}"#).unwrap());
    assert_eq!(second.url, "https://sts.googleapis.com/v1/token");
    assert!(second.body.expose().ends_with("token-type%3Ajwt&subject_token=ey.J"));
    assert!(second.body.expose().contains("&audience=%2F%2Fiam.googleapis.com%2Fp&"));
    let third = ask(fetch.answer(200, br#"{"access_token":"fed","expires_in":3600}"#).unwrap());
    assert_eq!((third.method, &*third.url), ("POST", account));
    assert!(third.headers.contains(&("authorization", Secret::new("Bearer fed"))));
    let body: Tree = serde_json::from_str(third.body.expose()).unwrap();
    assert_eq!(body, json!({"scope": [SCOPE], "lifetime": "3600s"}));
    let last = br#"{"accessToken":"ya29","expireTime":"2026-11-23T07:00:00Z"}"#;
    let fresh = done(fetch.answer(200, last));
    assert_eq!((fresh.value, fresh.expires_s), (Secret::new("ya29"), Some(1_795_417_200)));
}

#[test]
fn a_token_in_a_file_is_exchanged_once() {
    let file = workload(&json!({"file": "/var/run/token"}));
    let found = source(&file).unwrap();
    assert_eq!(found.file(), Some("/var/run/token"));
    let (mut fetch, sent) = Fetch::begin(&found, Some(&Secret::new(" ey.J\n")), 100).unwrap();
    assert!(sent.body.expose().ends_with("&subject_token=ey.J"));
    let fresh = done(fetch.answer(200, br#"{"access_token":"fed","expires_in":3600}"#));
    assert_eq!((fresh.value, fresh.expires_s), (Secret::new("fed"), Some(3700)));
    assert!(matches!(Fetch::begin(&found, None, 1).unwrap_err(), Fault::Missing(_)));
    assert!(matches!(Fetch::begin(&found, Some(&Secret::new(" ")), 1).unwrap_err(), Fault::Form(_)));
    for odd in [json!({"executable": {}}), json!({"environment_id": "aws1", "url": "http://169.254.169.254"})]
    {
        assert!(matches!(source(&workload(&odd)).unwrap_err(), Fault::Unsupported(_)), "{odd}");
    }
    let away = workload(&json!({"url": "http://evil.example"}));
    assert!(matches!(source(&away).unwrap_err(), Fault::Address(_)));
}
