//! The walk and the words of JSON: tables of cases, and any document against `serde_json`.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};
use serde_json::Value as Tree;

use super::fuzz::fuzz_fields;
use super::{
    Cursor, Fault, Kind, Part, Parts, Value, elements, escape, fields, fields_at, strict, text, text_pieces,
    write_string,
};
use crate::corpus::replay;
use crate::limits;

fn all(doc: &str) -> Result<Vec<(String, Kind, String)>, Fault> {
    let mut found = Vec::new();
    fields(doc.as_bytes(), |field| {
        let name = text(field.key.raw)?.into_owned();
        let value = String::from_utf8_lossy(field.value.bytes(doc.as_bytes())).into_owned();
        found.push((name, field.value.kind, value));
        Ok::<_, Fault>(())
    })?;
    Ok(found)
}

fn check(doc: &str, expected: &[(&str, Kind, &str)]) {
    let found = all(doc).unwrap_or_else(|fault| panic!("{doc}: {fault}"));
    let found: Vec<_> =
        found.iter().map(|(key, kind, value)| (key.as_str(), *kind, value.as_str())).collect();
    assert_eq!(found, expected, "{doc}");
    fuzz_fields(doc.as_bytes());
}

fn refuse(doc: &[u8], expected: Fault) {
    assert_eq!(fields(doc, |_| Ok::<_, Fault>(())), Err(expected), "{}", String::from_utf8_lossy(doc));
    fuzz_fields(doc);
}

#[test]
fn members_are_found_in_order() {
    check("{}", &[]);
    check(" \r\n\t{ \n} ", &[]);
    check(r#"{"a":1}"#, &[("a", Kind::Number, "1")]);
    check(r#"{"":""}"#, &[("", Kind::String, r#""""#)]);
    check(
        r#" { "a" : true , "b":false,"a":null } "#,
        &[("a", Kind::True, "true"), ("b", Kind::False, "false"), ("a", Kind::Null, "null")],
    );
    check(
        r#"{"mod\u0065l":"x\"}","o":{"model":"}"},"l":[[],{}, "]"]}"#,
        &[
            ("model", Kind::String, r#""x\"}""#),
            ("o", Kind::Object, r#"{"model":"}"}"#),
            ("l", Kind::Array, r#"[[],{}, "]"]"#),
        ],
    );
    check(r#"{"n":-0.5e+10,"é":"→"}"#, &[("n", Kind::Number, "-0.5e+10"), ("é", Kind::String, r#""→""#)]);
}

#[test]
fn what_is_not_json_is_refused_at_its_place() {
    refuse(b"", Fault::WrongKind { at: 0 });
    refuse(b"\xef\xbb\xbf{}", Fault::WrongKind { at: 0 });
    refuse(b"[1]", Fault::WrongKind { at: 0 });
    refuse(b"{", Fault::CommaOrEnd { at: 1 });
    refuse(b"{\"a\"", Fault::Colon { at: 4 });
    refuse(b"{\"a\" 1}", Fault::Colon { at: 5 });
    refuse(b"{\"a\":", Fault::Value { at: 5 });
    refuse(b"{\"a\":1", Fault::CommaOrEnd { at: 6 });
    refuse(b"{\"a\":1,}", Fault::Key { at: 7 });
    refuse(b"{,}", Fault::Key { at: 1 });
    refuse(b"{a:1}", Fault::Key { at: 1 });
    refuse(b"{'a':1}", Fault::Key { at: 1 });
    refuse(b"{\"a\":1 \"b\":2}", Fault::CommaOrEnd { at: 7 });
    refuse(b"{\"a\":1]", Fault::CommaOrEnd { at: 6 });
    refuse(b"{\"a\":1}x", Fault::Trailing { at: 7 });
    refuse(b"{\"a\":1}{}", Fault::Trailing { at: 7 });
    refuse(b"{\"a", Fault::Unterminated { at: 1 });
    refuse(b"{\"a\":\"b\\\"}", Fault::Unterminated { at: 5 });
    refuse(b"{\"a\":[{}", Fault::Unterminated { at: 5 });
    refuse(b"{\"a\n\":1}", Fault::Byte { at: 3 });
    refuse(b"{\"a\":\"\x00\"}", Fault::Byte { at: 6 });
    refuse(b"{\"a\":\"\xff\"}", Fault::Utf8 { at: 6 });
    refuse(b"{\"a\":[\"\xc0\xa2\"]}", Fault::Utf8 { at: 7 });
    refuse(b"{\"\xed\xa0\x80\":1}", Fault::Utf8 { at: 2 });
}

#[test]
fn numbers_and_literals_are_spelt_as_in_the_standard() {
    for word in
        ["01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "--1", "NaN", "Infinity", "tru", "True", "nul"]
    {
        let doc = format!("{{\"a\":{word}}}");
        assert!(all(&doc).is_err(), "{doc}");
        fuzz_fields(doc.as_bytes());
    }
    for word in ["0", "-0", "10", "1.0", "1e5", "1E-5", "0.0e0", "18446744073709551616"] {
        let doc = format!("{{\"a\":{word}}}");
        assert!(all(&doc).is_ok(), "{doc}");
        fuzz_fields(doc.as_bytes());
    }
}

/// Parsers that take comments or single quotes would read on in another place than we.
#[test]
fn nothing_outside_of_strings_that_is_not_json_is_passed_over() {
    for alien in [
        "/*\"*/", "//\"\n", "#\"\n", "'\"'", "`", "\\\"", "\u{0}", "\u{1}", "\u{b}", "\u{7f}", "\u{a0}",
        "\u{2028}", "?", "(", ")", "<", "=", "~", "@", "A", "z", "_", ";",
    ] {
        for doc in [
            format!("{{\"a\":[{alien}],\"model\":\"x\"}}"),
            format!("{{\"a\":{{\"b\":1{alien}}},\"model\":\"x\"}}"),
            format!("{{\"a\":[{}{alien}1],\"model\":\"x\"}}", " ".repeat(60)),
            format!("{{{alien}\"a\":1}}"),
            format!("{{\"a\"{alien}:1}}"),
            format!("{{\"a\":{alien}1}}"),
            format!("{{\"a\":1{alien}}}"),
            format!("{{\"a\":1}}{alien}"),
        ] {
            assert!(all(&doc).is_err(), "{doc}");
        }
    }
}

#[test]
fn depth_is_bounded_at_every_level() {
    let nest = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(all(&nest(limits::JSON_DEPTH_MAX - 1)).is_ok());
    let deep = nest(limits::JSON_DEPTH_MAX);
    assert_eq!(all(&deep), Err(Fault::Depth { at: 5 + limits::JSON_DEPTH_MAX - 1 }));
    let deep = "[".repeat(limits::JSON_DEPTH_MAX + 1);
    let mut cursor = Cursor::new(deep.as_bytes());
    for _ in 0..limits::JSON_DEPTH_MAX {
        cursor.enter_array().expect("not too deep yet");
        assert_eq!(cursor.element(), Ok(true));
    }
    assert_eq!(cursor.enter_array(), Err(Fault::Depth { at: limits::JSON_DEPTH_MAX }));
    assert_eq!(cursor.skip(), Err(Fault::Depth { at: limits::JSON_DEPTH_MAX + 1 }));
}

#[test]
fn one_walk_enters_and_skips() {
    let doc = br#"{"x":[1],"tools":[{"name":"a"}, {"name":"b"} ],"model":"m"}"#;
    let mut cursor = Cursor::new(doc);
    let mut tools = Vec::new();
    let mut model = None;
    cursor.enter_object().unwrap();
    while let Some(key) = cursor.key().unwrap() {
        if key.raw == b"tools" {
            cursor.enter_array().unwrap();
            while cursor.element().unwrap() {
                tools.push(String::from_utf8_lossy(cursor.skip().unwrap().bytes(doc)).into_owned());
            }
        } else if key.raw == b"model" {
            model = Some(cursor.skip().unwrap());
        } else {
            cursor.skip().unwrap();
        }
    }
    cursor.finish().unwrap();
    assert_eq!(tools, [r#"{"name":"a"}"#, r#"{"name":"b"}"#]);
    assert_eq!(model.unwrap().inner(doc), Some(b"m".as_slice()));
}

#[test]
fn spans_inside_count_from_the_start_of_the_document() {
    let doc = br#"{"params":{"name":"t","n":[7,"x"]}}"#;
    let mut spans = Vec::new();
    fields(doc, |outer| {
        fields_at(doc, outer.value.span, |inner| {
            if inner.value.kind == Kind::Array {
                elements(doc, inner.value.span, |item| {
                    spans.push((item.as_u64(doc), item.span));
                    Ok::<_, Fault>(())
                })?;
            }
            Ok::<_, Fault>(())
        })
    })
    .unwrap();
    assert_eq!(spans, [(Some(7), 27..28), (None, 29..32)]);
    let outside = fields_at(doc, 9_000..9_001, |_| Ok::<_, Fault>(()));
    assert_eq!(outside, Err(Fault::WrongKind { at: 0 }));
    let number = elements(doc, 27..28, |_| Ok::<_, Fault>(()));
    assert_eq!(number, Err(Fault::WrongKind { at: 27 }));
}

#[test]
fn numbers_are_read_where_they_are_whole_and_fit() {
    let read = |doc: &str| Value { kind: Kind::Number, span: 0..doc.len() }.as_u64(doc.as_bytes());
    assert_eq!(read("18446744073709551615"), Some(u64::MAX));
    for other in ["18446744073709551616", "-1", "1.0", "1e3"] {
        assert_eq!(read(other), None, "{other}");
    }
}

#[test]
fn escapes_are_read_as_in_the_standard() {
    let good = [
        (r"plain →", "plain →"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"mod\u0065l", "model"),
        (r"\u00e9\uD83D\uDE00\u0000", "é😀\0"),
    ];
    for (raw, expected) in good {
        assert_eq!(text(raw.as_bytes()).as_deref(), Ok(expected), "{raw}");
    }
    let bad = [
        (r"ab\x", 2),
        (r"\u12", 0),
        (r"\u12g4", 0),
        (r"\u+123", 0),
        (r"a\ud83d", 1),
        (r"\ud83dx", 0),
        (r"\ud83d\u0041", 0),
        (r"\n\ude00", 2),
        (r"\", 0),
        (r"\u00é", 0),
    ];
    for (raw, at) in bad {
        assert_eq!(text(raw.as_bytes()), Err(Fault::Escape { at }), "{raw}");
    }
    assert_eq!(text(b"a\xff"), Err(Fault::Utf8 { at: 1 }));
}

#[test]
fn strict_sees_what_the_walk_passes_over() {
    for doc in [r#"{"a":[}]}"#, r#"{"a":{"b" 1}}"#, r#"{"a":[01]}"#, r#"{"a":"\x"}"#, r#"{"a":[1 2]}"#] {
        assert!(strict(&mut doc.as_bytes().to_vec()).is_err(), "{doc}");
    }
    assert_eq!(strict(&mut br#"{"a":["\u0065",1.5,{}]}"#.to_vec()), Ok(()));
    // What a program of JavaScript makes of the largest integer of 64 bits, and the largest double.
    for number in [18_446_744_073_709_552_000_f64, -1e19, f64::MAX] {
        assert_eq!(strict(&mut format!("[{number}]").into_bytes()), Ok(()), "{number}");
    }
    let deep = "[".repeat(limits::JSON_DEPTH_MAX + 2) + &"]".repeat(limits::JSON_DEPTH_MAX + 2);
    assert!(matches!(strict(&mut deep.into_bytes()), Err(Fault::Depth { .. })));
    let mut large = vec![b' '; limits::JSON_STRICT_BYTES_MAX + 1];
    assert!(matches!(strict(&mut large), Err(Fault::TooLarge { .. })));
}

/// Any document, white space and escapes in odd places included.
fn document() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just(String::new()),
        Just("model".to_owned()),
        "[a-z\\\\\"{}\\[\\]:,é→😀\\n\\x00 ]{0,12}",
        "[ -~]{60,70}",
        "\\\\{0,70}",
    ];
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        word.clone().prop_map(Tree::from),
    ];
    let tree = leaf.prop_recursive(5, 60, 8, move |inner| {
        let member = (word.clone(), inner.clone());
        prop_oneof![
            vec(inner, 0..8).prop_map(Tree::from),
            vec(member, 0..8).prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    });
    (vec(("[a-z\"\\\\é]{0,9}", tree), 0..6), any::<bool>()).prop_map(|(members, pretty)| {
        let tree = Tree::Object(members.into_iter().collect());
        if pretty { format!("{tree:#}") } else { tree.to_string() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_document_has_the_members_that_serde_json_finds(doc in document()) {
        assert!(all(&doc).is_ok());
        fuzz_fields(doc.as_bytes());
    }

    #[test]
    fn a_damaged_document_is_refused_or_agreed_upon(
        doc in document(),
        place in any::<proptest::sample::Index>(),
        byte in prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\{}[],:/ ".as_slice())],
        cut in any::<bool>(),
    ) {
        let mut doc = doc.into_bytes();
        let place = place.index(doc.len());
        doc[place] = byte;
        if cut {
            doc.truncate(place);
        }
        fuzz_fields(&doc);
    }

    #[test]
    fn what_the_walk_refuses_the_strict_path_refuses(
        doc in document(),
        place in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut doc = doc.into_bytes();
        let place = place.index(doc.len());
        doc[place] = byte;
        let other = !doc.trim_ascii_start().starts_with(b"{");
        let walked = fields(&doc, |_| Ok::<_, Fault>(()));
        if let Err(fault) = walked && !matches!(fault, Fault::Depth { .. }) && !other {
            assert!(strict(&mut doc.clone()).is_err(), "{fault}: {}", String::from_utf8_lossy(&doc));
        }
    }

    #[test]
    fn text_survives_writing_and_reading(
        words in prop_oneof![
            any::<String>(),
            r#"(?s)[a-y\x00-\x1f"\\é]{0,120}"#,
            r#"(?s)(\PC{0,70}[\x00-\x1f"\\]){0,3}"#,
        ],
    ) {
        let mut doc = Vec::new();
        write_string(&mut doc, &words);
        assert_eq!(serde_json::from_slice::<String>(&doc).ok(), Some(words.clone()));
        assert_eq!(text(escape(&words).as_bytes()).as_deref(), Ok(words.as_str()));
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("json_fields", 3, fuzz_fields);
}

// === parts ===

/// A name and a value.
type Member = (Vec<u8>, Vec<u8>);

/// What the walk says of one container that comes in pieces of `step` bytes: names and values.
fn parts_of(doc: &[u8], step: usize) -> (Vec<Member>, bool) {
    let mut parts = Parts::default();
    let (mut members, mut name, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for piece in doc.chunks(step) {
        parts.push(piece, |part| match part {
            Part::Name(bytes) => name.extend_from_slice(bytes),
            Part::Colon => value.clear(),
            Part::Value(bytes) => value.extend_from_slice(bytes),
            Part::End => members.push((std::mem::take(&mut name), std::mem::take(&mut value))),
        });
    }
    (members, parts.finished())
}

#[test]
fn parts_are_members_and_elements() {
    let check = |doc: &str, expected: &[(&str, &str)]| {
        for step in 1..=doc.len() {
            let (found, finished) = parts_of(doc.as_bytes(), step);
            let found: Vec<_> = found
                .iter()
                .map(|(name, value)| (str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap().trim()))
                .collect();
            assert_eq!(found, expected, "{doc} by {step}");
            assert!(finished);
        }
    };
    check(
        r#" {"a":1, "b\"\\" : {"c":[2,"}"]} ,"":"x,\"]"}after"#,
        &[("a", "1"), (r#"b\"\\"#, r#"{"c":[2,"}"]}"#), ("", r#""x,\"]""#)],
    );
    check(
        r#"[1,[2,{"a":"]"}],"b" , {} ]"#,
        &[("", "1"), ("", r#"[2,{"a":"]"}]"#), ("", "\"b\""), ("", "{}")],
    );
    check("[]", &[]);
    check(" [ ] ", &[]);
    check("{}", &[]);
    for other in ["", "7", "\"{}\"", "x{}", "{\"a\":[1}", "[1,"] {
        assert!(!parts_of(other.as_bytes(), 1).1, "{other}");
    }
}

#[test]
fn texts_come_in_pieces_too() {
    let raw = br#"a\n\u00e9\ud83d\ude00 b\\"#;
    let mut whole = String::new();
    text_pieces(raw, |piece| whole.push_str(piece)).unwrap();
    assert_eq!(whole, text(raw).unwrap());
    assert_eq!(whole, "a\né😀 b\\");
    let mut before = String::new();
    assert!(text_pieces(br"ab\x", |piece| before.push_str(piece)).is_err());
    assert_eq!(before, "ab");
}
