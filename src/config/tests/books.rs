//! Budgets, rate limits, prices and the ledger, as people write them.

use crate::config::load::Keys;
use crate::config::snapshot::LedgerPlan;
use crate::config::tests::{Folder, faults, good, load_text};
use crate::ids::TeamName;
use crate::ledger::content::Policy;

const BOOKS: &str = r#"
providers: { one: { dialect: demo } }
mcp_servers: { github: { url: "http://127.0.0.1:1/mcp" } }
keys:
  - { name: ada, secret: "${env:ADA}", team: platform, user: ada@example.com }
  - { name: root, secret: "${env:ROOT}", admin: true }
teams:
  platform: { models: ["*"], content: full, budget: { usd: 500, per: month, time_zone: Europe/Berlin } }
ledger: { durability: synced, sync_ms: 20, on_full: serve, keep_days: 90, content: redacted, content_days: 7 }
budgets:
  - { name: all, usd: 10000, per: month, warn: [50, 90] }
  - { name: people, each: user, usd: 0.10, per: day, window: rolling, mode: strict,
      models: ["claude-opus-*"] }
  - { name: tools, servers: [github], usd: 5, per: hour }
rate_limits:
  - { name: calls, each: key, requests: 120, tokens: 400000 }
  - { name: words, team: platform, tokens: 1000000 }
  - { name: open, key: ada, streams: 8 }
  - { name: issues, each: key, servers: [github], tools: ["create_*"], requests: 5 }
prices:
  default: { input: 5, output: 25 }
  models:
    in-house-*: { input: 0.2, output: 0.4, cache_read: 0.02, provider: one }
  tools:
    - { server: github, tools: ["search_*"], usd: 0.001 }
"#;

const HEADS: &str = r#"
providers: { one: { dialect: demo } }
ledger:
  heads:
    webhook: { url: "https://example.com/hooks/${env:ADA}?x=1", secret: "${env:ROOT}" }
    s3: { endpoint: "https://s3.example.com/base/", bucket: proofs, prefix: /of/us/,
          access_key: "${env:ADA}", secret_key: "${env:ROOT}" }
"#;

const VARIABLES: &[(&str, &str)] =
    &[("ADA", "tg_a-hidden-key-of-ada-herself"), ("ROOT", "tg_a-hidden-key-of-an-admin")];

#[test]
fn everything_about_money_and_records() {
    let loaded = good(BOOKS, VARIABLES);
    let plan =
        LedgerPlan { synced: true, sync_ms: 20, serve_when_full: true, keep_days: Some(90), content_days: 7 };
    assert_eq!(loaded.fixed.ledger, plan);
    let contents = &loaded.snapshot.contents;
    let of = |team: Option<&str>| contents.of(team.map(TeamName::new).as_ref());
    assert_eq!(
        (of(None), of(Some("platform")), of(Some("x"))),
        (Policy::Redacted, Policy::Full, Policy::Redacted)
    );
    let ada = loaded.snapshot.keys.find(b"tg_a-hidden-key-of-ada-herself", 0).unwrap();
    assert_eq!((ada.user.as_deref(), ada.role), (Some("ada@example.com"), None));
    assert!(loaded.snapshot.keys.find(b"tg_a-hidden-key-of-an-admin", 0).unwrap().role.is_some());
    let books = &loaded.shown.books;
    let names: Vec<&str> = books.budgets.iter().map(|budget| budget.name.as_str()).collect();
    assert_eq!(names, ["team-platform", "all", "people", "tools"]);
    let people = &books.budgets[2];
    assert_eq!((people.usd.as_str(), people.mode, people.window), ("0.1", "strict", "rolling"));
    assert_eq!(people.warn, [80, 95]);
    assert_eq!((books.rate_limits[0].requests, books.rate_limits[0].tokens), (Some(120), Some(400_000)));
    assert_eq!(books.prices.tools[0].2, "0.001");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let first = good(BOOKS, VARIABLES);
    // What a team has of its own is shown with the rest; keys are shown without their secrets.
    let shown =
        first.shown.to_string().replacen("\"***\"", "${env:ADA}", 1).replacen("\"***\"", "${env:ROOT}", 1);
    let second = good(&shown, VARIABLES);
    let books = |text: String| text.split_once("ledger:").unwrap().1.to_owned();
    assert_eq!(books(first.shown.to_string()), books(second.shown.to_string()), "{shown}");
}

#[test]
fn another_price_is_another_version() {
    let folder = Folder::new();
    let version = |config: &str| load_text(&folder, config, VARIABLES, &Keys::Read).unwrap().snapshot.version;
    let first = version(BOOKS);
    assert_eq!(first, version(BOOKS));
    assert_ne!(first, version(&BOOKS.replace("usd: 0.001", "usd: 0.002")));
    assert_ne!(first, version(&BOOKS.replace("usd: 0.10", "usd: 0.11")));
}

#[test]
fn places_for_signed_heads_are_found_and_shown_without_their_secrets() {
    let loaded = good(HEADS, VARIABLES);
    let heads = &loaded.snapshot.heads;
    let (webhook, bucket) = (heads.webhook.as_ref().unwrap(), heads.bucket.as_ref().unwrap());
    assert_eq!(webhook.remote.path, "/hooks/tg_a-hidden-key-of-ada-herself?x=1");
    assert!(webhook.remote.site.tls.is_some());
    assert_eq!(webhook.secret.as_ref().unwrap().expose(), "tg_a-hidden-key-of-an-admin");
    assert_eq!(bucket.remote.path, "/base/proofs/of/us");
    assert_eq!((bucket.signer.region.as_str(), bucket.signer.service), ("us-east-1", "s3"));
    assert_eq!(bucket.signer.access_key.expose(), "tg_a-hidden-key-of-ada-herself");
    let shown = format!("{}{}", loaded.shown, serde_json::to_string(&loaded.shown).unwrap());
    assert!(shown.contains("bucket: proofs, prefix: of/us, region: us-east-1"), "{shown}");
    assert!(!shown.contains("hidden") && !shown.contains("hooks"), "{shown}");
    // What is shown has the shape of what is written.
    good(&loaded.shown.to_string(), VARIABLES);
    let folder = Folder::new();
    let version = |config: &str, variables: &[(&str, &str)]| {
        load_text(&folder, config, variables, &Keys::Read).unwrap().snapshot.version
    };
    let first = version(HEADS, VARIABLES);
    assert_eq!(first, version(HEADS, VARIABLES));
    assert_ne!(first, version(&HEADS.replace("hooks/", "other/"), VARIABLES));
    assert_ne!(first, version(HEADS, &[("ADA", "another"), VARIABLES[1]]));
    assert_ne!(first, version(HEADS, &[VARIABLES[0], ("ROOT", "another")]));
}

#[test]
fn places_for_signed_heads_that_do_not_hold() {
    let s3 =
        |more: &str| format!("ledger: {{ heads: {{ s3: {{ {more}, access_key: a, secret_key: b }} }} }}");
    check(
        "ledger: { heads: { webhook: { secret: a } } }",
        &["tollgate.yaml:2:29: ledger.heads.webhook: `url` is missing"],
    );
    check(
        "ledger: { heads: { webhook: { url: \"ftp://x/\" } } }",
        &["tollgate.yaml:2:36: ledger.heads.webhook.url: it must begin with http:// or https://"],
    );
    check(
        "ledger: { heads: { webhook: { url: \"http://x/\", secret: \"${env:NOBODY}\" } } }",
        &["tollgate.yaml:2:57: ledger.heads.webhook.secret: the environment variable NOBODY is not set"],
    );
    check(
        &s3("endpoint: \"http://x\", bucket: \"..\""),
        &["tollgate.yaml:2:56: ledger.heads.s3.bucket: use 1 to 64 of a-z A-Z 0-9 . _ -, not \"..\""],
    );
    check(
        &s3("endpoint: \"http://x\", bucket: a, prefix: \"a/../b\""),
        &["tollgate.yaml:2:67: ledger.heads.s3.prefix: expected words of a-z A-Z 0-9 . _ - with slashes \
           between, at most 512 characters, found \"a/../b\""],
    );
    check(&s3("endpoint: \"http://x\""), &["tollgate.yaml:2:24: ledger.heads.s3: `bucket` is missing"]);
}

fn check(config: &str, expected: &[&str]) {
    let config = format!("providers: {{ one: {{ dialect: demo }} }}\n{config}");
    assert_eq!(faults(&config, VARIABLES), expected.join("\n"), "{config}");
}

#[test]
fn what_does_not_hold() {
    check(
        "budgets: [{ name: a, usd: 1e3, per: day }]",
        &["tollgate.yaml:2:27: budgets: \"a\": usd: expected an amount such as 20 or 0.25 with at most 12 \
           decimals, found \"1e3\""],
    );
    check("budgets: [{ name: a, usd: 1 }]", &["tollgate.yaml:2:11: budgets: \"a\": `per` is missing"]);
    check(
        "budgets: [{ name: a, usd: 1, per: year }]",
        &["tollgate.yaml:2:35: budgets: \"a\": per: expected one of hour, day, week, month, found \"year\""],
    );
    check(
        "rate_limits: [{ name: a }]",
        &["tollgate.yaml:2:15: rate_limits: \"a\": write `requests` or `tokens` (a minute), `streams` (at \
           once), or several of them"],
    );
    check(
        "ledger: { durability: maybe }",
        &["tollgate.yaml:2:23: ledger.durability: expected one of written, synced, found \"maybe\""],
    );
}

#[test]
fn names_that_lead_nowhere() {
    check(
        "budgets: [{ name: a, usd: 1, per: day }, { name: a, usd: 2, per: day }]",
        &["tollgate.yaml:2:50: budgets: \"a\" is the name of two budgets"],
    );
    check(
        "budgets: [{ name: a, usd: 1, per: day, team: nobody }]",
        &["tollgate.yaml:2:46: budgets: \"a\": there is no team \"nobody\" in `teams:`"],
    );
    check(
        "budgets: [{ name: a, usd: 1, per: day, each: key, key: x }]",
        &["tollgate.yaml:2:56: budgets: \"a\": `key` names one, `each` counts many: keep one of them"],
    );
    check(
        "budgets: [{ name: a, usd: 1, per: day, time_zone: Mars/Olympus }]",
        &["tollgate.yaml:2:51: budgets: \"a\": there is no time zone \"Mars/Olympus\"; write one such as \
           Europe/Berlin or UTC"],
    );
}
