//! Which entry of the table serves which model.

use crate::glob::Glob;
use crate::route::model::{Table, Target};

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
        assert_eq!(plan.and_then(|plan| plan.targets.first()).map(|t| t.provider), provider, "{model}");
    }
}

#[test]
fn lists_keep_their_order() {
    let table = table(&[("b", 0), ("a-*", 1), ("a", 2), ("*", 3)]);
    assert_eq!(table.exact_names().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(table.patterns().map(|(glob, _)| glob.as_str()).collect::<Vec<_>>(), ["a-*", "*"]);
}
