//! The members of JSON objects that come and go: read by the same table that describes them.

use serde_json::{Map, Value, json};

use crate::limits;

/// What a member may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A text of at most so many bytes.
    Text(usize),
    /// `true` or `false`.
    Flag,
    /// A number from 0.
    Count,
    /// A list of texts.
    Texts,
    /// A list of objects.
    Objects,
    /// An object, or whatever else its sentence says.
    Anything,
}

/// One member.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it must be there.
    pub required: bool,
    /// What it is about: one sentence.
    pub says: &'static str,
    /// An example as JSON; for those that come in.
    pub example: &'static str,
}

/// A member that must be there.
pub const fn must(name: &'static str, holds: Holds, says: &'static str) -> Member {
    Member { name, holds, required: true, says, example: "" }
}

/// A member that may be left out.
pub const fn may(name: &'static str, holds: Holds, says: &'static str) -> Member {
    Member { name, holds, required: false, says, example: "" }
}

impl Member {
    /// The same with an example.
    #[must_use]
    pub const fn like(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// Its schema in the words of JSON Schema 2020-12.
    pub fn schema(&self) -> Value {
        let mut schema = match self.holds {
            Holds::Text(most) => json!({ "type": "string", "maxLength": most }),
            Holds::Flag => json!({ "type": "boolean" }),
            Holds::Count => json!({ "type": "integer", "minimum": 0 }),
            Holds::Texts => {
                let text = json!({ "type": "string", "maxLength": limits::PATTERN_CHARS_MAX });
                json!({ "type": "array", "items": text, "maxItems": limits::ADMIN_PATTERNS_MAX })
            }
            Holds::Objects => json!({ "type": "array", "items": { "type": "object" } }),
            Holds::Anything => json!({}),
        };
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".to_owned(), self.says.into());
        }
        schema
    }

    fn fits(&self, value: &Value) -> bool {
        match self.holds {
            Holds::Text(most) => value.as_str().is_some_and(|text| text.len() <= most),
            Holds::Flag => value.is_boolean(),
            Holds::Count => value.is_u64(),
            Holds::Texts => value.as_array().is_some_and(|list| {
                let fits =
                    |one: &Value| one.as_str().is_some_and(|text| text.len() <= limits::PATTERN_CHARS_MAX);
                list.len() <= limits::ADMIN_PATTERNS_MAX && list.iter().all(fits)
            }),
            Holds::Objects => value.as_array().is_some_and(|list| list.iter().all(Value::is_object)),
            Holds::Anything => true,
        }
    }

    fn wanted(&self) -> String {
        match self.holds {
            Holds::Text(most) => format!("a text of at most {most} bytes"),
            Holds::Flag => "true or false".to_owned(),
            Holds::Count => "a number from 0".to_owned(),
            Holds::Texts => format!("a list of at most {} texts", limits::ADMIN_PATTERNS_MAX),
            Holds::Objects => "a list of objects".to_owned(),
            Holds::Anything => "a value".to_owned(),
        }
    }
}

/// The schema of an object with these members; one that comes in is closed, since unknown members are
/// refused.
pub fn schema(members: &[Member], closed: bool) -> Value {
    let properties: Map<String, Value> =
        members.iter().map(|member| (member.name.to_owned(), member.schema())).collect();
    let required: Vec<&str> =
        members.iter().filter(|member| member.required).map(|member| member.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "required": required });
    if let Some(fields) = schema.as_object_mut().filter(|_| closed) {
        fields.insert("additionalProperties".to_owned(), false.into());
    }
    schema
}

/// An object of all examples.
pub fn example(members: &[Member]) -> Value {
    let examples = members.iter().filter_map(|member| {
        let value = serde_json::from_str(member.example).ok()?;
        Some((member.name.to_owned(), value))
    });
    Value::Object(examples.collect())
}

/// Reads a body of these members; an empty one is an object without members. `null` counts as left out.
///
/// # Errors
/// What is wrong, and what to send instead.
pub fn read(body: &[u8], members: &[Member]) -> Result<Map<String, Value>, String> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let read: Value =
        serde_json::from_slice(body).map_err(|why| format!("the body is no JSON document: {why}"))?;
    let Value::Object(mut object) = read else {
        return Err("the body is no JSON object".to_owned());
    };
    if serde_json::from_slice::<Once>(body).is_err() {
        return Err("a member stands twice in the body".to_owned());
    }
    if let Some(unknown) = object.keys().find(|name| !members.iter().any(|member| member.name == **name)) {
        let known: Vec<&str> = members.iter().map(|member| member.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let unknown: String = unknown.chars().take(40).collect();
        return Err(format!("the member {unknown:?} is not known; known: {known}"));
    }
    object.retain(|_, value| !value.is_null());
    for member in members {
        match object.get(member.name) {
            None if member.required => {
                return Err(format!("{:?} is missing: {}", member.name, member.says));
            }
            Some(value) if !member.fits(value) => {
                return Err(format!("{:?}: expected {}", member.name, member.wanted()));
            }
            _ => {}
        }
    }
    Ok(object)
}

/// An object whose members have different names; what they hold does not matter.
struct Once;

impl<'d> serde::Deserialize<'d> for Once {
    fn deserialize<D: serde::Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Names)
    }
}

struct Names;

impl<'d> serde::de::Visitor<'d> for Names {
    type Value = Once;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'d>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
            if !seen.insert(name) {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(Once)
    }
}
