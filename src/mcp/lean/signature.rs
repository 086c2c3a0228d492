//! One line that says how a tool is called: `search(query: string, limit?: integer = 10) - Finds issues.`

use super::schema::Odd;
use super::schema::refs::resolve;
use super::schema::tree::{Id, ROOT, Shape, Tree};
use super::sentence::first_sentence;
use crate::json::escape;
use crate::limits;

/// The signature of a tool and the first sentence of its description, on one line. Types are written as in
/// TypeScript; what is optional has a question mark. A schema that cannot be read gives `(...)`, as does what
/// is over `limits::LEAN_SIGNATURE_CHARS_MAX` for the parameters behind it.
pub fn signature(name: &str, description: &str, schema: &[u8]) -> String {
    let mut line = first_sentence(name, limits::MCP_NAME_BYTES_MAX);
    match parameters(schema) {
        Ok(parameters) => line.push_str(&parameters),
        Err(Odd) => line.push_str("(...)"),
    }
    let words = first_sentence(description, limits::LEAN_DESCRIPTION_CHARS_MAX);
    if !words.is_empty() {
        line.push_str(" - ");
        line.push_str(&words);
    }
    line
}

fn parameters(schema: &[u8]) -> Result<String, Odd> {
    if schema.len() > limits::MCP_DEFINITION_BYTES_MAX {
        return Err(Odd);
    }
    let tree = Tree::read(schema)?;
    let mut out = String::from("(");
    let root = if tree.get(ROOT, "$ref").is_some() { resolve(&tree, ROOT)?.schema } else { ROOT };
    members(&tree, root, 0, &mut out);
    out.push(')');
    Ok(out)
}

/// Writes the members of an object: `name: type, other?: type = default`.
pub(super) fn members(tree: &Tree<'_>, schema: Id, depth: usize, out: &mut String) {
    let properties = tree.get(schema, "properties").and_then(|id| tree.members(id));
    let required = tree.get(schema, "required").and_then(|id| tree.items(id)).unwrap_or_default();
    for (index, (name, property)) in properties.into_iter().flatten().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        if is_full(out) {
            out.push_str("...");
            return;
        }
        out.push_str(&word(name));
        if !required.iter().any(|one| tree.string(*one) == Some(&**name)) {
            out.push('?');
        }
        out.push_str(": ");
        kind(tree, *property, depth, out);
        if let Some(default) = tree.get(*property, "default").and_then(|id| value(tree, id)) {
            out.push_str(" = ");
            out.push_str(&default);
        }
    }
}

/// Writes a type.
pub(super) fn kind(tree: &Tree<'_>, schema: Id, depth: usize, out: &mut String) {
    if depth >= limits::LEAN_SIGNATURE_DEPTH_MAX || is_full(out) {
        out.push_str("...");
    } else if tree.get(schema, "$ref").is_some() {
        match resolve(tree, schema) {
            Ok(target) => kind(tree, target.schema, depth + 1, out),
            Err(Odd) => out.push_str("any"),
        }
    } else if let Some(one) = tree.get(schema, "const").and_then(|id| value(tree, id)) {
        out.push_str(&one);
    } else if let Some(values) = tree.get(schema, "enum").and_then(|id| tree.items(id)) {
        let shown = values.iter().take(limits::LEAN_SIGNATURE_CHOICES_MAX);
        let mut names: Vec<String> =
            shown.map(|id| value(tree, *id).unwrap_or_else(|| "...".to_owned())).collect();
        if values.len() > limits::LEAN_SIGNATURE_CHOICES_MAX {
            names.push("...".to_owned());
        }
        out.push_str(&names.join("|"));
    } else if let Some(choice) = choice(tree, schema) {
        for (index, one) in choice.iter().take(limits::LEAN_SIGNATURE_CHOICES_MAX).enumerate() {
            out.push_str(if index > 0 { "|" } else { "" });
            kind(tree, *one, depth + 1, out);
            if is_full(out) {
                break;
            }
        }
    } else {
        named(tree, schema, depth, out);
    }
}

/// The branches of a choice.
fn choice<'t>(tree: &'t Tree<'_>, schema: Id) -> Option<&'t [Id]> {
    let list = ["anyOf", "oneOf"].iter().find_map(|name| tree.get(schema, name))?;
    tree.items(list).filter(|items| !items.is_empty())
}

/// Writes what `type` says, each type once.
fn named(tree: &Tree<'_>, schema: Id, depth: usize, out: &mut String) {
    let mut types: Vec<&str> = Vec::new();
    match tree.get(schema, "type").map(|id| tree.shape(id)) {
        Some(Shape::String(name)) => types.push(name),
        Some(Shape::Array(names)) => {
            for name in names.iter().filter_map(|id| tree.string(*id)) {
                if types.len() < limits::LEAN_SIGNATURE_CHOICES_MAX && !types.contains(&name) {
                    types.push(name);
                }
            }
        }
        _ if tree.get(schema, "properties").is_some() => types.push("object"),
        _ => types.push("any"),
    }
    for (index, name) in types.iter().enumerate() {
        out.push_str(if index > 0 { "|" } else { "" });
        match *name {
            "object" if tree.get(schema, "properties").is_some_and(|id| !tree.is_empty(id)) => {
                out.push('{');
                members(tree, schema, depth + 1, out);
                out.push('}');
            }
            "array" => {
                let begin = out.len();
                match tree.get(schema, "items").filter(|id| tree.members(*id).is_some()) {
                    Some(items) => kind(tree, items, depth + 1, out),
                    None => out.push_str("any"),
                }
                let item = out.get(begin..).unwrap_or_default();
                if item.contains('|') && !item.starts_with('{') {
                    out.insert(begin, '(');
                    out.push(')');
                }
                out.push_str("[]");
            }
            other => out.push_str(&word(other)),
        }
    }
}

/// Whether a line has all that it may have: what is left out is `...`. All that is written into one counts.
fn is_full(out: &str) -> bool {
    out.chars().count() > limits::LEAN_SIGNATURE_CHARS_MAX
}

/// A name as it is, or in quotes where it is no plain word. One that nobody can mean to be written is `...`.
fn word(name: &str) -> String {
    if name.len() > limits::MCP_NAME_BYTES_MAX {
        return "...".to_owned();
    }
    let plain =
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$'));
    if plain { name.to_owned() } else { format!("\"{}\"", escape(name)) }
}

/// A short value as JSON; nothing for a long one.
fn value(tree: &Tree<'_>, id: Id) -> Option<String> {
    let text = match tree.shape(id) {
        Shape::String(text) => format!("\"{}\"", escape(text)),
        Shape::Word(word) => String::from_utf8_lossy(word).into_owned(),
        Shape::Array(items) if items.is_empty() => "[]".to_owned(),
        Shape::Object(members) if members.is_empty() => "{}".to_owned(),
        Shape::Array(_) | Shape::Object(_) => return None,
    };
    (text.len() <= limits::LEAN_SIGNATURE_DEFAULT_BYTES_MAX).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::signature;
    use crate::limits;

    #[test]
    fn a_signature_names_what_a_call_needs() {
        let cases = [
            (r#"{"type":"object"}"#, "f() - Does it."),
            (
                r#"{"type":"object","properties":{"q":{"type":"string"},
                "n":{"type":"integer","default":10},"x y":{"type":["string","null"]}},"required":["q"]}"#,
                "f(q: string, n?: integer = 10, \"x y\"?: string|null) - Does it.",
            ),
            (
                r##"{"type":"object","properties":{"o":{"type":"object","properties":{"a":{"const":1},
                "b":{"enum":["u","v"]}},"required":["a"]},"l":{"type":"array","items":{"$ref":"#/$defs/T"}},
                "m":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"number"}]}}},
                "$defs":{"T":{"type":"boolean"}}}"##,
                "f(o?: {a: 1, b?: \"u\"|\"v\"}, l?: boolean[], m?: (string|number)[]) - Does it.",
            ),
            (
                r##"{"type":"object","properties":{"t":{"$ref":"#/$defs/T"},"z":{"$ref":"#/nowhere"}},
                "$defs":{"T":{"type":"object","properties":{"t":{"$ref":"#/$defs/T"}}}}}"##,
                "f(t?: {t?: ...}, z?: any) - Does it.",
            ),
            (
                r##"{"$ref":"#/$defs/T","$defs":{"T":{"properties":{"a":{"type":"null"}}}}}"##,
                "f(a?: null) - Does it.",
            ),
            ("{", "f(...) - Does it."),
        ];
        for (schema, line) in cases {
            assert_eq!(signature("f", "Does it. Well.", schema.as_bytes()), line);
        }
    }

    #[test]
    fn a_signature_is_bounded() {
        let many: Vec<String> = (0..500).map(|n| format!("\"p{n}\":{{\"type\":\"string\"}}")).collect();
        let schema = format!("{{\"type\":\"object\",\"properties\":{{{}}}}}", many.join(","));
        let line = signature("f", &"word ".repeat(500), schema.as_bytes());
        assert!(
            line.contains(", ...) - word") && line.len() < limits::LEAN_SIGNATURE_CHARS_MAX + 300,
            "{line}"
        );
        let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let schema = format!("{{\"properties\":{{\"e\":{{\"enum\":[{}]}}}}}}", values.join(","));
        assert_eq!(signature("f", "", schema.as_bytes()), "f(e?: 0|1|2|3|4|5|6|7|8|9|10|11|...)");
    }
    #[test]
    fn lists_of_types_inside_of_each_other_are_bounded() {
        let arrays = vec!["\"array\""; 1000].join(",");
        let mut items = "{}".to_owned();
        for _ in 0..3 {
            items = format!("{{\"type\":[{arrays},\"null\"],\"items\":{items}}}");
        }
        let line = signature("f", "", format!("{{\"properties\":{{\"a\":{items}}}}}").as_bytes());
        assert_eq!(line, "f(a?: ((...[]|null)[]|null)[]|null)");
        let long = "x".repeat(100_000);
        let schema = format!("{{\"properties\":{{\"{long}\":{{\"type\":[\"{long}\",\"string\"]}}}}}}");
        assert_eq!(signature("f", "", schema.as_bytes()), "f(...?: ...|string)");
        let mut choices = "{\"type\":\"a_type_of_some_length_that_fills_the_line\"}".to_owned();
        for _ in 0..2 {
            choices = format!("{{\"anyOf\":[{}]}}", [choices.as_str(); 12].join(","));
        }
        let line = signature("f", "", format!("{{\"properties\":{{\"a\":{choices}}}}}").as_bytes());
        assert!(line.len() < limits::LEAN_SIGNATURE_CHARS_MAX + 300, "{}", line.len());
    }
}
