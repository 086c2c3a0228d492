//! The fuzz body of the span scanner: against `serde_json` as an oracle, and the two ways against each other.

#![expect(clippy::expect_used, clippy::panic, reason = "a fuzz body says what it found by panicking")]

use serde_json::Value as Tree;

use crate::json::{Cursor, Fault, Field, Kind, Value, elements, fields, text};

/// Scans any bytes. Where `serde_json` takes the document, the same members with the same values must be
/// found.
pub fn fuzz_fields(data: &[u8]) {
    let found = walk(Cursor::new(data));
    assert_eq!(found, walk(Cursor::new(data).plain()), "the two ways of skipping differ");
    let tree: Result<Tree, _> = serde_json::from_slice(data);
    match (found, tree) {
        (Ok(found), Ok(Tree::Object(tree))) => agree(data, &found, &tree),
        (Ok(_), Ok(other)) => panic!("members of something that is no object: {other}"),
        (Err(fault), Ok(Tree::Object(_))) => panic!("a good document is refused: {fault}"),
        (Err(fault), Ok(_)) => assert!(matches!(fault, Fault::WrongKind { .. }), "{fault:?}"),
        (Ok(found), Err(_)) => inside(data, &found),
        (Err(fault), Err(_)) => assert!(fault.at() <= data.len()),
    }
}

fn walk(mut cursor: Cursor<'_>) -> Result<Vec<Field<'_>>, Fault> {
    let mut found = Vec::new();
    cursor.enter_object()?;
    while let Some(key) = cursor.key()? {
        found.push(Field { key, value: cursor.skip()? });
    }
    cursor.finish()?;
    Ok(found)
}

/// Every member that was found has the value that the tree has for its name; the last one of a name counts.
fn agree(data: &[u8], found: &[Field<'_>], tree: &serde_json::Map<String, Tree>) {
    let mut last = serde_json::Map::new();
    for Field { key, value } in found {
        assert_eq!(key.escaped, key.raw.contains(&b'\\'));
        let name = text(key.raw).expect("a name that serde_json can read");
        let parsed: Tree = serde_json::from_slice(value.bytes(data)).expect("a span that is JSON by itself");
        assert_eq!(value.kind, kind(&parsed));
        if let (Some(raw), Some(expected)) = (value.inner(data), parsed.as_str()) {
            assert_eq!(text(raw).as_deref(), Ok(expected));
        }
        if let Tree::Array(expected) = &parsed {
            let mut items = Vec::new();
            let walked: Result<(), Fault> = elements(data, value.span.clone(), |item| {
                items.push(item);
                Ok(())
            });
            assert_eq!(walked, Ok(()));
            let read = |item: &Value| serde_json::from_slice::<Tree>(item.bytes(data)).ok();
            assert_eq!(items.iter().map(read).collect::<Option<Vec<_>>>().as_ref(), Some(expected));
        }
        last.insert(name.into_owned(), parsed);
    }
    assert_eq!(&last, tree);
    assert_eq!(fields(data, |_| Ok::<_, Fault>(())), Ok(()));
}

fn kind(tree: &Tree) -> Kind {
    match tree {
        Tree::Null => Kind::Null,
        Tree::Bool(true) => Kind::True,
        Tree::Bool(false) => Kind::False,
        Tree::Number(_) => Kind::Number,
        Tree::String(_) => Kind::String,
        Tree::Array(_) => Kind::Array,
        Tree::Object(_) => Kind::Object,
    }
}

/// Places of a document that is only nearly JSON still lie in it, in order.
fn inside(data: &[u8], found: &[Field<'_>]) {
    let mut end = 0;
    for Field { key, value } in found {
        assert!(end < key.at && key.at + key.raw.len() < value.span.start);
        assert!(value.span.start < value.span.end && value.span.end < data.len());
        end = value.span.end;
    }
}
