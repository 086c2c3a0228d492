//! One look over a schema before anything is changed: whether it is as it should be, and what it uses.

use super::Odd;
use super::keywords::{Holds, holds, is_annotation, is_beyond_us, is_shelf};
use super::tree::{Id, ROOT, Tree};
use crate::limits;

/// What a schema uses.
#[derive(Debug, Default)]
pub(in crate::mcp::lean) struct Survey {
    /// Objects with a `$ref`, all of which point into the document itself.
    pub(super) references: Vec<Id>,
    /// Something in it is read differently by draft 6 and by 2020-12.
    pub(super) differs_from_6: bool,
    /// The same of draft 7.
    pub(super) differs_from_7: bool,
    /// The same of 2019-09.
    pub(super) differs_from_2019: bool,
    /// A keyword asks what its neighbours have looked at, so that words which check nothing matter.
    pub(super) counts_neighbours: bool,
}

/// What one draft has that another has not.
#[derive(Clone, Copy)]
enum Since {
    /// Drafts 6 and 7 do not know it.
    D2019,
    /// 2019-09 neither, or it means something else there.
    D2020,
    /// Draft 6 does not know it.
    D7,
}

impl Survey {
    /// Looks at all of it.
    pub(in crate::mcp::lean) fn of(tree: &Tree<'_>) -> Result<Self, Odd> {
        let mut survey = Self::default();
        survey.schema(tree, ROOT)?;
        if survey.references.len() > limits::LEAN_SCHEMA_REFERENCES_MAX {
            return Err(Odd);
        }
        Ok(survey)
    }

    /// No deeper than the tree, `limits::LEAN_SCHEMA_DEPTH_MAX`.
    fn schema(&mut self, tree: &Tree<'_>, id: Id) -> Result<(), Odd> {
        if tree.is_bool(id) {
            return Ok(());
        }
        let members = tree.members(id).ok_or(Odd)?;
        for (name, value) in members {
            self.keyword(tree, id, name, *value)?;
            each_schema(tree, name, *value, |schema| self.schema(tree, schema))?;
        }
        Ok(())
    }

    fn keyword(&mut self, tree: &Tree<'_>, schema: Id, name: &str, value: Id) -> Result<(), Odd> {
        if is_beyond_us(name) {
            return Err(Odd);
        }
        match name {
            "$ref" => {
                let pointer = tree.string(value).ok_or(Odd)?;
                if !(pointer == "#" || pointer.starts_with("#/")) {
                    return Err(Odd);
                }
                self.references.push(schema);
                self.siblings(tree, schema);
            }
            // A name for a part changes what references in it mean; `id` is what draft 4 called it.
            "$id" if schema != ROOT || tree.string(value).is_none_or(|id| id.contains('#')) => {
                return Err(Odd);
            }
            "$schema" if schema != ROOT => return Err(Odd),
            "id" => return Err(Odd),
            "required" => {
                let names = tree.items(value).ok_or(Odd)?;
                if names.iter().any(|name| tree.string(*name).is_none()) {
                    return Err(Odd);
                }
            }
            "type" if tree.string(value).is_none() && tree.items(value).is_none() => return Err(Odd),
            "items" if tree.items(value).is_some() => self.since(Since::D2020),
            "additionalItems" | "prefixItems" | "unevaluatedItems" => self.since(Since::D2020),
            "contentEncoding"
            | "contentMediaType"
            | "contentSchema"
            | "dependencies"
            | "dependentRequired"
            | "dependentSchemas"
            | "maxContains"
            | "minContains"
            | "unevaluatedProperties" => {
                self.since(Since::D2019);
            }
            "if" | "then" | "else" => self.since(Since::D7),
            "format" => self.format(tree.string(value).unwrap_or_default()),
            _ => {}
        }
        self.counts_neighbours |= matches!(name, "unevaluatedItems" | "unevaluatedProperties");
        Ok(())
    }

    fn since(&mut self, since: Since) {
        match since {
            Since::D7 => self.differs_from_6 = true,
            Since::D2019 => (self.differs_from_6, self.differs_from_7) = (true, true),
            Since::D2020 => {
                (self.differs_from_6, self.differs_from_7, self.differs_from_2019) = (true, true, true);
            }
        }
    }

    /// Drafts 6 and 7 do not see what stands beside a reference.
    fn siblings(&mut self, tree: &Tree<'_>, schema: Id) {
        let matters = |name: &str| {
            let marks = schema == ROOT && matches!(name, "$id" | "$schema");
            !(name == "$ref" || is_annotation(name) || is_shelf(name) || marks)
        };
        if tree.members(schema).is_some_and(|members| members.iter().any(|(name, _)| matters(name))) {
            self.since(Since::D2019);
        }
    }

    /// Whoever checks formats checks those that its draft names.
    fn format(&mut self, format: &str) {
        match format {
            "duration" | "uuid" => self.since(Since::D2019),
            "date"
            | "idn-email"
            | "idn-hostname"
            | "iri"
            | "iri-reference"
            | "regex"
            | "relative-json-pointer"
            | "time" => self.since(Since::D7),
            _ => {}
        }
    }
}

/// Visits the schemas behind a keyword.
///
/// # Errors
/// [`Odd`] when something of another kind stands there, or what `visit` returns.
pub(in crate::mcp::lean) fn each_schema(
    tree: &Tree<'_>,
    keyword: &str,
    value: Id,
    mut visit: impl FnMut(Id) -> Result<(), Odd>,
) -> Result<(), Odd> {
    match holds(keyword) {
        Holds::Data => Ok(()),
        Holds::One => visit(value),
        Holds::OneOrList => match tree.items(value) {
            Some(items) => items.iter().try_for_each(|item| visit(*item)),
            None => visit(value),
        },
        Holds::List => tree.items(value).ok_or(Odd)?.iter().try_for_each(|item| visit(*item)),
        Holds::Map => tree.members(value).ok_or(Odd)?.iter().try_for_each(|(_, schema)| visit(*schema)),
        Holds::MapOrNames => {
            let members = tree.members(value).ok_or(Odd)?;
            let schemas = members.iter().filter(|(_, names)| tree.items(*names).is_none());
            schemas.map(|(_, schema)| *schema).try_for_each(visit)
        }
    }
}

/// The schemas that stand in a schema, those of its definitions too.
pub(in crate::mcp::lean) fn schemas_of(tree: &Tree<'_>, schema: Id) -> Result<Vec<Id>, Odd> {
    let mut all = Vec::new();
    for (name, value) in tree.members(schema).into_iter().flatten() {
        each_schema(tree, name, *value, |within| {
            all.push(within);
            Ok(())
        })?;
    }
    Ok(all)
}
