//! Which entry of the table serves which model.

use crate::glob::Glob;
use crate::route::model::{Table, Target};
use crate::route::version::{Deprecation, Standing, family, is_served_as};

fn table(entries: &[(&str, usize)]) -> Table {
    Table::new(entries.iter().map(|&(pattern, provider)| {
        (Glob::new(pattern), vec![Target { provider, model: None, pattern: pattern.into() }])
    }))
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
