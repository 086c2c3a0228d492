//! Parameters of a tool that its calls repeat as HTTP headers: `x-mcp-header` in its input schema.
//!
//! The rules are those of the revision 2026-07-28 (server/tools and basic/transports/streamable-http). A tool
//! that breaks one is not listed, by whatever way it came to us, because our own callers come by HTTP.

use serde_json::{Map, Value};

use crate::limits;

/// A parameter that is repeated as `Mcp-Param-{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    /// The name after `Mcp-Param-`, a token by RFC 9110 as the server wrote it.
    pub name: Box<str>,
    /// Where the value stands in `arguments`: names of members from the outside in, never none.
    pub path: Box<[Box<str>]>,
}

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is empty, not a string, or has characters that a header's name cannot have.
    #[error("is no name for a header")]
    Name,
    /// Two differ by case at most.
    #[error("occurs twice")]
    Twice,
    /// It is not on a parameter of type string, integer or boolean.
    #[error("is on a parameter that is neither a string, nor an integer, nor a boolean")]
    Kind,
    /// It cannot be reached by names of properties alone.
    #[error("stands where no parameter of its own is")]
    Place,
    /// There are more than `limits::MCP_PARAM_HEADERS_MAX`.
    #[error("is one too many")]
    TooMany,
    /// The schema cannot be read.
    #[error("is in a schema that cannot be read")]
    Schema,
}

/// The keyword of a marked parameter.
pub(super) const MARK: &str = "x-mcp-header";

/// Reads the marks of an input schema, which is rare: few tools have any.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn read(schema: &[u8]) -> Result<Box<[ParamHeader]>, Invalid> {
    let schema: Value = serde_json::from_slice(schema).or(Err(Invalid::Schema))?;
    let mut found = Vec::new();
    reachable(&schema, &mut Vec::new(), &mut found)?;
    Ok(found.into())
}

/// Reads a schema that is reached by names of properties, `path`.
fn reachable(schema: &Value, path: &mut Vec<Box<str>>, found: &mut Vec<ParamHeader>) -> Result<(), Invalid> {
    let Value::Object(schema) = schema else { return Ok(()) };
    if let Some(mark) = schema.get(MARK) {
        found.push(header(mark, schema, path, found)?);
    }
    for (word, value) in schema {
        match (word.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    path.push(name.as_str().into());
                    reachable(property, path, found)?;
                    path.pop();
                }
            }
            (word, _) if is_data(word) => {}
            (word, value) => no_mark(value, holds_names(word))?,
        }
    }
    Ok(())
}

fn header(
    mark: &Value,
    schema: &Map<String, Value>,
    path: &[Box<str>],
    found: &[ParamHeader],
) -> Result<ParamHeader, Invalid> {
    let name = mark.as_str().filter(|name| is_token(name)).ok_or(Invalid::Name)?;
    if path.is_empty() {
        return Err(Invalid::Place);
    }
    if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
        return Err(Invalid::Kind);
    }
    if found.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
        return Err(Invalid::Twice);
    }
    if found.len() == limits::MCP_PARAM_HEADERS_MAX {
        return Err(Invalid::TooMany);
    }
    Ok(ParamHeader { name: name.into(), path: path.into() })
}

/// Checks that nothing below is marked; `names` says that the members of an object are names, not words of
/// the schema language.
fn no_mark(value: &Value, names: bool) -> Result<(), Invalid> {
    match value {
        Value::Object(members) => {
            if !names && members.contains_key(MARK) {
                return Err(Invalid::Place);
            }
            let schemas = members.iter().filter(|(word, _)| names || !is_data(word));
            for (word, value) in schemas {
                no_mark(value, !names && holds_names(word))?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| no_mark(item, false)),
        _ => Ok(()),
    }
}

/// Whether what follows a word is an example of data, in which the mark would mean nothing.
fn is_data(word: &str) -> bool {
    matches!(word, "default" | "const" | "enum" | "examples") || word == MARK
}

/// Whether what follows a word is an object from names to schemas.
fn holds_names(word: &str) -> bool {
    matches!(word, "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas")
}

/// RFC 9110 section 5.6.2, bounded.
fn is_token(name: &str) -> bool {
    let tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=limits::MCP_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(tchar)
}

#[cfg(test)]
mod tests {
    use super::{Invalid, read};
    use serde_json::{Value, json};

    fn names(schema: &Value) -> Result<Vec<(String, String)>, Invalid> {
        let found = read(schema.to_string().as_bytes())?;
        Ok(found.iter().map(|header| (header.name.to_string(), header.path.join("/"))).collect())
    }

    fn property(schema: impl Into<Value>) -> Value {
        json!({"type": "object", "properties": {"p": schema.into()}})
    }

    #[test]
    fn marks_are_found_with_their_paths() {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "x-mcp-header": {"type": "string", "description": "a parameter of this name is no mark"},
            "where": {"type": "object", "properties": {
                "dry": {"type": "boolean", "x-mcp-header": "Dry-Run", "default": {"x-mcp-header": 1}},
                "plain": {"type": "number"},
            }},
        }, "examples": [{"x-mcp-header": "data"}]});
        let expected = [("Region", "region"), ("Dry-Run", "where/dry")];
        let expected = expected.map(|(name, path)| (name.to_owned(), path.to_owned()));
        assert_eq!(names(&schema), Ok(expected.to_vec()));
    }

    #[test]
    fn every_broken_rule_is_found() {
        let marked = |mark: Value| property(json!({"type": "string", "x-mcp-header": mark}));
        let typed = |kind: Value| property(json!({"type": kind, "x-mcp-header": "A"}));
        let good = json!({"type": "string", "x-mcp-header": "A"});
        let two = |one: &str, other: &str| {
            json!({"properties": {"a": {"type": "string", "x-mcp-header": one},
                "b": {"type": "string", "x-mcp-header": other}}})
        };
        let many: serde_json::Map<String, Value> = (0..33)
            .map(|n| (format!("p{n}"), json!({"type": "string", "x-mcp-header": format!("H{n}")})))
            .collect();
        let cases = [
            (marked(json!("")), Invalid::Name),
            (marked(json!("a b")), Invalid::Name),
            (marked(json!("a:b")), Invalid::Name),
            (marked(json!("é")), Invalid::Name),
            (marked(json!("a\r\nb")), Invalid::Name),
            (marked(json!(7)), Invalid::Name),
            (typed(json!("number")), Invalid::Kind),
            (typed(json!("object")), Invalid::Kind),
            (typed(json!("array")), Invalid::Kind),
            (typed(json!("null")), Invalid::Kind),
            (typed(json!(["string", "null"])), Invalid::Kind),
            (property(json!({"x-mcp-header": "A"})), Invalid::Kind),
            (two("A", "A"), Invalid::Twice),
            (two("Region", "REGION"), Invalid::Twice),
            (json!({"type": "string", "x-mcp-header": "A"}), Invalid::Place),
            (property(json!({"type": "array", "items": good})), Invalid::Place),
            (property(json!({"anyOf": [good]})), Invalid::Place),
            (json!({"$defs": {"d": good}}), Invalid::Place),
            (json!({"if": {"properties": {"p": good}}}), Invalid::Place),
            (json!({"properties": {"p": {"patternProperties": {"x": good}}}}), Invalid::Place),
            (json!({"properties": many}), Invalid::TooMany),
        ];
        for (schema, expected) in cases {
            assert_eq!(names(&schema), Err(expected), "{schema}");
        }
    }

    #[test]
    fn definitions_of_names_are_no_marks() {
        let schema = json!({"$defs": {"x-mcp-header": {"type": "string"}},
            "patternProperties": {"x-mcp-header": {"const": {"x-mcp-header": 1}}}});
        assert_eq!(names(&schema), Ok(Vec::new()));
    }
}
