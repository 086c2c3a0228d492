//! The event splitter: a table of streams, each in every split, and any bytes against a reading of the whole.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::fuzz::{check, fuzz_sse};
use super::{Piece, Splitter};
use crate::corpus::replay;

fn events(stream: &[u8]) -> Vec<(String, String)> {
    let mut events = Vec::new();
    let mut data = Vec::new();
    Splitter::default().push(stream, |piece| match piece {
        Piece::Data(bytes) => data.extend_from_slice(bytes),
        Piece::End(name) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            events.push((text(name), text(&std::mem::take(&mut data))));
        }
        Piece::Name(_) | Piece::Void | Piece::Id(_) | Piece::Retry(_) => {}
    });
    events
}

fn expect(stream: &str, expected: &[(&str, &str)]) {
    let found = events(stream.as_bytes());
    let found: Vec<_> = found.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
    assert_eq!(found, expected, "{stream:?}");
    for step in 1..=stream.len() {
        check(stream.as_bytes(), step);
    }
}

#[test]
fn streams_are_read_as_in_the_standard() {
    expect("", &[]);
    expect("event: ping\ndata: {}\n\n", &[("ping", "{}")]);
    expect("event:ping\rdata:{}\r\r", &[("ping", "{}")]);
    expect("event: ping\r\ndata: {}\r\n\r\n", &[("ping", "{}")]);
    expect("\u{feff}data: a\n\n", &[("", "a")]);
    expect("\u{feff}\u{feff}data: a\n\n", &[]);
    expect("data: a\nevent: late\n\n", &[("late", "a")]);
    expect("event: a\nevent: b\ndata: 1\n\n", &[("b", "1")]);
    expect("data:  a\ndata:b\ndata\ndata: \n\n", &[("", " a\nb\n\n")]);
    expect("data\n\n", &[("", "")]);
    expect("event: void\n\ndata: a\n\n", &[("", "a")]);
    expect(": comment\ndata: a\n:\n\n: data: b\n\n", &[("", "a")]);
    expect("id: 7\nretry: 10\ndatax: no\n data: no\nDATA: no\ndata: yes\n\n", &[("", "yes")]);
    expect("data: cut", &[]);
    expect("data: cut\n", &[]);
    expect("data: cut\r", &[]);
    expect(&format!("event: {}\ndata: a\n\n", "n".repeat(33)), &[("", "a")]);
    let longest = "n".repeat(32);
    expect(&format!("event: {longest}\ndata: a\n\n"), &[(&longest, "a")]);
}

#[test]
fn ids_and_retries_are_handed_on_in_pieces() {
    let cases: &[(&str, &[&str])] = &[
        ("id: 7\nretry: 10\ndata: a\n\n", &["id 7", "retry 10"]),
        ("id:7\rid: 8 \r\r", &["id 7", "id 8 "]),
        ("id\nretry\n", &["id ", "retry "]),
        ("id: 1\r\nid\r\n\r\n", &["id 1", "id "]),
        ("idx: 1\nretries: 2\nID: 3\n id: 4\n:id: 5\n", &[]),
        ("retry:  5\n", &["retry  5"]),
    ];
    for (stream, expected) in cases {
        for step in 1..=stream.len() {
            let mut found: Vec<String> = Vec::new();
            let mut splitter = Splitter::default();
            for part in stream.as_bytes().chunks(step) {
                splitter.push(part, |piece| match piece {
                    Piece::Id(b"") => found.push("id ".to_owned()),
                    Piece::Retry(b"") => found.push("retry ".to_owned()),
                    Piece::Id(more) | Piece::Retry(more) => {
                        found.last_mut().unwrap().push_str(std::str::from_utf8(more).unwrap());
                    }
                    Piece::Name(_) | Piece::Data(_) | Piece::End(_) | Piece::Void => {}
                });
            }
            assert_eq!(found, *expected, "{stream:?} by {step}");
            check(stream.as_bytes(), step);
        }
    }
}

#[test]
fn between_events_is_exact() {
    let cases: &[(&[u8], bool)] = &[
        (b"", true),
        (b"\xef", false),
        (b"\xef\xbb\xbf", true),
        (b"d", false),
        (b"data: a\n", false),
        (b"data: a\n\n", true),
        (b"data: a\r", false),
        (b"data: a\r\r", true),
        (b"data: a\r\n\r", true),
        (b"data: a\r\n\r\n", true),
        (b"data: a\n\n:", false),
        (b"data: a\n\n: comment", false),
        (b"data: a\n\n: comment\n", true),
        (b"data: a\n: comment\n", false),
        (b"id: 1\n", false),
        (b"event: a\n\n", true),
        (b"\n\n\n", true),
    ];
    for (stream, expected) in cases {
        let mut splitter = Splitter::default();
        splitter.push(stream, |_| {});
        assert_eq!(splitter.between_events(), *expected, "{}", stream.escape_ascii());
    }
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => proptest::sample::select(vec![
            "data:", "data: ", "data", "event:", "event: ", "event", "id: 1", "id:", "id", "i", "d: 2",
            "retry: 10", "retry:", "retry", "re", "try:", ":", ": c", "da", "ev", "ent:", " ", "x",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        6 => proptest::sample::select(vec!["\n", "\r", "\r\n", "\n\n", "\r\n\r\n"])
            .prop_map(|word| word.as_bytes().to_vec()),
        2 => vec(0x20_u8..=0xff, 0..40),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
    ];
    vec(word, 0..30).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_says_the_same(stream in stream(), seed in 0_u8..17) {
        fuzz_sse(&[[seed].as_slice(), &stream].concat());
        fuzz_sse(&[[seed].as_slice(), b"\xef\xbb\xbf", &stream].concat());
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("sse", 3, fuzz_sse);
}
