//! One spelling for all spellings of a JSON value: members sorted by name, no white space, plain escapes.
//!
//! Two texts with the same canonical form mean the same. The other way round it holds but for numbers, which
//! stay as they are written: `1` and `1.0` are told apart, because some readers do.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Cursor, Fault, Key, Kind, text, write_string};

/// Why a value has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] Fault),
    /// Readers disagree about which of two members of one name counts, so whoever checks one and uses the
    /// other has been tricked.
    #[error("an object in it has two members of one name")]
    Twice,
}

/// What was learnt on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// An object at any level has a member `x-mcp-header`.
    pub header_mark: bool,
}

/// Appends the canonical form of `doc` to `out`, and by doing so reads all of it by the grammar of RFC 8259.
/// Takes time in proportion to its length times its depth.
///
/// # Errors
/// [`Ambiguous`]; `out` then holds the beginning of something.
pub fn canonical(doc: &[u8], out: &mut Vec<u8>) -> Result<Seen, Ambiguous> {
    let mut walk = Walk { doc, out, seen: Seen::default() };
    let mut cursor = Cursor::new(doc);
    walk.value(&mut cursor)?;
    cursor.finish()?;
    Ok(walk.seen)
}

/// The name of a member as text.
///
/// # Errors
/// [`Fault::Escape`].
pub fn name<'a>(key: &Key<'a>) -> Result<Cow<'a, str>, Fault> {
    text(key.raw).map_err(|fault| Fault::Escape { at: key.at + fault.at() })
}

struct Walk<'a, 'out> {
    doc: &'a [u8],
    out: &'out mut Vec<u8>,
    seen: Seen,
}

impl<'a> Walk<'a, '_> {
    /// No deeper than the cursor goes, `limits::JSON_DEPTH_MAX`.
    fn value(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Ambiguous> {
        match cursor.ahead() {
            Some(Kind::Object) => self.object(cursor),
            Some(Kind::Array) => {
                cursor.enter_array()?;
                self.out.push(b'[');
                let start = self.out.len();
                while cursor.element()? {
                    self.value(cursor)?;
                    self.out.push(b',');
                }
                self.close(start, b']');
                Ok(())
            }
            _ => {
                let value = cursor.skip()?;
                match value.inner(self.doc) {
                    Some(raw) => self.string(raw, value.span.start)?,
                    None => self.out.extend_from_slice(value.bytes(self.doc)),
                }
                Ok(())
            }
        }
    }

    fn object(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Ambiguous> {
        cursor.enter_object()?;
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<(Cow<'a, str>, Range<usize>)> = Vec::new();
        while let Some(key) = cursor.key()? {
            let from = self.out.len();
            let name = name(&key)?;
            self.seen.header_mark |= name == "x-mcp-header";
            self.string(key.raw, key.at)?;
            self.out.push(b':');
            self.value(cursor)?;
            self.out.push(b',');
            members.push((name, from..self.out.len()));
        }
        let sorted = members.is_sorted_by(|(one, _), (next, _)| one < next);
        if !sorted {
            members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            if !members.is_sorted_by(|(one, _), (next, _)| one < next) {
                return Err(Ambiguous::Twice);
            }
            let written = self.out.split_off(start);
            for (_, place) in members {
                let place = place.start - start..place.end - start;
                self.out.extend_from_slice(written.get(place).unwrap_or_default());
            }
        }
        self.close(start, b'}');
        Ok(())
    }

    /// Puts the closing bracket in the place of the last comma.
    fn close(&mut self, start: usize, bracket: u8) {
        if self.out.len() > start {
            self.out.pop();
        }
        self.out.push(bracket);
    }

    fn string(&mut self, raw: &[u8], at: usize) -> Result<(), Fault> {
        let text = text(raw).map_err(|fault| Fault::Escape { at: at + fault.at() })?;
        match text {
            // Nothing is escaped, and the walk let nothing through that would have to be.
            Cow::Borrowed(_) => {
                self.out.push(b'"');
                self.out.extend_from_slice(raw);
                self.out.push(b'"');
            }
            Cow::Owned(text) => write_string(self.out, &text),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ambiguous, canonical};
    use crate::json::Fault;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::{
        Just, Strategy, any, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
    };
    use serde_json::Value as Tree;

    fn form(doc: &str) -> Result<String, Ambiguous> {
        let mut out = Vec::new();
        canonical(doc.as_bytes(), &mut out).map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_form_for_all_spellings() {
        let cases = [
            (" { \"b\" : [ 1 , 2 ] ,\n\"a\":null}", r#"{"a":null,"b":[1,2]}"#),
            (r#"{"\u0061":"\/\u00e9\u000a"}"#, "{\"a\":\"/é\\n\"}"),
            (r#"{"z":{"y":1,"x":{}},"a":[]}"#, r#"{"a":[],"z":{"x":{},"y":1}}"#),
            ("[1.0,1,1e0,-0]", "[1.0,1,1e0,-0]"),
            (r#""plain""#, r#""plain""#),
        ];
        for (doc, expected) in cases {
            assert_eq!(form(doc).as_deref(), Ok(expected), "{doc}");
        }
    }

    #[test]
    fn what_has_no_single_meaning_has_no_form() {
        assert_eq!(form(r#"{"a":1,"b":2,"a":1}"#), Err(Ambiguous::Twice));
        assert_eq!(form(r#"{"x":[{"a":1,"\u0061":2}]}"#), Err(Ambiguous::Twice));
        assert!(matches!(form(r#"{"a":"\ud800"}"#), Err(Ambiguous::Json(Fault::Escape { .. }))));
        for doc in ["", "{", "{\"a\":}", "[1,]", "[01]", "{} {}", "[1 2]", "{\"a\" 1}", "nul", "['a']"] {
            assert!(matches!(form(doc), Err(Ambiguous::Json(_))), "{doc}");
        }
    }

    #[test]
    fn a_mark_is_seen_however_it_is_written() {
        for (doc, seen) in [
            (r#"{"a":[{"x-mcp-\u0068eader":1}]}"#, true),
            (r#"{"a":"x-mcp-header"}"#, false),
            (r#"{"X-Mcp-Header":1}"#, false),
        ] {
            assert_eq!(canonical(doc.as_bytes(), &mut Vec::new()).unwrap().header_mark, seen, "{doc}");
        }
    }

    /// Any tree of a few levels.
    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::from),
            any::<i64>().prop_map(Tree::from),
            any::<i32>().prop_map(|n| Tree::from(f64::from(n) / 8.0)),
            ".{0,6}".prop_map(Tree::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Tree::from),
                btree_map("[a-c\"\\\\é]{0,2}", inner, 0..4)
                    .prop_map(|map| Tree::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Writes a tree with members in an order, white space and escapes that `noise` decides.
    fn spell(tree: &Tree, noise: &mut impl FnMut() -> u8, out: &mut String) {
        let gap = [" ", "", "\n", "\t "][usize::from(noise() % 4)];
        out.push_str(gap);
        match tree {
            Tree::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    spell(item, noise, out);
                }
                out.push_str(gap);
                out.push(']');
            }
            Tree::Object(map) => {
                let mut members: Vec<_> = map.iter().collect();
                members.sort_by_cached_key(|_| noise());
                out.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    spell(&Tree::from(key.as_str()), noise, out);
                    out.push(':');
                    spell(value, noise, out);
                }
                out.push('}');
            }
            Tree::String(text) if noise().is_multiple_of(2) => {
                out.push('"');
                for unit in text.encode_utf16() {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
                out.push('"');
            }
            other => out.push_str(&other.to_string()),
        }
        out.push_str(gap);
    }

    proptest! {
        #[test]
        fn notation_never_shows(tree in tree(), noise in vec(any::<u8>(), 1..40)) {
            let mut turn = 0;
            let mut next = || {
                turn += 1;
                noise[turn % noise.len()].wrapping_add(u8::try_from(turn % 7).unwrap())
            };
            let mut spelt = String::new();
            spell(&tree, &mut next, &mut spelt);
            let canonical = form(&spelt).unwrap();
            prop_assert_eq!(&form(&tree.to_string()).unwrap(), &canonical);
            prop_assert_eq!(serde_json::from_str::<Tree>(&canonical).unwrap(), tree);
            prop_assert_eq!(&form(&canonical).unwrap(), &canonical);
        }

        #[test]
        fn meaning_always_shows(one in tree(), other in tree()) {
            prop_assume!(one != other);
            prop_assert!(form(&one.to_string()) != form(&other.to_string()));
        }

        #[test]
        fn what_the_oracle_refuses_has_no_form(doc in "[\\[\\]{},:\"a0-9.eE+ \\\\-]{0,24}") {
            if form(&doc).is_ok() {
                let read = serde_json::from_str::<Tree>(&doc);
                let range = read.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
                prop_assert!(read.is_ok() || range, "{doc}: {read:?}");
            }
        }
    }
}
