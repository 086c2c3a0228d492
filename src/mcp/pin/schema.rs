//! What is different about the schema of a tool's arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;
use crate::mcp::pin::change::{Aspect, Change, names};
use crate::mcp::pin::tree::Tree;

/// Compares two schemas; `place` is where they stand. Gives nothing where it understands nothing of the
/// difference.
pub(super) fn compare(old: &Tree, new: &Tree, place: &str) -> Change {
    let mut change = Change::default();
    schema(old, new, place, &mut change);
    change
}

fn schema(old: &Tree, new: &Tree, place: &str, change: &mut Change) {
    let (Some(before), Some(after)) = (old.members(), new.members()) else {
        return change.add(Aspect::Type, place);
    };
    for keyword in names(before, after) {
        let (was, is) = (before.get(keyword), after.get(keyword));
        if was == is {
            continue;
        }
        let at = format!("{place}.{keyword}");
        match (keyword.as_str(), was, is) {
            ("properties", ..) => properties(before, after, &at, change),
            ("required", ..) => change.add(Aspect::Required, &at),
            ("items", Some(was), Some(is)) if was.members().is_some() && is.members().is_some() => {
                schema(was, is, &at, change);
            }
            ("description" | "title" | "examples" | "$comment", ..) => {
                change.add(Aspect::ParameterText, &at);
            }
            _ => change.add(Aspect::Type, &at),
        }
    }
}

fn properties(
    before: &BTreeMap<String, Tree>,
    after: &BTreeMap<String, Tree>,
    place: &str,
    change: &mut Change,
) {
    let empty = Tree::Object(BTreeMap::new());
    let of = |schema: &'_ BTreeMap<String, Tree>| schema.get("properties").unwrap_or(&empty).clone();
    let (was, is) = (of(before), of(after));
    let (Some(was), Some(is)) = (was.members(), is.members()) else {
        return change.add(Aspect::Type, place);
    };
    if was == is {
        // No parameters, written as `{}` or not at all.
        return change.add(Aspect::Type, place);
    }
    let required = words(after.get("required"));
    for name in names(was, is) {
        let at = format!("{place}.{name}");
        match (was.get(name), is.get(name)) {
            (Some(old), Some(new)) if old != new => schema(old, new, &at, change),
            (Some(_), Some(_)) | (None, None) => {}
            (Some(_), None) => change.add(Aspect::ParameterRemoved, &at),
            (None, Some(new)) => {
                let optional = !required.contains(name.as_str());
                let passes = optional && is_plain_name(name) && is_wordless(new);
                change.add(if passes { Aspect::OptionalParameter } else { Aspect::ParameterAdded }, &at);
            }
        }
    }
}

/// The strings of an array.
fn words(tree: Option<&Tree>) -> BTreeSet<&str> {
    match tree {
        Some(Tree::Array(elements)) => elements.iter().filter_map(Tree::text).collect(),
        _ => BTreeSet::new(),
    }
}

/// Whether a name of a parameter is one that programs give, not a sentence.
fn is_plain_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$');
    !name.is_empty() && name.len() <= limits::PIN_PARAMETER_BYTES_MAX && name.bytes().all(fits)
}

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// Formats of the JSON Schema specification, 2020-12, section 7.3 of its validation part.
const FORMATS: [&str; 19] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uuid",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// Keywords whose value is a number or a truth value.
const BARE: [&str; 18] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "nullable",
    "readOnly",
    "writeOnly",
    "deprecated",
    "default",
    "const",
];

/// Whether a schema says nothing in words: it is made of known keywords alone, and what they hold is of fixed
/// lists, numbers, truth values and schemas of the same kind.
fn is_wordless(tree: &Tree) -> bool {
    let Some(members) = tree.members() else { return tree.truth().is_some() };
    members.iter().all(|(keyword, value)| match keyword.as_str() {
        "type" => match value {
            Tree::Text(word) => TYPES.contains(&word.as_str()),
            Tree::Array(list) => list.iter().all(|one| one.text().is_some_and(|word| TYPES.contains(&word))),
            Tree::Object(_) | Tree::Bare(_) => false,
        },
        "format" => value.text().is_some_and(|word| FORMATS.contains(&word)),
        "items" | "additionalProperties" => is_wordless(value),
        "anyOf" | "oneOf" => matches!(value, Tree::Array(list) if list.iter().all(is_wordless)),
        "enum" => {
            matches!(value, Tree::Array(list) if list.iter().all(|one| matches!(one, Tree::Bare(_))))
        }
        "properties" => value.members().is_some_and(|inner| {
            inner.iter().all(|(name, schema)| is_plain_name(name) && is_wordless(schema))
        }),
        "required" => {
            let known = |name: &str| members.get("properties").is_some_and(|all| all.get(name).is_some());
            matches!(value, Tree::Array(list) if list.iter().all(|one| one.text().is_some_and(known)))
        }
        other => BARE.contains(&other) && matches!(value, Tree::Bare(_)),
    })
}
