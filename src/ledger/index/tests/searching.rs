//! Searches of the index find what the definition says, page by page, whatever is asked.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::Config;

use super::{NOON, entries, entry, far_apart, filled, query};
use crate::ledger::encode;
use crate::ledger::entry::{Action, Entry, Kind};
use crate::ledger::index::block::Edge;
use crate::ledger::index::plan;
use crate::ledger::index::query::Query;
use crate::ledger::index::schema::PART_BITS;
use crate::ledger::index::search::{Page, Reader};
use crate::limits;

/// Positions of all that a search finds, page by page.
pub(super) fn paged(reader: &mut Reader, query: &Query, limit: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    let mut before = None;
    loop {
        let found = reader.search(query, Page { before, limit }).unwrap();
        assert!(found.hits.len() <= limit);
        positions.extend(found.hits.iter().map(|hit| hit.position));
        before = found.next;
        if before.is_none() {
            return positions;
        }
    }
}

/// The same from the list.
pub(super) fn listed(entries: &[(u64, Entry)], query: &Query) -> Vec<u64> {
    entries.iter().rev().filter(|(_, entry)| query.fits(entry)).map(|(position, _)| *position).collect()
}

/// A term of a search that has good chances to find something.
fn term() -> impl Strategy<Value = String> {
    let plain = select(vec![
        "kind:model_call",
        "kind:tool_call,refusal",
        "class:write",
        "class:read,destructive",
        "key:key-1",
        "team:web",
        "user:ana",
        "user:ana,ben",
        "user:*",
        "user:nobody",
        "session:s-1",
        "session:s*",
        "model:claude-*",
        "model:gpt-6",
        "model:claude-sonnet-5",
        "provider:anthropic",
        "region:eu",
        "mode:jit",
        "mode:jit,config",
        "mode:s*",
        "client:claude-cli/*",
        "agent:agent-1",
        "prompt:prompt-2",
        "server:github",
        "server:prod*",
        "tool:github.*",
        "tool:query",
        "tool:table",
        "tool:*.query",
        "tool:drop.table",
        "action:Bash",
        "outcome:done",
        "status:200",
        "status:>=400",
        "status:<400",
        "status:0",
        "status:403..429",
        "cost:>0.10",
        "cost:<=0.05",
        "cost:0",
        "cost:0.01..0.2",
        "took:>5s",
        "took:<=200ms",
        "tokens:>=50000",
        "error:refused",
        "error:\"connection refused\"",
        "decision:deny",
        "use:toolu_3",
        "upstream:req_1000005",
    ])
    .prop_map(str::to_owned);
    let texts = select(vec![
        "prod",
        "PROD",
        "\"connection refused\"",
        "\"refused connection\"",
        "pro*",
        "example.com",
        "\"srv prod\"",
        "überlauf",
        "create",
        "bash",
        "nothinglikeit",
        "issue",
        "deny",
    ])
    .prop_map(str::to_owned);
    let times = select(vec!["since:2d", "until:1d", "day:yesterday", "since:1h", "until:30d", "since:0s"])
        .prop_map(str::to_owned);
    let negated = prop_oneof![plain.clone(), texts.clone()].prop_map(|term| format!("-{term}"));
    prop_oneof![4 => plain, 2 => texts, 1 => times, 2 => negated, 1 => Just(String::new())]
}

proptest! {
    #![proptest_config(Config { cases: 3, ..Config::default() })]
    #[test]
    fn a_search_finds_what_fits(
        seed in 0_u64..1000,
        times in select(vec![1, 997, 16_000]),
        searches in vec(vec(term(), 0..4), 50),
    ) {
        let entries = far_apart(entries(seed, 400), times);
        let folder = filled(&entries);
        let mut reader = folder.reader();
        for terms in searches {
            let text = terms.join(" ");
            let query = query(&text);
            let expected = listed(&entries, &query);
            prop_assert_eq!(&paged(&mut reader, &query, 29), &expected, "{}", text);
            prop_assert_eq!(&paged(&mut reader, &query, 1000), &expected, "{}", text);
            let mut oldest = Vec::new();
            let mut from = 0;
            loop {
                let found = reader.since(&query, from, 50).unwrap();
                oldest.extend(found.hits.iter().map(|hit| hit.position));
                from = found.next.unwrap();
                if found.hits.len() < 50 {
                    break;
                }
            }
            oldest.reverse();
            prop_assert_eq!(&oldest, &expected, "{}", text);
            let facets = reader.facets(&query).unwrap();
            prop_assert_eq!(facets.counted, expected.len() as u64, "{}", text);
            prop_assert!(facets.all);
        }
    }
}

#[test]
fn every_single_term_finds_what_fits() {
    for times in [1, 3001] {
        every_single_term(&far_apart(entries(7, 600), times));
    }
}

fn every_single_term(entries: &[(u64, Entry)]) {
    let folder = filled(entries);
    let mut reader = folder.reader();
    for text in [
        "user:ana",
        "-user:ana",
        "prod -user:ana",
        "-kind:tool_call",
        "prod -\"connection refused\"",
        "-prod",
        "-status:429",
        "prod -cost:>0.1",
        "-model:gpt-6",
        "class:write -class:read",
        "-session:s-1 -session:s-2",
        "-use:toolu_1",
        "-prompt:prompt-1 ana",
    ] {
        let query = query(text);
        let expected = listed(entries, &query);
        assert!(!expected.is_empty() && expected.len() < entries.len(), "{text} finds {}", expected.len());
        assert_eq!(paged(&mut reader, &query, 50), expected, "{text}");
    }
}

#[test]
fn names_beyond_number_are_found_by_looking() {
    let many = limits::QUERY_NAMES_MAX as u64 + 40;
    let entries: Vec<(u64, Entry)> = (0..many * 2)
        .map(|at| {
            let name = if at % 4 == 3 { format!("other-{at}") } else { format!("name-{at}") };
            (at, Entry { user: name.clone(), agent: name, session: String::new(), ..entry(at) })
        })
        .collect();
    let folder = filled(&entries);
    let mut reader = folder.reader();
    for text in
        ["user:name-*", "agent:name-*", "-user:name-*", "-agent:name-*", "prod -user:name-*", "user:*-7*"]
    {
        let query = query(text);
        let expected = listed(&entries, &query);
        assert!(expected.len() > 10, "{text}");
        assert_eq!(paged(&mut reader, &query, 100), expected, "{text}");
        assert_eq!(reader.facets(&query).unwrap().counted, expected.len() as u64, "{text}");
    }
}

/// The longest list of words that a search can become.
#[test]
fn the_largest_search_can_be_asked() {
    let most = limits::QUERY_NAMES_MAX as u64;
    let entries: Vec<(u64, Entry)> =
        (0..most).map(|at| (at, Entry { agent: format!("a{at}"), ..entry(at) })).collect();
    let folder = filled(&entries);
    let wanted = "agent:* ".repeat(limits::QUERY_TERMS_MAX / 2);
    let refused = "-agent:a1*,a2* ".repeat(limits::QUERY_TERMS_MAX / 2);
    let query = query(&format!("{wanted}{refused}"));
    assert_eq!(paged(&mut folder.reader(), &query, 1000), listed(&entries, &query));
}

#[test]
fn pages_stay_where_they_are_while_entries_come_in() {
    let all = entries(3, 300);
    let folder = filled(&all[..200]);
    let mut reader = folder.reader();
    let everything = query("");
    let first = reader.search(&everything, Page { before: None, limit: 20 }).unwrap();
    let page = Page { before: first.next, limit: 20 };
    let second = reader.search(&everything, page).unwrap();
    folder.store().take(&all[200..], all[299].0 + 1).unwrap();
    assert_eq!(reader.search(&everything, page).unwrap(), second);
    let expected: Vec<u64> = all[160..180].iter().rev().map(|(position, _)| *position).collect();
    assert_eq!(second.hits.iter().map(|hit| hit.position).collect::<Vec<_>>(), expected);
    assert_eq!(
        reader.search(&everything, Page { before: None, limit: 1 }).unwrap().hits[0].entry,
        all[299].1
    );
}

#[test]
fn single_entries_and_sessions() {
    let entries = entries(5, 250);
    let folder = filled(&entries);
    let mut reader = folder.reader();
    for (position, entry) in entries.iter().step_by(17) {
        let hit = reader.entry(entry.id).unwrap().unwrap();
        assert_eq!((hit.position, &hit.entry), (*position, entry));
    }
    assert_eq!(reader.entry(crate::ids::CallId(u128::MAX)).unwrap(), None);
    let hits = reader.session("s-2").unwrap();
    assert_eq!(hits.len(), entries.iter().filter(|(_, entry)| entry.session == "s-2").count());
    assert!(
        hits.is_sorted_by_key(|hit| hit.entry.at_ms) && hits.iter().all(|hit| hit.entry.session == "s-2")
    );
    assert!(reader.session("").unwrap().is_empty());
}

#[test]
fn a_session_is_read_by_its_very_name_and_up_to_a_size() {
    let of = |session: &str, at: u64| Entry {
        session: session.to_owned(),
        at_ms: NOON + at,
        kind: Kind::ModelCall,
        ..entry(at)
    };
    let small: Vec<(u64, Entry)> =
        ["s-1", "*", "s-*", "s-1"].iter().zip(0..).map(|(session, at)| (at, of(session, at))).collect();
    let folder = filled(&small);
    let positions = |session: &str| {
        folder.reader().session(session).unwrap().iter().map(|hit| hit.position).collect::<Vec<_>>()
    };
    assert_eq!(positions("*"), [1]);
    assert_eq!(positions("s-*"), [2]);
    assert_eq!(positions("s-1"), [0, 3]);
    assert!(positions("s").is_empty());
    let action = Action { detail: "x".repeat(limits::RECORD_TEXT_BYTES_MAX), ..Action::default() };
    let large = |at: u64| Entry { actions: vec![action.clone(); 16], ..of("large", at) };
    let bytes = |entry: &Entry| {
        let mut encoded = Vec::new();
        encode::put_entry(encode::Tag::Event, None, entry, &mut encoded);
        encoded.len()
    };
    let count = limits::TIMELINE_BYTES_MAX as u64 / bytes(&large(0)) as u64 + 100;
    let folder = filled(&(0..count).map(|at| (at, large(at))).collect::<Vec<_>>());
    let hits = folder.reader().session("large").unwrap();
    let shown: usize = hits.iter().map(|hit| bytes(&hit.entry)).sum();
    let next = bytes(&large(count - 1 - hits.len() as u64));
    assert!(shown <= limits::TIMELINE_BYTES_MAX && shown + next > limits::TIMELINE_BYTES_MAX, "{shown}");
    assert_eq!(hits.last().unwrap().position, count - 1, "the newest are shown");
}

#[test]
fn counts_by_field() {
    let entries = entries(9, 500);
    let folder = filled(&entries);
    let facets = folder.reader().facets(&query("team:web")).unwrap();
    let web: Vec<&Entry> =
        entries.iter().map(|(_, entry)| entry).filter(|entry| entry.team == "web").collect();
    assert_eq!((facets.counted, facets.all), (web.len() as u64, true));
    let users = facets.fields.iter().find(|facet| facet.field == "user").unwrap();
    assert_eq!(users.values.len(), 3, "the empty name is none");
    assert!(users.values.is_sorted_by(|a, b| a.1 >= b.1));
    for (user, count) in &users.values {
        assert_eq!(*count, web.iter().filter(|entry| entry.user == *user).count() as u64);
    }
    let kinds = facets.fields.iter().find(|facet| facet.field == "kind").unwrap();
    assert_eq!(kinds.values.iter().map(|(_, count)| count).sum::<u64>(), facets.counted);
    assert!(kinds.values.iter().any(|(kind, _)| kind == "model_call"));
    let tools = facets.fields.iter().find(|facet| facet.field == "tool").unwrap();
    assert!(tools.values.iter().any(|(tool, _)| tool == "github.create_issue"));
    let statuses = facets.fields.iter().find(|facet| facet.field == "status").unwrap();
    assert!(statuses.values.iter().any(|(status, _)| status == "429"));
}

/// The walk must be by position in both directions: sorting ten million rows would be no search.
#[test]
fn no_search_sorts() {
    let folder = filled(&entries(1, 30));
    let reader = folder.reader();
    for edge in [Edge::Newest, Edge::Oldest] {
        let sql = format!("EXPLAIN QUERY PLAN {}", plan::sql(0, edge));
        let mut statement = reader.db.prepare(&sql).unwrap();
        let steps = statement.query_map(("prod", 0, 1000, 10), |row| row.get(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}

#[test]
fn two_parts_of_words_are_one_index() {
    let far = (1 << PART_BITS) - 5;
    let entries: Vec<(u64, Entry)> =
        (0..10).map(|at| (far + at, Entry { at_ms: NOON - 100 + at, ..entry(at) })).collect();
    let folder = filled(&entries);
    let mut reader = folder.reader();
    for text in ["deny", "", "decision:deny since:1h", "-user:zoe"] {
        assert_eq!(paged(&mut reader, &query(text), 3), listed(&entries, &query(text)), "{text}");
        assert_eq!(reader.since(&query(text), far + 4, 100).unwrap().hits.len(), 6, "{text}");
    }
    folder.store().forget(1 << PART_BITS).unwrap();
    assert_eq!(paged(&mut reader, &query("deny"), 3), listed(&entries[5..], &query("deny")));
    assert_eq!(paged(&mut reader, &query(""), 3), listed(&entries[5..], &query("")));
    assert_eq!(reader.entry(entries[2].1.id).unwrap(), None);
}
