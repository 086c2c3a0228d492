//! The names that a Cedar file uses, held against those that there are: Cedar itself takes any text as the
//! name of a team or server, and a policy about one that does not exist is about nothing.

use std::cell::Cell;
use std::collections::HashSet;

use cedar_policy::{EntityUid, Policy};
use serde_json::Value;

use crate::call::Class;
use crate::glob::Glob;
use crate::identity::role::Role;
use crate::limits;
use crate::near::nearest;
use crate::policy::raw::Known;
use crate::policy::words::{DEVELOPER, ORG};

/// A name that nothing has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// As it stands in the file, to find its place by: `Team::"x"`, `"x"`.
    pub(super) written: String,
    /// What is wrong, and what may be meant.
    pub(super) text: String,
    /// Whether no config could have it: classes and roles are the same everywhere.
    pub(super) never: bool,
}

/// What may be named, made ready to be asked.
#[derive(Debug)]
pub(super) struct Names<'k> {
    teams: HashSet<&'k str>,
    servers: HashSet<&'k str>,
    /// What `models:` has.
    models: &'k [Glob],
    /// How often what is meant may still be looked for.
    hints: Cell<usize>,
}

impl<'k> Names<'k> {
    pub(super) fn of(known: &'k Known) -> Self {
        let set = |names: &'k [String]| names.iter().map(String::as_str).collect();
        Self {
            teams: set(&known.teams),
            servers: set(&known.servers),
            models: &known.models,
            hints: Cell::new(limits::POLICY_HINTS_MAX),
        }
    }

    /// The names in a policy that nothing has, each once, `limits::POLICY_UNKNOWN_MAX` at most. `json` is the
    /// policy as Cedar writes it.
    pub(super) fn unknown(&self, policy: &Policy, json: &Value) -> Vec<Unknown> {
        let mut out: Vec<Unknown> = Vec::new();
        let mut add = |found: Option<Unknown>| {
            if let Some(found) = found.filter(|found| !out.contains(found))
                && out.len() < limits::POLICY_UNKNOWN_MAX
            {
                out.push(found);
            }
        };
        for uid in policy.entity_literals() {
            add(self.entity(&uid));
        }
        compared(json, &mut |attribute, value| add(self.value(attribute, value)));
        out
    }

    /// `Team::"x"` and the like.
    fn entity(&self, uid: &EntityUid) -> Option<Unknown> {
        let (of, name) = (uid.type_name().basename().to_owned(), uid.id().unescaped());
        let text = match of.as_str() {
            "Team" => self.no(&self.teams, "team", name)?,
            "Server" => self.no(&self.servers, "MCP server", name)?,
            "Model" if !self.models.iter().any(|model| model.matches(name)) => {
                let known = self.models.iter().map(Glob::as_str);
                format!("no entry of `models:` serves {:?}{}", shown(name), self.meant(name, known))
            }
            "Tool" => match name.split_once('/') {
                Some((server, _)) => self.no(&self.servers, "MCP server", server)?,
                None => format!("no tool can have the id {:?}: write SERVER/TOOL", shown(name)),
            },
            "Org" if name != ORG => format!("the organisation is called {ORG:?}"),
            _ => return None,
        };
        Some(Unknown { written: format!("{of}::\"{name}"), text, never: false })
    }

    /// A text that an attribute of that name is compared with.
    fn value(&self, attribute: &str, value: &str) -> Option<Unknown> {
        let one_of = |words: &[&str]| {
            let hint = || self.meant(value, words.iter().copied());
            let all = words.join(", ");
            let wrong = || format!("{attribute} is one of {all}, never {:?}{}", shown(value), hint());
            (!words.contains(&value)).then(wrong)
        };
        let (text, never) = match attribute {
            "class" => (one_of(&Class::ALL.map(Class::name))?, true),
            "role" => {
                let roles = Role::ALL.map(Role::name);
                (one_of(&[&roles[..], &[DEVELOPER]].concat())?, true)
            }
            "team" => (self.no(&self.teams, "team", value)?, false),
            "server" => (self.no(&self.servers, "MCP server", value)?, false),
            _ => return None,
        };
        Some(Unknown { written: format!("\"{value}"), text, never })
    }

    fn no(&self, known: &HashSet<&str>, word: &str, name: &str) -> Option<String> {
        let hint = || self.meant(name, known.iter().copied());
        (!known.contains(name)).then(|| format!("no {word} has the name {:?}{}", shown(name), hint()))
    }

    fn meant<'n>(&self, name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
        let Some(left) = self.hints.get().checked_sub(1) else { return String::new() };
        self.hints.set(left);
        nearest(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
    }
}

/// Cuts a name, which may be as long as a file.
fn shown(name: &str) -> String {
    name.chars().take(limits::POLICY_ID_CHARS_MAX).collect()
}

/// Calls `told` with each attribute that is compared with a text: `resource.class == "read"`, and
/// `["read", "write"].contains(resource.class)`.
fn compared(json: &Value, told: &mut dyn FnMut(&str, &str)) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                let side = |side: &str| value.get(side);
                if let ("==" | "!=" | "contains", Some(left), Some(right)) =
                    (name.as_str(), side("left"), side("right"))
                {
                    for (one, other) in [(left, right), (right, left)] {
                        if let Some(attribute) = attribute(one) {
                            texts(other).into_iter().for_each(|text| told(attribute, text));
                        }
                    }
                }
                compared(value, told);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| compared(value, told)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `class` of `resource.class`.
fn attribute(json: &Value) -> Option<&str> {
    let get = json.get(".")?;
    get.get("left")?.get("Var")?;
    get.get("attr")?.as_str()
}

/// The texts of a text, or of a set of them.
fn texts(json: &Value) -> Vec<&str> {
    let one = std::slice::from_ref(json);
    let all = json.get("Set").and_then(Value::as_array).map_or(one, Vec::as_slice);
    all.iter().filter_map(|json| json.get("Value")?.as_str()).collect()
}
