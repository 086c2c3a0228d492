//! Sums equal those of the list, for every time, filter and group.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::{prop_assert_eq, proptest};
use proptest::test_runner::Config;

use super::{NOON, entries, filled, query};
use crate::glob::Glob;
use crate::ids::CallId;
use crate::ledger::entry::{Entry, Kind, Tokens};
use crate::ledger::index::search::Page;
use crate::ledger::index::spend::{By, Per, Whose, Wish};
use crate::ledger::index::sums;

fn whose(number: u64) -> Whose {
    match number {
        0 => Whose::default(),
        1 => Whose { user: Some("ana".to_owned()), ..Whose::default() },
        2 => Whose { team: Some("web".to_owned()), model: Some(Glob::new("claude-*")), ..Whose::default() },
        3 => Whose { key: Some("key-2".to_owned()), server: Some("github".to_owned()), ..Whose::default() },
        4 => Whose { tool: Some(Glob::new("query")), ..Whose::default() },
        5 => Whose { user: Some("nobody".to_owned()), ..Whose::default() },
        _ => Whose { user: Some(String::new()), provider: Some("anthropic".to_owned()), ..Whose::default() },
    }
}

fn counts(whose: &Whose, entry: &Entry) -> bool {
    let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
    is(&whose.key, &entry.key)
        && is(&whose.team, &entry.team)
        && is(&whose.user, &entry.user)
        && is(&whose.provider, &entry.provider)
        && is(&whose.server, &entry.server)
        && whose.model.as_ref().is_none_or(|glob| glob.matches(&entry.model))
        && whose.tool.as_ref().is_none_or(|glob| glob.matches(&entry.tool) && !entry.tool.is_empty())
}

proptest! {
    #![proptest_config(Config { cases: 6, ..Config::default() })]
    #[test]
    fn spent_is_what_the_entries_cost(seed in 0_u64..99, times in (0_u64..500_000_000, 0_u64..500_000_000)) {
        let entries = entries(seed, 300);
        let folder = filled(&entries);
        let mut reader = folder.reader();
        let (since, until) = (NOON - times.0.max(times.1), NOON - times.0.min(times.1));
        let hour = NOON - times.0 / 3_600_000 * 3_600_000;
        let whole = (hour - 3_600_000, hour);
        let edges = [(since, until), (0, u64::MAX), (until, since), whole, (since, since + 5)];
        for (since, until) in edges {
            for whose in (0..7).map(whose) {
                let charged = || entries.iter().map(|(_, entry)| entry)
                    .filter(|entry| (since..until).contains(&entry.at_ms) && counts(&whose, entry));
                let sum: u128 = charged().map(|entry| u128::from(entry.cost_pico)).sum();
                let found = reader.spent(since, until, &whose, None).unwrap();
                prop_assert_eq!(found, vec![(String::new(), sum)]);
                let mut teams = BTreeMap::new();
                for entry in charged() {
                    *teams.entry(entry.team.clone()).or_insert(0) += u128::from(entry.cost_pico);
                }
                let mut found = reader.spent(since, until, &whose, Some(By::Team)).unwrap();
                found.retain(|(_, pico)| *pico > 0);
                found.sort();
                teams.retain(|_, pico| *pico > 0);
                prop_assert_eq!(found, teams.into_iter().collect::<Vec<_>>());
            }
        }
    }
}

fn wish(by: &[By], per: Option<Per>) -> Wish {
    let (since_ms, until_ms) = (0, NOON + 3_600_000);
    Wish { by: by.to_vec(), per, since_ms, until_ms, zone: TimeZone::UTC, whose: Whose::default() }
}

#[test]
fn reports_by_two_fields_and_per_day() {
    let entries = entries(21, 800);
    let folder = filled(&entries);
    let report = folder.reader().spend(&wish(&[By::Team, By::Model], Some(Per::Day))).unwrap();
    let mut expected: BTreeMap<(String, Vec<String>), sums::Sums> = BTreeMap::new();
    let mut total = sums::Sums::default();
    for (_, entry) in entries.iter().filter(|(_, entry)| sums::counts(entry)) {
        let day = jiff::Timestamp::from_millisecond(entry.at_ms.cast_signed())
            .unwrap()
            .strftime("%Y-%m-%d")
            .to_string();
        let names = vec![entry.team.clone(), entry.model.clone()];
        expected.entry((day, names)).or_default().add(&sums::Sums::of(entry));
        total.add(&sums::Sums::of(entry));
    }
    let rows: BTreeMap<_, _> =
        report.rows.iter().map(|row| ((row.period.clone(), row.names.clone()), row.sums)).collect();
    assert_eq!(rows, expected);
    assert_eq!((report.total, report.left_out), (total, 0));
    assert!(report.rows.is_sorted_by_key(|row| (row.period.clone(), std::cmp::Reverse(row.sums.cost_pico))));
    let all = folder.reader().spend(&wish(&[], None)).unwrap();
    assert_eq!((all.rows.len(), all.rows[0].sums), (1, total));
    for by in By::ALL {
        let report = folder.reader().spend(&wish(&[by], None)).unwrap();
        assert_eq!(report.total, total, "{}", by.name());
        assert!(report.rows.len() > 1 || by == By::Provider);
    }
}

#[test]
fn addresses_of_resources_stand_in_no_sum_and_no_count() {
    let named = |number: u64, kind: Kind, method: &str, tool: &str| Entry {
        method: method.to_owned(),
        server: "files".to_owned(),
        tool: tool.to_owned(),
        ..Entry::new(CallId(number.into()), kind, NOON - number)
    };
    let all = [
        named(1, Kind::ToolCall, "tools/call", "read"),
        named(2, Kind::ResourceRead, "resources/read", "file:///etc/secret"),
        named(3, Kind::McpOther, "completion/complete", "file:///etc/secret"),
        named(4, Kind::Refusal, "resources/read", "file:///etc/secret"),
        named(5, Kind::PromptGet, "prompts/get", "greet"),
    ];
    let all: Vec<(u64, Entry)> = (1..).zip(all).collect();
    let folder = filled(&all);
    let report = folder.reader().spend(&wish(&[By::Tool], None)).unwrap();
    assert!(!format!("{report:?}").contains("secret"), "{report:?}");
    let facets = folder.reader().facets(&query("")).unwrap();
    let tools = &facets.fields.iter().find(|facet| facet.field == "tool").unwrap().values;
    let mut names: Vec<&str> =
        tools.iter().map(|(name, _)| &**name).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    assert_eq!(names, ["files.greet", "files.read"]);
    // Nor can anybody guess at them by a search in fields; whoever may search in words finds them.
    let found = |text: &str| {
        let page = Page { before: None, limit: 9 };
        folder.reader().search(&query(text), page).unwrap().hits.len()
    };
    assert_eq!((found("tool:*secret*"), found("tool:file:*"), found("tool:read")), (0, 0, 1));
    assert_eq!(found("etc secret"), 3);
}

#[test]
fn periods_begin_where_the_calendar_says() {
    // Sunday, 2026-11-01, 23:30 UTC: already Monday in Berlin.
    let at_ms = 1_793_575_800_000;
    let one = Entry { at_ms, kind: Kind::ModelCall, cost_pico: 7, ..super::entry(1) };
    let folder = filled(&[(0, one)]);
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    for (per, utc, there) in [
        (Per::Hour, "2026-11-01 23:00", "2026-11-02 00:00"),
        (Per::Day, "2026-11-01", "2026-11-02"),
        (Per::Week, "2026-10-26", "2026-11-02"),
        (Per::Month, "2026-11", "2026-11"),
    ] {
        for (zone, expected) in [(TimeZone::UTC, utc), (berlin.clone(), there)] {
            let report = folder.reader().spend(&Wish { zone, ..wish(&[], Some(per)) }).unwrap();
            assert_eq!(report.rows[0].period, expected);
        }
    }
}

#[test]
fn sessions_with_their_cache_hits() {
    let call = |at: u64, session: &str, cache_read, input| Entry {
        kind: Kind::ModelCall,
        session: session.to_owned(),
        user: "ana".to_owned(),
        cost_pico: at,
        tokens: Tokens { input, cache_read, ..Tokens::default() },
        at_ms: NOON + at,
        ..super::entry(at)
    };
    let folder = filled(&[(1, call(5, "a", 0, 100)), (2, call(3, "a", 900, 0)), (7, call(4, "b", 0, 0))]);
    let rows = folder.reader().sessions(NOON, NOON + 100, 10).unwrap();
    assert_eq!(rows.iter().map(|row| row.session.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((rows[0].first_ms, rows[0].last_ms, rows[0].sums.calls), (NOON + 3, NOON + 5, 2));
    assert_eq!(rows[0].sums.cache_hits_permille(), Some(900));
    assert_eq!(rows[1].sums.cache_hits_permille(), None);
    assert!(folder.reader().sessions(NOON + 6, NOON + 100, 10).unwrap().is_empty());
}
