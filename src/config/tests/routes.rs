//! Weights, rules, tiers, several keys and bounds of failover: what holds, what is refused, what is shown.

use crate::config::tests::{faults, good};
use crate::route::fit::Fit;
use crate::route::rule::{Class, Facts};

const CONFIG: &str = r#"
threads: 1
providers:
  near: { dialect: anthropic, base_url: "https://near.test", keys: ["${env:ONE}", "${env:TWO}"] }
  far:  { dialect: anthropic, base_url: "https://far.test", key: "${env:ONE}", auth: bearer }
models:
  claude-shared:
    - { provider: near, weight: 3 }
    - far
    - { provider: far, model: big, priority: 2, context: 1000000 }
  claude-order: [near, { provider: far, model: big }]
  "claude-*": [{ provider: near, max_output: 8192, images: false, tools: false, thinking: false }]
tiers:
  haiku: [{ provider: far, model: small/one }]
  opus: [near, { provider: far, model: big }]
routes:
  - when: { tokens_over: 200000, class: [main, subagent] }
    use: [{ provider: far, model: big }]
  - { when: { teams: payments, keys: [ann, "b*"], models: ["*-x"], hours: 22-6 }, use: [far] }
  - { when: { budget_under_percent: 10, tokens_under: 5 }, use: [near, far] }
failover: { targets_max: 2, hold_ms: 100 }
teams: { payments: {} }
"#;

const VARIABLES: [(&str, &str); 2] = [("ONE", "key-one-0123456789"), ("TWO", "key-two-0123456789")];

#[test]
fn all_of_it_holds() {
    let loaded = good(CONFIG, &VARIABLES);
    let snapshot = &loaded.snapshot;
    let plan = |model: &str| {
        let plan = snapshot.routes.plan(model).unwrap();
        let one = |target: &crate::route::model::Target| {
            let model = target.model.as_deref().unwrap_or("-").to_owned();
            (target.provider, model, target.weight, target.priority)
        };
        plan.targets.iter().map(one).collect::<Vec<_>>()
    };
    let target = |provider, model: &str, weight, priority| (provider, model.to_owned(), weight, priority);
    assert_eq!(plan("claude-shared"), [target(0, "-", 3, 1), target(1, "-", 1, 1), target(1, "big", 1, 2)]);
    assert_eq!(plan("claude-order"), [target(0, "-", 1, 1), target(1, "big", 1, 2)], "one after the other");
    assert_eq!(plan("claude-haiku-5"), [target(1, "small/one", 1, 1)], "a tier comes before a pattern");
    assert_eq!(plan("claude-haiku-via-small-one"), plan("claude-haiku-5"));
    assert_eq!(plan("claude-opus-via-big"), [target(1, "big", 1, 2)]);
    let fit = snapshot.routes.plan("claude-sonnet-5").unwrap().targets[0].fit;
    assert_eq!(
        fit,
        Fit { context: None, max_output: Some(8192), images: false, tools: false, thinking: false }
    );
    assert_eq!(snapshot.routes.plan("claude-shared").unwrap().targets[2].fit.context, Some(1_000_000));

    let midnight = 1_800_000_000_000 - 8 * 3_600_000;
    let facts = Facts {
        model: "claude-x",
        class: Class::Main,
        key: "ann",
        team: "payments",
        tokens: 200_000,
        now_ms: midnight,
        budget_left: None,
    };
    let rule = |facts: &Facts<'_>| snapshot.routes.rule(facts).map(|rule| rule.name.to_string());
    assert_eq!(rule(&facts).as_deref(), Some("routes 2"));
    assert_eq!(rule(&Facts { tokens: 200_001, ..facts }).as_deref(), Some("routes 1"), "the first that fits");
    assert_eq!(rule(&Facts { now_ms: midnight + 6 * 3_600_000, ..facts }), None);
    assert_eq!(
        rule(&Facts { key: "cy", tokens: 4, budget_left: Some(9), ..facts }).as_deref(),
        Some("routes 3")
    );
    assert_eq!((snapshot.routes.terms().failovers, snapshot.routes.terms().hold_ms), (2, 100));

    let near = &snapshot.providers[0];
    assert_eq!((near.keys(), near.spare.numbers.len()), (2, 2));
    let shown = |key: usize| near.credential_at(key).map(|it| (it.header, it.value.expose().to_owned()));
    assert_eq!(shown(0), Some(("x-api-key", "key-one-0123456789".to_owned())));
    assert_eq!(shown(1), Some(("x-api-key", "key-two-0123456789".to_owned())));
    assert_eq!((shown(2), snapshot.providers[1].keys()), (None, 1));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let loaded = good(CONFIG, &VARIABLES);
    let (snapshot, near) = (&loaded.snapshot, &loaded.snapshot.providers[0]);
    let text = loaded.shown.to_string();
    for part in [
        "keys: [\"***\", \"***\"], auth: x-api-key",
        "claude-shared: [{ provider: near, weight: 3, priority: 1 }, \
         { provider: far, weight: 1, priority: 1 }, \
         { provider: far, model: big, weight: 1, priority: 2, context: 1000000 }]",
        "claude-order: [near, { provider: far, model: big }]",
        "[{ provider: near, max_output: 8192, images: false, tools: false, thinking: false }]",
        "claude-haiku-via-small-one: [{ provider: far, model: small/one }]",
        "\"*claude*opus*\": [near, { provider: far, model: big }]",
        "- { when: { class: [main, subagent], tokens_over: 200000 }, use: [{ provider: far, model: big }] }",
        "keys: [ann, \"b*\"], teams: [payments], hours: 22-6 }, use: [far] }",
        "failover: { targets_max: 2, hold_ms: 100 }",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let again = good(&text.replace("\"***\"", "key-of-somebody-0123"), &[]).shown.to_string();
    let lines =
        |text: &str| text.lines().filter(|line| !line.contains('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&text), lines(&again));
    let json = serde_json::to_value(&loaded.shown).unwrap();
    assert_eq!(json["routes"][0]["use"][0]["model"], "big");
    assert_eq!((&json["providers"][0]["keys"], &json["failover"]["hold_ms"]), (&2.into(), &100.into()));
    // Who changes only the second key changes the version.
    let other = good(CONFIG, &[VARIABLES[0], ("TWO", "key-six-0123456789")]);
    assert_ne!(other.snapshot.version, snapshot.version);
    assert_ne!(other.snapshot.providers[0].spare.numbers[1], near.spare.numbers[1]);
    assert_eq!(other.snapshot.providers[0].spare.numbers[0], near.spare.numbers[0]);
}

#[test]
fn faults_are_told_with_their_place() {
    let base = "providers: { p: { dialect: anthropic, base_url: \"https://p.test\" } }\n";
    for (text, fault) in [
        (
            "models: { m: [{ provider: p, weight: 0 }] }",
            "tollgate.yaml:2:38: models.m.weight: expected a whole",
        ),
        ("models: { m: [{ provider: p, wieght: 1 }] }", "did you mean `weight`?"),
        ("models: { m: [{ provider: p, context: big }] }", "models.m.context: expected a whole number"),
        ("models: { m: [{ provider: p, images: maybe }] }", "models.m.images: expected one of true, false"),
        ("tiers: { sonet: [p] }", "did you mean `sonnet`?"),
        ("tiers: { opus: [q] }", "tiers.opus: there is no provider \"q\"; known: p"),
        ("routes: [{ use: [p] }]", "routes: rule 1: `when` is missing"),
        ("routes: [{ when: { tokens_over: 1 } }]", "routes: rule 1: `use` is missing"),
        (
            "routes: [{ when: {}, use: [p] }]",
            "rule 1: when: say which calls go there, by one of models, class",
        ),
        ("routes: [{ when: { class: small }, use: [p] }]", "expected one of main, subagent, background"),
        ("routes: [{ when: { hours: 22 }, use: [p] }]", "expected hours of the day in UTC such as 22-6"),
        ("routes: [{ when: { teams: [a] }, use: [p] }]", "rule 1: `teams:` does not have \"a\""),
        (
            "routes: [{ when: { tokens_over: 5, tokens_under: 6 }, use: [p] }]",
            "no call has over 5 and under 6",
        ),
        ("routes: [{ when: { models: [] }, use: [p] }]", "rule 1: when.models: expected 1 to 64 words"),
        ("routes: [{ when: { budget_under_percent: 0 }, use: [p] }]", "from 1 to 100"),
        ("routes: [{ when: { keys: k }, use: [q] }]", "routes: rule 1: use: there is no provider \"q\""),
        ("routes: [{ when: { keys: k }, use: [] }]", "rule 1: use: expected at least one provider"),
        ("failover: { targets_max: 11 }", "failover.targets_max: expected a whole number from 0 to 10"),
        ("failover: { retries: 3 }", "unknown key \"retries\" in failover; known here: targets_max, hold_ms"),
    ] {
        let told = faults(&format!("{base}{text}\n"), &[]);
        assert!(told.contains(fault), "{text}: {told}");
    }
    let provider = |keys: &str| {
        let text = format!("{{ p: {{ dialect: anthropic, base_url: \"https://p.test\", {keys} }} }}");
        faults(&format!("providers: {text}\n"), &[])
    };
    assert!(provider("keys: []").contains("providers.p.keys: expected 1 to 16 keys"));
    assert!(provider("key: a, keys: [b]").contains("providers.p: write `key` or `keys`, not both"));
    assert!(provider("keys: [\"${env:NOBODY}\"]").contains("NOBODY"));
    let many = |one: &str, count: usize| vec![one; count].join(", ");
    let told = faults(&format!("{base}models: {{ m: [{}] }}\n", many("p", 33)), &[]);
    assert!(told.contains("models.m: expected at most 32 targets"), "{told}");
    let rules = many("{ when: { tokens_over: 1 }, use: [p] }", 65);
    assert!(faults(&format!("{base}routes: [{rules}]\n"), &[]).contains("routes: expected at most 64 rules"));
}
