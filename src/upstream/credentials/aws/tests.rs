//! The order of sources, the requests of each, and what their answers are read as.

use super::{
    Container, ContainerToken, Fetch, Files, INSTANCE, Keys, Source, WebIdentity, profile_source, sources,
};
use crate::secret::Secret;
use crate::upstream::credentials::{Ask, Fault, Fresh, Step};

fn with(set: &[(&str, &str)], files: Files<'_>) -> Result<Vec<Source>, Fault> {
    sources(&|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()), files)
}

fn keys(access: &str, secret: &str, token: Option<&str>) -> Keys {
    Keys {
        access_key: Secret::new(access),
        secret_key: Secret::new(secret),
        session_token: token.map(Secret::new),
    }
}

fn instance() -> Source {
    Source::Instance { endpoint: INSTANCE.to_owned() }
}

const CREDENTIALS: &str = "\
# a comment
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key=secret=with/equals # and a comment
s3 =
    aws_access_key_id = nested

[ work ]
aws_access_key_id = ASIAWORK
aws_secret_access_key = w
aws_session_token = t
";

const CONFIG: &str = "\
[default]
region = eu-west-1
[profile irsa]
role_arn = arn:aws:iam::123456789012:role/x
web_identity_token_file = /token
[profile sso]
sso_session = corp
[work]
aws_access_key_id = NOT-BY-THIS-NAME
";

#[test]
fn sources_are_found_in_the_order_of_awss_tools() {
    let files = Files { credentials: CREDENTIALS, config: CONFIG };
    let set = [
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "e"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/irsa"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/y"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/pod"),
    ];
    let identity = WebIdentity {
        role_arn: "arn:aws:iam::1:role/y".into(),
        token_file: "/irsa".into(),
        session_name: "tollgate".into(),
        region: "us-west-2".into(),
        endpoint: None,
    };
    let container = Container {
        url: "http://169.254.170.23/v1/credentials".into(),
        token: ContainerToken::File("/pod".into()),
    };
    let found = with(&set, files).unwrap();
    let expected = [
        Source::Fixed(keys("AKIAENV", "e", None)),
        Source::Fixed(keys("AKIADEFAULT", "secret=with/equals", None)),
        Source::WebIdentity(identity),
        Source::Container(container),
        instance(),
    ];
    assert_eq!(found, expected);
    let files_of: Vec<_> = found.iter().map(Source::file).collect();
    assert_eq!(files_of, [None, None, Some("/irsa"), Some("/pod"), None]);
    assert_eq!(with(&[], Files::default()).unwrap(), [instance()]);
    assert_eq!(with(&[("AWS_EC2_METADATA_DISABLED", "True")], Files::default()).unwrap(), []);
}

#[test]
fn profiles_are_those_that_are_named() {
    let files = Files { credentials: CREDENTIALS, config: CONFIG };
    let named = |name: &str| with(&[("AWS_PROFILE", name), ("AWS_REGION", "eu-west-1")], files);
    assert_eq!(named("work").unwrap()[0], Source::Fixed(keys("ASIAWORK", "w", Some("t"))));
    assert!(matches!(&named("irsa").unwrap()[0], Source::WebIdentity(identity)
        if identity.token_file == "/token" && identity.region == "eu-west-1"));
    assert!(matches!(named("sso").unwrap_err(), Fault::Unsupported(what) if what.contains("sso_session")));
    assert!(matches!(named("none").unwrap_err(), Fault::Missing(what) if what.contains("AWS_PROFILE")));
    let other = Files { credentials: "", config: "[default]\ncredential_process = /bin/x\n" };
    assert_eq!(with(&[], other).unwrap(), [instance()], "what nobody named does not stop the search");
    let both = Files {
        credentials: "[default]\naws_access_key_id=A\naws_secret_access_key=B",
        config: "[default]\naws_access_key_id=C\naws_secret_access_key=D",
    };
    assert_eq!(with(&[], both).unwrap()[0], Source::Fixed(keys("A", "B", None)));
}

#[test]
fn halves_are_told() {
    for (set, missing) in [
        (&[("AWS_ACCESS_KEY_ID", "a")][..], "AWS_SECRET_ACCESS_KEY"),
        (&[("AWS_SECRET_ACCESS_KEY", "a")], "AWS_ACCESS_KEY_ID"),
        (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/f")], "AWS_ROLE_ARN"),
        (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/f"), ("AWS_ROLE_ARN", "r")], "AWS_REGION"),
    ] {
        assert_eq!(with(set, Files::default()).unwrap_err(), Fault::Missing(missing));
    }
    let odd = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ".evil.example/")];
    let form = Fault::Form("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    assert_eq!(with(&odd, Files::default()).unwrap_err(), form);
}

fn ask(step: Step<Keys>) -> Ask {
    match step {
        Step::Ask(ask) => ask,
        Step::Done(fresh) => panic!("{fresh:?}"),
    }
}

fn done(step: Result<Step<Keys>, Fault>) -> Fresh<Keys> {
    match step.unwrap() {
        Step::Done(fresh) => fresh,
        Step::Ask(ask) => panic!("{ask:?}"),
    }
}

fn header(ask: &Ask, name: &str) -> String {
    let found = ask.headers.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.expose().to_owned()).unwrap_or_default()
}

fn identity() -> Source {
    Source::WebIdentity(WebIdentity {
        role_arn: "arn:aws:iam::1:role/y".into(),
        token_file: "/irsa".into(),
        session_name: "tollgate".into(),
        region: "eu-west-1".into(),
        endpoint: None,
    })
}

/// The form is that of the example in the API reference of STS.
const ASSUMED: &str = "<AssumeRoleWithWebIdentityResponse \
    xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials>\
    <SessionToken>AQoE/+==</SessionToken><SecretAccessKey>wJalr/K7+</SecretAccessKey>\
    <Expiration>2026-11-23T07:00:00Z</Expiration><AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>\
    </Credentials><Provider>x</Provider></AssumeRoleWithWebIdentityResult>\
    </AssumeRoleWithWebIdentityResponse>";

#[test]
fn a_web_identity_becomes_the_keys_of_a_role() {
    let token = Secret::new("ey.J.x\n");
    let (mut fetch, step) = Fetch::begin(&identity(), Some(&token)).unwrap();
    let sent = ask(step);
    assert_eq!(
        (sent.method, &*sent.url, sent.own_machine),
        ("POST", "https://sts.eu-west-1.amazonaws.com/", false)
    );
    assert_eq!(
        sent.body.expose(),
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fy\
         &RoleSessionName=tollgate&WebIdentityToken=ey.J.x"
    );
    let fresh = done(fetch.answer(200, ASSUMED.as_bytes()));
    assert_eq!(fresh.value, keys("ASgeIAIOSFODNN7EXAMPLE", "wJalr/K7+", Some("AQoE/+==")));
    assert_eq!(fresh.expires_s, Some(1_795_417_200));
    for cut in 0..ASSUMED.find("</Credentials>").unwrap() {
        assert_eq!(fetch.answer(200, &ASSUMED.as_bytes()[..cut]).unwrap_err(), Fault::Answer);
    }
    let refusal = b"<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code></Error>";
    let refused = Fault::Refused { status: 400, code: "ExpiredTokenException".to_owned() };
    assert_eq!(fetch.answer(400, refusal).unwrap_err(), refused);
    assert!(matches!(Fetch::begin(&identity(), None).unwrap_err(), Fault::Missing(_)));
    let mut odd = identity();
    if let Source::WebIdentity(identity) = &mut odd {
        identity.region = "x.evil.example/".into();
    }
    assert_eq!(Fetch::begin(&odd, Some(&token)).unwrap_err(), Fault::Form("AWS_REGION"));
}

const HANDED: &str = r#"{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t",
    "Expiration":"2026-11-23T07:00:00Z"}"#;

#[test]
fn an_instance_is_asked_for_a_session_a_role_and_its_keys() {
    let (mut fetch, step) = Fetch::begin(&instance(), None).unwrap();
    let first = ask(step);
    assert_eq!((first.method, first.own_machine), ("PUT", true));
    assert_eq!(first.url, "http://169.254.169.254/latest/api/token");
    assert_eq!(header(&first, "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
    let second = ask(fetch.answer(200, b"AQAEA==\n").unwrap());
    let list = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
    assert_eq!((second.method, &*second.url), ("GET", list));
    assert_eq!(header(&second, "x-aws-ec2-metadata-token"), "AQAEA==");
    let third = ask(fetch.answer(200, b"my+role\nother").unwrap());
    assert_eq!(third.url, format!("{list}my%2Brole"));
    assert_eq!(header(&third, "x-aws-ec2-metadata-token"), "AQAEA==");
    let failed = HANDED.replace("Success", "AssumeRoleUnauthorizedAccess");
    let mut other = fetch.clone();
    assert!(matches!(other.answer(200, failed.as_bytes()).unwrap_err(), Fault::Refused { code, .. }
        if code == "AssumeRoleUnauthorizedAccess"));
    assert_eq!(done(fetch.answer(200, HANDED.as_bytes())).value, keys("ASIA", "s", Some("t")));
    for (status, body) in [(200, &b""[..]), (200, b"a\x01b"), (404, b"<html>")] {
        let (mut fetch, _) = Fetch::begin(&instance(), None).unwrap();
        assert!(fetch.answer(status, body).is_err());
    }
}

#[test]
fn a_container_asks_its_own_service_only() {
    let source = |url: &str, token| Source::Container(Container { url: url.into(), token });
    let own = "http://169.254.170.23/v1/credentials";
    let (_, step) = Fetch::begin(&source(own, ContainerToken::Nothing), None).unwrap();
    let sent = ask(step);
    assert_eq!((&*sent.url, sent.own_machine, &*header(&sent, "authorization")), (own, true, ""));
    let file = source(own, ContainerToken::File("/pod".into()));
    let (mut fetch, step) = Fetch::begin(&file, Some(&Secret::new("ey.J\n"))).unwrap();
    assert_eq!(header(&ask(step), "authorization"), "ey.J");
    assert!(matches!(Fetch::begin(&file, None).unwrap_err(), Fault::Missing(_)));
    let without_code = HANDED.replace("\"Code\":\"Success\",", "");
    let fresh = done(fetch.answer(200, without_code.as_bytes()));
    assert_eq!((fresh.value, fresh.expires_s), (keys("ASIA", "s", Some("t")), Some(1_795_417_200)));
    let refused = Fault::Refused { status: 400, code: "AccessDenied".to_owned() };
    assert_eq!(fetch.answer(400, br#"{"code":"AccessDenied","message":"secret"}"#).unwrap_err(), refused);
    let value = ContainerToken::Value(Secret::new("a\r\nhost: x"));
    assert!(matches!(Fetch::begin(&source(own, value), None).unwrap_err(), Fault::Form(_)));
    let away = Fetch::begin(&source("http://10.0.0.1/", ContainerToken::Nothing), None).unwrap_err();
    assert!(matches!(away, Fault::Address(_)));
    for missing in ["AccessKeyId", "SecretAccessKey", "Expiration"] {
        let body = HANDED.replace(missing, "x");
        assert_eq!(fetch.answer(200, body.as_bytes()).unwrap_err(), Fault::Answer, "{missing}");
    }
}

#[test]
fn fixed_keys_are_there_at_once_and_shown_to_nobody() {
    let source = Source::Fixed(keys("AKIASHOWN", "shown", None));
    let (_, step) = Fetch::begin(&source, None).unwrap();
    assert_eq!(done(Ok(step)).expires_s, None);
    assert!(!format!("{source:?}").contains("shown") && !format!("{source:?}").contains("SHOWN"));
}

#[test]
fn addresses_are_those_that_awss_tools_are_told() {
    let set = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/"),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1339"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/irsa"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/y"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let found = with(&set, Files::default()).unwrap();
    let token = Secret::new("ey.J");
    let sent = ask(Fetch::begin(&found[0], Some(&token)).unwrap().1);
    assert_eq!((&*sent.url, sent.own_machine), ("http://127.0.0.1:1339", true));
    let sent = ask(Fetch::begin(&found[1], None).unwrap().1);
    assert_eq!(sent.url, "http://127.0.0.1:1338/latest/api/token");
    for (name, at) in [("AWS_EC2_METADATA_SERVICE_ENDPOINT", 0), ("AWS_ENDPOINT_URL_STS", 0)] {
        let mut set = set.to_vec();
        if at == 0 && name.starts_with("AWS_EC2") {
            set.retain(|(name, _)| !name.contains("IDENTITY"));
        }
        set.retain(|(other, _)| *other != name);
        set.push((name, "http://evil.example"));
        let found = with(&set, Files::default()).unwrap();
        assert_eq!(Fetch::begin(&found[at], Some(&token)).unwrap_err(), Fault::Address(name), "{found:?}");
    }
}

#[test]
fn a_profile_by_name_is_that_one_and_no_other() {
    let files = Files { credentials: CREDENTIALS, config: CONFIG };
    let named = |name: &str| profile_source(name, &|_| None, files);
    assert_eq!(named("work").unwrap(), Source::Fixed(keys("ASIAWORK", "w", Some("t"))));
    assert!(matches!(named("none").unwrap_err(), Fault::Missing(what) if what.contains("the config")));
    assert!(matches!(named("sso").unwrap_err(), Fault::Unsupported(_)));
}
