//! All definitions of all servers, each kept once for the whole process.
//!
//! A server is asked for its lists again and again, and forty sessions with one server list the same tools:
//! nearly every definition has been read before, and then costs a hash and a comparison.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::limits;
use crate::mcp::definition::{Broken, Definition, ItemKind};

/// The definitions that any list refers to. Shared by all threads; a look-up locks one shard of many.
///
/// It does not keep what nobody else keeps: a definition goes with the last list that has it, and its empty
/// place some time later.
#[derive(Debug)]
pub struct Store {
    /// By hash. Nearly always one each; two have the same hash when somebody looked for them, and stay two.
    places: DashMap<u128, Vec<Weak<Definition>>>,
    /// Not known outside, so that equal hashes cannot be prepared.
    seed: u64,
    /// Places at which the empty ones are cleared away.
    sweep_at: AtomicUsize,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            places: DashMap::new(),
            seed: RandomState::new().build_hasher().finish(),
            sweep_at: AtomicUsize::new(limits::MCP_STORE_SLACK),
        }
    }

    /// The definition with these bytes, read now unless it is known.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn intern(&self, kind: ItemKind, raw: &[u8]) -> Result<Arc<Definition>, Broken> {
        if raw.len() > limits::MCP_DEFINITION_BYTES_MAX {
            return Err(Broken::TooLarge { what: "definition", most: limits::MCP_DEFINITION_BYTES_MAX });
        }
        self.intern_at(xxh3_128_with_seed(raw, self.seed), kind, raw)
    }

    fn intern_at(&self, hash: u128, kind: ItemKind, raw: &[u8]) -> Result<Arc<Definition>, Broken> {
        let known = self.places.get(&hash).and_then(|place| same(&place, kind, raw));
        if let Some(known) = known {
            return Ok(known);
        }
        // Read without the lock. Another thread may do the same; whoever comes second takes the first one's.
        let read = Arc::new(Definition::read(kind, raw)?);
        if self.places.len() >= self.sweep_at.load(Ordering::Relaxed) {
            self.sweep();
        }
        let mut place = self.places.entry(hash).or_default();
        if let Some(known) = same(&place, kind, raw) {
            return Ok(known);
        }
        place.retain(|one| one.strong_count() > 0);
        place.push(Arc::downgrade(&read));
        Ok(read)
    }

    /// Definitions that are in use.
    pub fn len(&self) -> usize {
        let living =
            |place: &Vec<Weak<Definition>>| place.iter().filter(|one| one.strong_count() > 0).count();
        self.places.iter().map(|place| living(place.value())).sum()
    }

    /// Whether none is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Clears away the places of what is gone. Done now and then by [`Store::intern`], so often that a new
    /// definition pays for looking at two others.
    pub fn sweep(&self) {
        self.places.retain(|_, place| {
            place.retain(|one| one.strong_count() > 0);
            !place.is_empty()
        });
        self.sweep_at.store(2 * self.places.len() + limits::MCP_STORE_SLACK, Ordering::Relaxed);
    }
}

/// The one of equal bytes and kind.
fn same(place: &[Weak<Definition>], kind: ItemKind, raw: &[u8]) -> Option<Arc<Definition>> {
    place.iter().filter_map(Weak::upgrade).find(|one| one.kind() == kind && one.raw() == raw)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Store;
    use crate::limits;
    use crate::mcp::canonical::Ambiguous;
    use crate::mcp::changes::Changes;
    use crate::mcp::definition::{Annotations, Broken, Definition, ItemKind, TaskSupport};

    fn tool(name: &str) -> String {
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)
    }

    fn read(kind: ItemKind, raw: &str) -> Result<Arc<Definition>, Broken> {
        Store::new().intern(kind, raw.as_bytes())
    }

    #[test]
    fn equal_bytes_are_kept_once() {
        let store = Store::new();
        let one = store.intern(ItemKind::Tool, tool("a").as_bytes()).unwrap();
        let two = store.intern(ItemKind::Tool, tool("a").as_bytes()).unwrap();
        let other = store.intern(ItemKind::Prompt, tool("a").as_bytes()).unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((store.len(), other.kind()), (2, ItemKind::Prompt));
    }

    #[test]
    fn one_hash_does_not_make_two_definitions_one() {
        let store = Store::new();
        let (a, b) = (tool("a"), tool("b"));
        let first = store.intern_at(7, ItemKind::Tool, a.as_bytes()).unwrap();
        let second = store.intern_at(7, ItemKind::Tool, b.as_bytes()).unwrap();
        assert_eq!((first.key(), second.key()), ("a", "b"));
        let again = store.intern_at(7, ItemKind::Tool, a.as_bytes()).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(store.len(), 2);
    }

    #[test]
    fn what_nobody_lists_is_dropped() {
        let store = Store::new();
        let kept = store.intern(ItemKind::Tool, tool("kept").as_bytes()).unwrap();
        for index in 0..3 * limits::MCP_STORE_SLACK {
            store.intern(ItemKind::Tool, tool(&format!("t{index}")).as_bytes()).unwrap();
            assert!(store.places.len() <= limits::MCP_STORE_SLACK + 2, "empty places pile up");
        }
        assert_eq!(store.len(), 1);
        store.sweep();
        assert_eq!(store.places.len(), 1);
        drop(kept);
        assert!(store.is_empty());
    }

    #[test]
    fn threads_share_what_they_read() {
        let store = Store::new();
        let names: Vec<String> = (0..50).map(|index| tool(&format!("t{index}"))).collect();
        let all = || -> Vec<_> {
            names.iter().map(|raw| store.intern(ItemKind::Tool, raw.as_bytes()).unwrap()).collect()
        };
        let (mine, theirs) = std::thread::scope(|scope| {
            let other = scope.spawn(all);
            (all(), other.join().unwrap())
        });
        assert!(mine.iter().zip(&theirs).all(|(one, other)| Arc::ptr_eq(one, other)));
    }

    #[test]
    fn facts_of_a_tool() {
        let raw = r#" {"title":"T \u00e9","n\u0061me":"do_it","description":"line\nline","_meta":{},
            "annotations":{"title":"x","readOnlyHint":true,"destructiveHint":false,"openWorldHint":true},
            "inputSchema":{"properties":{"p":{"type":"string","x-mcp-header":"P"}},"type":"object"},
            "outputSchema":{"type":"object"}}"#;
        let found = read(ItemKind::Tool, raw).unwrap();
        assert_eq!(found.key(), "do_it");
        assert_eq!(found.title().as_deref(), Some("T é"));
        assert_eq!(found.description().as_deref(), Some("line\nline"));
        let (yes, no) = (Some(true), Some(false));
        let expected = Annotations { read_only: yes, destructive: no, idempotent: None, open_world: yes };
        assert_eq!(found.annotations(), expected);
        assert_eq!(found.param_headers()[0].path, ["p".into()].into());
        assert_eq!(found.output_schema(), Some(br#"{"type":"object"}"#.as_slice()));
        assert!(!found.has_loose_output());
        assert_eq!(found.raw(), raw.as_bytes());
    }

    #[test]
    fn a_canonical_hash_knows_no_notation() {
        let one = read(ItemKind::Prompt, r#"{"name":"a","description":"b"}"#).unwrap();
        let two = read(ItemKind::Prompt, r#"{ "description": "\u0062", "name": "a" }"#).unwrap();
        let other = read(ItemKind::Prompt, r#"{"name":"b","description":"a"}"#).unwrap();
        assert_eq!(one.canonical_hash(), two.canonical_hash());
        assert_ne!(one.canonical_hash(), other.canonical_hash());
    }

    #[test]
    fn broken_definitions_say_why() {
        use ItemKind::{Prompt, Resource, Template, Tool};
        let long = format!(r#"{{"name":"{}"}}"#, "n".repeat(limits::MCP_NAME_BYTES_MAX + 1));
        let big = format!(r#"{{"name":"n","x":"{}"}}"#, "n".repeat(limits::MCP_DEFINITION_BYTES_MAX));
        let cases = [
            (Tool, r#"{"name":"a"}"#, Broken::Missing("inputSchema")),
            (Tool, r#"{"inputSchema":{"type":"object"}}"#, Broken::Missing("name")),
            (Tool, r#"{"name":"","inputSchema":{"type":"object"}}"#, Broken::Member("name")),
            (Tool, r#"{"name":7,"inputSchema":{"type":"object"}}"#, Broken::Member("name")),
            (Tool, r#"{"name":"a","inputSchema":{}}"#, Broken::Member("inputSchema")),
            (Tool, r#"{"name":"a","inputSchema":true}"#, Broken::Member("inputSchema")),
            (Prompt, r#"{"name":"a","description":null}"#, Broken::Member("description")),
            (Prompt, r#"{"name":"a","name":"b"}"#, Broken::Ambiguous(Ambiguous::Twice)),
            (Prompt, r#"["name"]"#, Broken::Member("{}")),
            (Resource, r#"{"name":"a"}"#, Broken::Missing("uri")),
            (Resource, r#"{"uri":"a:b"}"#, Broken::Missing("name")),
            (Template, r#"{"uri":"a:b","name":"n"}"#, Broken::Missing("uriTemplate")),
            (Prompt, &long, Broken::TooLarge { what: "name", most: limits::MCP_NAME_BYTES_MAX }),
            (Prompt, &big, Broken::TooLarge { what: "definition", most: limits::MCP_DEFINITION_BYTES_MAX }),
        ];
        for (kind, raw, expected) in cases {
            assert_eq!(read(kind, raw).map(|_| ()), Err(expected), "{raw:.80}");
        }
        let hint = r#"{"name":"a","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":"yes"}}"#;
        assert_eq!(read(Tool, hint).map(|_| ()), Err(Broken::Member("annotations")));
        let mark = r#"{"name":"a","inputSchema":{"type":"object","x-mcp-header":"A"}}"#;
        assert!(matches!(read(Tool, mark), Err(Broken::ParamHeader(_))));
    }

    #[test]
    fn a_tool_says_whether_it_runs_as_a_task() {
        for (execution, expected) in [
            (r#"{"taskSupport":"required"}"#, TaskSupport::Required),
            (r#"{"taskSupport":"opt\u0069onal"}"#, TaskSupport::Optional),
            (r#"{"taskSupport":"forbidden"}"#, TaskSupport::Forbidden),
            (r#"{"taskSupport":1}"#, TaskSupport::Forbidden),
            (r#"{}"#, TaskSupport::Forbidden),
            (r#""required""#, TaskSupport::Forbidden),
        ] {
            let raw = format!(r#"{{"name":"a","inputSchema":{{"type":"object"}},"execution":{execution}}}"#);
            assert_eq!(read(ItemKind::Tool, &raw).unwrap().task_support(), expected, "{raw}");
        }
    }

    #[test]
    fn the_mark_that_has_people_asked_is_written_whatever_meta_there_is() {
        let asks = Changes { asks: true, description: Some("d"), legacy: true, ..Changes::default() };
        let mark = r#""anthropic/requiresUserInteraction":true"#;
        let tool = |meta: &str| format!(r#"{{"name":"a",{meta}"inputSchema":{{"type":"object"}}}}"#);
        for meta in [
            "",
            r#""_meta":{},"#,
            r#""_meta": { "x" : {"anthropic/requiresUserInteraction":false} } ,"#,
            r#""_meta":{"anthropic/requiresUserInteraction":false,"y":1},"#,
            r#""_meta":{"anthropic/requires\u0055serInteraction" : "no"},"#,
            r#""outputSchema":{},"_meta":null,"#,
            r#""m":{"_meta":{"z":1}},"_m\u0065ta":{"y":[1]},"#,
        ] {
            let raw = tool(meta);
            let definition = read(ItemKind::Tool, &raw).unwrap();
            let mut out = Vec::new();
            definition.write(asks, &mut out);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let marked = value["_meta"]["anthropic/requiresUserInteraction"].as_bool();
            assert_eq!(marked, Some(true), "{raw} {value}");
            let mut again = Vec::new();
            definition.write(asks, &mut again);
            assert_eq!(out, again);
            let text = String::from_utf8(out).unwrap();
            let kept = ["\"x\"", "\"y\"", "\"z\""].iter().filter(|part| raw.contains(*part)).count();
            assert_eq!(
                ["\"x\"", "\"y\"", "\"z\""].iter().filter(|part| text.contains(*part)).count(),
                kept,
                "{text}"
            );
            assert!(text.contains(mark) || raw.contains("u0055"), "{text}");
        }
    }

    #[test]
    fn only_what_changes_is_written_anew() {
        let input = r#""inputSchema":{"type":"object"}"#;
        let legacy = Changes { legacy: true, ..Changes::default() };
        let key = Changes { key: Some("b\""), ..Changes::default() };
        let words = Changes { description: Some("new"), ..Changes::default() };
        let all = Changes { key: Some("b"), description: Some("new"), legacy: true, ..Changes::default() };
        let cases = [
            (format!(r#"{{"name":"a",{input}}}"#), legacy, format!(r#"{{"name":"a",{input}}}"#)),
            (format!("{{\"name\" : \"a\",\n{input}}}"), legacy, format!(r#"{{"name" : "a", {input}}}"#)),
            (format!(r#"{{{input},"name": "a"}}"#), key, format!(r#"{{{input},"name": "b\""}}"#)),
            (
                format!(r#"{{"name":"a",{input}}}"#),
                words,
                format!(r#"{{"name":"a","description":"new",{input}}}"#),
            ),
            (
                format!(r#"{{"description":"old","outputSchema":{{"type":"array"}} , "name":"a",{input}}}"#),
                all,
                format!(r#"{{"description":"new","name":"b",{input}}}"#),
            ),
            (
                format!(r#"{{"name":"a",{input} , "outputSchema":{{}} }}"#),
                all,
                format!(r#"{{"name":"b","description":"new",{input} }}"#),
            ),
            (
                format!(r#"{{"outputSchema":{{}},"name":"a",{input}}}"#),
                legacy,
                format!(r#"{{"name":"a",{input}}}"#),
            ),
        ];
        let (only, may) = ("required", "optional");
        let run = |how| format!(r#"{{"name":"a",{input},"execution":{{"taskSupport" : "{how}"}}}}"#);
        let more = [(run(only), legacy, run(may)), (run(may), legacy, run(may))];
        for (raw, changes, expected) in cases.into_iter().chain(more) {
            let mut out = Vec::new();
            read(ItemKind::Tool, &raw).unwrap().write(changes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
