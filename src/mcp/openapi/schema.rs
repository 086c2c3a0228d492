//! Schemas of a document as tools need them: whole, without references, bounded.

use serde_json::{Map, Value, json};

use crate::limits;

/// What one schema costs beside its content: its braces and a note.
const STEP_BYTES: usize = 32;

/// Copies schemas of one document for one tool.
pub(super) struct Inliner<'d> {
    document: &'d Value,
    /// References that are being followed, outermost first: one that is followed inside of itself is a
    /// circle.
    open: Vec<String>,
    /// Bytes that may still be written.
    room: usize,
}

impl<'d> Inliner<'d> {
    pub(super) const fn new(document: &'d Value) -> Self {
        Self { document, open: Vec::new(), room: limits::OPENAPI_SCHEMA_BYTES_MAX }
    }

    /// A copy without references. What would be too deep, too large or without end is `{}`, which takes
    /// anything, with a note.
    pub(super) fn schema(&mut self, schema: &Value, depth: usize) -> Value {
        let Value::Object(members) = schema else {
            // `true` and `false` are schemas of 3.1; of anything else nothing can be said.
            return if schema.is_boolean() { schema.clone() } else { json!({}) };
        };
        // Every step costs, also one that writes nothing: small documents can be made to unfold for ever.
        self.spend(STEP_BYTES);
        if depth == limits::OPENAPI_DEPTH_MAX || self.room == 0 {
            return note("too large to be shown whole");
        }
        if let Some(Value::String(reference)) = members.get("$ref") {
            return self.follow(reference, members, depth);
        }
        let mut out = Map::new();
        for (word, value) in members {
            if let Some(copy) = self.word(word, value, depth) {
                out.insert(word.clone(), copy);
            }
        }
        nullable(members, &mut out);
        Value::Object(out)
    }

    /// What a reference means, and what stands beside it.
    fn follow(&mut self, reference: &str, members: &Map<String, Value>, depth: usize) -> Value {
        if self.open.iter().any(|open| open == reference) {
            return note("recursive: as the schema around it");
        }
        let Some(target) = local(self.document, reference) else {
            return note("defined outside of this document, which is not looked at");
        };
        self.open.push(reference.to_owned());
        let mut copy = self.schema(target, depth + 1);
        self.open.pop();
        if let Value::Object(copy) = &mut copy {
            for word in ["description", "title", "default"] {
                if let Some(value) = members.get(word).and_then(|value| self.data(value)) {
                    copy.insert(word.to_owned(), value);
                }
            }
        }
        copy
    }

    /// The value of one word of the schema language; nothing for words that only OpenAPI has.
    fn word(&mut self, word: &str, value: &Value, depth: usize) -> Option<Value> {
        match (word, value) {
            ("xml" | "discriminator" | "externalDocs" | "nullable" | "deprecated" | "$ref", _) => None,
            ("example" | "examples" | "$schema" | "$id" | "$anchor" | "$comment", _) => None,
            // In 3.0 these are flags beside `minimum`, which JSON Schema does not know.
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => None,
            // Definitions are copied to where they are used.
            ("$defs" | "definitions", _) => None,
            (word, _) if word.starts_with("x-") => None,
            ("properties" | "patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                let mut copy = Map::new();
                for (name, schema) in schemas {
                    self.spend(name.len());
                    if self.room == 0 {
                        break;
                    }
                    copy.insert(name.clone(), self.schema(schema, depth + 1));
                }
                Some(Value::Object(copy))
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                let mut copy = Vec::new();
                for schema in schemas {
                    if self.room == 0 {
                        break;
                    }
                    copy.push(self.schema(schema, depth + 1));
                }
                // An empty list of choices would take nothing, or be no schema at all.
                (!copy.is_empty()).then_some(Value::Array(copy))
            }
            (
                "items"
                | "additionalProperties"
                | "not"
                | "contains"
                | "propertyNames"
                | "if"
                | "then"
                | "else"
                | "unevaluatedItems"
                | "unevaluatedProperties",
                schema,
            ) => Some(self.schema(schema, depth + 1)),
            (word, data) => {
                self.spend(word.len());
                self.data(data)
            }
        }
    }

    /// A copy of what is no schema; nothing when there is no room for it. Having looked costs a share of the
    /// room, so that there are few such looks.
    fn data(&mut self, data: &Value) -> Option<Value> {
        let size = size(data, self.room);
        self.spend(size.unwrap_or(self.room / 4));
        size.map(|_| data.clone())
    }

    /// A text of the document, cut to what a description may have and to the room that is left.
    pub(super) fn text(&mut self, text: &str) -> Value {
        let most = limits::MCP_DESCRIPTION_BYTES_MAX.min(self.room);
        self.spend(text.len().min(most));
        Value::from(text.get(..text.floor_char_boundary(most)).unwrap_or_default())
    }

    const fn spend(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(bytes);
    }
}

/// `nullable` of 3.0 in the words of JSON Schema.
fn nullable(members: &Map<String, Value>, out: &mut Map<String, Value>) {
    if members.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    if let Some(Value::String(word)) = out.get("type") {
        let both = json!([word, "null"]);
        out.insert("type".into(), both);
        if let Some(Value::Array(words)) = out.get_mut("enum")
            && !words.contains(&Value::Null)
        {
            words.push(Value::Null);
        }
    }
}

fn note(why: &str) -> Value {
    json!({ "description": format!("({why})") })
}

/// About how many bytes a value takes; nothing when they are more than `most`, found out without a look at
/// all of it.
fn size(value: &Value, most: usize) -> Option<usize> {
    let mut sum = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(_) | Value::Object(_) => 2,
    };
    match value {
        Value::Array(items) => {
            for item in items {
                sum += 1 + size(item, most.checked_sub(sum)?)?;
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                sum += 4 + name.len() + size(value, most.checked_sub(sum)?)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    (sum <= most).then_some(sum)
}

/// The value that a reference into the same document means. Nothing for any other reference: nothing is ever
/// fetched.
pub(super) fn local<'d>(document: &'d Value, reference: &str) -> Option<&'d Value> {
    document.pointer(reference.strip_prefix('#')?)
}

/// The object that `value` is or refers to; references to references only so far.
pub(super) fn resolved<'d>(document: &'d Value, value: &'d Value) -> Option<&'d Map<String, Value>> {
    let mut value = value;
    for _ in 0..limits::OPENAPI_DEPTH_MAX {
        let members = value.as_object()?;
        match members.get("$ref") {
            Some(Value::String(reference)) => value = local(document, reference)?,
            _ => return Some(members),
        }
    }
    None
}
