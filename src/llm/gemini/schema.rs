//! Writes a JSON schema in the API's own subset of OpenAPI, for servers that know nothing else.
//!
//! References are written out, `allOf` is put together, `oneOf` is `anyOf`, `const` is an `enum`, and a list
//! of types is `nullable` or `anyOf`. What the subset has no word for only narrows down what is good: it is
//! left out with a note, so that the model may write what the tool then refuses, and never the other way
//! round.

use std::ops::Range;

use crate::json::{Fault, Field, Kind, Value, elements, fields_at};
use crate::limits;
use crate::llm::conversation::{Refusal, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::{Raw, Writer, Written};

/// Members of the subset that are written as they are, and what they have to be.
const PLAIN: &[(&str, Kind)] = &[
    ("title", Kind::String),
    ("description", Kind::String),
    ("format", Kind::String),
    ("pattern", Kind::String),
    ("minimum", Kind::Number),
    ("maximum", Kind::Number),
    ("minItems", Kind::Number),
    ("maxItems", Kind::Number),
    ("minLength", Kind::Number),
    ("maxLength", Kind::Number),
    ("minProperties", Kind::Number),
    ("maxProperties", Kind::Number),
];

/// Formats of strings and numbers that the servers take.
const FORMATS: &[&str] = &["enum", "date-time", "int32", "int64", "float", "double"];

/// Members that say nothing about values, or that are looked at on the way.
const SILENT: &[&str] = &["$schema", "$id", "$defs", "definitions", "$comment", "examples", "default"];

/// Writes `schema` in the subset.
///
/// # Errors
/// It is too large when its references are written out, or no JSON.
pub(super) fn write(
    schema: Raw<'_>,
    place: &'static str,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut walk = Walk { doc: schema.bytes(), bytes: 0, path: Vec::new(), narrowed: false };
    walk.schema(&Value { kind: schema.kind, span: 0..schema.bytes().len() }, 0, out).map_err(|trouble| {
        match trouble {
            Trouble::TooLarge => Refusal::new(place, Why::TooLong(limits::SCHEMA_WRITTEN_BYTES_MAX)),
            Trouble::Json(fault) => Refusal::new(place, Why::NotJson(fault)),
        }
    })?;
    if walk.narrowed {
        losses.note(place, Treatment::Emulated);
    }
    Ok(())
}

/// Whether a schema names any member of the objects that it is about.
pub(super) fn has_members(schema: Raw<'_>) -> bool {
    let mut found = false;
    let walked: Result<(), Fault> = fields_at(schema.bytes(), 0..schema.bytes().len(), |field| {
        let Field { key, value } = field;
        let inner = Raw::new(value.kind, value.bytes(schema.bytes()));
        found |= match key.raw {
            b"properties" => !inner.is_void(),
            b"$ref" | b"allOf" | b"anyOf" | b"oneOf" => true,
            _ => false,
        };
        Ok(())
    });
    walked.is_ok() && found
}

enum Trouble {
    TooLarge,
    Json(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Json(fault)
    }
}

struct Walk<'d> {
    doc: &'d [u8],
    /// Bytes of the schemas that have been walked through, each time that they were.
    bytes: usize,
    /// Where the references that are being written out lead to.
    path: Vec<usize>,
    /// Something that narrows down was left out.
    narrowed: bool,
}

/// What a schema says, its references and `allOf` put together: what is said first counts.
#[derive(Default)]
struct Said<'d> {
    types: Vec<&'d str>,
    nullable: bool,
    plain: Vec<(&'static str, Range<usize>)>,
    choices: Option<Range<usize>>,
    only: Option<Range<usize>>,
    items: Option<Value>,
    members: Vec<(Range<usize>, Value)>,
    needed: Vec<Range<usize>>,
    any_of: Option<Range<usize>>,
}

impl<'d> Walk<'d> {
    fn schema(&mut self, value: &Value, depth: usize, out: &mut Writer) -> Result<(), Trouble> {
        let (mut said, above) = (Said::default(), self.path.len());
        self.gather(value, depth, &mut said)?;
        out.open('{');
        let depth = depth + 1;
        let any = said.any_of.take();
        let mut kind = said.types.first().copied();
        if said.types.len() > 1 && any.is_none() {
            // All of what is said is about one of them, and goes into the first that can have it.
            kind = None;
            out.key("anyOf").open('[');
            for (index, one) in said.types.iter().enumerate() {
                out.open('{').key("type").text(one);
                let mut of_one = Said::default();
                let object = *one == "object" && !said.members.is_empty();
                if *one == "array" || object {
                    of_one.items = said.items.clone();
                    of_one.members = std::mem::take(&mut said.members);
                    of_one.needed = std::mem::take(&mut said.needed);
                } else if index == 0 {
                    (of_one.choices, of_one.only) = (said.choices.take(), said.only.take());
                }
                self.rest(Some(one), &of_one, depth, out)?;
                out.close('}');
            }
            out.close(']');
            said.items = None;
        }
        if let Some(kind) = kind {
            out.key("type").text(kind);
        } else if any.is_none() && said.types.is_empty() {
            let object = !said.members.is_empty();
            kind = Some(if object { "object" } else { "string" });
            out.key("type").text(if object { "object" } else { "string" });
            self.narrowed = true;
        }
        if said.nullable {
            out.key("nullable").raw(b"true");
        }
        for (name, span) in &said.plain {
            out.key(name).raw(self.doc.get(span.clone()).unwrap_or_default());
        }
        if let Some(span) = any {
            out.key("anyOf").open('[');
            let list: Vec<Value> = self.list(span)?;
            for one in &list {
                self.schema(one, depth, out)?;
            }
            out.close(']');
        }
        self.rest(kind, &said, depth, out)?;
        out.close('}');
        self.path.truncate(above);
        Ok(())
    }

    /// Writes what belongs to one type.
    fn rest(
        &mut self,
        kind: Option<&str>,
        said: &Said<'_>,
        depth: usize,
        out: &mut Writer,
    ) -> Result<(), Trouble> {
        self.choices(kind, said, out)?;
        match (kind, &said.items) {
            (Some("array"), Some(items)) => {
                out.key("items");
                self.schema(items, depth, out)?;
            }
            // An array of anything has to say so there.
            (Some("array"), None) => drop(out.key("items").raw(b"{\"type\":\"string\"}")),
            _ => {}
        }
        if said.members.is_empty() {
            return Ok(());
        }
        out.key("properties").open('{');
        for (name, member) in &said.members {
            out.written(Written::new(self.doc.get(name.clone()).unwrap_or_default())).colon();
            self.schema(member, depth, out)?;
        }
        out.close('}');
        let known: Vec<&[u8]> =
            said.members.iter().filter_map(|(name, _)| self.doc.get(name.clone())).collect();
        let mut needed: Vec<&[u8]> = Vec::new();
        for span in &said.needed {
            for name in self.list(span.clone())? {
                let inner = name.inner(self.doc).unwrap_or_default();
                // A name that no member has is refused there.
                if known.contains(&inner) && !needed.contains(&inner) {
                    needed.push(inner);
                }
            }
        }
        if !needed.is_empty() {
            out.key("required").open('[');
            for name in needed {
                out.written(Written::new(name));
            }
            out.close(']');
        }
        Ok(())
    }

    /// Writes `enum`, which is for strings only.
    fn choices(&mut self, kind: Option<&str>, said: &Said<'_>, out: &mut Writer) -> Result<(), Trouble> {
        let mut list = match (&said.choices, &said.only) {
            (Some(span), _) => self.list(span.clone())?,
            (None, Some(span)) => vec![Value { kind: kind_at(self.doc, span), span: span.clone() }],
            (None, None) => return Ok(()),
        };
        let all = list.len();
        list.retain(|value| value.kind == Kind::String && value.span.len() > 2);
        self.narrowed |= list.len() < all;
        if kind.is_none_or(|kind| kind == "string") && !list.is_empty() && list.len() == all {
            out.key("enum").open('[');
            for value in list {
                out.raw(value.bytes(self.doc));
            }
            out.close(']');
        } else {
            self.narrowed = true;
        }
        Ok(())
    }

    fn list(&self, span: Range<usize>) -> Result<Vec<Value>, Trouble> {
        let mut list = Vec::new();
        if self.doc.get(span.start) == Some(&b'[') {
            elements(self.doc, span, |value| {
                list.push(value);
                Ok::<_, Trouble>(())
            })?;
        }
        Ok(list)
    }

    /// Adds what the schema at `value` says to `said`.
    fn gather(&mut self, value: &Value, depth: usize, said: &mut Said<'d>) -> Result<(), Trouble> {
        self.bytes += value.span.len();
        if self.bytes > limits::SCHEMA_WRITTEN_BYTES_MAX {
            return Err(Trouble::TooLarge);
        }
        // `true` takes anything, and what is too deep is no further described.
        if value.kind != Kind::Object || depth > limits::SCHEMA_DEPTH_MAX {
            self.narrowed = true;
            return Ok(());
        }
        let doc = self.doc;
        let mut others = Vec::new();
        fields_at(doc, value.span.clone(), |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"type", _) => self.types(&value, said)?,
                (b"nullable", Kind::True) => said.nullable = true,
                (b"enum", Kind::Array) => drop(said.choices.get_or_insert(value.span)),
                (b"const", _) => drop(said.only.get_or_insert(value.span)),
                (b"items", Kind::Object) => drop(said.items.get_or_insert(value)),
                (b"anyOf" | b"oneOf", Kind::Array) => {
                    self.narrowed |= said.any_of.replace(value.span).is_some();
                }
                (b"required", Kind::Array) => said.needed.push(value.span),
                (b"properties", Kind::Object) => self.members(&value, said)?,
                (b"$ref" | b"allOf", _) => others.push((key.raw == b"$ref", value)),
                (name, kind) => self.plain(name, kind, value, said),
            }
            Ok::<_, Trouble>(())
        })?;
        for (reference, value) in others {
            if reference {
                match self.referred(&value)? {
                    Some(target) if self.path.contains(&target.span.start) => self.again(&target, said)?,
                    Some(target) => {
                        self.path.push(target.span.start);
                        self.gather(&target, depth + 1, said)?;
                    }
                    None => self.narrowed = true,
                }
            } else {
                for one in self.list(value.span.clone())? {
                    self.gather(&one, depth + 1, said)?;
                }
            }
        }
        Ok(())
    }

    /// Of a schema that holds itself only the type is said inside of itself.
    fn again(&mut self, value: &Value, said: &mut Said<'d>) -> Result<(), Trouble> {
        self.narrowed = true;
        if value.kind != Kind::Object {
            return Ok(());
        }
        fields_at(self.doc, value.span.clone(), |Field { key, value }| match key.raw {
            b"type" => self.types(&value, said),
            _ => Ok(()),
        })
    }

    fn plain(&mut self, name: &[u8], kind: Kind, value: Value, said: &mut Said<'d>) {
        let known = PLAIN.iter().find(|(known, wanted)| known.as_bytes() == name && *wanted == kind);
        let Some((known, _)) = known else {
            self.narrowed |= !SILENT.iter().any(|silent| silent.as_bytes() == name);
            return;
        };
        let inner = value.inner(self.doc).unwrap_or_default();
        if *known == "format" && !FORMATS.iter().any(|format| format.as_bytes() == inner) {
            self.narrowed = true;
        } else if said.plain.iter().all(|(other, _)| other != known) {
            said.plain.push((known, value.span));
        }
    }

    fn types(&self, value: &Value, said: &mut Said<'d>) -> Result<(), Trouble> {
        let mut list = self.list(value.span.clone())?;
        if value.kind == Kind::String {
            list.push(value.clone());
        }
        let first = said.types.is_empty();
        for one in list {
            match std::str::from_utf8(one.inner(self.doc).unwrap_or_default()) {
                Ok("null") => said.nullable = true,
                Ok(name @ ("string" | "number" | "integer" | "boolean" | "array" | "object"))
                    if first && !said.types.contains(&name) =>
                {
                    said.types.push(name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn members(&self, value: &Value, said: &mut Said<'d>) -> Result<(), Trouble> {
        fields_at(self.doc, value.span.clone(), |Field { key, value }| {
            let name = key.at..key.at + key.raw.len();
            let known = said.members.iter().any(|(other, _)| self.doc.get(other.clone()) == Some(key.raw));
            if !known {
                said.members.push((name, value));
            }
            Ok::<_, Trouble>(())
        })
    }

    /// What a reference inside of the document means: `#/$defs/name`.
    fn referred(&self, value: &Value) -> Result<Option<Value>, Trouble> {
        let Some(path) = value.inner(self.doc).and_then(|inner| inner.strip_prefix(b"#")) else {
            return Ok(None);
        };
        let mut at = Value { kind: Kind::Object, span: 0..self.doc.len() };
        for step in path.split(|byte| *byte == b'/').skip(1) {
            let mut next = None;
            if at.kind == Kind::Object {
                fields_at(self.doc, at.span, |Field { key, value }| {
                    if key.raw == step {
                        next.get_or_insert(value);
                    }
                    Ok::<_, Trouble>(())
                })?;
            }
            let Some(found) = next else { return Ok(None) };
            at = found;
        }
        Ok(Some(at))
    }
}

fn kind_at(doc: &[u8], span: &Range<usize>) -> Kind {
    if doc.get(span.start) == Some(&b'"') { Kind::String } else { Kind::Null }
}
