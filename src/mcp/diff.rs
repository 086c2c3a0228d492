//! What has changed between two lists of one server.
//!
//! A server that spells its definitions anew has changed nothing that anybody could notice. One that changes
//! a description after people have looked at it may be at something, and whoever pins tools wants to know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::json::fields;
use crate::mcp::canonical::{Ambiguous, canonical, name};
use crate::mcp::definition::Definition;

/// What is different about a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The order of members, white space or escapes, and nothing else.
    Notation,
    /// `description` or `title`: what models and people read.
    Description,
    /// `inputSchema`, `outputSchema`, or the `arguments` of a prompt.
    Schema,
    /// `annotations`: what it claims to be harmless about.
    Annotations,
    /// Anything else, such as icons and `_meta`.
    Other,
}

/// One definition that is not as it was.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it was.
    pub old: Arc<Definition>,
    /// As it is.
    pub new: Arc<Definition>,
    /// Never empty; [`Aspect::Notation`] only by itself.
    pub aspects: BTreeSet<Aspect>,
}

/// The difference of two lists, each part in the order of names.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// What is new.
    pub added: Vec<Arc<Definition>>,
    /// What is gone.
    pub removed: Vec<Arc<Definition>>,
    /// What is another under its old name.
    pub changed: Vec<Changed>,
}

impl Difference {
    /// Whether nothing has changed, not even the notation. The order of the lists does not count.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two lists of one kind of one server.
pub fn difference(old: &[Arc<Definition>], new: &[Arc<Definition>]) -> Difference {
    let by_key = |list: &[Arc<Definition>]| -> BTreeMap<String, Arc<Definition>> {
        list.iter().map(|item| (item.key().to_owned(), Arc::clone(item))).collect()
    };
    let (mut before, after) = (by_key(old), by_key(new));
    let mut found = Difference::default();
    for (key, new) in after {
        match before.remove(&key) {
            None => found.added.push(new),
            Some(old) if Arc::ptr_eq(&old, &new) || old.raw() == new.raw() => {}
            Some(old) => {
                let aspects = aspects(&old, &new);
                found.changed.push(Changed { old, new, aspects });
            }
        }
    }
    found.removed = before.into_values().collect();
    found
}

/// In what two definitions differ whose bytes do. The canonical forms themselves are compared, because two
/// that have one hash can be made.
fn aspects(old: &Definition, new: &Definition) -> BTreeSet<Aspect> {
    let (Ok(before), Ok(after)) = (members(old.raw()), members(new.raw())) else {
        return BTreeSet::from([Aspect::Other]);
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let different = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let found: BTreeSet<Aspect> = different.map(|name| aspect(name)).collect();
    if found.is_empty() { BTreeSet::from([Aspect::Notation]) } else { found }
}

fn aspect(member: &str) -> Aspect {
    match member {
        "description" | "title" => Aspect::Description,
        "inputSchema" | "outputSchema" | "arguments" => Aspect::Schema,
        "annotations" => Aspect::Annotations,
        _ => Aspect::Other,
    }
}

/// The members of a definition in their canonical forms.
fn members(raw: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Ambiguous> {
    let mut members = BTreeMap::new();
    fields(raw, |field| {
        let mut form = Vec::new();
        canonical(field.value.bytes(raw), &mut form)?;
        members.insert(name(&field.key)?.into_owned(), form);
        Ok::<_, Ambiguous>(())
    })?;
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Aspect, difference};
    use crate::mcp::definition::{Definition, ItemKind};
    use crate::mcp::store::Store;

    const PLAIN: &str = r#"{"name":"a","title":"t","inputSchema":{"type":"object"}}"#;

    fn list(raws: &[&str]) -> Vec<Arc<Definition>> {
        let store = Store::new();
        raws.iter().map(|raw| store.intern(ItemKind::Tool, raw.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn changes_are_told_apart() {
        use Aspect::{Annotations, Description, Notation, Other, Schema};
        let cases: [(&str, &[Aspect]); 8] = [
            (PLAIN, &[]),
            (r#"{"inputSchema" : {"type":"object"},"name":"\u0061","title":"t"}"#, &[Notation]),
            (r#"{"name":"a","title":"T","inputSchema":{"type":"object"}}"#, &[Description]),
            (r#"{"name":"a","title":"t","inputSchema":{"type":"object","x":1}}"#, &[Schema]),
            (r#"{"name":"a","title":"t","inputSchema":{"type":"object"},"outputSchema":{}}"#, &[Schema]),
            (r#"{"name":"a","title":"t","inputSchema":{"type":"object"},"annotations":{}}"#, &[Annotations]),
            (r#"{"name":"a","title":"t","inputSchema":{"type":"object"},"_meta":{}}"#, &[Other]),
            (
                r#"{"name":"a","description":"d","inputSchema":{"type":"object","$id":"x"},"title":"t"}"#,
                &[Description, Schema],
            ),
        ];
        for (raw, expected) in cases {
            let found = difference(&list(&[PLAIN]), &list(&[raw]));
            let aspects: Vec<Aspect> =
                found.changed.iter().flat_map(|changed| changed.aspects.iter().copied()).collect();
            assert_eq!(aspects, expected, "{raw}");
            assert_eq!(found.is_empty(), expected.is_empty());
        }
    }

    #[test]
    fn what_comes_and_goes_is_told() {
        let other = r#"{"name":"b","inputSchema":{"type":"object"}}"#;
        let third = r#"{"name":"c","inputSchema":{"type":"object"}}"#;
        let found = difference(&list(&[other, PLAIN]), &list(&[PLAIN, third]));
        let keys = |list: &[Arc<Definition>]| -> Vec<String> {
            list.iter().map(|item| item.key().to_owned()).collect()
        };
        assert_eq!((keys(&found.added), keys(&found.removed)), (vec!["c".to_owned()], vec!["b".to_owned()]));
        assert!(found.changed.is_empty());
        assert!(difference(&list(&[other, PLAIN]), &list(&[PLAIN, other])).is_empty());
    }
}
