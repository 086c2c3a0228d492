//! Samples of every kind of secret, and text that only looks like one.
//!
//! No sample stands here in one piece, so that scanners of sources have nothing to find.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::Strategy;
use serde_json::{Value as Tree, json};

use super::{redact, redact_text};
use crate::limits;
use crate::scan::rules::{Letters, PREFIXED};

/// Bytes that look random, drawn from a set of letters; always the same ones.
fn random(letters: &[u8], bytes: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(letters[usize::try_from(state >> 33).unwrap() % letters.len()])
    };
    (0..bytes).map(draw).collect()
}

const ALNUM: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &[u8] = b"0123456789abcdef";

/// Asserts that `secret` is gone from wherever it stands, and that nothing else is.
fn check(rule: &str, secret: &str) {
    let mark = format!("[redacted:{rule}]");
    for (before, after) in [
        ("", ""),
        ("key: ", "\n"),
        ("a=", "&b=c"),
        ("(`", "`)"),
        ("\"", "\""),
        ("Use ", ". Then"),
        ("é", "→"),
    ] {
        let expected = format!("{before}{mark}{after}");
        assert_eq!(redact_text(&format!("{before}{secret}{after}")), expected);
    }
    // In JSON, and in JSON inside of JSON, behind a line feed.
    for outer in 0..3 {
        let wrap = |text: &str| {
            let text = format!("KEY\n{text}\nend \"quoted\"");
            (0..=outer).fold(text, |text, _| json!({ "text": text }).to_string())
        };
        assert_eq!(redact_text(&wrap(secret)), wrap(&mark), "{outer} deep");
    }
}

#[test]
fn every_prefix_is_known() {
    for one in PREFIXED {
        let letters = match one.letters {
            Letters::Hex => HEX,
            Letters::Base32 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            Letters::Alnum | Letters::Name | Letters::Url | Letters::Dotted => ALNUM,
        };
        let (least, most) = one.bytes;
        for bytes in [least, most.min(least + 9)] {
            let secret = format!("{}{}", str::from_utf8(one.prefix).unwrap(), random(letters, bytes));
            check(one.rule, &secret);
        }
        let prefix = str::from_utf8(one.prefix).unwrap();
        let short = format!("{prefix}{}", random(letters, least - 1));
        assert_eq!(redact_text(&short), short);
        let stand_in = format!("{prefix}{}", "x".repeat(least));
        assert_eq!(redact_text(&stand_in), stand_in);
        let inside = format!("a{prefix}{}", random(letters, least));
        assert_eq!(redact_text(&inside), inside, "it has to begin a word");
    }
}

#[test]
fn secrets_of_other_forms_are_known() {
    check("anthropic", &format!("sk-ant-{}-{}AA", "api03", random(ALNUM, 93)));
    let part = |name: &str, bytes: usize| format!("eyJ{name}{}", random(ALNUM, bytes));
    check("jwt", &format!("{}.{}.{}", part("hbGci", 30), part("zdWI", 80), random(ALNUM, 43)));
    check("azure", &format!("abc8Q~{}", random(ALNUM, 34)));
    let whole = |text: &str, expected: &str| assert_eq!(redact_text(text), expected, "{text}");
    let token = random(ALNUM, 40);
    whole(&format!("Authorization: Bearer {token}"), "Authorization: Bearer [redacted:authorization]");
    whole(
        &format!("-H 'authorization: Basic {token}=='"),
        "-H 'authorization: Basic [redacted:authorization]'",
    );
    let place = format!("T0{}/B0{}/{}", random(ALNUM, 9), random(ALNUM, 9), random(ALNUM, 24));
    let webhook = |place: &str| format!("https://hooks.slack.com/services/{place}");
    whole(&webhook(&place), &webhook("[redacted:slack]"));
}

#[test]
fn passwords_in_addresses_are_known() {
    let whole = |text: &str, expected: &str| assert_eq!(redact_text(text), expected);
    whole("postgres://ana:hunter2@db.local:5432/x", "postgres://ana:[redacted:password]@db.local:5432/x");
    whole("redis://:p%40ss:w@[::1]/0", "redis://:[redacted:password]@[::1]/0");
    whole("\"https://u:a@b@host/\"", "\"https://u:[redacted:password]@host/\"");
    for plain in [
        "https://example.com:8443/@scope/name",
        "https://ana@example.com/x:y@z",
        "postgres://$USER:$PASSWORD@host",
        "postgres://user:{password}@host",
        "see http://a.b, or mail c:d@e.f",
        "https://user:@host",
        "git@github.com:a/b.git",
    ] {
        whole(plain, plain);
    }
}

#[test]
fn private_keys_go_whole() {
    let frame = |kind: &str, end: &str| {
        let mut key = format!("-----{} {kind}-----{end}", "BEGIN");
        for _ in 0..20 {
            write!(key, "{}{end}", random(ALNUM, 64)).unwrap();
        }
        key + &format!("-----END {kind}-----")
    };
    let mark = "[redacted:private-key]";
    for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
        for end in ["\n", "\r\n", "\\n"] {
            let key = frame(kind, end);
            assert_eq!(redact_text(&format!("a {key}\nb")), format!("a {mark}\nb"));
        }
        check("private-key", &frame(kind, "\n"));
    }
    let public = frame("PUBLIC KEY", "\n");
    assert_eq!(redact_text(&public), public);
    let code = "text.contains(\"-----BEGIN RSA PRIVATE KEY-----\") || x";
    assert_eq!(redact_text(code), code);
    let cut = json!({"a": frame("PRIVATE KEY", "\n").get(..500).unwrap(), "b": "c"}).to_string();
    assert_eq!(redact_text(&cut), json!({"a": mark, "b": "c"}).to_string(), "its end is missing");
    let long = frame("PRIVATE KEY", "\n").replace("-----END", &"A\n".repeat(limits::REDACTED_KEY_BYTES_MAX));
    serde_json::from_slice::<Tree>(&redact(json!({"a": long}).to_string().as_bytes())).unwrap();
}

#[test]
fn values_under_telling_names_are_known() {
    let value = random(ALNUM, 32);
    for line in [
        "DB_PASSWORD=@",
        "export API_KEY=\"@\"",
        "\"client_secret\": \"@\"",
        "secret: @",
        "authToken := `@`",
        "password => '@',",
        "{\\\"accessToken\\\":\\\"@\\\"}",
        "?access_token=@&x=1",
        "const apiKey = \"@\";",
        "AccountKey=@==;Endpoint",
        "env[\"GH_TOKEN\"] = \"@\"",
        "--password=@",
        "x-api-key: @",
        "secret-key: @",
    ] {
        let text = line.replace('@', &value);
        let found = redact_text(&text);
        assert!(found.contains("[redacted:secret]") && !found.contains(&value), "{text}: {found}");
        for (name, harmless) in [("secret", "public"), ("oken", "okay"), ("assword", "arrow"), ("ey", "od")] {
            let text = text.replace(name, harmless).replace(&name.to_uppercase(), &harmless.to_uppercase());
            if !["secret", "assword", "oken", "ey"].iter().any(|name| text.to_lowercase().contains(name)) {
                assert_eq!(redact_text(&text), text, "the value alone says nothing");
            }
        }
    }
    let aws = format!("aws_secret_access_key = {}/{}", "wJalrXUtnFEMI/K7MDENG", "bPxRfiCYEXAMPLEKEY");
    assert_eq!(redact_text(&aws), "aws_secret_access_key = [redacted:aws]");
}

#[test]
fn code_hashes_and_names_stay() {
    let hash = random(HEX, 64);
    let lines = [
        format!("\"integrity\": \"sha512-{}==\"", random(ALNUM, 86)),
        format!("checksum = \"{hash}\""),
        format!("commit {}", hash.get(..40).unwrap()),
        "id: 5f0c2b1e-7d7a-4c59-9f0e-0a1b2c3d4e5f, session_token: 5f0c2b1e-7d7a-4c59-9f0e-0a1b2c3d4e5f"
            .into(),
        "let token = self.tokens[index2].next_token_from_cache3();".into(),
        "password = os.environ[\"DATABASE_PASSWORD_2\"]".into(),
        "const secret = process.env.MY_APP_SECRET_1;".into(),
        "api_key: ${env:ANTHROPIC_API_KEY}".into(),
        "token: YOUR_GITHUB_TOKEN_HERE_123".into(),
        "password: my-very-long-password-2024".into(),
        "\"max_tokens\": 64000, \"total_tokens\": 1234567890123456789".into(),
        "nextPageToken: \"CAUQAA9x8Y7z6W5v4U3t2S1r\"".into(),
        "fn get_secret(key: &str) -> Result<Secret, Fault16> {".into(),
        "secret: projects/p1/secrets/s2/versions/v3".into(),
        "token = base64UrlEncodedSecret".into(),
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".into(),
        format!("\"id\":\"toolu_01{}\"", random(ALNUM, 22)),
        format!("\"id\":\"msg_01{}\",\"signature\":\"{}\"", random(ALNUM, 22), random(ALNUM, 400)),
        "sk-learn-contrib, pip install sk-video, risk-management-and-control-of-things".into(),
        "a bearer of bad news, Basic authentication, Bearer $TOKEN, Bearer <your-token-here-123>".into(),
        "eyJust.eyJoking.really, hf_hub_download, npm_config_registry, ghp_, AKIA".into(),
        "https://github.com/rust-lang/rust/blob/0123456789abcdef0123456789abcdef01234567/x.rs".into(),
        "self.private_key: Option<PrivateKey>, credential: CredentialKind::Key2048".into(),
        "C:\\new\\token\\pwd=C:\\temp\\build_2024_x64_release".into(),
    ];
    for line in &lines {
        assert_eq!(redact_text(line), line.as_str());
        let wrapped = json!({"text": format!("x\n{line}\ny")}).to_string();
        assert_eq!(redact_text(&wrapped), wrapped);
    }
}

#[test]
fn the_sources_of_this_house_hold_no_secret() {
    for text in [
        include_str!("mod.rs"),
        include_str!("../../scan/rules.rs"),
        include_str!("../../scan/secrets.rs"),
        include_str!("tests.rs"),
        include_str!("../../config/tests/good.rs"),
        include_str!("../../http/headers.rs"),
        include_str!("../../../Cargo.lock"),
    ] {
        let found = redact_text(text);
        let at = found.find("[redacted:").filter(|_| found != text);
        let lines: Vec<_> = found.lines().zip(text.lines()).filter(|(new, old)| new != old).collect();
        // Only what is made up to look like an address with a password.
        let harmless = lines.iter().all(|(new, _)| new.contains("[redacted:password]"));
        assert!(at.is_none() || harmless, "{lines:#?}");
    }
}

#[test]
fn hostile_bytes_take_time_in_proportion() {
    // Each is a beginning of something, over and over: were the rest looked at each time, this would not end.
    let bytes = 1 << 18;
    for piece in [
        "eyJ-",
        "eyJ.",
        "sk-ant-",
        "sk-",
        "abc8Q~",
        "Bearer ",
        "-----BEGIN ",
        "a://b:c",
        "token=",
        "token=a:",
        "\\n",
        "hooks.slack.com/services/",
        "password\":\"",
        "glpat-x.",
        "=",
        "\\\\u",
        "xoxb-xoxb-",
    ] {
        let text = piece.repeat(bytes / piece.len());
        assert!(redact_text(&text).len() <= 12 * text.len(), "{piece}");
    }
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => select(vec![
            "sk-ant-", "ghp_", "AKIA", "eyJ", ".", "token", "=", ":", "\"", "\\", "\n", " ", "://", "@",
            "u:p",
            "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "Bearer ",
            "é", "\u{1f600}", "==",
        ]).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9]{1,48}",
        1 => any::<char>().prop_map(String::from),
    ];
    vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn json_stays_json(key in text(), value in text(), deep in any::<bool>()) {
        let inner = json!({ "token": value, "list": [value, 7] });
        let value = if deep { Tree::from(inner.to_string()) } else { inner };
        let document = json!({ "text": value, "key": key }).to_string();
        let found = redact(document.as_bytes());
        let tree: Tree = serde_json::from_slice(&found).expect("it is JSON still");
        assert_eq!(tree.as_object().unwrap().len(), 2);
        if deep {
            let inner = tree["text"].as_str().unwrap();
            let inner: Tree = serde_json::from_str(inner).expect("the inner one is, too");
            assert_eq!(inner["list"][1], 7);
        }
    }

    #[test]
    fn text_stays_text(text in text()) {
        let found = redact_text(&text);
        assert_eq!(found.is_empty(), text.is_empty());
        let bytes = redact(text.as_bytes());
        assert_eq!(bytes, found.as_bytes());
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        let found = redact(&bytes);
        assert!(found.len() <= bytes.len() * 12 + 30);
    }
}
