//! One line that says how a script calls a tool:
//! `tools.search({query: string, limit?: integer = 10}): Promise<any> // Finds issues.`

use super::schema::Odd;
use super::schema::refs::resolve;
use super::schema::tree::{Id, ROOT, Tree};
use super::sentence::first_sentence;
use super::signature::{kind, members};
use crate::json::escape;
use crate::limits;

/// The stub of a tool: its name as scripts know it, its parameters and what it gives in the types of
/// TypeScript, and the first sentence of its description. What a schema does not tell, or one that cannot be
/// read, is `any`.
pub fn stub(name: &str, description: &str, input: &[u8], output: Option<&[u8]>) -> String {
    let mut line = called(name);
    line.push('(');
    line.push_str(&parameters(input).unwrap_or_else(|Odd| "{...}".to_owned()));
    line.push_str("): Promise<");
    line.push_str(&output.and_then(|schema| given(schema).ok()).unwrap_or_else(|| "any".to_owned()));
    line.push('>');
    let words = first_sentence(description, limits::LEAN_DESCRIPTION_CHARS_MAX);
    if !words.is_empty() {
        line.push_str(" // ");
        line.push_str(&words);
    }
    line
}

/// A tool as a script names it.
fn called(name: &str) -> String {
    let name = first_sentence(name, limits::MCP_NAME_BYTES_MAX);
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if begins && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return format!("tools.{name}");
    }
    format!("tools[\"{}\"]", escape(&name))
}

/// Nothing where there are none: then the call takes no object.
fn parameters(schema: &[u8]) -> Result<String, Odd> {
    let (tree, root) = read(schema)?;
    let mut inner = String::new();
    members(&tree, root, 0, &mut inner);
    Ok(if inner.is_empty() { String::new() } else { format!("{{{inner}}}") })
}

fn given(schema: &[u8]) -> Result<String, Odd> {
    let (tree, root) = read(schema)?;
    let mut out = String::new();
    kind(&tree, root, 0, &mut out);
    Ok(out)
}

/// A schema and where it begins.
fn read(schema: &[u8]) -> Result<(Tree<'_>, Id), Odd> {
    if schema.len() > limits::MCP_DEFINITION_BYTES_MAX {
        return Err(Odd);
    }
    let tree = Tree::read(schema)?;
    let root = if tree.get(ROOT, "$ref").is_some() { resolve(&tree, ROOT)?.schema } else { ROOT };
    Ok((tree, root))
}

#[cfg(test)]
mod tests {
    use super::stub;
    use crate::limits;

    #[test]
    fn a_stub_is_what_a_script_writes() {
        let query = r#"{"type":"object","properties":{"q":{"type":"string"},
            "n":{"type":"integer","default":10}},"required":["q"]}"#;
        let rows = r#"{"type":"object","properties":{"rows":{"type":"array","items":{"type":"string"}}},
            "required":["rows"]}"#;
        let cases = [
            ("find", query, None, "tools.find({q: string, n?: integer = 10}): Promise<any> // Does it."),
            (
                "find",
                query,
                Some(rows),
                "tools.find({q: string, n?: integer = 10}): Promise<{rows: string[]}> // Does it.",
            ),
            ("a.b-c", r#"{"type":"object"}"#, None, "tools[\"a.b-c\"](): Promise<any> // Does it."),
            ("1st", "{}", Some("{"), "tools[\"1st\"](): Promise<any> // Does it."),
            ("f", "{", None, "tools.f({...}): Promise<any> // Does it."),
        ];
        for (name, input, output, line) in cases {
            assert_eq!(stub(name, "Does it. Well.", input.as_bytes(), output.map(str::as_bytes)), line);
        }
        assert_eq!(stub("f", "", b"{}", None), "tools.f(): Promise<any>");
    }

    #[test]
    fn a_stub_is_one_line_and_bounded() {
        let many: Vec<String> = (0..500).map(|n| format!("\"p{n}\":{{\"type\":\"string\"}}")).collect();
        let schema = format!("{{\"type\":\"object\",\"properties\":{{{}}}}}", many.join(","));
        let line = stub("f\ng", &"word\n".repeat(500), schema.as_bytes(), Some(schema.as_bytes()));
        assert!(!line.contains('\n') && line.starts_with("tools[\"f g\"]({p0?: string"), "{line}");
        assert!(line.len() < 2 * limits::LEAN_SIGNATURE_CHARS_MAX + 400, "{}", line.len());
    }
}
