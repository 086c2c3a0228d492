//! Where calls go, for configs as people write them and for random ones.

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use crate::config::load::read;
use crate::config::snapshot::Snapshot;
use crate::error::Code;
use crate::gateway::destination::{self, Destination, Refused};
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::llm::anthropic::request::{self, Request};
use crate::policy::table::Table;

/// What holds of a config, read from a file of its own.
fn snapshot(config: &str) -> Snapshot {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let folder = std::env::temp_dir().join(format!("tollgate-place-{:016x}", u64::from_ne_bytes(random)));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("tollgate.yaml");
    std::fs::write(&path, config).unwrap();
    let loaded = read(Some(&path)).unwrap_or_else(|faults| panic!("{faults}\n{config}"));
    std::fs::remove_dir_all(&folder).ok();
    loaded.snapshot
}

fn principal<'s>(snapshot: &'s Snapshot, key: &str) -> &'s Principal {
    snapshot.keys.find(key.as_bytes(), NOW_MS).unwrap()
}

fn find<'s>(
    snapshot: &'s Snapshot,
    principal: &'s Principal,
    request: &Request,
    now_ms: u64,
) -> Result<Destination<'s>, Refused> {
    destination::find((snapshot, &Table::default()), principal, request, now_ms)
}

fn request(model: &str) -> Request {
    request::read(format!("{{\"model\":\"{model}\"}}").as_bytes()).unwrap()
}

const KEY: &str = "tg_a-long-enough-secret-of-a-test";

/// 2026-06-15, in the middle of that day.
const NOW_MS: u64 = 1_781_524_800_000;

const CONFIG: &str = r#"
providers:
  here:  { dialect: anthropic, base_url: "http://127.0.0.1:1", region: eu }
  there: { dialect: anthropic, base_url: "http://127.0.0.1:2", region: us }
  lost:  { dialect: anthropic, base_url: "http://127.0.0.1:3" }
models:
  claude-both: [there, here]
  claude-there: [there, lost]
  claude-old: { targets: [here], deprecated: 2026-06-15, replacement: claude-new }
  claude-older: { targets: [here], deprecated: 2026-01-01, replacement: claude-old2, on_deprecated: replace }
  claude-old2: { targets: [there], deprecated: 2026-06-01, replacement: claude-new, on_deprecated: replace }
  claude-gone: { targets: [here], deprecated: 2026-01-01 }
  claude-soon: { targets: [here], deprecated: 2026-06-16, replacement: claude-new }
  claude-new: { targets: [here, { provider: there, model: other }], pinned: claude-new-20260101 }
  claude-secret: [here]
teams:
  payments:
    regions: [eu]
    models: [claude-both, claude-there, "claude-old*", claude-new, claude-gone, claude-soon]
    aliases: { claude-fast: claude-new, shady: claude-secret, claude-both: claude-soon }
keys: [{ name: k, secret: tg_a-long-enough-secret-of-a-test, team: payments }]
"#;

/// The names of whom to ask, each with the model that it is asked for, and what is meant.
fn told(
    found: Result<Destination<'_>, Refused>,
    snapshot: &Snapshot,
) -> Result<String, (Code, String, String)> {
    let found =
        found.map_err(|Refused { error, decision }| (error.code(), error.message().to_owned(), decision))?;
    let targets = found.plan.targets.iter().map(|target| {
        let provider = snapshot.providers[target.provider].name.as_str();
        target.model.as_ref().map_or_else(|| provider.to_owned(), |model| format!("{provider}={model}"))
    });
    let mut text = targets.collect::<Vec<_>>().join(" ");
    if let Some(meant) = found.meant {
        text.push_str(&format!(" for {meant}"));
    }
    if let Some(end) = found.notice {
        text.push_str(&format!(" until {}", end.notice));
    }
    Ok(text)
}

/// What is told of a call, or the code and some words of its refusal.
type Expected = Result<&'static str, (Code, &'static str)>;

#[test]
fn names_versions_and_places_are_settled_in_this_order() {
    let snapshot = snapshot(CONFIG);
    let principal = principal(&snapshot, KEY);
    let cases: &[(&str, Expected)] = &[
        ("claude-new", Ok("here=claude-new-20260101")),
        ("claude-fast", Ok("here=claude-new-20260101 for claude-new")),
        // A team's name comes before a model of the same name.
        ("claude-both", Ok("here for claude-soon until 2026-06-16; use claude-new")),
        ("claude-soon", Ok("here until 2026-06-16; use claude-new")),
        // The rules decide about what is meant, not about the name.
        ("shady", Err((Code::Forbidden, "model \"claude-secret\" is not allowed"))),
        ("claude-old", Err((Code::NotFound, "out of use since 2026-06-15; use \"claude-new\""))),
        ("claude-gone", Err((Code::NotFound, "out of use since 2026-01-01; see /v1/models"))),
        ("claude-old2", Ok("here=claude-new-20260101 for claude-new until 2026-06-01; use claude-new")),
        ("claude-older", Ok("here=claude-new-20260101 for claude-new until 2026-01-01; use claude-old2")),
        (
            "claude-there",
            Err((
                Code::OutsideRegion,
                "(team payments: regions eu), and there is provider there: us; provider lost: region unknown",
            )),
        ),
        ("claude-nothing", Err((Code::Forbidden, "is not allowed"))),
    ];
    for (model, expected) in cases {
        let told = told(find(&snapshot, principal, &request(model), NOW_MS), &snapshot);
        match (&told, expected) {
            (Ok(told), Ok(expected)) => assert_eq!(told, expected, "{model}"),
            (Err((code, text, _)), Err((expected, words))) if code == expected && text.contains(words) => {}
            _ => panic!("{model}: {told:?} is not {expected:?}"),
        }
    }
    let refused = told(find(&snapshot, principal, &request("claude-there"), NOW_MS), &snapshot).unwrap_err();
    assert_eq!(refused.2, "refused: team payments: regions eu");
}

#[test]
fn a_day_begins_at_midnight_in_utc() {
    let snapshot = snapshot(CONFIG);
    let principal = principal(&snapshot, KEY);
    let midnight = 1_781_568_000_000;
    let at = |now| find(&snapshot, principal, &request("claude-soon"), now).is_ok();
    assert!(at(midnight - 1) && !at(midnight));
}

#[test]
fn a_request_may_not_ask_to_be_served_elsewhere() {
    let snapshot = snapshot(CONFIG);
    let principal = principal(&snapshot, KEY);
    for (geo, allowed) in [
        ("\"eu\"", true),
        ("null", true),
        ("\"us\"", false),
        ("\"global\"", false),
        ("\"u\\u0073\"", false),
        ("1", false),
        ("[\"us\"]", false),
    ] {
        let body = format!("{{\"inference_geo\":{geo},\"model\":\"claude-new\"}}");
        let request = request::read(body.as_bytes()).unwrap();
        let told = told(find(&snapshot, principal, &request, NOW_MS), &snapshot);
        assert_eq!(told.is_ok(), allowed, "{geo}: {told:?}");
        if let Err((code, text, decision)) = told {
            assert_eq!(
                (code, decision.as_str()),
                (Code::OutsideRegion, "refused: team payments: regions eu")
            );
            assert!(text.contains("inference_geo"), "{text}");
        }
    }
    let long = format!("{{\"inference_geo\":\"{}\",\"model\":\"claude-new\"}}", "x".repeat(300));
    assert!(find(&snapshot, principal, &request::read(long.as_bytes()).unwrap(), NOW_MS).is_err());
}

/// One provider: its regions and its tenancy.
fn any_provider() -> impl Strategy<Value = (Vec<String>, usize)> {
    (proptest::collection::vec("[ab]{1,2}", 0..3), 0_usize..3)
}

fn list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

const TENANCIES: [&str; 3] = ["shared", "dedicated", "on_prem"];

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn no_plan_holds_a_place_outside_and_451_means_that_there_is_none(
        providers in proptest::collection::vec(any_provider(), 1..5),
        targets in proptest::collection::vec(0_usize..5, 1..5),
        of_team in proptest::option::of(proptest::collection::vec("[ab*]{1,2}", 0..3)),
        of_key in proptest::option::of(proptest::collection::vec("[ab*]{1,2}", 0..3)),
        tenancies in proptest::option::of(proptest::collection::vec(0_usize..3, 0..3)),
    ) {
        let mut config = "providers:\n".to_owned();
        for (number, (regions, tenancy)) in providers.iter().enumerate() {
            let known = !regions.is_empty();
            let region = if known { format!(", region: {}", list(regions)) } else { String::new() };
            let tenancy = TENANCIES[*tenancy];
            config.push_str(&format!(
                "  p{number}: {{ dialect: anthropic, base_url: \"http://127.0.0.1:1\", \
                 tenancy: {tenancy}{region} }}\n"
            ));
        }
        let targets: Vec<usize> = targets.into_iter().map(|target| target % providers.len()).collect();
        let names: Vec<String> = targets.iter().map(|target| format!("p{target}")).collect();
        config.push_str(&format!("models: {{ m: {} }}\nteams: {{ t: {{ ", list(&names)));
        let mut rules = Vec::new();
        rules.extend(of_team.as_ref().map(|regions| format!("regions: {}", list(regions))));
        rules.extend(tenancies.as_ref().map(|places| {
            let words: Vec<String> = places.iter().map(|&place| TENANCIES[place].to_owned()).collect();
            format!("tenancies: {}", list(&words))
        }));
        config.push_str(&format!("{} }} }}\nkeys: [{{ name: k, secret: {KEY}, team: t", rules.join(", ")));
        if let Some(regions) = &of_key {
            config.push_str(&format!(", regions: {}", list(regions)));
        }
        config.push_str(" }]\n");
        let snapshot = snapshot(&config);
        let found = find(&snapshot, principal(&snapshot, KEY), &request("m"), NOW_MS);

        let within = |rule: &Option<Vec<String>>, regions: &[String]| rule.as_ref().is_none_or(|rule| {
            let fits = |region: &String| rule.iter().any(|pattern| Glob::new(pattern).matches(region));
            !regions.is_empty() && regions.iter().all(fits)
        });
        let allowed = |target: &&usize| {
            let (regions, tenancy) = &providers[**target];
            within(&of_team, regions) && within(&of_key, regions)
                && tenancies.as_ref().is_none_or(|list| list.contains(tenancy))
        };
        let expected: Vec<usize> = targets.iter().filter(allowed).copied().collect();
        match found {
            Ok(found) => {
                let planned: Vec<usize> = found.plan.targets.iter().map(|target| target.provider).collect();
                prop_assert!(!planned.is_empty());
                prop_assert_eq!(&planned, &expected, "{}", config);
                for target in planned {
                    let place = &snapshot.providers[target].place;
                    prop_assert!(found.residency.place(&found.permit, place).is_ok());
                }
            }
            Err(Refused { error, decision }) => {
                prop_assert_eq!(error.code(), Code::OutsideRegion);
                prop_assert!(expected.is_empty(), "{} {}", error, config);
                prop_assert!(decision.starts_with("refused: "), "{}", decision);
            }
        }
    }
}

#[test]
fn models_beside_the_requests_own_are_decided_about_too() {
    let snapshot = snapshot(
        "providers: { p: { dialect: demo } }\nmodels: { \"*\": [p] }\n\
         teams: { t: { models: [claude-haiku-*] } }\n\
         keys: [{ name: k, secret: tg_a-long-enough-secret-text, team: t }]\n",
    );
    let who = principal(&snapshot, "tg_a-long-enough-secret-text");
    let asked = |more: &str| {
        let body = format!("{{\"model\":\"claude-haiku-5\"{more}}}");
        find(&snapshot, who, &request::read(body.as_bytes()).unwrap(), NOW_MS).map(|_found| ())
    };
    assert!(asked("").is_ok());
    assert!(asked(r#","fallbacks":[{"model":"claude-haiku-4"}]"#).is_ok());
    for more in [
        r#","fallbacks":[{"model":"claude-haiku-4"},{"model":"claude-opus-5"}]"#,
        r#","tools":[{"type":"advisor_20260301","name":"advisor","model":"claude-opus-5"}]"#,
    ] {
        let refused = asked(more).unwrap_err();
        assert_eq!(refused.error.code(), Code::Forbidden, "{more}");
        assert!(refused.error.message().contains("claude-opus-5"), "{}", refused.error.message());
        assert_eq!(refused.decision, "not allowed by team t", "{more}");
    }
}
