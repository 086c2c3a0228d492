//! Providers in clouds: what holds of them, what is refused, what is shown.

use crate::config::tests::{faults, good};
use crate::net::reach::verdict;
use crate::secret::Secret;
use crate::upstream::cloud::Cloud;
use crate::upstream::credentials::Ask;

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
    let Some(Cloud::Bedrock { signer: Some(signer), .. }) = providers[0].cloud.as_deref() else {
        panic!("requests are signed: {:?}", providers[0]);
    };
    assert_eq!((signer.region.as_str(), signer.service), ("eu-central-1", "bedrock"));
    assert_eq!(signer.secret_key.expose(), "very/secret");
    assert!(providers[0].credential.is_none());
    assert!(matches!(providers[1].cloud.as_deref(), Some(Cloud::Bedrock { signer: None, .. })));
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

#[test]
fn sources_are_what_the_tools_of_the_clouds_find() {
    let config = r#"
providers:
  a: { dialect: bedrock, aws_region: eu-central-1, aws: default }
  b: { dialect: bedrock, aws_region: eu-west-1, aws: default }
  c: { dialect: vertex, project: proj-1, location: global, gcp: default }
  d: { dialect: openai_chat, base_url: "https://x.openai.azure.com/openai/v1", azure: { client_id: id-1 } }
models: { "*": [a, b, c, d] }
"#;
    let variables = [("AWS_ACCESS_KEY_ID", "AKIDSHOWN"), ("AWS_SECRET_ACCESS_KEY", "very/secret")];
    let loaded = good(config, &variables);
    let chains: Vec<_> = loaded.snapshot.providers.iter().map(|one| one.source.clone().unwrap()).collect();
    assert!(std::sync::Arc::ptr_eq(&chains[0], &chains[1]), "what is the same is fetched once");
    assert_eq!(loaded.snapshot.credentials.chains.len(), 3);
    let shown = loaded.shown.to_string();
    for line in [
        "aws: default, base_url: https://bedrock-runtime.eu-central-1.amazonaws.com } \
         # credentials: keys of the environment or a profile, then instance metadata\n",
        "gcp: default, base_url: https://aiplatform.googleapis.com } # credentials: metadata service\n",
        "azure: { client_id: id-1 }, base_url: https://x.openai.azure.com/openai/v1 } \
         # credentials: managed identity\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("SHOWN") && !shown.contains("very"), "{shown}");
    let other = [variables[0], ("AWS_SECRET_ACCESS_KEY", "another")];
    assert_ne!(good(config, &other).snapshot.version, loaded.snapshot.version);
    // A web identity is asked for in the region of its provider, unless a variable says otherwise.
    let identity = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")];
    assert_eq!(good(config, &identity).snapshot.credentials.chains.len(), 4);
    let same = [identity[0], identity[1], ("AWS_REGION", "us-east-1")];
    assert_eq!(good(config, &same).snapshot.credentials.chains.len(), 3);
}

#[test]
fn what_sources_lack_is_told() {
    let bedrock = "dialect: bedrock, aws_region: eu-west-1";
    let vertex = "dialect: vertex, project: p, location: eu";
    let azure = "dialect: openai_chat, base_url: \"https://x.openai.azure.com/openai/v1\"";
    for (rest, wanted) in [
        (format!("{bedrock}, aws: standard"), "expected one of default"),
        (format!("{bedrock}, aws: {{ profile: none }}"), "the profile that AWS_PROFILE or the config names"),
        (format!("{bedrock}, aws: default, key: k"), "write one of them"),
        (format!("{bedrock}, gcp: default"), "only a provider of `vertex`"),
        (format!("{vertex}, gcp: default, key: k"), "write one of them"),
        (format!("{vertex}, gcp: {{ credentials: \"no JSON\" }}"), "cannot be looked for"),
        (format!("{vertex}, azure: default"), "only a provider of `anthropic`, `openai_chat`"),
        (format!("{azure}, azure: {{ tenant_id: t }}"), "an application has `tenant_id`"),
        (format!("{azure}, azure: {{ client_id: c, scope: s }}"), "and `/.default`"),
        (format!("{azure}, azure: default, auth: api-key"), "write one of them"),
    ] {
        let told = faults(&format!("providers:\n  p: {{ {rest} }}\nmodels: {{ m: [p] }}\n"), &[]);
        assert!(told.contains(wanted), "{rest}: {told}");
    }
    let half = [("AWS_ACCESS_KEY_ID", "AKID")];
    let told =
        faults(&format!("providers:\n  p: {{ {bedrock}, aws: default }}\nmodels: {{ m: [p] }}\n"), &half);
    assert!(told.contains("AWS_SECRET_ACCESS_KEY is missing"), "{told}");
    let none = [("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/adc.json")];
    let told =
        faults(&format!("providers:\n  p: {{ {vertex}, gcp: default }}\nmodels: {{ m: [p] }}\n"), &none);
    assert!(told.contains("GOOGLE_APPLICATION_CREDENTIALS names /nowhere/adc.json"), "{told}");
}

#[test]
fn link_local_addresses_are_reached_by_those_requests_alone_that_are_for_them() {
    let config =
        "providers:\n  p: { dialect: vertex, project: p, location: eu, gcp: default }\nmodels: { m: [p] }\n";
    let sources = good(config, &[("HTTPS_PROXY", "http://proxy.example:3128")]).snapshot.credentials;
    let ask = |url: &str, own_machine| Ask {
        method: "GET",
        url: url.to_owned(),
        headers: Vec::new(),
        body: Secret::new(""),
        own_machine,
    };
    let link_local = "169.254.169.254".parse().unwrap();
    let own = sources.remote(&ask("http://metadata.google.internal/computeMetadata/v1/", true)).unwrap();
    assert!(own.site.proxy.is_none() && own.site.tls.is_none());
    assert!(verdict("metadata.google.internal", link_local, &own.site.reach).is_ok());
    assert!(verdict("metadata.google.internal", "10.0.0.1".parse().unwrap(), &own.site.reach).is_err());
    let far = sources.remote(&ask("https://oauth2.googleapis.com/token", false)).unwrap();
    assert!(far.site.proxy.is_some() && far.site.tls.is_some());
    assert!(verdict("oauth2.googleapis.com", link_local, &far.site.reach).is_err());
}
