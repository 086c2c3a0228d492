//! References within a schema: what they point at, which definitions nobody needs, which ones are used once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::Odd;
use super::keywords::{Holds, holds, is_annotation, is_shelf};
use super::survey::{Survey, each_schema, schemas_of};
use super::tree::{Id, Members, ROOT, Shape, Tree};
use crate::limits;

/// Where a reference leads.
#[derive(Clone, Debug)]
pub(in crate::mcp::lean) struct Target {
    /// The schema that it means.
    pub(in crate::mcp::lean) schema: Id,
    /// Schemas that it passes on the way from the root, which is not among them.
    through: Vec<Id>,
    /// Lists and maps of schemas that it passes.
    holders: Vec<Id>,
    /// It is an entry of `$defs` or `definitions`.
    shelved: bool,
}

/// The references of a document: the object with the `$ref`, and what it means.
pub(in crate::mcp::lean) type Links = Vec<(Id, Target)>;

/// Follows all references, and marks the nodes that they pass or end at, and no others, so that they stay
/// where they are.
///
/// # Errors
/// [`Odd`] when one of them leads nowhere or into something that is no schema.
pub(in crate::mcp::lean) fn hold(tree: &mut Tree<'_>, survey: &Survey) -> Result<Links, Odd> {
    tree.release();
    let mut links = Vec::with_capacity(survey.references.len());
    for reference in &survey.references {
        let target = resolve(tree, *reference)?;
        for id in target.through.iter().chain(&target.holders) {
            tree.hold(*id);
        }
        tree.hold(target.schema);
        links.push((*reference, target));
    }
    Ok(links)
}

/// Follows the `$ref` of a schema.
pub(in crate::mcp::lean) fn resolve(tree: &Tree<'_>, reference: Id) -> Result<Target, Odd> {
    let pointer = tree.get(reference, "$ref").and_then(|id| tree.string(id)).ok_or(Odd)?;
    let mut steps = pointer.strip_prefix('#').ok_or(Odd)?.split('/');
    // What stands before the first slash.
    steps.next().filter(|before| before.is_empty()).ok_or(Odd)?;
    let mut target = Target { schema: ROOT, through: Vec::new(), holders: Vec::new(), shelved: false };
    while let Some(step) = steps.next() {
        let keyword = unescape(step)?;
        let value = tree.get(target.schema, &keyword).ok_or(Odd)?;
        if target.schema != ROOT {
            target.through.push(target.schema);
        }
        target.shelved = is_shelf(&keyword);
        let mut name = || unescape(steps.next().ok_or(Odd)?);
        let within = match holds(&keyword) {
            Holds::Data => return Err(Odd),
            Holds::One => None,
            Holds::OneOrList if tree.items(value).is_none() => None,
            Holds::OneOrList | Holds::List => {
                let place = place(&name()?)?;
                Some(tree.items(value).and_then(|items| items.get(place)).copied().ok_or(Odd)?)
            }
            Holds::Map | Holds::MapOrNames => Some(tree.get(value, &name()?).ok_or(Odd)?),
        };
        if within.is_some() {
            target.holders.push(value);
        }
        target.schema = within.unwrap_or(value);
    }
    if tree.is_bool(target.schema) || tree.members(target.schema).is_some() { Ok(target) } else { Err(Odd) }
}

/// The place that a step names in a list: digits without a zero before them.
fn place(step: &str) -> Result<usize, Odd> {
    let plain = step == "0" || step.starts_with(|first: char| matches!(first, '1'..='9'));
    let digits = step.bytes().all(|byte| byte.is_ascii_digit());
    if plain && digits { step.parse().ok().ok_or(Odd) } else { Err(Odd) }
}

/// A step of a JSON pointer in a fragment: `%25` is `%`, then `~1` is `/` and `~0` is `~`.
fn unescape(step: &str) -> Result<Cow<'_, str>, Odd> {
    if !step.contains(['%', '~']) {
        return Ok(Cow::Borrowed(step));
    }
    let mut bytes = Vec::with_capacity(step.len());
    let mut parts = step.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(Odd)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Odd);
        }
        bytes.push(u8::from_str_radix(digits, 16).ok().ok_or(Odd)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let plain = String::from_utf8(bytes).ok().ok_or(Odd)?;
    let mut parts = plain.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let letter = if part.starts_with('0') { '~' } else { '/' };
        name.push(letter);
        name.push_str(part.strip_prefix(['0', '1']).ok_or(Odd)?);
    }
    Ok(Cow::Owned(name))
}

/// What can be reached from the root, and how often.
#[derive(Default)]
struct Uses {
    /// Schemas that are read.
    reached: HashSet<Id>,
    /// References to exactly this schema.
    counts: HashMap<Id, usize>,
    /// Schemas of which somebody means a part.
    passed: HashSet<Id>,
}

impl Uses {
    fn of(tree: &Tree<'_>, links: &Links) -> Result<Self, Odd> {
        let links: HashMap<Id, &Target> = links.iter().map(|(from, target)| (*from, target)).collect();
        let mut uses = Self::default();
        let mut waiting = vec![ROOT];
        while let Some(schema) = waiting.pop() {
            if !uses.reached.insert(schema) {
                continue;
            }
            for (name, value) in tree.members(schema).into_iter().flatten() {
                if !is_shelf(name) {
                    each_schema(tree, name, *value, |within| {
                        waiting.push(within);
                        Ok(())
                    })?;
                }
            }
            if let Some(target) = links.get(&schema) {
                *uses.counts.entry(target.schema).or_default() += 1;
                uses.passed.extend(&target.through);
                // A part of it is meant, so all of it is kept.
                waiting.extend(&target.through);
                waiting.push(target.schema);
            }
        }
        Ok(uses)
    }
}

/// Takes definitions away that nobody needs, and puts those that one reference alone means in its place.
///
/// # Errors
/// [`Odd`] when that makes it deeper than `limits::LEAN_SCHEMA_DEPTH_MAX`.
pub(super) fn prune_and_inline(tree: &mut Tree<'_>, links: &Links) -> Result<(), Odd> {
    let mut uses = Uses::of(tree, links)?;
    // Definitions that are references themselves and have found their place.
    let mut gone = HashSet::new();
    for (reference, target) in links {
        let once = uses.counts.get(&target.schema) == Some(&1);
        if target.shelved
            && (uses.reached.contains(reference) || gone.contains(reference))
            && once
            && !uses.passed.contains(&target.schema)
            && let Some(merged) = merged(tree, *reference, target.schema)
        {
            tree.set(*reference, Shape::Object(merged));
            uses.reached.remove(&target.schema);
            gone.insert(target.schema);
        }
    }
    sweep(tree, ROOT, &uses.reached, 0)
}

/// The members of a definition with what stands beside the reference to it; nothing where both say the same
/// thing differently. A reader of draft 7 passes over what stands beside a reference, so that may not be
/// anything that checks.
fn merged<'a>(tree: &Tree<'a>, reference: Id, definition: Id) -> Option<Members<'a>> {
    let (beside, body) = (tree.members(reference)?, tree.members(definition)?);
    let goes = |name: &str| matches!(name, "$comment" | "title");
    if tree.get(definition, "$ref").is_some() {
        return None;
    }
    let mut merged = Members::new();
    for (name, value) in beside {
        if name == "$ref" {
            merged.extend(body.iter().filter(|(name, _)| !goes(name)).cloned());
        } else if !is_annotation(name) || (!goes(name) && tree.get(definition, name).is_some()) {
            return None;
        } else if !goes(name) {
            merged.push((name.clone(), *value));
        }
    }
    Some(merged)
}

/// Takes definitions away that are not among those that stay.
fn sweep(tree: &mut Tree<'_>, schema: Id, stay: &HashSet<Id>, depth: usize) -> Result<(), Odd> {
    if depth > limits::LEAN_SCHEMA_DEPTH_MAX {
        return Err(Odd);
    }
    let shelves: Vec<Id> =
        ["$defs", "definitions"].iter().filter_map(|name| tree.get(schema, name)).collect();
    for shelf in shelves {
        tree.retain(shelf, |_, _, definition| stay.contains(&definition));
    }
    for within in schemas_of(tree, schema)? {
        sweep(tree, within, stay, depth + 1)?;
    }
    Ok(())
}
