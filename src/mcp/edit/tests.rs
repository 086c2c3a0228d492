//! What edits make of a document, and which bytes they leave alone.

use proptest::prelude::*;
use serde_json::{Map, Value as Tree};

use crate::mcp::edit::{Change, Edits, Piece};
use crate::mcp::fault::Fault;

const NAMES: [&str; 4] = ["a", "b", "_meta", "né"];

fn joined(doc: &[u8], edits: &Edits<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in edits.pieces() {
        match piece {
            Piece::Kept(range) => out.extend_from_slice(&doc[range]),
            Piece::New(bytes) => out.extend_from_slice(bytes),
        }
    }
    out
}

fn set(doc: &str, changes: &[(&'static str, Change<'_>)]) -> String {
    let mut edits = Edits::new(doc.as_bytes());
    edits.set(0..doc.len(), changes).unwrap();
    let out = edits.finish();
    assert_eq!(joined(doc.as_bytes(), &edits), out);
    assert_eq!(edits.total_bytes(), out.len());
    String::from_utf8(out).unwrap()
}

#[test]
fn members_are_put_replaced_and_removed() {
    let (one, two) = (Change::Put(b"1"), Change::Put(b"[2]"));
    type Case<'a> = (&'a str, &'a [(&'static str, Change<'a>)], &'a str);
    let table: &[Case<'_>] = &[
        ("{}", &[("a", one)], r#"{"a":1}"#),
        ("{ }", &[("a", one), ("b", two)], r#"{"a":1,"b":[2] }"#),
        (r#"{"x":0}"#, &[("a", one)], r#"{"a":1,"x":0}"#),
        (r#"{ "a" : 0 , "x":0}"#, &[("a", two)], r#"{ "a" : [2] , "x":0}"#),
        (r#"{"a":0}"#, &[("a", Change::Remove)], "{}"),
        (r#"{"a":0,"x":0}"#, &[("a", Change::Remove)], r#"{"x":0}"#),
        (r#"{"x":0 , "a":0 }"#, &[("a", Change::Remove)], r#"{"x":0 }"#),
        (r#"{"x":0,"a":0,"y":0}"#, &[("a", Change::Remove)], r#"{"x":0,"y":0}"#),
        (r#"{"a":0,"b":0,"y":0}"#, &[("a", Change::Remove), ("b", Change::Remove)], r#"{"y":0}"#),
        (r#"{"x":0,"a":0,"b":0}"#, &[("a", Change::Remove), ("b", Change::Remove)], r#"{"x":0}"#),
        (r#"{"a":0,"b":0}"#, &[("a", Change::Remove), ("b", Change::Remove)], "{}"),
        (r#"{"a":0}"#, &[("a", Change::Remove), ("b", one)], r#"{"b":1}"#),
        (r#"{"a":0,"b":0}"#, &[("a", Change::Remove), ("b", one)], r#"{"b":1}"#),
        (r#"{"x":0}"#, &[("a", Change::Remove)], r#"{"x":0}"#),
        (r#"{"x":0}"#, &[], r#"{"x":0}"#),
    ];
    for (doc, changes, expected) in table {
        assert_eq!(set(doc, changes), *expected, "{doc}");
    }
}

#[test]
fn objects_inside_of_each_other() {
    let doc = r#"{"id":3,"params":{"name":"x","_meta":{"progressToken":3,"k":1}}}"#;
    let mut edits = Edits::new(doc.as_bytes());
    edits.set(37..62, &[("progressToken", Change::Put(b"17")), ("new", Change::Put(b"true"))]).unwrap();
    edits.set(17..63, &[("name", Change::Put(b"\"y\""))]).unwrap();
    edits.replace(6..7, b"17").unwrap();
    let expected = r#"{"id":17,"params":{"name":"y","_meta":{"new":true,"progressToken":17,"k":1}}}"#;
    assert_eq!(String::from_utf8(edits.finish()).unwrap(), expected);
    assert_eq!(edits.set(0..doc.len(), &[("params", Change::Remove)]), Err(Fault::Overlap { at: 25 }));
}

#[test]
fn edits_that_meet_are_refused() {
    let doc = br#"{"a":12345}"#;
    let mut edits = Edits::new(doc);
    edits.replace(5..8, b"x").unwrap();
    for wrong in [5..8, 4..6, 7..9, 6..6, 4..9, 12..12, 9..99] {
        assert!(matches!(edits.replace(wrong.clone(), b"y"), Err(Fault::Overlap { .. })), "{wrong:?}");
    }
    for good in [5..5, 8..8, 8..9, 0..5] {
        assert_eq!(edits.replace(good.clone(), b"z"), Ok(()), "{good:?}");
    }
    assert_eq!(edits.finish(), b"zzxzz5}");
    let mut edits = Edits::new(doc);
    edits.set(0..11, &[]).unwrap();
    assert_eq!(edits.set(0..11, &[]), Err(Fault::Overlap { at: 0 }), "an object is set once");
}

#[test]
fn objects_that_can_be_read_in_two_ways_are_refused() {
    let check = |doc: &str| Edits::new(doc.as_bytes()).set(0..doc.len(), &[("name", Change::Remove)]);
    assert!(matches!(check(r#"{"name":1,"name":2}"#), Err(Fault::Twice { name: "name", at: 11 })));
    assert!(matches!(check(r#"{"Name":1}"#), Err(Fault::Alike { name: "name", at: 2 })));
    assert!(matches!(check("[]"), Err(Fault::NotJson(_))));
    let twice = [("a", Change::Remove), ("a", Change::Put(b"1"))];
    assert!(matches!(Edits::new(b"{}").set(0..2, &twice), Err(Fault::Twice { name: "a", .. })));
}

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "1",
        "\"}\"",
        "{\"a\":[1,{\"b\":2}]}",
        "[]",
        "{}",
        "\"\\\"a\\\":\"",
        "null",
        "-0.5",
    ])
    .prop_map(str::to_owned)
}

/// An object with any of the names and others, in any order, with white space.
fn object() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
    let names =
        prop::sample::subsequence(vec!["a", "b", "_meta", "né", "x", "y\\\"", ""], 0..=7).prop_shuffle();
    let space = prop::sample::select(vec!["", " ", "\n "]);
    (names, prop::collection::vec(value(), 7), space).prop_map(|(names, values, s)| {
        let members: Vec<_> = names.into_iter().map(str::to_owned).zip(values).collect();
        let text: Vec<_> =
            members.iter().map(|(name, value)| format!("{s}\"{name}\"{s}:{s}{value}{s}")).collect();
        (format!("{{{s}{}{s}}}", text.join(",")), members)
    })
}

fn changes() -> impl Strategy<Value = Vec<(&'static str, Option<String>)>> {
    let names = prop::sample::subsequence(NAMES.to_vec(), 0..=4).prop_shuffle();
    (names, prop::collection::vec(prop::option::of(value()), 4))
        .prop_map(|(names, values)| names.into_iter().zip(values).collect())
}

fn as_change(value: Option<&str>) -> Change<'_> {
    value.map_or(Change::Remove, |value| Change::Put(value.as_bytes()))
}

proptest! {
    #[test]
    fn a_document_becomes_what_was_asked_for(
        (inner, _) in object(), (outer, members) in object(), first in changes(), second in changes(),
    ) {
        // The inner object stands inside of the outer one, and both are edited in one go.
        let doc = format!("{{\"inner\":{inner},\"outer\":{outer}}}");
        let inner_at = 9..9 + inner.len();
        let outer_at = doc.len() - 1 - outer.len()..doc.len() - 1;
        let mut edits = Edits::new(doc.as_bytes());
        let mut expected: Map<String, Tree> = serde_json::from_str(&doc).unwrap();
        for (key, at, changes) in [("outer", outer_at, &second), ("inner", inner_at, &first)] {
            let bytes = changes.iter().map(|(name, value)| (*name, as_change(value.as_deref())));
            let bytes: Vec<_> = bytes.collect();
            edits.set(at, &bytes).unwrap();
            let object = expected[key].as_object_mut().unwrap();
            for (name, value) in changes {
                object.remove(*name);
                if let Some(value) = value {
                    object.insert((*name).to_owned(), serde_json::from_str(value).unwrap());
                }
            }
        }
        edits.set(0..doc.len(), &[("id", Change::Put(b"7"))]).unwrap();
        expected.insert("id".to_owned(), Tree::from(7));
        let out = edits.finish();
        prop_assert_eq!(&joined(doc.as_bytes(), &edits), &out);
        prop_assert_eq!(serde_json::from_slice::<Map<String, Tree>>(&out).unwrap(), expected);
        // Members that nobody named are there byte for byte.
        let text = String::from_utf8(out).unwrap();
        let named = |name: &String| second.iter().any(|(other, _)| other == name);
        for (name, value) in members.iter().filter(|(name, _)| !named(name)) {
            let quoted = ["\"", name.as_str(), "\""].concat();
            prop_assert!(text.contains(&quoted) && text.contains(value.as_str()));
        }
        for piece in edits.pieces() {
            prop_assert!(!matches!(piece, Piece::New(b"")));
            prop_assert!(!matches!(piece, Piece::Kept(range) if range.is_empty()));
        }
    }

    #[test]
    fn replacing_any_places_keeps_the_rest(
        doc in prop::collection::vec(any::<u8>(), 0..40),
        wanted in prop::collection::vec((0_usize..42, 0_usize..6, "[a-z]{0,3}"), 0..8),
    ) {
        let mut edits = Edits::new(&doc);
        let mut taken: Vec<(usize, usize, String)> = Vec::new();
        for (start, len, bytes) in wanted {
            let (range, end) = (start..start + len, start + len);
            let meets = taken.iter().any(|(from, to, _)| *from < end && start < *to);
            let fits = end <= doc.len() && !meets;
            prop_assert_eq!(edits.replace(range, bytes.as_bytes()).is_ok(), fits);
            if fits {
                taken.push((start, end, bytes));
            }
        }
        // The same from the back, so that places before stay good; what came first stands first.
        taken.reverse();
        taken.sort_by_key(|(start, end, _)| (usize::MAX - start, usize::MAX - end));
        let mut expected = doc.clone();
        for (start, end, bytes) in taken {
            expected.splice(start..end, bytes.into_bytes());
        }
        prop_assert_eq!(edits.finish(), expected);
    }
}
