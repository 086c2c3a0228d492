//! Turns a choice between plain types into one list of types, where that accepts just the same.
//!
//! `anyOf: [{type: string, minLength: 1}, {type: null}]` is `type: [string, null], minLength: 1`: every type
//! passes the words that are about others. So there may be one branch with more than its type, as long as
//! none of its words is about a type of another branch.

use std::borrow::Cow;

use super::keywords::{Types, is_annotation, is_shelf, types_of};
use super::survey::Survey;
use super::tree::{Id, Members, ROOT, Shape, Tree};

/// One branch of a choice.
struct Branch<'a> {
    names: Vec<Cow<'a, str>>,
    types: Types,
    /// Its members but for `type`.
    more: Members<'a>,
}

/// Folds the choices of one schema, if they can be.
pub(super) fn fold(tree: &mut Tree<'_>, survey: &Survey, schema: Id) {
    // What a branch has looked at counts, and a folded one is no branch.
    if survey.counts_neighbours {
        return;
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(members) = folded(tree, schema, keyword) {
            tree.set(schema, Shape::Object(members));
        }
    }
}

/// The members of the schema with one of its choices folded.
fn folded<'a>(tree: &mut Tree<'a>, schema: Id, keyword: &str) -> Option<Members<'a>> {
    let choice = tree.get(schema, keyword)?;
    if tree.is_held(choice) || tree.get(schema, "type").is_some() || tree.get(schema, "$ref").is_some() {
        return None;
    }
    let branches: Vec<Branch<'a>> =
        tree.items(choice)?.iter().map(|id| branch(tree, *id)).collect::<Option<_>>()?;
    let mut all = Types::NONE;
    for branch in &branches {
        // Of `oneOf` exactly one has to hold.
        if keyword == "oneOf" && all.meets(branch.types) {
            return None;
        }
        all = all.and(branch.types);
    }
    let mut rich = branches.iter().enumerate().filter(|(_, branch)| !branch.more.is_empty());
    let more = match (rich.next(), rich.next()) {
        (None, _) => Members::new(),
        (Some((place, branch)), None) => {
            let others = branches.iter().enumerate().filter(|(other, _)| *other != place);
            let others = others.fold(Types::NONE, |types, (_, branch)| types.and(branch.types));
            lifted(tree, schema, keyword, branch, others)?
        }
        (Some(_), Some(_)) => return None,
    };
    let types = one_list(tree, branches.iter().flat_map(|branch| &branch.names));
    let mut members = Members::new();
    for (name, value) in tree.members(schema)? {
        if name == keyword {
            members.push((Cow::Borrowed("type"), types));
            members.extend(more.iter().cloned());
        } else {
            members.push((name.clone(), *value));
        }
    }
    Some(members)
}

fn branch<'a>(tree: &Tree<'a>, id: Id) -> Option<Branch<'a>> {
    let types = tree.get(id, "type")?;
    let listed = match tree.shape(types) {
        Shape::Array(items) => items.clone(),
        _ => vec![types],
    };
    let mut branch = Branch { names: Vec::new(), types: Types::NONE, more: Members::new() };
    for name in listed {
        let Shape::String(name) = tree.shape(name) else { return None };
        branch.types = branch.types.and(Types::named(name)?);
        branch.names.push(name.clone());
    }
    branch.more = tree.members(id)?.iter().filter(|(name, _)| name != "type").cloned().collect();
    Some(branch)
}

/// What the one branch that has more than its type says, fit to stand beside all types.
fn lifted<'a>(
    tree: &mut Tree<'a>,
    schema: Id,
    keyword: &str,
    branch: &Branch<'a>,
    others: Types,
) -> Option<Members<'a>> {
    // Words of one schema speak to each other: only notes may stand there already.
    let marks = |name: &str| schema == ROOT && matches!(name, "$id" | "$schema");
    let quiet = |name: &str| name == keyword || is_annotation(name) || is_shelf(name) || marks(name);
    let beside = tree.members(schema)?;
    if !beside.iter().all(|(name, _)| quiet(name)) {
        return None;
    }
    if branch.more.iter().any(|(name, _)| beside.iter().any(|(other, _)| name == other)) {
        return None;
    }
    let mut more = branch.more.clone();
    for (name, value) in &mut more {
        if let Some(types) = types_of(name) {
            if types.meets(others) {
                return None;
            }
        } else if others != Types::NULL {
            return None;
        } else if name == "enum" {
            *value = with_null(tree, *value)?;
        } else if !is_annotation(name) {
            return None;
        }
    }
    Some(more)
}

/// The values of a choice with `null` among them.
fn with_null(tree: &mut Tree<'_>, values: Id) -> Option<Id> {
    let mut items = tree.items(values)?.to_vec();
    if !items.iter().any(|item| tree.is_word(*item, "null")) {
        items.push(tree.add(Shape::Word(b"null")));
    }
    Some(tree.add(Shape::Array(items)))
}

/// Names of types, each once.
fn one_list<'a, 'n>(tree: &mut Tree<'a>, names: impl Iterator<Item = &'n Cow<'a, str>>) -> Id
where
    'a: 'n,
{
    let mut seen: Vec<Cow<'a, str>> = Vec::new();
    for name in names {
        if !seen.contains(name) {
            seen.push(name.clone());
        }
    }
    let items = seen.into_iter().map(|name| tree.add(Shape::String(name))).collect();
    tree.add(Shape::Array(items))
}
