//! What the admin API answers, to what is asked well and to what is not.

use serde_json::Value;

use super::{NOON, entries, entry, filled, now};
use crate::ledger::entry::{Entry, Kind, Tokens};
use crate::ledger::index::answer;
use crate::ledger::index::form;
use crate::ledger::index::search::Reader;

fn parameters(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn ledger(reader: &mut Reader, text: &str) -> (u16, Value) {
    let answer = answer::ledger(reader, &parameters(text), &now());
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn spend(reader: &Reader, text: &str) -> (u16, Value) {
    let answer = answer::spend(reader, &parameters(text), &now());
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[test]
fn entries_in_pages_and_alone() {
    let entries = entries(41, 120);
    let folder = filled(&entries);
    let mut reader = folder.reader();
    let (status, first) = ledger(&mut reader, "limit=50&facets=true");
    assert_eq!(status, 200);
    assert_eq!(first["entries"].as_array().unwrap().len(), 50);
    assert_eq!(first["entries"][0]["position"], entries[119].0);
    assert_eq!(first["entries"][0]["id"], entries[119].1.id.to_string());
    assert_eq!(first["facets"]["counted"], 120);
    let (_, second) = ledger(&mut reader, &format!("limit=50&before={}", first["next"]));
    assert_eq!(second["entries"][0]["position"], entries[69].0);
    let (_, last) = ledger(&mut reader, "limit=1000");
    assert_eq!((last["entries"].as_array().unwrap().len(), &last["next"]), (120, &Value::Null));
    let (_, tail) = ledger(&mut reader, &format!("from={}", entries[110].0));
    assert_eq!(tail["entries"].as_array().unwrap().len(), 10);
    assert_eq!(tail["next"], entries[119].0 + 1);
    let (_, end) = ledger(&mut reader, "from=end");
    assert_eq!((end["entries"].as_array().unwrap().len(), &end["next"]), (0, &tail["next"]));
    let (_, one) = ledger(&mut reader, &format!("id={}", entries[7].1.id));
    assert_eq!(one["entries"][0]["position"], entries[7].0);
    let (_, session) = ledger(&mut reader, "session=s-1");
    assert!(session["entries"].as_array().unwrap().iter().all(|entry| entry["session"] == "s-1"));
    assert_eq!(ledger(&mut reader, &format!("id={}", crate::ids::CallId(u128::MAX))).0, 404);
}

#[test]
fn what_is_not_understood_is_told() {
    let folder = filled(&entries(42, 10));
    let mut reader = folder.reader();
    for (text, words) in [
        ("q=colour:red", "q: at character 1: there is no field `colour`"),
        ("limit=0", "limit: a number from 1 to 1000"),
        ("limit=1001", "limit: a number from 1 to 1000"),
        ("limit=many", "limit: a number"),
        ("before=-1", "before: a number"),
        ("id=7", "id: write req_"),
        ("colour=red", "there is no such parameter"),
        ("q=a&q=b", "given twice"),
    ] {
        let (status, form) = ledger(&mut reader, text);
        assert!(
            status == 400 && form["error"]["message"].as_str().unwrap().contains(words),
            "{text}: {form}"
        );
    }
    for (text, words) in [
        ("by=colour", "by: up to 3 of key, team"),
        ("by=key,team,user,model", "by: up to 3 of"),
        ("per=year", "per: hour, day, week, month"),
        ("since=soon", "since: write 30m"),
        ("q=x", "there is no such parameter"),
    ] {
        let (status, form) = spend(&reader, text);
        assert!(
            status == 400 && form["error"]["message"].as_str().unwrap().contains(words),
            "{text}: {form}"
        );
    }
}

#[test]
fn a_damaged_index_is_no_fault_of_the_caller() {
    let folder = filled(&entries(43, 10));
    let db = rusqlite::Connection::open(folder.index()).unwrap();
    db.execute_batch("UPDATE block SET data = x'00'").unwrap();
    let (status, form) = ledger(&mut folder.reader(), "");
    assert_eq!(status, 503);
    assert!(form["error"]["message"].as_str().unwrap().contains("rebuild"));
}

#[test]
fn what_was_spent() {
    let call = |number: u64, team: &str, cost_pico| Entry {
        kind: Kind::ModelCall,
        team: team.to_owned(),
        model: "claude-sonnet-5".to_owned(),
        session: format!("session-{team}"),
        tokens: Tokens { input: 25, cache_read: 75, ..Tokens::default() },
        at_ms: NOON - 86_400_000 + number,
        cost_pico,
        ..entry(number)
    };
    let folder =
        filled(&[(0, call(1, "web", 1_500_000_000_000)), (1, call(2, "web", 1)), (2, call(3, "infra", 0))]);
    let reader = folder.reader();
    let (status, form) = spend(&reader, "by=team,model&per=day&since=7d");
    assert_eq!(status, 200);
    let row = &form["rows"][0];
    assert_eq!((row["team"].as_str(), row["model"].as_str()), (Some("web"), Some("claude-sonnet-5")));
    assert_eq!((row["day"].as_str(), row["calls"].as_u64()), (Some("2026-11-21"), Some(2)));
    assert_eq!(row["cost_usd"], "1.500000000001");
    assert_eq!(row["cache_hits_permille"], 750);
    assert_eq!(form["total"]["calls"], 3);
    assert_eq!(spend(&reader, "team=infra").1["total"]["calls"], 1);
    assert_eq!(spend(&reader, "model=gpt*").1["total"]["calls"], 0);
    assert_eq!(spend(&reader, "until=2026-11-20").1["total"]["calls"], 0);
    let (_, sessions) = spend(&reader, "by=session&since=2d");
    assert_eq!(sessions["sessions"][0]["session"], "session-web");
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 2);
}

#[test]
fn dollars_have_all_their_digits() {
    for (pico, text) in [
        (0, "0"),
        (1, "0.000000000001"),
        (12_300_000_000, "0.0123"),
        (4_000_000_000_000, "4"),
        (u128::from(u64::MAX), "18446744.073709551615"),
    ] {
        assert_eq!(form::dollars(pico), text);
    }
}

#[test]
fn csv_holds_what_it_is_given() {
    let hostile = Entry {
        user: "=HYPERLINK(\"http://x\")".to_owned(),
        team: "ben\u{1b}[2J\u{0}\u{9b}7m\t".to_owned(),
        error: "a \"b\", c\nd".to_owned(),
        at_ms: 1_795_348_800_123,
        ..entry(1)
    };
    let folder = filled(&[(9, hostile)]);
    let hit = folder.reader().entry(crate::ids::CallId(1)).unwrap().unwrap();
    let line = form::csv(&hit);
    assert!(line.starts_with("9,2026-11-22T12:00:00.123Z,req_"), "{line}");
    assert!(
        line.contains(",\"'=HYPERLINK(\"\"http://x\"\")\",") && line.contains(",\"a \"\"b\"\", c\nd\","),
        "{line}"
    );
    assert_eq!(form::CSV_HEAD.split(',').count(), 37);
    assert!(line.contains(",ben\u{fffd}[2J\u{fffd}\u{fffd}7m\t,") && !line.contains('\u{9b}'), "{line}");
    let quoted = line.split('"').step_by(2).collect::<String>();
    assert_eq!(quoted.split(',').count(), 37);
}
