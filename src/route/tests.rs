//! Which entry of the table serves which model.

use std::sync::Arc;

use crate::glob::Glob;
use crate::route::fit::{Fit, Lack, Needs};
use crate::route::model::{Entry, Table, Target};
use crate::route::rule::{Class, Facts, Hours, When};
use crate::route::tier::{TIERS, entries, via};
use crate::route::version::{Deprecation, Standing, family, is_served_as};

fn table(entries: &[(&str, usize)]) -> Table {
    Table::new(
        entries.iter().map(|&(pattern, provider)| (Glob::new(pattern), vec![Target::new(provider, pattern)])),
    )
}

#[test]
fn exact_names_come_before_patterns_and_patterns_in_written_order() {
    let table = table(&[
        ("claude-*", 0),
        ("claude-haiku-*", 1),
        ("claude-local", 2),
        ("*-mini", 3),
        ("m", 4),
        ("m", 5),
    ]);
    let cases = [
        ("claude-sonnet-5", Some(0)),
        ("claude-haiku-4-5", Some(0)),
        ("claude-local", Some(2)),
        ("gpt-mini", Some(3)),
        ("m", Some(4)),
        ("gpt", None),
        ("", None),
        ("claude", None),
    ];
    for (model, provider) in cases {
        let plan = table.plan(model);
        assert_eq!(plan.and_then(|plan| Some(plan.targets.first()?.provider)), provider, "{model}");
    }
}

#[test]
fn lists_keep_their_order() {
    let table = table(&[("b", 0), ("a-*", 1), ("a", 2), ("*", 3)]);
    assert_eq!(table.exact_names().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(table.patterns().map(|(glob, _)| glob.as_str()).collect::<Vec<_>>(), ["a-*", "*"]);
}

#[test]
fn a_model_ends_with_the_beginning_of_its_day() {
    let refuses = Deprecation::new(1_000, "1970-01-01", Some("new"), false);
    let replaces = Deprecation::new(1_000, "1970-01-01", Some("new"), true);
    let alone = Deprecation::new(1_000, "1970-01-01", None, true);
    for end in [&refuses, &replaces, &alone] {
        assert_eq!(end.standing(999), Standing::Ends(end));
    }
    assert_eq!(refuses.standing(1_000), Standing::Ended(&refuses));
    assert_eq!(replaces.standing(1_000), Standing::Replaced(&replaces, &"new".into()));
    assert_eq!(alone.standing(1_000), Standing::Ended(&alone));
    assert_eq!((&*refuses.notice, &*alone.notice), ("1970-01-01; use new", "1970-01-01"));
}

#[test]
fn a_dated_name_is_what_the_undated_one_stands_for() {
    for (asked, served, same) in [
        ("claude-sonnet-5", "claude-sonnet-5", true),
        ("claude-sonnet-5", "claude-sonnet-5-20260801", true),
        ("claude-sonnet-5", "claude-sonnet-5@20260801", true),
        ("claude-sonnet-5-latest", "claude-sonnet-5-20260801", true),
        ("claude-sonnet-5[1m]", "claude-sonnet-5", true),
        ("claude-sonnet-5-20260101", "claude-sonnet-5-20260801", false),
        ("claude-sonnet-5-20260101", "claude-sonnet-5", false),
        ("claude-sonnet-5", "claude-sonnet-5-mini", false),
        ("claude-sonnet-5", "claude-sonnet-50", false),
        ("claude-sonnet-5", "claude-opus-5", false),
        ("m", "", false),
    ] {
        assert_eq!(is_served_as(asked, served), same, "{asked} {served}");
    }
    assert_eq!(
        (family("claude-opus-5"), family("claude-3-haiku"), family("gpt-6")),
        (Some("opus"), Some("haiku"), None)
    );
}

#[test]
fn a_rule_holds_when_all_that_it_says_does() {
    let facts = Facts {
        model: "claude-haiku-5",
        class: Class::Main,
        key: "ann",
        team: "payments",
        tokens: 100_000,
        now_ms: 1_800_000_000_000,
        budget_left: Some(20),
    };
    let globs = |names: &[&str]| names.iter().map(|name| Glob::new(name)).collect::<Vec<_>>();
    let hours = |text| Hours::parse(text);
    let any = When::default;
    // It is eight o'clock.
    for (fits, when) in [
        (true, any()),
        (true, When { models: globs(&["gpt-*", "claude-haiku-*"]), ..any() }),
        (false, When { models: globs(&["gpt-*"]), ..any() }),
        (true, When { classes: vec![Class::Main, Class::Subagent], ..any() }),
        (false, When { classes: vec![Class::Background], ..any() }),
        (true, When { keys: globs(&["ann"]), teams: globs(&["pay*"]), ..any() }),
        (false, When { keys: globs(&["ann"]), teams: globs(&["other"]), ..any() }),
        (true, When { tokens_over: Some(99_999), tokens_under: Some(100_001), ..any() }),
        (false, When { tokens_over: Some(100_000), ..any() }),
        (false, When { tokens_under: Some(100_000), ..any() }),
        (true, When { hours: hours("8-9"), ..any() }),
        (false, When { hours: hours("7-8"), ..any() }),
        (true, When { hours: hours("22-9"), ..any() }),
        (false, When { hours: hours("22-8"), ..any() }),
        (true, When { budget_under: Some(21), ..any() }),
        (false, When { budget_under: Some(20), ..any() }),
    ] {
        assert_eq!(when.fits(&facts), fits, "{when:?}");
    }
    let unlimited = Facts { budget_left: None, ..facts };
    assert!(!When { budget_under: Some(100), ..any() }.fits(&unlimited), "who has no budget has all of it");
    for bad in ["", "8", "8-", "-8", "24-3", "3-25", "5-5", "a-b", "8-9-10", "+8-9", "008-9"] {
        assert_eq!(Hours::parse(bad), None, "{bad}");
    }
    assert_eq!(Hours::parse("0-24"), Some(Hours { from: 0, to: 24 }));
    for (header, agent, model, class) in [
        ("main", "a1", "claude-haiku-5", Class::Main),
        ("subagent", "", "m", Class::Subagent),
        ("", "a1", "claude-haiku-5", Class::Subagent),
        ("", "", "claude-haiku-5", Class::Background),
        ("new", "", "claude-opus-5", Class::Main),
    ] {
        assert_eq!(Class::of(header.as_bytes(), agent, model), class, "{header} {agent} {model}");
    }
}

#[test]
fn a_tier_has_names_that_clients_list_and_takes_its_whole_family() {
    let target = |provider, model: Option<&str>| Target {
        model: model.map(Arc::from),
        ..Target::new(provider, "tiers.sonnet")
    };
    let written = [
        target(0, Some("gpt-6")),
        target(1, Some("meta/llama 4:70b")),
        target(2, Some("gpt-6")),
        target(3, None),
    ];
    let table = Table::new(
        entries("sonnet", &written)
            .into_iter()
            .chain([(Glob::new("claude-*"), Entry::from(vec![Target::new(9, "claude-*")]))]),
    );
    let names: Vec<&str> = table.exact_names().map(|(name, _)| name).collect();
    assert_eq!(names, ["claude-sonnet-via-gpt-6", "claude-sonnet-via-meta-llama-4-70b"]);
    let to = |model: &str| {
        let plan = table.plan(model).unwrap();
        plan.targets.iter().map(|target| target.provider).collect::<Vec<_>>()
    };
    assert_eq!(to("claude-sonnet-via-gpt-6"), [0, 2]);
    assert_eq!(to("claude-sonnet-via-meta-llama-4-70b"), [1]);
    for family in
        ["claude-sonnet-5", "claude-sonnet-5-20260801[1m]", "us.anthropic.claude-3-5-sonnet@20251001"]
    {
        assert_eq!(to(family), [0, 1, 2, 3], "{family}");
    }
    assert_eq!(to("claude-opus-5"), [9]);
    assert!(TIERS.iter().all(|tier| family(&via(tier, "x")) == Some(tier)));
}

#[test]
fn what_is_lacking_is_told_so_that_a_client_can_mend_it() {
    let fit = Fit { context: Some(200_000), max_output: Some(8_192), ..Fit::default() };
    let needs = Needs { tokens: 150_000, max_tokens: Some(64_000), ..Needs::default() };
    let lack = fit.lack(&needs).unwrap();
    assert!(lack.is_of_request());
    assert_eq!(
        lack.sentence("m"),
        "input length and `max_tokens` exceed context limit: 150000 + 64000 > 200000, \
         decrease input length or `max_tokens` and try again"
    );
    let lack = fit.lack(&Needs { tokens: 200_001, max_tokens: Some(0), ..needs }).unwrap();
    assert_eq!(lack.sentence("m"), "prompt is too long: 200001 tokens > 200000 maximum");
    let lack = fit.lack(&Needs { tokens: 1, max_tokens: Some(8_193), ..needs }).unwrap();
    assert!(lack.sentence("m").starts_with("max_tokens: 8193 > 8192, which is the maximum allowed"));
    assert_eq!(fit.lack(&Needs { tokens: 191_808, max_tokens: Some(8_192), ..needs }), None);
    let blind = Fit { images: false, tools: false, thinking: false, ..Fit::default() };
    let images = blind.lack(&Needs { images: true, tools: true, ..Needs::default() }).unwrap();
    assert!(!images.is_of_request() && images.rule() == "images: false", "{images:?}");
    assert_eq!(blind.lack(&Needs::default()), None);
    assert!(Lack::Context { context: 1, tokens: 2, output: 0 } > images);
    let large = Fit { context: Some(1_000_000), ..fit };
    assert!(large.is_larger(&fit) && !fit.is_larger(&large) && large.is_larger(&Fit::default()));
    assert!(!Fit::default().is_larger(&fit) && !fit.is_larger(&fit));
}
