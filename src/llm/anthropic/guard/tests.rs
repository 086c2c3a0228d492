//! The guard: what it changes, what it leaves alone, and that no split of the bytes matters.

use proptest::collection::vec;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::fuzz::{ByWord, WORD, fuzz_guard, outcomes, pass, stream};
use super::{Asked, Blind, Flow, Form, Guard, asked};

const BAD: &[&str] = &["{\"command\":\"for", "bidden\"}"];
const GOOD: &[&str] = &["{\"command\":", "\"ls\"}"];

fn whole(bytes: &str, form: Form) -> (String, ByWord, Result<(), Blind>) {
    let (out, judge, ended) = pass(bytes.as_bytes(), form, std::iter::empty());
    (String::from_utf8(out).unwrap(), judge, ended)
}

#[test]
fn only_the_word_of_a_denied_use_changes() {
    let uses = [("Bash", BAD, "not_flagged"), ("Bash", GOOD, "not_flagged"), ("free", BAD, "not_flagged")];
    for line_end in ["\n", "\r\n"] {
        let sent = stream(&uses, line_end);
        let (out, judge, ended) = whole(&sent, Form::Events);
        assert_eq!(
            (judge.denied, judge.flagged, ended),
            (vec!["toolu_0".into()], vec!["toolu_0".into()], Ok(()))
        );
        let expected = sent.replacen("\"not_flagged\"", "\"flagged\"    ", 1);
        assert_eq!(out, expected);
        let read = outcomes(out.as_bytes(), Form::Events);
        let words: Vec<&str> = read.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["flagged", "not_flagged", "not_flagged"]);
    }
}

#[test]
fn what_is_not_denied_passes_untouched() {
    let sent = stream(&[("Bash", GOOD, "not_flagged"), ("free", BAD, "not_flagged")], "\n");
    let (out, judge, ended) = whole(&sent, Form::Events);
    assert_eq!((out, judge.flagged.len(), ended), (sent.clone(), 0, Ok(())));
    // Nor is a piece of it held: what comes in leaves at once.
    let (mut guard, mut judge) = (Guard::new(Form::Events, true), ByWord::default());
    for byte in sent.as_bytes() {
        assert_eq!(guard.push(&[*byte], &mut judge), Ok(Flow::Through));
    }
    // Who may not change anything sees all the same.
    let sent = stream(&[("Bash", BAD, "not_flagged")], "\n");
    let mut guard = Guard::new(Form::Events, false);
    assert_eq!(guard.push(sent.as_bytes(), &mut judge), Ok(Flow::Through));
    assert_eq!((judge.denied, judge.flagged), (vec!["toolu_0".to_owned()], Vec::new()));
}

#[test]
fn nothing_is_made_up() {
    for outcome in ["flagged", "error", "", "NOT_FLAGGED"] {
        let sent = stream(&[("Bash", BAD, outcome)], "\n");
        let (out, judge, _) = whole(&sent, Form::Events);
        assert_eq!((out, judge.flagged.len(), judge.denied.len()), (sent, 0, 1), "{outcome}");
    }
    let sent = stream(&[("Bash", BAD, "not_flagged")], "\n");
    for (from, to) in [
        ("\"toolu_0\":{\"type\"", "\"toolu_1\":{\"type\""),
        ("\"safeguard_results\"", "\"safeguard_resultz\""),
        ("\"tool_uses\":{", "\"tool_uzes\":{"),
        ("\"type\":\"available\"", "\"type\":\"unsupported\""),
    ] {
        let sent = sent.replace(from, to);
        let (out, judge, ended) = whole(&sent, Form::Events);
        let flagged = usize::from(from.contains("available"));
        assert_eq!((judge.flagged.len(), ended), (flagged, Ok(())), "{from}");
        if flagged == 0 {
            assert_eq!(out, sent);
        }
    }
}

#[test]
fn events_before_the_last_one_leave_at_once() {
    let sent = stream(&[("Bash", BAD, "not_flagged"), ("Bash", GOOD, "not_flagged")], "\n");
    let (mut guard, mut judge) = (Guard::new(Form::Events, true), ByWord::default());
    let mut held = 0;
    for event in sent.split_inclusive("\n\n") {
        // Half an event is on its way when the other half comes, unless it is the one that tells.
        let (half, rest) = event.split_at(event.len() / 2);
        for piece in [half, rest] {
            let left = match guard.push(piece.as_bytes(), &mut judge).unwrap() {
                Flow::Through => piece.len(),
                Flow::Instead(bytes) => bytes.len(),
            };
            held = held + piece.len() - left;
        }
        assert_eq!(held, 0, "{event}");
        let half = guard.push(half.as_bytes(), &mut judge).unwrap();
        let holds = half != Flow::Through && half == Flow::Instead(Vec::new());
        assert_eq!(holds, event.starts_with("event: message_delta"), "{event}");
        let _ = guard.push(rest.as_bytes(), &mut judge).unwrap();
    }
}

#[test]
fn a_document_changes_in_place() {
    let uses = json!({ "t1": { "outcome": "not_flagged" }, "t2": { "outcome": "not_flagged" } });
    let results = json!([{ "type": "dangerous_tool_use", "status": { "tool_uses": uses } }]);
    let content = json!([
        { "type": "text", "text": WORD },
        { "type": "tool_use", "id": "t1", "name": "Bash", "input": { "command": WORD } },
        { "type": "tool_use", "id": "t2", "name": "Bash", "input": { "command": "ls" } },
    ]);
    for sent in [
        format!("{{\"content\": {content}, \"safeguard_results\": {results}}}\n"),
        format!("{{\"safeguard_results\": {results}, \"content\": {content}}}"),
        format!("{{\"safeguard_results\": {results}, \"c\\u006fntent\": {content}}}"),
    ] {
        let (out, judge, ended) = whole(&sent, Form::Document);
        assert_eq!((judge.flagged, ended), (vec!["t1".to_owned()], Ok(())));
        assert_eq!(out, sent.replacen("\"not_flagged\"", "\"flagged\"    ", 1));
        let other = sent.replace("\"t1\":{", "\"t3\":{");
        assert_eq!(whole(&other, Form::Document).0, other);
    }
    // What cannot be read does not pass, since nobody knows what it says.
    assert_eq!(whole("{\"content\":[", Form::Document).2, Err(Blind));
}

#[test]
fn odd_streams() {
    let sent = stream(&[("Bash", BAD, "not_flagged")], "\n");
    let changed = |sent: &str| {
        let (out, _, ended) = whole(sent, Form::Events);
        ended.is_err() || out.contains("\"flagged\"    ")
    };
    assert!(changed(&sent));
    // Names with escapes, data over several lines, data before the name, no name at all.
    assert!(changed(&sent.replace("\"tool_uses\"", "\"tool\\u005fuses\"")));
    assert!(
        whole(&sent.replace("\"not_flagged\"", "\"not\\u005fflagged\""), Form::Events)
            .0
            .contains("\"flagged\"  ")
    );
    assert!(changed(&sent.replace(",\"safeguard_results\"", "\ndata: ,\"safeguard_results\"")));
    assert!(changed(&sent.replace("\"tool_uses\":{", "\"tool_uses\":\ndata:{")));
    let (before, last) = sent.split_once("event: message_delta\n").unwrap();
    let (data, after) = last.split_once("\n\n").unwrap();
    assert!(changed(&format!("{before}{data}\nevent: message_delta\n\n{after}")));
    assert!(changed(&format!("{before}{data}\n\n{after}")));
    assert!(changed(&format!("{before}event: ping\n{data}\nevent: message_delta\n\n{after}")));
    // The use has not ended when the message tells of it, or its end is about another one.
    let open = before.replace("event: content_block_stop", "event: ping");
    assert!(changed(&format!("{open}event: message_delta\n{last}")));
    assert!(changed(&format!("{open}{data}\nevent: message_delta\n\n{after}")));
    // The use comes after that.
    let (start, uses) = before.split_once("event: content_block_start").unwrap();
    let late = format!("{start}event: message_delta\n{data}\n\nevent: content_block_start{uses}");
    assert_eq!(whole(&late, Form::Events).2, Err(Blind));
    // A piece of the input is missing.
    assert!(changed(&sent.replace("\\\"command", "\\ud800").replace(WORD, "")));
}

#[test]
fn what_a_request_says_of_its_place() {
    let none = Asked::default();
    for (body, expected) in [
        (json!({ "model": "m" }), None),
        (json!({ "safeguards": null }), None),
        (json!({ "safeguards": [] }), Some(none.clone())),
        (json!({ "safeguards": [{ "type": "dangerous_tool_use" }] }), Some(none.clone())),
        (
            json!({ "safeguards": [{ "classifier_context": { "live_cwd": "/a b", "home_dir": "/h" } }] }),
            Some(Asked { cwd: Some("/a b".into()), home: Some("/h".into()) }),
        ),
        (json!({ "safeguards": [{ "classifier_context": { "live_cwd": 7 } }] }), Some(none)),
    ] {
        assert_eq!(asked(body.to_string().as_bytes()), expected, "{body}");
    }
    assert!(asked(br#"{"safegu\u0061rds":[]}"#).is_some());
    assert_eq!(asked(b"nothing"), None);
}

#[test]
fn the_fuzz_corpus_replays() {
    crate::corpus::replay("safeguards", 4, fuzz_guard);
}

proptest! {
    #[test]
    fn no_split_matters(sizes in vec(1..40_usize, 1..60), bad in vec(0..3_u8, 1..5), crlf in 0..2_u8) {
        let outcome = |kind: u8| if kind == 2 { "flagged" } else { "not_flagged" };
        let uses: Vec<(&str, &[&str], &str)> = bad
            .iter()
            .map(|&kind| ("Bash", if kind == 0 { GOOD } else { BAD }, outcome(kind)))
            .collect();
        let sent = stream(&uses, if crlf == 0 { "\n" } else { "\r\n" });
        let (expected, _, _) = pass(sent.as_bytes(), Form::Events, std::iter::empty());
        let (out, judge, ended) = pass(sent.as_bytes(), Form::Events, sizes.into_iter().cycle());
        prop_assert_eq!(&out, &expected);
        prop_assert_eq!(out.len(), sent.len());
        prop_assert!(ended.is_ok());
        prop_assert_eq!(judge.denied.len(), bad.iter().filter(|&&kind| kind > 0).count());
        for (id, word) in outcomes(&out, Form::Events) {
            prop_assert_eq!(word == "not_flagged", !judge.denied.contains(&id));
        }
    }

    #[test]
    fn a_cut_lets_nothing_out(at in 0..2000_usize) {
        let uses = [("Bash", BAD, "not_flagged"), ("Bash", GOOD, "not_flagged")];
        let sent = stream(&uses, "\n");
        let cut = at.min(sent.len());
        let (out, _, _) = pass(&sent.as_bytes()[..cut], Form::Events, std::iter::repeat(7));
        for tail in ["", "\n", "\n\n", "\"}}}]}}\n\n"] {
            let read = [out.as_slice(), tail.as_bytes()].concat();
            for (id, word) in outcomes(&read, Form::Events) {
                prop_assert!(id != "toolu_0" || word != "not_flagged", "cut at {}", cut);
            }
        }
        let text = String::from_utf8_lossy(&out);
        let own = text.split("\"toolu_0\":").nth(1).unwrap_or_default();
        let own = own.split("toolu_1").next().unwrap_or_default();
        prop_assert!(!own.contains("not_flagged"), "cut at {}", cut);
    }

    #[test]
    fn any_bytes(data in vec(proptest::prelude::any::<u8>(), 0..200)) {
        fuzz_guard(&data);
    }

    #[test]
    fn broken(seed in 0..255_u8, at in 0..1500_usize, new in "[\\x00-\\x7f]{0,3}", cut in 0..8_usize) {
        let mut sent = stream(&[("Bash", BAD, "not_flagged"), ("Edit", GOOD, "not_flagged")], "\n");
        let at = at.min(sent.len());
        let end = (at + cut).min(sent.len());
        sent.replace_range(at..end, &new);
        let mut data = vec![seed];
        data.extend(sent.into_bytes());
        fuzz_guard(&data);
    }
}
