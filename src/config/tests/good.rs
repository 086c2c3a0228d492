//! Configs that hold, and what becomes of them.

use std::time::Duration;

use crate::call::Class;
use crate::config::load::Keys;
use crate::config::snapshot::LogFormat;
use crate::config::tests::{Folder, certificate, good, load_text};
use crate::limits::Timeouts;
use crate::net::engine::EngineChoice;
use crate::policy::rights::Answer;
use crate::upstream::provider::Dialect;

/// The file of the design page, less what belongs to later versions.
pub(super) const DESIGN: &str = r#"
listen: 127.0.0.1:4000
data_dir: ./tollgate-data
providers:
  anthropic: { dialect: anthropic, base_url: https://api.anthropic.com, key: ${env:ANTHROPIC_API_KEY} }
  local:     { dialect: anthropic, base_url: http://127.0.0.1:8081 }   # anthropic | demo
models:                                  # what a caller may name -> where it may run, in order
  claude-*: [anthropic]
  claude-local: [{ provider: local, model: smollm2 }]
mcp_servers:                             # the field's usual shape: command/args/env or url/headers
  github: { url: https://mcp.example.com/mcp, headers: { Authorization: "Bearer ${env:GITHUB_TOKEN}" } }
  files:  { command: npx, args: [-y, "@modelcontextprotocol/server-filesystem", /srv/docs] }
keys:
  - { name: ci, secret: ${env:TOLLGATE_CI_KEY}, team: platform }
teams:
  platform: { models: [claude-*], servers: { github: ["*"], files: ["read_*"] } }
"#;

const VARIABLES: &[(&str, &str)] = &[
    ("ANTHROPIC_API_KEY", "sk-ant-hidden"),
    ("TOLLGATE_CI_KEY", "tg_a-hidden-key-of-the-ci-job"),
    ("GITHUB_TOKEN", "hidden-token"),
];

#[test]
fn the_file_of_the_design_page() {
    let loaded = good(DESIGN, VARIABLES);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.fixed.listen, ["127.0.0.1:4000".parse().unwrap()]);
    assert!(loaded.fixed.data_dir.ends_with("tollgate-data"));
    let snapshot = &loaded.snapshot;
    assert_eq!(snapshot.timeouts, Timeouts::default());
    let anthropic = &snapshot.providers[0];
    assert_eq!(anthropic.site.origin.host_header(), "api.anthropic.com");
    assert!(anthropic.site.tls.is_some() && anthropic.site.proxy.is_none());
    let credential = anthropic.credential.as_ref().unwrap();
    assert_eq!((credential.header, credential.value.expose()), ("x-api-key", "sk-ant-hidden"));
    let local = &snapshot.providers[1];
    assert!(local.site.tls.is_none() && local.credential.is_none());
    assert_eq!(local.site.origin.port, 8081);
    let plan = snapshot.routes.plan("claude-local").unwrap();
    assert_eq!((plan.targets[0].provider, plan.targets[0].model.as_deref()), (1, Some("smollm2")));
    assert_eq!(snapshot.routes.plan("claude-sonnet-5").unwrap().targets[0].provider, 0);
    let ci = snapshot.keys.find(b"tg_a-hidden-key-of-the-ci-job", 0).unwrap();
    assert_eq!(ci.team.as_ref().unwrap().as_str(), "platform");
    let permit = snapshot.rules.decide(ci, "claude-local").unwrap();
    assert_eq!(permit.to_string(), "team platform: models claude-*");
    assert!(snapshot.rules.decide(ci, "gpt-6").is_err());
    let files = &snapshot.mcp.servers[1].server.name;
    let may = |tool: &str| snapshot.rules.may_call(ci, files, tool, Class::Unknown);
    assert_eq!((may("read_file"), may("rm")), (Answer::Allow, Answer::Deny));
}

#[test]
fn every_key_at_once() {
    let folder = Folder::new();
    let (cert, key) = certificate();
    folder.write("tls/cert.pem", &cert);
    folder.write("tls/key.pem", key);
    folder.write("ca.pem", cert);
    folder.write("secret", "  file-secret\n");
    let config = r#"
listen: ["127.0.0.1:0", "[::1]:4001"]
data_dir: data
threads: 3
engine: epoll
drain_s: 5
tls: { cert: tls/cert.pem, key: tls/key.pem }
ca_file: ca.pem
providers:
  one:
    dialect: anthropic
    base_url: https://Gateway.Example.com:8443/x/y/v1/
    key: ${file:secret}
    auth: bearer
    proxy: http://user:p%40ss@proxy.example.com:3128
  two: { dialect: demo }
models:
  "*": [one, { provider: two }]
keys:
  - { name: dev, secret: "${env:DEV}", models: ["*-haiku-*", m] }
timeouts: { head_ms: 1, idle_ms: 2, body_stall_ms: 3, write_stall_ms: 4, connect_ms: 5, first_byte_ms: 6,
            stream_stall_ms: 7, ping_ms: 8 }
log: { format: json }
"#;
    let variables = [("DEV", "tg_some-long-enough-secret-text"), ("HTTPS_PROXY", "http://other:1")];
    let loaded = load_text(&folder, config, &variables, &Keys::Read).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(loaded.warnings, [""; 0]);
    let fixed = &loaded.fixed;
    assert_eq!((fixed.listen.len(), fixed.threads, fixed.engine), (2, 3, EngineChoice::Epoll));
    assert_eq!((fixed.drain, fixed.log), (Duration::from_secs(5), LogFormat::Json));
    assert_eq!(fixed.data_dir, folder.path().join("data"));
    let snapshot = &loaded.snapshot;
    assert!(snapshot.server_tls.is_some());
    assert_eq!(snapshot.timeouts.head, Duration::from_millis(1));
    assert_eq!(snapshot.timeouts.ping, Duration::from_millis(8));
    let one = &snapshot.providers[0];
    assert_eq!(
        (one.site.origin.host.as_str(), one.site.origin.port, one.base_path.as_str()),
        ("gateway.example.com", 8443, "/x/y")
    );
    let credential = one.credential.as_ref().unwrap();
    assert_eq!((credential.header, credential.value.expose()), ("authorization", "Bearer file-secret"));
    let proxy = one.site.proxy.as_ref().unwrap();
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example.com", 3128));
    assert_eq!(proxy.authorization.as_ref().unwrap().expose(), "Basic dXNlcjpwQHNz");
    assert_eq!(snapshot.providers[1].dialect, Dialect::Demo);
    for name in ["tollgate.yaml", "data/keys.json", "tls/cert.pem", "tls/key.pem", "ca.pem", "secret"] {
        assert!(loaded.watched.contains(&folder.path().join(name)), "{name} of {:?}", loaded.watched);
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let first = good(DESIGN, VARIABLES);
    let shown = first.shown.to_string().replace("\"***\"", "${env:TOLLGATE_CI_KEY}");
    let second = good(&shown, VARIABLES);
    assert_eq!(first.shown.providers.len(), second.shown.providers.len());
    let without_secrets =
        |text: &str| text.lines().filter(|line| !line.contains('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(without_secrets(&first.shown.to_string()), without_secrets(&second.shown.to_string()));
}

#[test]
fn scalars_are_what_their_key_says() {
    let loaded = good("teams: { no: { models: [1, true, 'null'] } }\nthreads: '2'\n", &[]);
    assert_eq!(loaded.fixed.threads, 2);
    assert_eq!(loaded.shown.teams[0].name, "no");
    assert_eq!(loaded.shown.teams[0].models.as_deref().unwrap(), ["1", "true", "null"]);
}

#[test]
fn without_a_file_the_environment_decides() {
    let folder = Folder::new();
    let load = |variables: &[(&str, &str)]| {
        let environment = crate::config::environment::Environment::given(variables, folder.path());
        crate::config::load::load_in(None, &environment, &Keys::MakeFirst).unwrap()
    };
    let demo = load(&[("OPENAI_API_KEY", "sk-openai")]);
    assert_eq!(demo.fixed.listen, ["127.0.0.1:4000".parse().unwrap()]);
    assert_eq!(demo.snapshot.providers.len(), 1);
    assert_eq!(demo.snapshot.providers[0].dialect, Dialect::Demo);
    assert_eq!(demo.snapshot.routes.plan("anything").unwrap().targets[0].provider, 0);
    assert!(demo.warnings.iter().any(|line| line.contains("OPENAI_API_KEY")), "{:?}", demo.warnings);
    // The key is made once, opens the gate, and is not made again.
    let key = demo.first_key.unwrap();
    let found = demo.snapshot.keys.find(key.expose().as_bytes(), 0).unwrap();
    assert_eq!(found.key.as_str(), "default");
    let stored = folder.text("tollgate-data/keys.json");
    assert!(!stored.contains(key.expose()));

    let anthropic = load(&[("ANTHROPIC_API_KEY", "sk-ant-x"), ("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")]);
    assert!(anthropic.first_key.is_none());
    let provider = &anthropic.snapshot.providers[0];
    assert_eq!(
        (provider.name.as_str(), provider.site.origin.host.as_str()),
        ("anthropic", "api.anthropic.com")
    );
    assert!(anthropic.snapshot.keys.find(key.expose().as_bytes(), 0).is_ok());
    assert_ne!(anthropic.snapshot.version, demo.snapshot.version);
}

#[test]
fn a_file_without_keys_gets_a_first_key_too_and_looking_makes_none() {
    let folder = Folder::new();
    let looked = load_text(&folder, "drain_s: 1\n", &[], &Keys::Read).unwrap();
    assert!(looked.first_key.is_none() && looked.snapshot.keys.is_empty());
    assert!(!folder.path().join("tollgate-data").exists());
    let served = load_text(&folder, "drain_s: 1\n", &[], &Keys::MakeFirst).unwrap();
    assert!(served.first_key.is_some());
    assert_eq!(served.snapshot.keys.len(), 1);
}

#[test]
fn the_version_follows_the_facts() {
    let version = |config: &str, key: &str| good(config, &[("ANTHROPIC_API_KEY", key)]).snapshot.version;
    // The data folder is part of the facts, so it must be the same.
    let base = "data_dir: /nonexistent/data\nthreads: 1\n";
    assert_eq!(version(base, "a"), version("# words\nthreads: 1\ndata_dir: '/nonexistent/data'\n", "a"));
    assert_ne!(version(base, "a"), version(base, "b"));
    assert_ne!(version(base, "a"), version("data_dir: /nonexistent/data\nthreads: 2\n", "a"));
    assert_eq!(version(base, "a").len(), 12);
}

#[test]
fn no_secret_is_ever_printed() {
    let config = "
providers:
  p: { dialect: anthropic, base_url: https://h.example, key: ${env:A}, proxy: '${env:P}' }
  q: { dialect: anthropic, base_url: http://h.example, key: inline-hidden-key, auth: bearer }
models: { m: [p, q] }
keys: [{ name: k, secret: weak-hidden }, { name: e, secret: '${env:B}' }]
";
    let variables = [("A", "sk-hidden"), ("B", "tg_hidden"), ("P", "http://u:hidden@proxy:1")];
    let folder = Folder::new();
    let loaded = load_text(&folder, config, &variables, &Keys::MakeFirst).unwrap();
    let json = serde_json::to_string(&loaded.shown).unwrap();
    let all = format!("{loaded:?}\n{loaded:#?}\n{}\n{json}\n{:?}", loaded.shown, loaded.warnings);
    // `Basic dTpoaWRkZW4=` is what the proxy is shown.
    for secret in ["hidden", "dTpoaWRkZW4"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(json.contains("***"));
    assert_eq!(loaded.warnings.len(), 5, "{:?}", loaded.warnings);
}
