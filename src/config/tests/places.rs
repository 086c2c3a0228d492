//! Regions, tenancies, versions and names of models: what holds, what is refused, what people are told.

use crate::config::load::Keys;
use crate::config::tests::{Folder, faults, good, load_text};
use crate::limits;
use crate::policy::residency::Tenancy;

const CONFIG: &str = r#"
threads: 1
providers:
  here:  { dialect: anthropic, base_url: "http://127.0.0.1:1", region: eu, tenancy: dedicated }
  there: { dialect: anthropic, base_url: "http://127.0.0.1:2", region: [us, ca-1] }
models:
  claude-new: { targets: [here, { provider: there, model: own }], pinned: claude-new-20260101 }
  claude-old: { targets: [there], deprecated: 2026-12-31, replacement: claude-new, on_deprecated: replace }
  claude-end: { targets: [here], deprecated: 2026-12-31 }
  "*": [there, here]
mcp_servers:
  files: { url: "http://127.0.0.1:3/mcp", region: eu, tenancy: on_prem }
teams:
  payments: { regions: [eu, "eu-*"], tenancies: [dedicated, on_prem], aliases: { claude-fast: claude-new } }
keys: [{ name: k, secret: tg_a-long-enough-secret-text, team: payments, regions: [eu] }]
"#;

#[test]
fn all_of_it_holds_and_can_be_read_again() {
    let loaded = good(CONFIG, &[]);
    let snapshot = &loaded.snapshot;
    let (here, there) = (&snapshot.providers[0].place, &snapshot.providers[1].place);
    assert_eq!((here.label(), here.tenancy()), ("eu", Tenancy::Dedicated));
    assert_eq!((there.label(), there.tenancy()), ("us, ca-1", Tenancy::Shared));
    let files = &snapshot.mcp.servers[0].server.place;
    assert_eq!(files.to_string(), "server files: eu");
    let models: Vec<_> =
        snapshot.routes.plan("claude-new").unwrap().targets.iter().map(|one| one.model.clone()).collect();
    assert_eq!(models, [Some("claude-new-20260101".into()), Some("own".into())]);
    let key = snapshot.keys.find(b"tg_a-long-enough-secret-text", 0).unwrap();
    assert_eq!(
        snapshot.rules.residency(key).to_string(),
        "key k: regions eu, team payments: regions eu, eu-*, team payments: tenancies dedicated, on_prem"
    );

    let shown = loaded.shown.to_string();
    for part in [
        "region: eu, tenancy: dedicated",
        "region: [us, ca-1] }",
        "{ targets: [there], deprecated: 2026-12-31, replacement: claude-new, on_deprecated: replace }",
        "claude-end: { targets: [here], deprecated: 2026-12-31, on_deprecated: refuse }",
        "regions: [eu, \"eu-*\"], tenancies: [dedicated, on_prem], aliases: { claude-fast: claude-new }",
        ", regions: [eu] }",
        "region: eu, tenancy: on_prem",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let again = good(&shown.replace("\"***\"", "tg_a-long-enough-secret-text"), &[]);
    let lines =
        |text: &str| text.lines().filter(|line| !line.contains('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&shown), lines(&again.shown.to_string()));
    let json = serde_json::to_value(&loaded.shown).unwrap();
    assert_eq!(json["providers"][1]["region"], serde_json::json!(["us", "ca-1"]));
    assert_eq!(json["teams"][0]["regions"], serde_json::json!(["eu", "eu-*"]));
    // Who changes a place changes the version.
    let moved = good(&CONFIG.replace("region: [us, ca-1]", "region: us"), &[]);
    assert_ne!(moved.snapshot.version, again.snapshot.version);
}

#[test]
fn people_are_told_what_no_place_serves_and_which_names_no_list_shows() {
    let base = good(CONFIG, &[]).warnings;
    assert!(
        base.iter().any(|line| line.contains("teams.payments: model \"claude-old\" may not run outside")
            && line.contains("provider there: us, ca-1, shared")),
        "{base:?}"
    );
    assert!(
        !base.iter().any(|line| line.contains("claude-end") || line.contains("claude-new\"")),
        "{base:?}"
    );
    let named = good(&CONFIG.replace("claude-fast:", "fast:"), &[]).warnings;
    assert!(named.iter().any(|line| line.contains("teams.payments.aliases.fast: Claude Code lists only")));
    let closed = CONFIG.replace("regions: [eu, \"eu-*\"],", "models: [claude-end],");
    let closed = good(&closed, &[]).warnings;
    assert!(
        closed.iter().any(|line| line.contains("aliases.claude-fast: `models` of the team does not allow"))
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_line() {
    let cases = [
        ("region: eu, tenancy: dedicated", "region: EU", "4:72: providers.here.region: \"EU\" is no region"),
        (
            "region: eu, tenancy: dedicated",
            "region: []",
            "4:72: providers.here.region: expected 1 to 64 regions",
        ),
        (
            "region: eu, tenancy: dedicated",
            "region: \"eu-*\"",
            "is no region: use 1 to 64 of a-z 0-9 - _, such as eu",
        ),
        (
            "tenancy: dedicated }",
            "tenancy: mine }",
            "expected one of shared, dedicated, on_prem, found \"mine\"",
        ),
        ("regions: [eu, \"eu-*\"]", "regions: eu", "teams.payments.regions: expected a list, found a text"),
        ("regions: [eu, \"eu-*\"]", "regions: [Eu*]", "\"Eu*\" is no region"),
        ("tenancies: [dedicated, on_prem]", "tenancies: [own]", "teams.payments.tenancies: expected one of"),
        ("deprecated: 2026-12-31 }", "deprecated: 31.12.2026 }", "expected a day such as 2026-12-31"),
        ("deprecated: 2026-12-31 }", "deprecated: 2026-02-30 }", "expected a day such as 2026-12-31"),
        ("deprecated: 2026-12-31 }", "on_deprecated: refuse }", "say from when on with `deprecated"),
        ("deprecated: 2026-12-31 }", "deprecated: 2026-12-31, on_deprecated: replace }", "say by what with"),
        ("replacement: claude-new,", "replacement: claude-old,", "leads back to this entry"),
        ("replacement: claude-new,", "replacement: claude-*,", "expected the name of one model"),
        ("targets: [here], ", "", "models.claude-end: `targets` is missing"),
        ("claude-fast: claude-new", "claude-fast: claude-fast", "is a name of this list, too"),
        ("claude-fast: claude-new", "\"claude-*\": claude-new", "expected one name, not a pattern"),
        ("keys: [{ name: k,", "keys: [{ regions: [\"${env:A}\"], name: k,", "`${...}` is for secrets only"),
    ];
    for (written, instead, fault) in cases {
        assert!(CONFIG.contains(written), "{written}");
        let found = faults(&CONFIG.replacen(written, instead, 1), &[]);
        assert!(found.contains(fault), "{instead}: {found}");
    }
    let closed = CONFIG.replace("  \"*\": [there, here]\n", "");
    let found = faults(&closed.replace("replacement: claude-new,", "replacement: claude-next,"), &[]);
    assert!(found.contains("models.claude-old.replacement: no provider serves \"claude-next\""), "{found}");
    let found = faults(&closed.replace("claude-fast: claude-new", "claude-fast: claude-next"), &[]);
    assert!(
        found.contains("teams.payments.aliases.claude-fast: no provider serves \"claude-next\""),
        "{found}"
    );
}

#[test]
fn replacements_that_go_round_are_refused() {
    let config = "
providers: { p: { dialect: demo } }
models:
  a: { targets: [p], deprecated: 2026-01-01, replacement: b, on_deprecated: replace }
  b: { targets: [p], deprecated: 2026-01-01, replacement: a, on_deprecated: replace }
";
    let found = faults(config, &[]);
    assert!(found.contains("models.a.replacement: \"b\" leads back"), "{found}");
    let mut chain = "providers: { p: { dialect: demo } }\nmodels:\n".to_owned();
    for step in 0..8 {
        let next = step + 1;
        chain.push_str(&format!(
            "  m{step}: {{ targets: [p], deprecated: 2026-01-01, replacement: m{next}, \
             on_deprecated: replace }}\n"
        ));
    }
    chain.push_str("  m8: [p]\n");
    let found = faults(&chain, &[]);
    assert!(found.contains("models.m0.replacement: \"m1\" is replaced again, more than 4 times"), "{found}");
    assert!(!found.contains("models.m4.replacement"), "{found}");
}

#[test]
fn signed_heads_stay_in_the_regions_of_teams() {
    let of =
        |team: &str, heads: &str| format!("teams: {{ a: {{ {team} }} }}\nledger: {{ heads: {{ {heads} }} }}");
    let webhook = |region: &str| format!("webhook: {{ url: 'http://127.0.0.1:9/h'{region} }}");
    let s3 = |region: &str| {
        let keys = "access_key: some-access-key, secret_key: some-secret-key";
        format!("s3: {{ endpoint: 'http://127.0.0.1:9', bucket: b, {keys}{region} }}")
    };
    let (free, bound) = ("", "regions: [eu, eu-*]");
    assert!(faults_of(&of(free, &webhook(""))).is_none());
    assert!(faults_of(&of(free, &s3(""))).is_none());
    let shown = good(&of(bound, &webhook(", region: eu-west")), &[]).shown.to_string();
    assert!(shown.contains("webhook: { url: \"http://127.0.0.1:9/***\", region: eu-west }"), "{shown}");
    assert!(faults_of(&of(bound, &s3(", region: eu-central-1"))).is_none());
    for (heads, wanted) in [
        (
            webhook(""),
            "2:36: ledger.heads.webhook: signed heads are about the records of all teams, and nobody knows",
        ),
        (webhook(", region: us"), "and may not go to us (team a: regions eu, eu-*)"),
        (webhook(", region: 'e*'"), "\"e*\" is no region"),
        (s3(""), "ledger.heads.s3: signed heads are about the records of all teams, and nobody knows"),
        (s3(", region: us-east-1"), "and may not go to us-east-1 (team a: regions eu, eu-*)"),
    ] {
        let found = faults_of(&of(bound, &heads)).unwrap_or_default();
        assert!(found.contains(wanted), "{heads}: {found}");
    }
}

fn faults_of(config: &str) -> Option<String> {
    let folder = Folder::new();
    load_text(&folder, config, &[], &Keys::Read).err().map(|faults| faults.to_string())
}

#[test]
fn lists_of_models_and_keys_have_an_end() {
    let models = |count: usize, pattern: &str| {
        let entries: String = (0..count).map(|n| format!("  m{n}{pattern}: [p]\n")).collect();
        format!("providers: {{ p: {{ dialect: demo }} }}\nmodels:\n{entries}")
    };
    assert!(faults_of(&models(limits::MODELS_MAX, "")).is_none());
    let many = faults_of(&models(limits::MODELS_MAX + 1, "")).unwrap_or_default();
    assert!(many.contains("3:3: models: at most 4096 of them, found 4097"), "{many}");
    assert!(faults_of(&models(limits::MODEL_PATTERNS_MAX, "*")).is_none());
    let many = faults_of(&models(limits::MODEL_PATTERNS_MAX + 1, "*")).unwrap_or_default();
    assert!(many.contains("1027:3: models: at most 1024 of them may be patterns"), "{many}");
    let keys = format!("keys:\n{}", "  - {}\n".repeat(limits::CONFIG_KEYS_MAX + 1));
    let many = faults_of(&keys).unwrap_or_default();
    assert!(many.contains("keys: at most 16384 of them; make more with `tollgate key create`"), "{many}");
}
