//! What is shown of a result, what is kept back, and that both together are all of it.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use super::{
    BadPath, Caps, Digest, Earlier, Kept, Origin, Path, Projected, Rule, Unit, more, project, trim,
    trim_in_session,
};
use crate::corpus::replay;
use crate::limits;
use crate::mcp::lean::fuzz::{fuzz_results, read_through};

#[test]
fn seeds_of_the_fuzz_target_hold() {
    replay("mcp_results", 3, fuzz_results);
}

fn paths(paths: &[&str]) -> Vec<Path> {
    paths.iter().map(|path| Path::read(path).unwrap()).collect()
}

fn shown(doc: &str, keep: &[&str], drop: &[&str]) -> (String, usize) {
    let Projected { text, left_out } = project(doc.as_bytes(), &paths(keep), &paths(drop)).unwrap();
    (String::from_utf8(text).unwrap(), left_out)
}

#[test]
fn paths_lead_to_what_they_name() {
    let doc =
        r#"{"items":[{"name":"a","url":"u","in":{"url":"v"}},{"name":"b"},5],"url":{"x y":1,"z":[]},"n":1}"#;
    let table: &[(&[&str], &[&str], &str, usize)] = &[
        (&["$.items[*].name"], &[], r#"{"items":[{"name":"a"},{"name":"b"}]}"#, 5),
        (&[".items[0].name", "$.n"], &[], r#"{"items":[{"name":"a"}],"n":1}"#, 5),
        (&["..url"], &[], r#"{"items":[{"url":"u","in":{"url":"v"}}],"url":{"x y":1,"z":[]}}"#, 4),
        (&["$['url'][\"x y\"]"], &[], r#"{"url":{"x y":1}}"#, 3),
        (&["$.url.*"], &[], r#"{"url":{"x y":1,"z":[]}}"#, 2),
        (&["$.nothing"], &[], "{}", 3),
        (&[], &["..url"], r#"{"items":[{"name":"a","in":{}},{"name":"b"},5],"n":1}"#, 3),
        (&[], &["$.items[*]", "$.url"], r#"{"items":[],"n":1}"#, 4),
        (&["$.items"], &["$..name", "$.items[2]"], r#"{"items":[{"url":"u","in":{"url":"v"}},{}]}"#, 5),
        (&["$..*"], &[], doc, 0),
    ];
    for (keep, drop, expected, left_out) in table {
        assert_eq!(shown(doc, keep, drop), ((*expected).to_owned(), *left_out), "{keep:?} {drop:?}");
    }
    assert_eq!(shown("[[1,2],[3]]", &["$[*][0]"], &[]).0, "[[1],[3]]");
    assert_eq!(shown("[[1,2],[3]]", &["[1]"], &[]).0, "[[3]]");
    assert_eq!(shown(r#"{"\u0061":1,"b":2}"#, &["$.a"], &[]).0, r#"{"\u0061":1}"#);
}

#[test]
fn what_cannot_be_kept_is_not_cut_but_still_projected() {
    let caps = Caps { bytes_max: Some(limits::RESULT_CUT_BYTES_MIN), ..Caps::default() };
    let long = "x".repeat(2 * limits::RESULT_CUT_BYTES_MIN);
    let rule = Rule { drop: paths(&["$.secret"]), caps, ..Rule::default() };
    let doc = json!({ "secret": "s", "name": long }).to_string();
    let blocks = json!([{ "type": "text", "text": doc }]);
    let result = json!({ "content": blocks, "structuredContent": { "secret": 1, "name": long } });
    let result = result.to_string();
    let trimmed = trim(result.as_bytes(), &rule).unwrap();
    assert_eq!(trimmed.kept().len(), 1, "the same is kept once");
    let new: Tree = serde_json::from_slice(&trimmed.write(&[""]).unwrap()).unwrap();
    let all = json!({ "name": long });
    assert_eq!(new["content"], json!([{ "type": "text", "text": all.to_string() }]));
    assert_eq!(new["structuredContent"], all);
}

#[test]
fn a_path_that_is_none_says_what_to_write() {
    for (path, fault) in [
        ("", BadPath::Empty),
        ("$", BadPath::Empty),
        ("name", BadPath::Step { at: 0 }),
        ("$.a b", BadPath::Step { at: 3 }),
        ("$.", BadPath::Name { at: 2 }),
        ("$...a", BadPath::Name { at: 3 }),
        ("$.[0]", BadPath::Name { at: 2 }),
        ("$[a]", BadPath::Bracket { at: 1 }),
        ("$[-1]", BadPath::Bracket { at: 1 }),
        ("$[+1]", BadPath::Bracket { at: 1 }),
        ("$['a]", BadPath::Bracket { at: 1 }),
        ("$[1", BadPath::Bracket { at: 1 }),
    ] {
        assert_eq!(Path::read(path), Err(fault), "{path}");
    }
    assert_eq!(Path::read(&".a".repeat(limits::RESULT_PATH_STEPS_MAX + 1)), Err(BadPath::TooLong));
    assert_eq!(Path::read(&"a".repeat(limits::RESULT_PATH_BYTES_MAX + 1)), Err(BadPath::TooLong));
    assert!(Path::read(&".a".repeat(limits::RESULT_PATH_STEPS_MAX)).is_ok());
    assert!(Path::read("..[0]['x']").is_ok());
}

#[test]
fn numbers_and_strings_stay_as_they_are_written() {
    let doc = " { \"a\" : [ 1.50e+3 , -0 , 12345678901234567890123 ] , \"\\u0062\" : \"\\/ \\u00e9 é\" } ";
    assert_eq!(
        shown(doc, &[], &[]).0,
        r#"{"a":[1.50e+3,-0,12345678901234567890123],"\u0062":"\/ \u00e9 é"}"#
    );
    assert!(project(b"{\"a\":}", &[], &[]).is_err() && project(b"[1,]", &[], &[]).is_err());
}

fn kept(text: &str, rows_max: Option<usize>, bytes_max: Option<usize>) -> Result<Kept, String> {
    Kept::of(text.to_owned(), Caps { rows_max, bytes_max })
}

#[test]
fn rows_are_cut_in_the_longest_array() {
    let doc = r#"{"few":[1],"page":{"rows":[{"a":1}, {"a":[2,2]},{"a":3}]},"last":0}"#;
    let cut = kept(doc, Some(2), None).unwrap();
    assert_eq!((cut.unit(), cut.total()), (Unit::Rows, 3));
    let first = cut.piece(0).unwrap();
    assert_eq!(first.text, r#"{"few":[1],"page":{"rows":[{"a":1}, {"a":[2,2]}]},"last":0}"#);
    assert_eq!((first.shown.clone(), first.of, first.next()), (0..2, 3, Some(2)));
    let second = cut.piece(2).unwrap();
    assert_eq!((&*second.text, second.next()), (r#"[{"a":3}]"#, None));
    assert_eq!(cut.piece(3), None);
    assert_eq!(kept(doc, Some(3), Some(4096)), Err(doc.to_owned()));
    assert_eq!(kept("{}", Some(1), None), Err("{}".to_owned()));
}

#[test]
fn what_has_no_rows_is_cut_by_bytes() {
    let line = format!("{}\n", "é".repeat(49));
    let cut = kept(&line.repeat(9), Some(1), Some(300)).unwrap();
    assert_eq!((cut.unit(), cut.total()), (Unit::Bytes, 99 * 9));
    assert_eq!(cut.piece(0).unwrap().text, line.repeat(3));
    assert_eq!(cut.piece(1), None, "inside of a character");
    read_through_any(&cut);
    // A row that is too large by itself.
    let doc = format!("[1,\"{}\",2]", "x".repeat(400));
    assert_eq!(kept(&doc, None, Some(300)).unwrap().unit(), Unit::Bytes);
    // A cap that is too small to be of use is a small one.
    assert_eq!(kept(&line.repeat(2), None, Some(1)), Err(line.repeat(2)));
}

fn read_through_any(kept: &Kept) {
    let (mut from, mut all) = (Some(0), String::new());
    while let Some(at) = from {
        let piece = kept.piece(at).unwrap();
        all.push_str(&piece.text);
        from = piece.next();
    }
    assert_eq!(all, kept.text());
}

const RESULT: &str = concat!(
    r#"{ "content" : [ {"type":"image","data":"AA=="} , "#,
    r#"{"type":"text","text":"{ \"rows\": [ 1, 2, 3 ] }","x": 1 } , "#,
    r#"{"type":"text","text":"plain  words"} ] , "#,
    r#""structuredContent" : { "rows": [ 1, 2, 3 ] } , "_meta" : { "a" : 1 } }"#
);

#[test]
fn only_texts_and_structured_content_change() {
    let trimmed = trim(RESULT.as_bytes(), &Rule { minify: true, ..Rule::default() }).unwrap();
    let expected = RESULT
        .replace(r#"{ \"rows\": [ 1, 2, 3 ] }"#, r#"{\"rows\":[1,2,3]}"#)
        .replace(r#"{ "rows": [ 1, 2, 3 ] }"#, r#"{"rows":[1,2,3]}"#);
    assert_eq!(String::from_utf8(trimmed.write(&[]).unwrap()).unwrap(), expected);
    assert!(trim(RESULT.as_bytes(), &Rule::default()).unwrap().is_unchanged());
    let failed = RESULT.replace("{ \"content\"", "{ \"isError\": true, \"content\"");
    assert!(trim(failed.as_bytes(), &Rule { minify: true, ..Rule::default() }).unwrap().is_unchanged());
    assert!(trim(br#"{"content":[],"content":[]}"#, &Rule::default()).is_err());
    assert!(trim(b"[]", &Rule::default()).is_err());
}

#[test]
fn what_is_cut_says_how_to_read_on() {
    let caps = Caps { rows_max: Some(2), bytes_max: None };
    let trimmed = trim(RESULT.as_bytes(), &Rule { minify: true, caps, ..Rule::default() }).unwrap();
    // The text and the structured content say the same, so they are one.
    assert_eq!(trimmed.kept().len(), 1);
    let out: Tree = serde_json::from_slice(&trimmed.write(&["h1"]).unwrap()).unwrap();
    assert_eq!(out["content"][1], json!({"type": "text", "text": "{\"rows\":[1,2]}", "x": 1}));
    let note = out["content"][2]["text"].as_str().unwrap();
    assert_eq!(note, "[rows 0 to 2 of 3. For the rest call read_more with {\"handle\":\"h1\",\"from\":2}.]");
    assert_eq!(out["content"][3]["text"], "plain  words");
    let read_more = json!({"handle": "h1", "from": 2, "of": 3, "unit": "rows"});
    assert_eq!(out["structuredContent"], json!({"rows": [1, 2], "read_more": read_more}));
    let rest: Tree = serde_json::from_slice(&more(&trimmed.kept()[0], "h1", 2).unwrap()).unwrap();
    assert_eq!(rest["content"][0]["text"], "[3]");
    assert_eq!(rest["content"][1]["text"], "[rows 2 to 3 of 3. This is the end.]");
}

/// A result of this text and members beside it, in a session that was given the text before if `known`.
fn referred(text: &str, beside: &str, known: bool) -> (Tree, [usize; 2]) {
    let rule = Rule { refer_bytes: Some(1024), ..Rule::default() };
    let text = serde_json::to_string(text).unwrap();
    let image = r#"{"type":"image","data":"AA=="}"#;
    let result = format!("{{\"content\":[{image},{{\"type\":\"text\",\"text\":{text},\"x\":1}}]{beside}}}");
    let earlier = |_: &Digest| known.then(|| Earlier { origin: Origin::new("t", ""), ago: Duration::ZERO });
    let trimmed = trim_in_session(result.as_bytes(), &rule, Some(&earlier)).unwrap();
    let counts = [trimmed.given().len(), trimmed.referred().len()];
    let written = trimmed.write(&vec!["h1"; trimmed.kept().len()]).unwrap();
    (serde_json::from_slice(&written).unwrap(), counts)
}

#[test]
fn a_large_text_that_was_given_before_is_referred_to() {
    let [short, long] = [170, 200].map(|lines| "lines\n".repeat(lines));
    let (out, counts) = referred(&long, "", true);
    assert_eq!(counts, [0, 1]);
    let words = out["content"][1]["text"].as_str().unwrap();
    assert!(words.starts_with("[Not repeated: these 1200 bytes are the same"), "{words}");
    assert!(words.contains(r#"call read_more with {"handle":"h1","from":0}"#), "{words}");
    assert_eq!((&out["content"][0]["data"], &out["content"][1]["x"]), (&json!("AA=="), &json!(1)));
    // What is short, what is new, what failed, what is held against a schema.
    for (text, beside, known, given) in [
        (&*short, "", true, 0),
        (&*long, "", false, 1),
        (&*long, r#","isError":true"#, true, 0),
        (&*long, r#","structuredContent":{"a":1}"#, true, 0),
        (&*long, r#","structuredContent":[]"#, true, 0),
    ] {
        let (out, counts) = referred(text, beside, known);
        assert_eq!((out["content"][1]["text"].as_str(), counts), (Some(text), [given, 0]), "{beside}");
    }
    assert_eq!(referred(&long, r#","structuredContent":null"#, true).1, [0, 1]);
}

#[test]
fn what_was_referred_to_is_read_again_whole() {
    let mib = "0123456789abcde\n".repeat(65_536);
    for (rule, pieces) in [
        (Rule::default(), mib.len().div_ceil(30_000 - 256)),
        (Rule { client_chars: Some(400_256), ..Rule::default() }, 3),
        (Rule { caps: Caps { rows_max: Some(1), bytes_max: Some(524_288) }, ..Rule::default() }, 2),
        (Rule { caps: Caps { rows_max: None, bytes_max: Some(2 * mib.len()) }, ..Rule::default() }, 1),
    ] {
        let kept = Kept::again(mib.clone(), rule.caps_of_again());
        let (mut from, mut count) = (Some(0), 0);
        while let Some(at) = from {
            (from, count) = (kept.piece(at).unwrap().next(), count + 1);
        }
        // Pieces end with lines.
        assert!((pieces..=pieces + 1).contains(&count), "{count} of {pieces}");
        read_through_any(&kept);
    }
    assert_eq!(Kept::again("{\"a\":[1,2]}".to_owned(), Caps::default()).piece(0).unwrap().next(), None);
}

#[test]
fn a_client_does_not_cut_what_a_cap_has_let_through() {
    let chars = |client_chars, bytes_max| {
        let caps = Caps { rows_max: None, bytes_max };
        Rule { caps, client_chars, ..Rule::default() }.result_chars()
    };
    // By itself it shows as much, or may not; it takes no more than that.
    for (bytes_max, mark) in [
        (None, None),
        (Some(20_000), None),
        (Some(30_000 - 256), None),
        (Some(30_000), Some(60_000)),
        (Some(100_000), Some(100_256)),
        (Some(499_999), Some(500_000)),
        (Some(usize::MAX), Some(500_000)),
    ] {
        assert_eq!(chars(None, bytes_max), mark, "{bytes_max:?}");
        assert_eq!(chars(Some(1000), bytes_max), Some(1000), "the config goes before");
    }
}

#[test]
fn structured_content_stays_an_object() {
    let rule = Rule { caps: Caps { rows_max: Some(1), bytes_max: Some(300) }, ..Rule::default() };
    let write = |structured: &Tree| -> Tree {
        let result = json!({"structuredContent": structured}).to_string();
        let trimmed = trim(result.as_bytes(), &rule).unwrap();
        serde_json::from_slice(&trimmed.write(&["h"]).unwrap()).unwrap()
    };
    let out = write(&json!([1, 2]));
    assert_eq!(out["structuredContent"]["rows"], json!([1]));
    let out = write(&json!({"read_more": 0, "list": [1, 2]}));
    assert_eq!(out["structuredContent"]["rows"], json!({"read_more": 0, "list": [1]}));
    let out = write(&json!({"long": "x".repeat(500)}));
    assert!(out["structuredContent"]["text"].as_str().unwrap().starts_with("{\"long\":\"xxx"));
    assert_eq!(out["structuredContent"]["read_more"]["unit"], "bytes");
}

/// Any JSON of a few levels with few names.
fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i32>().prop_map(Tree::from),
        any::<bool>().prop_map(Tree::from),
        "[a-zé\"\\\\\n ]{0,8}".prop_map(Tree::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_path() -> impl Strategy<Value = String> {
    let step =
        prop::sample::select(vec![".a", ".b", ".*", "..a", "..c", "[*]", "[0]", "[1]", "..[0]", "['b']"]);
    prop::collection::vec(step, 1..4).prop_map(|steps| format!("${}", steps.concat()))
}

/// Values that hold no others, with the names that lead to them: places in lists change when some go.
fn leaves(tree: &Tree, way: &str, found: &mut Vec<String>) {
    match tree {
        Tree::Array(items) => items.iter().for_each(|item| leaves(item, &format!("{way}[]"), found)),
        Tree::Object(map) => {
            map.iter().for_each(|(name, value)| leaves(value, &format!("{way}.{name}"), found))
        }
        leaf => found.push(format!("{way}={leaf}")),
    }
}

proptest! {
    #[test]
    fn small_notation_means_the_same(tree in tree()) {
        let doc = serde_json::to_string_pretty(&json!([tree])).unwrap();
        let (text, left_out) = shown(&doc, &[], &[]);
        prop_assert_eq!(text, json!([tree]).to_string());
        prop_assert_eq!(left_out, 0);
    }

    #[test]
    fn keeping_and_dropping_share_all_values(
        tree in prop::collection::btree_map("[abc]", tree(), 0..4),
        chosen in prop::collection::vec(any_path(), 1..3),
    ) {
        let doc = json!(tree);
        let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
        let parts = [shown(&doc.to_string(), &chosen, &[]).0, shown(&doc.to_string(), &[], &chosen).0];
        let (mut all, mut shared) = (Vec::new(), Vec::new());
        leaves(&doc, "", &mut all);
        for part in parts {
            leaves(&serde_json::from_str(&part).unwrap(), "", &mut shared);
        }
        all.sort();
        shared.sort();
        prop_assert_eq!(all, shared);
    }

    #[test]
    fn pieces_give_every_row_once(
        rows in prop::collection::vec(tree(), 0..60),
        rows_max in prop::option::of(1_usize..20),
        bytes_max in prop::option::of(256_usize..2000),
        pretty in any::<bool>(),
    ) {
        let doc = json!({"a": 1, "rows": rows, "z": "z"});
        let doc = if pretty { serde_json::to_string_pretty(&doc).unwrap() } else { doc.to_string() };
        let Ok(cut) = kept(&doc, rows_max, bytes_max) else { return Ok(()) };
        let (mut from, mut read, mut bytes) = (Some(0), Vec::new(), String::new());
        while let Some(at) = from {
            let piece = cut.piece(at).unwrap();
            prop_assert!(bytes_max.is_none_or(|most| piece.text.len() <= most));
            if cut.unit() == Unit::Rows {
                prop_assert!(rows_max.is_none_or(|most| piece.shown.len() <= most));
                let part: Tree = serde_json::from_str(&piece.text).unwrap();
                let part = if at == 0 { part["rows"].clone() } else { part };
                prop_assert_eq!(part.as_array().unwrap().len(), piece.shown.len());
                read.extend(part.as_array().unwrap().clone());
            }
            bytes.push_str(&piece.text);
            from = piece.next();
        }
        match cut.unit() {
            Unit::Rows => prop_assert_eq!(read, rows),
            Unit::Bytes => prop_assert_eq!(bytes, doc),
        }
    }

    #[test]
    fn a_trimmed_result_is_a_result(tree in tree(), rows_max in 1_usize..4, words in ".{0,600}") {
        let text = serde_json::to_string_pretty(&tree).unwrap();
        let result = json!({
            "content": [{"type": "text", "text": text}, {"type": "text", "text": words}],
            "structuredContent": tree, "_meta": {"a": [1, {"b": "c"}]},
        });
        let caps = Caps { rows_max: Some(rows_max), bytes_max: Some(256) };
        let doc = serde_json::to_string_pretty(&result).unwrap();
        let trimmed = trim(doc.as_bytes(), &Rule { minify: true, caps, ..Rule::default() }).unwrap();
        let handles = vec!["h"; trimmed.kept().len()];
        let out: Tree = serde_json::from_slice(&trimmed.write(&handles).unwrap()).unwrap();
        prop_assert_eq!(&out["_meta"], &result["_meta"]);
        for kept in trimmed.kept() {
            read_through(kept);
        }
        if trimmed.kept().is_empty() {
            prop_assert_eq!(&out["structuredContent"], &result["structuredContent"]);
            prop_assert_eq!(&out["content"][1], &result["content"][1]);
        }
    }
}

#[test]
fn a_path_is_shown_as_it_can_be_read() {
    for (written, shown) in [
        ("$.items.*.name", "$.items[*].name"),
        ("$..url", "$..url"),
        ("..[0]['x']", "$..[0].x"),
        ("$['a b'][3][\"it's\"]", "$['a b'][3][\"it's\"]"),
        ("[''].a", "$[''].a"),
        ("..*", "$..*"),
    ] {
        let path = Path::read(written).unwrap();
        assert_eq!(path.to_string(), shown);
        assert_eq!(Path::read(shown), Ok(path), "{shown}");
    }
}
