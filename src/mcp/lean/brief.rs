//! The brief form of a tool: the first sentence of each description, and what the types need.
//!
//! It loses words on purpose, for clients that take all definitions at once. What is accepted stays the same
//! but for members that nobody named, which a model has no reason to send; a server still checks.

use std::borrow::Cow;

use super::schema::survey::{Survey, schemas_of};
use super::schema::tree::{Id, ROOT, Shape, Tree};
use super::schema::{Odd, minify, refs};
use super::sentence::first_sentence;
use crate::limits;

/// A tool's description in its brief form; at most `limits::LEAN_DESCRIPTION_CHARS_MAX` characters.
pub fn brief_description(description: &str) -> String {
    first_sentence(description, limits::LEAN_DESCRIPTION_CHARS_MAX)
}

/// A schema in its brief form: as [`minify`], with the first sentence of each description, at most
/// `limits::LEAN_PARAMETER_CHARS_MAX` characters, and without examples, defaults that are `null`, and the
/// refusal of members that have no name. A schema that [`minify`] does not understand is left as it is.
pub fn brief_schema(schema: &[u8]) -> Cow<'_, [u8]> {
    let small = minify(schema);
    match shorter(&small) {
        Ok(out) if out.len() < small.len() => Cow::Owned(out),
        _ => small,
    }
}

fn shorter(schema: &[u8]) -> Result<Vec<u8>, Odd> {
    if schema.len() > limits::MCP_DEFINITION_BYTES_MAX {
        return Err(Odd);
    }
    let mut tree = Tree::read(schema)?;
    let survey = Survey::of(&tree)?;
    refs::hold(&mut tree, &survey)?;
    shorten(&mut tree, ROOT)?;
    let mut out = Vec::with_capacity(schema.len());
    tree.write(&mut out)?;
    Ok(out)
}

/// No deeper than the tree, `limits::LEAN_SCHEMA_DEPTH_MAX`.
fn shorten(tree: &mut Tree<'_>, schema: Id) -> Result<(), Odd> {
    for within in schemas_of(tree, schema)? {
        shorten(tree, within)?;
    }
    if let Some(id) = tree.get(schema, "description")
        && let Some(words) = tree.string(id)
    {
        let first = first_sentence(words, limits::LEAN_PARAMETER_CHARS_MAX);
        tree.set(id, Shape::String(Cow::Owned(first)));
    }
    tree.retain(schema, |tree, name, value| match name {
        "additionalProperties" => tree.is_held(value) || !tree.is_word(value, "false"),
        "default" => !tree.is_word(value, "null"),
        "example" | "examples" => false,
        "description" => tree.string(value).is_none_or(|words| !words.is_empty()),
        _ => true,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{brief_description, brief_schema};

    fn brief(schema: &str) -> String {
        String::from_utf8(brief_schema(schema.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn words_go_and_types_stay() {
        let schema = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object",
            "properties":{"path":{"type":"string","title":"Path","description":"Where it is. Must exist."},
            "mode":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null,"examples":["r"]},
            "default":{"type":"integer","default":0,"minimum":1},
            "additionalProperties":{"enum":[false]}},
            "required":["path"],"additionalProperties":false}"#;
        let expected = concat!(
            r#"{"type":"object","properties":{"path":{"type":"string","description":"Where it is."},"#,
            r#""mode":{"type":["string","null"]},"default":{"type":"integer","default":0,"minimum":1},"#,
            r#""additionalProperties":{"enum":[false]}},"required":["path"]}"#
        );
        assert_eq!(brief(schema), expected);
    }

    #[test]
    fn what_is_not_understood_stays() {
        let schema = r#"{"type":"object","$anchor":"a","description":"One. Two."}"#;
        assert_eq!(brief(schema), schema);
        assert_eq!(brief("{"), "{");
    }

    #[test]
    fn a_description_is_one_sentence() {
        let long = format!("Does {} it. And more.", "really ".repeat(60));
        let brief = brief_description(&long);
        assert!(brief.chars().count() <= 200 && brief.ends_with("really..."), "{brief}");
        assert_eq!(brief_description("Reads a file. Slowly."), "Reads a file.");
    }
}
