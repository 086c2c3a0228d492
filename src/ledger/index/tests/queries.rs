//! The language of searches: what is understood, what is refused and where, and that no text can do harm.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use proptest::sample::select;

use super::{NOON, entries, filled, now, query};
use crate::ids::CallId;
use crate::ledger::entry::{Action, Class, Entry, Kind, Tokens};
use crate::ledger::index::block::Edge;
use crate::ledger::index::plan::{self, Plan};
use crate::ledger::index::query::Query;
use crate::limits;

/// Beginnings of terms.
const FIELDS: &[&str] = &[
    "", "-", "since:", "until:", "day:", "cost:", "took:", "status:", "id:", "-user:", "error:", "tool:",
    "-use:", "model:", "-tool:", "session:", "prompt:",
];

const DAY: u64 = 86_400_000;

/// Asserts that a search is refused at a character, in words that name what is wrong.
fn refused(text: &str, at: usize, words: &str) {
    let fault = Query::parse(text, &now()).expect_err(text);
    assert!(fault.at == at && fault.what.contains(words), "{text}: {fault}");
}

#[test]
fn times() {
    let today = NOON - DAY / 2;
    for (text, since, until) in [
        ("since:7d", Some(NOON - 7 * DAY), None),
        ("since:90m until:1h", Some(NOON - 5_400_000), Some(NOON - 3_600_000)),
        ("since:2026-11-22", Some(today), None),
        ("until:2026-11-21", None, Some(today)),
        ("day:today", Some(today), Some(today + DAY)),
        ("day:yesterday", Some(today - DAY), Some(today)),
        ("since:2026-11-22T11:00 since:7d", Some(NOON - 3_600_000), None),
        ("until:2026-11-22T13:00:00+02:00", None, Some(NOON - 3_600_000)),
        ("since:99999999w", Some(0), None),
    ] {
        let query = query(text);
        assert_eq!((query.since_ms, query.until_ms), (since, until), "{text}");
        assert!(query.terms.is_empty());
    }
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let there = Query::parse("day:2026-11-22", &super::Now { ms: NOON, zone: berlin }).unwrap();
    assert_eq!(there.since_ms, Some(today - 3_600_000));
}

#[test]
fn what_is_not_understood_is_told_with_its_place() {
    refused("user:ana colour:red", 10, "no field `colour`");
    refused("user:", 1, "wants a value");
    refused("user: ana", 1, "wants a value");
    refused("kind:model", 1, "model_call, count_tokens");
    refused("  class:rw", 3, "unknown, read, write, destructive");
    refused("status:many", 1, "status:>=400");
    refused("status:5..4", 1, "status:>=400");
    refused("cost:>0.0000000000001", 1, "cost:>0.10");
    refused("cost:<0", 1, "cost:>0.10");
    refused("took:5parsecs", 1, "took:>5s");
    refused("since:soon", 1, "is no time");
    refused("since:2026-13-01", 1, "is no time");
    refused("-since:7d", 1, "cannot be negated");
    refused("a \"b", 3, "is not closed");
    refused("a -", 3, "missing behind");
    refused("id:req_12", 1, "32 hexadecimal");
    refused("...", 1, "no letter or digit");
    refused("user:,", 1, "value is missing");
    refused(&"a ".repeat(limits::QUERY_TERMS_MAX + 1), 65, "at most 32 terms");
    refused(&"a".repeat(limits::QUERY_BYTES_MAX + 1), 1, "at most 2048 bytes");
    refused(&format!("user:{}", "a,".repeat(40)), 1, "at most 32 values");
    refused(&format!("\"{}\"", "a ".repeat(33)), 1, "at most 32 words");
    refused(&format!("nosuch{}:x", "field".repeat(90)), 1, "nosuchfield");
    assert!(Query::parse(&format!("status:{}", "9".repeat(500)), &now()).unwrap_err().what.len() < 200);
}

#[test]
fn texts_that_look_like_fields_can_be_quoted() {
    assert_eq!(query("\"colour:red\"").terms.len(), 1);
    assert_eq!(query("10:30 /srv:/x").terms.len(), 2);
    assert_eq!(query("user:\"a, b\""), query("user:\"a, b\""));
    assert_ne!(query("user:\"a,b\""), query("user:a,b"));
    assert_ne!(query("-a"), query("a"));
    assert_eq!(query("\"say \\\"hi\\\"\""), query("\"say hi\""));
    assert!(query("").is_everything());
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        drop(Query::parse(&text, &now()));
    }

    #[test]
    fn no_text_of_fields_panics(terms in vec((select(FIELDS), "[<>=.\"\\\\*,0-9a-zé\u{0}-]{0,12}"), 0..6)) {
        let text: String = terms.iter().map(|(field, value)| format!("{field}{value} ")).collect();
        drop(Query::parse(&text, &now()));
    }
}

/// Whatever is searched for, the statement is one of two for each part: it has no letter of the search in it,
/// and what FTS5 is asked for, a bound value, is words in quotes.
#[test]
fn statements_have_no_text_of_the_search() {
    let folder = filled(&entries(1, 50));
    let reader = folder.reader();
    let kinds = ["user", "tool", "session", "error", "client", "prompt", "upstream", "use", "model"];
    let hostile =
        ["zqx' OR 1=1 --", "zqx\"); DROP TABLE block; --", "zqx*", "*zqx*", "zqx^NEAR(a b)", "zqx\u{0}é:k:1"];
    for hostile in hostile {
        let quoted = format!("\"{}\"", hostile.replace('"', "\\\""));
        let fields = kinds.map(|kind| format!("{kind}:{quoted}"));
        for text in fields.iter().chain([&quoted]) {
            for text in [text.clone(), format!("-{text}"), format!("prod -{text}"), format!("prod {text}")] {
                let plan = Plan::of(&reader.db, &query(&text)).unwrap();
                let words = plan.sought.as_ref().map(plan::expression).unwrap_or_default();
                let mut outside = String::new();
                for (place, piece) in words.split('"').enumerate() {
                    if place % 2 == 0 {
                        outside.push_str(piece);
                    } else {
                        let mark = piece.split_once(':').is_some_and(|(letter, _)| letter.len() == 1);
                        assert!(mark || piece.chars().all(char::is_alphanumeric), "{text}: {piece}");
                    }
                }
                for known in ["AND", "NOT", "OR", "(", ")", "*", " "] {
                    outside = outside.replace(known, "");
                }
                assert_eq!(outside, "", "{text}");
            }
        }
    }
    assert!(!plan::sql(7, Edge::Newest).contains('\''));
}

proptest! {
    #[test]
    fn every_search_can_be_asked(terms in vec((select(FIELDS), "\"?[a-z'*();:^+%_-]{1,12}\"?"), 0..4)) {
        let text: String = terms.iter().map(|(field, value)| format!("{field}{value} ")).collect();
        thread_local! {
            static FOLDER: super::Folder = filled(&entries(1, 20));
        }
        if let Ok(query) = Query::parse(&text, &now()) {
            FOLDER.with(|folder| {
                let page = crate::ledger::index::search::Page { before: None, limit: 5 };
                folder.reader().search(&query, page).unwrap();
                folder.reader().facets(&query).unwrap();
            });
        }
        prop_assert!(true);
    }
}

/// An entry to search for.
fn sought() -> Entry {
    Entry {
        user: "ana".to_owned(),
        model: "claude-sonnet-5".to_owned(),
        served_model: "claude-sonnet-5-20260801".to_owned(),
        server: "github".to_owned(),
        tool: "create_issue".to_owned(),
        class: Class::Read,
        prompt: "p-1".to_owned(),
        upstream_id: "req_9".to_owned(),
        tokens: Tokens { input: 10, cache_read: 90, ..Tokens::default() },
        cost_pico: 100_000_000_000,
        took_us: 5_000_000,
        status: 429,
        error: "connection refused by prod".to_owned(),
        decision: "allow: teams.web".to_owned(),
        mode: "jit".to_owned(),
        mode_by: "auto".to_owned(),
        actions: vec![Action {
            id: "toolu_1".to_owned(),
            name: "Bash".to_owned(),
            class: Class::Write,
            detail: "curl https://Staging.example.com/a_b".to_owned(),
        }],
        ..Entry::new(CallId(7), Kind::ToolCall, NOON - 3_600_000)
    }
}

/// Searches that find it, between bars.
const FITTING: &str = r#"user:ana | user:a* | user:ben,ana | -user:ben
model:claude-sonnet-5 | model:*20260801
tool:github.* | tool:create_issue | tool:create_* | tool:github.create_issue | server:github
class:read | class:write | kind:tool_call,refusal | action:Bash | use:toolu_1 | prompt:p-1
upstream:req_9 | tokens:100 | tokens:>=100 | tokens:<=100 | cost:0.1 | cost:>=$0.10 | cost:<0.2
took:5s | took:>4999ms | status:429 | status:400..499 | status:>=400 | refused
"connection refused" | "refused by prod" | REFUSED | refu* | "connection ref"* | error:prod
decision:teams | staging example | "staging example com" | a_b | github | since:1h | until:59m
day:today | ana create issue | allow | mode:jit | mode:auto | mode:j*,config"#;

/// Searches that do not.
const OTHERS: &str = r#"-user:ana | user:an | model:claude | tool:issue | tool:github
tool:jira.* | class:unknown
class:destructive | -class:write | kind:model_call | action:Write | action:bash | use:toolu_2
prompt:p- | tokens:>100 | tokens:<100 | cost:>0.1 | cost:<0.10 | took:>5s | status:>429
status:<429 | "refused connection" | "connection prod" | ref | error:staging | decision:prod
"prod staging" | "prod curl" | since:59m | until:1h | day:yesterday | connection -prod | -github
mode:config | mode:search | -mode:jit | jit"#;

/// What terms mean, said once without the index: searches are compared with this elsewhere.
#[test]
fn what_fits() {
    let entry = sought();
    let searches = |list: &'static str| list.split(['|', '\n']).map(str::trim).map(query);
    assert!(searches(FITTING).count() > 40 && searches(OTHERS).count() > 30);
    for query in searches(FITTING).chain([query(""), query(&format!("id:{}", entry.id))]) {
        assert!(query.fits(&entry), "{query:?}");
    }
    for query in searches(OTHERS) {
        assert!(!query.fits(&entry), "{query:?}");
    }
}
