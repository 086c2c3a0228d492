//! A schema in fewer bytes that accepts the same instances and tells a model the same.
//!
//! What goes: `$schema` and `$id` where nothing depends on them, comments and titles, words that say what
//! holds without them, white space. `anyOf` of plain types becomes one list of types. Definitions that
//! nothing refers to go; what is referred to once stands where it is used. What stays is as it was written:
//! names, their order, numbers, every string but for the white space around the lines of a description.
//!
//! Every step keeps what is accepted under the drafts 6, 7, 2019-09 and 2020-12 alike, as nobody says by
//! which of them a client reads. `items: {}` and `properties: {}` stay, though they say nothing: some
//! providers of models refuse an array or an object without them.

use std::borrow::Cow;

use crate::json;
use crate::limits;

mod clean;
mod dialect;
mod fold;
pub(super) mod keywords;
mod prose;
pub(super) mod refs;
pub(super) mod survey;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod tree;

pub use prose::dedent;

use survey::Survey;
use tree::Tree;

/// Something is not as every reader would take it, so nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

impl From<json::Fault> for Odd {
    fn from(_: json::Fault) -> Self {
        Self
    }
}

/// The smallest form of a schema that we know to be equal to it. The schema itself when that is not smaller,
/// over `limits::MCP_DEFINITION_BYTES_MAX`, no JSON, or has something that we do not judge: anchors, names
/// for its parts, references that lead out of it or nowhere, keywords with a value of a strange kind, drafts
/// before 6.
pub fn minify(schema: &[u8]) -> Cow<'_, [u8]> {
    match smaller(schema) {
        Ok(small) if small.len() < schema.len() => Cow::Owned(small),
        _ => Cow::Borrowed(schema),
    }
}

fn smaller(schema: &[u8]) -> Result<Vec<u8>, Odd> {
    if schema.len() > limits::MCP_DEFINITION_BYTES_MAX {
        return Err(Odd);
    }
    let mut tree = Tree::read(schema)?;
    if !dialect::is_known(&tree) {
        return Err(Odd);
    }
    // A definition that was only another name for one is a reference less, so the second time finds more.
    for _ in 0..2 {
        let survey = Survey::of(&tree)?;
        let links = refs::hold(&mut tree, &survey)?;
        refs::prune_and_inline(&mut tree, &links)?;
    }
    let survey = Survey::of(&tree)?;
    refs::hold(&mut tree, &survey)?;
    dialect::drop_marks(&mut tree, &survey);
    clean::clean(&mut tree, &survey)?;
    let mut out = Vec::with_capacity(schema.len());
    tree.write(&mut out)?;
    Ok(out)
}
