//! The fuzz bodies of what is made smaller: any schema, any result, against `serde_json`.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use std::time::Duration;

use serde_json::Value as Tree;

use super::brief::brief_schema;
use super::results::{
    Caps, Digest, Earlier, Kept, Origin, Path, Rule, Unit, more, project, trim, trim_in_session,
};
use super::schema::{dedent, minify};
use super::sentence::first_sentence;
use super::signature::signature;
use crate::limits;

/// Makes any bytes smaller as a schema.
pub fn fuzz_schema(data: &[u8]) {
    let small = minify(data);
    let brief = brief_schema(data);
    assert!(brief.len() <= small.len() && small.len() <= data.len());
    assert!(minify(&small).len() <= small.len());
    if let Ok(Tree::Object(tree)) = serde_json::from_slice::<Tree>(data) {
        let after: Tree = serde_json::from_slice(&small).expect("a schema that is JSON");
        // Names of parameters are no keywords, whatever they are called.
        let names = |tree: Option<&Tree>| -> Vec<String> {
            tree.and_then(Tree::as_object).map(|names| names.keys().cloned().collect()).unwrap_or_default()
        };
        assert_eq!(names(tree.get("properties")), names(after.get("properties")));
        for data in ["enum", "const", "default"] {
            assert_eq!(tree.get(data), after.get(data), "{data}");
        }
        serde_json::from_slice::<Tree>(&brief).expect("a brief schema that is JSON");
    }
    let words = String::from_utf8_lossy(data);
    let line = signature("name", &words, data);
    assert!(!line.contains('\n'), "{line}");
    let short = dedent(&words);
    assert!(short.len() <= words.len() && dedent(&short) == short);
    assert!(first_sentence(&words, 80).chars().count() <= 80);
}

/// The first line is a path, what follows a result or the text of one.
pub fn fuzz_results(data: &[u8]) {
    let end = memchr::memchr(b'\n', data).unwrap_or(0);
    let (line, rest) = data.split_at(end);
    let path = Path::read(&String::from_utf8_lossy(line)).ok();
    let caps = Caps { rows_max: Some(2), bytes_max: Some(limits::RESULT_CUT_BYTES_MIN) };
    let paths: Vec<Path> = path.into_iter().collect();
    let good = serde_json::from_slice::<Tree>(rest);
    if let (Ok(all), Ok(tree)) = (project(rest, &[], &[]), &good) {
        assert_eq!(all.left_out, 0);
        assert_eq!(&serde_json::from_slice::<Tree>(&all.text).expect("the same JSON"), tree);
        for (keep, drop) in [(&*paths, &[][..]), (&[], &*paths)] {
            let part = project(rest, keep, drop).expect("what was read before");
            serde_json::from_slice::<Tree>(&part.text).expect("a part that is JSON");
        }
    }
    if let Ok(kept) = Kept::of(String::from_utf8_lossy(rest).into_owned(), caps) {
        read_through(&kept);
    }
    for rule in [
        Rule { minify: true, caps, ..Rule::default() },
        Rule { keep: paths.clone(), ..Rule::default() },
        Rule { drop: paths, caps, ..Rule::default() },
    ] {
        if let Ok(trimmed) = trim(rest, &rule) {
            let handles = vec!["h\"1"; trimmed.kept().len()];
            let out = trimmed.write(&handles).expect("blocks beside each other");
            if good.is_ok() {
                serde_json::from_slice::<Tree>(&out).expect("a result that is JSON");
            }
            assert!(!trimmed.is_unchanged() || out == rest);
            trimmed.kept().iter().for_each(read_through);
        }
    }
    let rule = Rule { caps, refer_bytes: Some(limits::RESULT_CUT_BYTES_MIN), ..Rule::default() };
    let earlier = |_: &Digest| Some(Earlier { origin: Origin::new("t\"", "u"), ago: Duration::ZERO });
    if let Ok(trimmed) = trim_in_session(rest, &rule, Some(&earlier)) {
        let handles = vec!["h\"1"; trimmed.kept().len()];
        let out = trimmed.write(&handles).expect("blocks beside each other");
        if good.is_ok() {
            serde_json::from_slice::<Tree>(&out).expect("a result that is JSON");
        }
        assert!(trimmed.given().is_empty(), "all of it was given before");
        trimmed.kept().iter().for_each(read_through);
    }
}

/// Piece after piece gives all of it, each part once.
pub(super) fn read_through(kept: &Kept) {
    let (mut from, mut bytes) = (0, String::new());
    loop {
        let piece = kept.piece(from).expect("the piece that was said to come next");
        assert_eq!(piece.shown.start, from);
        assert!(piece.shown.end > from && piece.text.len() <= limits::RESULT_CUT_BYTES_MIN);
        serde_json::from_slice::<Tree>(&more(kept, "h", from).expect("the same piece")).expect("a result");
        bytes.push_str(&piece.text);
        let Some(next) = piece.next() else { break };
        from = next;
    }
    assert!(kept.unit() == Unit::Rows || bytes == kept.text());
    assert_eq!(kept.piece(kept.total()), None);
}
