//! What the config changes about single tools, made ready to be looked up.

use std::collections::HashMap;
use std::sync::Arc;

use crate::call::{Class, ToolMode};
use crate::glob::Glob;
use crate::mcp::lean::results::Rule;
use crate::mcp::presentation::{Presentation, ToolOverride};

/// The changes to the tools of one server. What names one tool goes before what is a pattern, and of equals
/// what is written first; each part of a change is looked for by itself.
#[derive(Clone, Debug, Default)]
pub struct Overrides<'a> {
    exact: HashMap<&'a str, Vec<&'a ToolOverride>>,
    patterns: Vec<(Glob, &'a ToolOverride)>,
}

/// What is changed about one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Override<'a> {
    /// Its name for callers.
    pub rename: Option<&'a str>,
    /// Whether callers do not see it: said by any entry that fits.
    pub hide: bool,
    /// Its description for callers.
    pub description: Option<&'a str>,
    /// What it does, by the config's word.
    pub class: Option<Class>,
    /// How its definition is written.
    pub mode: Option<ToolMode>,
    /// What is done to its results.
    pub results: Option<&'a Arc<Rule>>,
}

impl<'a> Overrides<'a> {
    /// Sorts the entries of a server.
    pub fn new(presentation: &'a Presentation) -> Self {
        let mut made = Self::default();
        for entry in &presentation.tools {
            let glob = Glob::new(&entry.name);
            if glob.is_exact() {
                made.exact.entry(&entry.name).or_default().push(entry);
            } else {
                made.patterns.push((glob, entry));
            }
        }
        made
    }

    /// What is changed about the tool that the server calls `name`.
    pub fn of(&self, name: &str) -> Override<'a> {
        let exact = self.exact.get(name).into_iter().flatten().copied();
        let patterns = self.patterns.iter().filter(|(glob, _)| glob.matches(name)).map(|(_, entry)| *entry);
        let mut found = Override::default();
        for entry in exact.chain(patterns) {
            found.rename = found.rename.or(entry.rename.as_deref());
            found.hide |= entry.hide;
            found.description = found.description.or(entry.description.as_deref());
            found.class = found.class.or(entry.class);
            found.mode = found.mode.or(entry.mode);
            found.results = found.results.or(entry.results.as_ref());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Override, Overrides};
    use crate::call::{Class, ToolMode};
    use crate::mcp::presentation::{Presentation, ToolOverride};

    fn entry(name: &str, rename: Option<&str>, hide: bool, description: Option<&str>) -> ToolOverride {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (name, description) = (name.to_owned(), owned(description));
        let class = name.starts_with("get_").then_some(Class::Read);
        let mode = hide.then_some(ToolMode::Lean);
        ToolOverride { name, rename: owned(rename), hide, description, class, mode, results: None }
    }

    #[test]
    fn one_tool_before_patterns_and_first_before_later() {
        let tools = vec![
            entry("get_*", None, false, Some("pattern")),
            entry("get_a", Some("a"), false, None),
            entry("get_a", Some("later"), false, Some("exact")),
            entry("*_b", None, true, Some("later pattern")),
        ];
        let presentation = Presentation { tools, ..Presentation::default() };
        let overrides = Overrides::new(&presentation);
        let cases = [
            (
                "get_a",
                Override {
                    rename: Some("a"),
                    hide: false,
                    description: Some("exact"),
                    class: Some(Class::Read),
                    ..Override::default()
                },
            ),
            (
                "get_b",
                Override {
                    rename: None,
                    hide: true,
                    description: Some("pattern"),
                    class: Some(Class::Read),
                    mode: Some(ToolMode::Lean),
                    ..Override::default()
                },
            ),
            ("put", Override::default()),
        ];
        for (name, expected) in cases {
            assert_eq!(overrides.of(name), expected, "{name}");
        }
    }
}
