//! What is different about a definition, and whether that is let through without asking.
//!
//! Let through is what nobody's trust can hang on: another notation, a new optional parameter that says
//! nothing in words, a claim to do less. All else is held, and so is everything that is not understood.

use std::collections::{BTreeMap, BTreeSet};

use crate::call::Class;
use crate::limits;
use crate::mcp::definition::Annotations;
use crate::mcp::pin::schema;
use crate::mcp::pin::tree::Tree;

/// One way in which a definition differs from what is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// A new parameter that may be left out and comes without any words. Let through.
    OptionalParameter,
    /// A claim to do less than before. Let through, and written down.
    Narrowed,
    /// The description of the tool.
    Description,
    /// The title of the tool.
    Title,
    /// The description, title or examples of a parameter.
    ParameterText,
    /// The type, the values or the bounds of a parameter.
    Type,
    /// Which parameters have to be given.
    Required,
    /// A parameter is gone.
    ParameterRemoved,
    /// A parameter is new, and has to be given or comes with words.
    ParameterAdded,
    /// A claim to do more than before, such as to write where it only read.
    Widened,
    /// It counts as another class, where its server is believed: rules that let one class pass would let it.
    Class,
    /// What results look like.
    OutputSchema,
    /// Anything else.
    Other,
}

impl Aspect {
    /// Whether it is let through without asking.
    pub const fn passes(self) -> bool {
        matches!(self, Self::OptionalParameter | Self::Narrowed)
    }

    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OptionalParameter => "an optional parameter is new",
            Self::Narrowed => "claims to do less",
            Self::Description => "description",
            Self::Title => "title",
            Self::ParameterText => "words of a parameter",
            Self::Type => "type or values of a parameter",
            Self::Required => "required parameters",
            Self::ParameterRemoved => "a parameter is gone",
            Self::ParameterAdded => "a parameter is new",
            Self::Widened => "claims to do more",
            Self::Class => "another class",
            Self::OutputSchema => "output schema",
            Self::Other => "other members",
        }
    }
}

/// The difference of two definitions of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In which ways they differ; none where only the notation does.
    pub aspects: BTreeSet<Aspect>,
    /// Where: an aspect and a place such as `inputSchema.properties.path`; at most
    /// `limits::PIN_DETAILS_MAX`.
    pub details: Vec<(Aspect, String)>,
}

impl Change {
    /// Whether it is let through without asking.
    pub fn passes(&self) -> bool {
        self.aspects.iter().all(|aspect| aspect.passes())
    }

    /// In a few words, such as `description, required parameters`.
    pub fn words(&self) -> String {
        let held = self.aspects.iter().any(|aspect| !aspect.passes());
        let told = self.aspects.iter().filter(|aspect| !held || !aspect.passes());
        let words: Vec<&str> = told.map(|aspect| aspect.words()).collect();
        if words.is_empty() { "notation".to_owned() } else { words.join(", ") }
    }

    /// Notes whether the tool is of another class, where the annotations of its server say which.
    pub(super) fn add_class(&mut self, old: &[u8], new: &[u8]) {
        if class(old) != class(new) {
            self.add(Aspect::Class, "annotations");
        }
    }

    pub(super) fn add(&mut self, aspect: Aspect, place: &str) {
        self.aspects.insert(aspect);
        if self.details.len() < limits::PIN_DETAILS_MAX {
            self.details.push((aspect, place.to_owned()));
        }
    }
}

/// Compares two definitions of one tool. What cannot be read has changed in every way that is held.
pub fn compare(old: &[u8], new: &[u8]) -> Change {
    let mut change = Change::default();
    let (Ok(Tree::Object(old)), Ok(Tree::Object(new))) = (Tree::read(old), Tree::read(new)) else {
        change.add(Aspect::Other, "");
        return change;
    };
    for name in names(&old, &new) {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        match (name.as_str(), before, after) {
            ("description", ..) => change.add(Aspect::Description, name),
            ("title", ..) => change.add(Aspect::Title, name),
            ("inputSchema", Some(before), Some(after)) => {
                let found = schema::compare(before, after, name);
                if found.aspects.is_empty() {
                    change.add(Aspect::Other, name);
                }
                for (aspect, place) in &found.details {
                    change.add(*aspect, place);
                }
                change.aspects.extend(found.aspects);
            }
            ("outputSchema", ..) => change.add(Aspect::OutputSchema, name),
            ("annotations", ..) => annotations(before, after, &mut change),
            _ => change.add(Aspect::Other, name),
        }
    }
    change
}

/// The class of a definition by its annotations.
fn class(raw: &[u8]) -> Option<Class> {
    let tree = Tree::read(raw).ok()?;
    let says = |hint: &str| tree.get("annotations")?.get(hint)?.truth();
    let annotations = Annotations {
        read_only: says("readOnlyHint"),
        destructive: says("destructiveHint"),
        ..Annotations::default()
    };
    Some(annotations.class())
}

/// The names that either object has.
pub(super) fn names<'t>(
    old: &'t BTreeMap<String, Tree>,
    new: &'t BTreeMap<String, Tree>,
) -> BTreeSet<&'t String> {
    old.keys().chain(new.keys()).collect()
}

/// Hints with what they mean where they are absent, and the value that claims to do more.
const HINTS: [(&str, bool, bool); 4] = [
    ("readOnlyHint", false, false),
    ("destructiveHint", true, true),
    ("idempotentHint", false, false),
    ("openWorldHint", true, true),
];

fn annotations(old: Option<&Tree>, new: Option<&Tree>, change: &mut Change) {
    let empty = BTreeMap::new();
    let of = |tree: Option<&'_ Tree>| match tree {
        None => Some(BTreeMap::new()),
        Some(tree) => tree.members().cloned(),
    };
    let (before, after) = (of(old), of(new));
    if before.is_none() || after.is_none() {
        return change.add(Aspect::Other, "annotations");
    }
    let (before, after) = (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty));
    if before == after {
        // `{}` says what nothing says.
        change.add(Aspect::Narrowed, "annotations");
    }
    for name in names(before, after) {
        let (was, is) = (before.get(name), after.get(name));
        if was == is {
            continue;
        }
        let place = format!("annotations.{name}");
        let Some((_, absent, more)) = HINTS.iter().find(|(hint, ..)| hint == name) else {
            change.add(if name == "title" { Aspect::Title } else { Aspect::Other }, &place);
            continue;
        };
        let truth = |tree: Option<&Tree>| tree.map_or(Some(*absent), Tree::truth);
        match (truth(was), truth(is)) {
            (Some(was), Some(is)) if was != is && is == *more => change.add(Aspect::Widened, &place),
            (Some(_), Some(_)) => change.add(Aspect::Narrowed, &place),
            _ => change.add(Aspect::Other, &place),
        }
    }
}
