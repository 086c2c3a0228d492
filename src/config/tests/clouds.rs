//! Providers in clouds: what holds of them, what is refused, what is shown.

use crate::config::tests::{faults, good};
use crate::upstream::cloud::Cloud;

const CONFIG: &str = r#"
threads: 1
providers:
  signed: { dialect: bedrock, aws_region: eu-central-1, region: eu,
            aws: { access_key_id: "${env:ID}", secret_access_key: "${env:KEY}", session_token: "${env:T}" } }
  shown:  { dialect: bedrock, aws_region: cn-north-1, key: "${env:KEY}" }
  vertex: { dialect: vertex, project: proj-1, location: global, key: "${env:KEY}" }
models: { "*": [signed, shown, vertex] }
keys: [{ name: k, secret: tg_a-long-enough-secret-text }]
"#;

const ENVIRONMENT: &[(&str, &str)] = &[("ID", "AKIDEXAMPLE"), ("KEY", "very/secret"), ("T", "token=")];

#[test]
fn a_cloud_is_found_by_its_region_and_its_keys_are_kept() {
    let loaded = good(CONFIG, ENVIRONMENT);
    let providers = &loaded.snapshot.providers;
    let hosts: Vec<&str> = providers.iter().map(|one| one.site.host.as_str()).collect();
    assert_eq!(
        hosts,
        [
            "bedrock-runtime.eu-central-1.amazonaws.com",
            "bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "aiplatform.googleapis.com"
        ]
    );
    let Some(Cloud::Bedrock { signer: Some(signer) }) = providers[0].cloud.as_deref() else {
        panic!("requests are signed: {:?}", providers[0]);
    };
    assert_eq!((signer.region.as_str(), signer.service), ("eu-central-1", "bedrock"));
    assert_eq!(signer.secret_key.expose(), "very/secret");
    assert!(providers[0].credential.is_none());
    assert!(matches!(providers[1].cloud.as_deref(), Some(Cloud::Bedrock { signer: None })));
    for provider in &providers[1..] {
        let credential = provider.credential.as_ref().unwrap();
        assert_eq!((credential.header, credential.value.expose()), ("authorization", "Bearer very/secret"));
    }
    let told = |warning: &String| warning.contains("providers.");
    assert!(!loaded.warnings.iter().any(told), "{:?}", loaded.warnings);
    let written = CONFIG.replace("${env:T}", "token");
    let warnings = good(&written, ENVIRONMENT).warnings;
    assert!(warnings.iter().any(|text| text.contains("providers.signed: a key of `aws`")), "{warnings:?}");
}

#[test]
fn what_is_shown_holds_no_secret_and_makes_the_version() {
    let first = good(CONFIG, ENVIRONMENT);
    let shown = first.shown.to_string();
    let keys = "aws: { access_key_id: \"***\", secret_access_key: \"***\", session_token: \"***\" }";
    assert!(
        shown.contains(&format!("dialect: bedrock, aws_region: eu-central-1, {keys}, base_url")),
        "{shown}"
    );
    assert!(shown.contains("dialect: vertex, project: proj-1, location: global, base_url"), "{shown}");
    assert!(!shown.contains("AKID") && !shown.contains("very"), "{shown}");
    let other = [("ID", "AKIDEXAMPLE"), ("KEY", "very/secret"), ("T", "another")];
    assert_ne!(good(CONFIG, &other).snapshot.version, first.snapshot.version);
}

#[test]
fn what_a_cloud_lacks_is_told() {
    let keys = "aws: { access_key_id: a, secret_access_key: b }";
    for (rest, wanted) in [
        ("dialect: bedrock, key: k", "`aws_region` is missing"),
        ("dialect: bedrock, aws_region: eu/west, key: k", "expected a region of AWS"),
        ("dialect: bedrock, aws_region: eu-west-1", "nothing says who calls"),
        (&format!("dialect: bedrock, aws_region: eu-west-1, key: k, {keys}"), "write one of them"),
        (
            "dialect: bedrock, aws_region: eu-west-1, aws: { access_key_id: a }",
            "`secret_access_key` is missing",
        ),
        ("dialect: bedrock, aws_region: eu-west-1, key: k, auth: bearer", "remove `auth`"),
        ("dialect: bedrock, aws_region: eu-west-1, key: k, project: p", "only a provider of `vertex`"),
        ("dialect: vertex, project: p, key: k", "`location` is missing"),
        ("dialect: vertex, project: P/.., location: eu, key: k", "expected the id of a project"),
        ("dialect: vertex, project: p, location: EU, key: k", "expected global, us, eu or a region"),
        ("dialect: vertex, project: p, location: eu", "an access token"),
        (
            &format!("dialect: anthropic, base_url: http://127.0.0.1:1, {keys}"),
            "only a provider of `bedrock`",
        ),
    ] {
        let told = faults(&format!("providers:\n  p: {{ {rest} }}\nmodels: {{ m: [p] }}\n"), &[]);
        assert!(told.contains(wanted), "{rest}: {told}");
    }
}
