//! Takes out of each schema what says nothing, from the inside to the outside.

use std::borrow::Cow;

use super::Odd;
use super::fold::fold;
use super::prose::dedent;
use super::survey::{Survey, schemas_of};
use super::tree::{Id, ROOT, Shape, Tree};
use crate::limits;

/// Cleans the whole document.
///
/// # Errors
/// [`Odd`] when it is deeper than `limits::LEAN_SCHEMA_DEPTH_MAX`, definitions put in their places.
pub(super) fn clean(tree: &mut Tree<'_>, survey: &Survey) -> Result<(), Odd> {
    schema(tree, survey, ROOT, 0)
}

fn schema(tree: &mut Tree<'_>, survey: &Survey, id: Id, depth: usize) -> Result<(), Odd> {
    if depth > limits::LEAN_SCHEMA_DEPTH_MAX {
        return Err(Odd);
    }
    for within in schemas_of(tree, id)? {
        schema(tree, survey, within, depth + 1)?;
    }
    if let Some(words) = tree.get(id, "description")
        && let Shape::String(text) = tree.shape(words)
        && let Cow::Owned(short) = dedent(text)
    {
        tree.set(words, Shape::String(Cow::Owned(short)));
    }
    say_once(tree, id);
    tree.retain(id, |tree, name, value| !says_nothing(tree, survey, name, value));
    fold(tree, survey, id);
    single_type(tree, id);
    Ok(())
}

/// Takes the description of a branch away that says what the whole says.
fn say_once(tree: &mut Tree<'_>, schema: Id) {
    let lists = ["allOf", "anyOf", "oneOf"].iter().filter_map(|name| tree.get(schema, name));
    let branches: Vec<Id> = lists.filter_map(|list| tree.items(list)).flatten().copied().collect();
    let Some(whole) = tree.get(schema, "description").and_then(|id| tree.string(id)) else { return };
    let whole = whole.to_owned();
    for branch in branches {
        tree.retain(branch, |tree, name, value| {
            !(name == "description" && tree.string(value) == Some(&whole))
        });
    }
}

/// Whether a member of a schema changes nothing about what is accepted, and tells a reader nothing.
fn says_nothing(tree: &Tree<'_>, survey: &Survey, name: &str, value: Id) -> bool {
    if tree.is_held(value) {
        return false;
    }
    let anything = || tree.is_word(value, "true") || (tree.members(value).is_some() && tree.is_empty(value));
    match name {
        "$comment" | "title" => tree.string(value).is_some(),
        "description" => tree.string(value).is_some_and(str::is_empty),
        "required" | "examples" => tree.items(value).is_some_and(<[Id]>::is_empty),
        // It counts as a look at every member for a neighbour that wants all to be looked at.
        "additionalProperties" => !survey.counts_neighbours && anything(),
        "minItems" | "minLength" | "minProperties" => tree.is_word(value, "0"),
        "deprecated" | "readOnly" | "uniqueItems" | "writeOnly" => tree.is_word(value, "false"),
        "$defs" | "definitions" | "patternProperties" => tree.is_empty(value),
        "propertyNames" => anything() || is_any_name(tree, value),
        _ => false,
    }
}

/// Names of members are strings.
fn is_any_name(tree: &Tree<'_>, schema: Id) -> bool {
    let Some([(name, value)]) = tree.members(schema).map(Vec::as_slice) else { return false };
    name == "type" && tree.string(*value) == Some("string")
}

/// A list of one type is that type.
fn single_type(tree: &mut Tree<'_>, schema: Id) {
    let Some(list) = tree.get(schema, "type") else { return };
    let Some([one]) = tree.items(list) else { return };
    if let Shape::String(name) = tree.shape(*one).clone() {
        tree.set(list, Shape::String(name));
    }
}
