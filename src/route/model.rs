//! The table of models: names and patterns, each with its targets in order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::glob::Glob;
use crate::limits;
use crate::route::attempts::Terms;
use crate::route::fit::Fit;
use crate::route::rule::{Facts, Rule};
use crate::route::version::Deprecation;

/// One place where a model may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider: an index into `Snapshot.providers`, always valid there.
    pub provider: usize,
    /// The name that the provider knows the model by; `None` passes the caller's name on.
    pub model: Option<Arc<str>>,
    /// The name or pattern of the config that led here.
    pub pattern: Arc<str>,
    /// Its part of the calls among targets of the same priority, 1 to `limits::WEIGHT_MAX`.
    pub weight: u32,
    /// Targets of a lower number are asked first; those of the same number share the calls.
    pub priority: u32,
    /// What it can take.
    pub fit: Fit,
}

impl Target {
    /// A target that takes everything and passes the caller's name on.
    pub fn new(provider: usize, pattern: impl Into<Arc<str>>) -> Self {
        let fit = Fit::default();
        Self { provider, model: None, pattern: pattern.into(), weight: 1, priority: 1, fit }
    }
}

/// One entry of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The targets, first choice first.
    pub targets: Vec<Target>,
    /// When its models end.
    pub deprecation: Option<Deprecation>,
}

impl From<Vec<Target>> for Entry {
    fn from(targets: Vec<Target>) -> Self {
        Self { targets, deprecation: None }
    }
}

/// Where one call may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The targets, first choice first; never empty in a table that `config` has made.
    pub targets: Cow<'a, [Target]>,
    /// When the model ends.
    pub deprecation: Option<&'a Deprecation>,
}

impl Plan<'_> {
    /// Leaves out the targets that `keep` refuses; where it refuses none, nothing is copied.
    pub fn retain(&mut self, keep: impl Fn(&Target) -> bool) {
        if !self.targets.iter().all(&keep) {
            self.targets.to_mut().retain(keep);
        }
    }
}

/// All models that a caller may name. Exact names come before patterns, patterns in their written order.
#[derive(Clone, Debug, Default)]
pub struct Table {
    names: HashMap<Arc<str>, usize>,
    exact: Vec<(Arc<str>, Entry)>,
    patterns: Vec<(Glob, Entry)>,
    rules: Vec<Rule>,
    terms: Terms,
}

impl Table {
    /// Takes the entries in written order. Of two equal names or patterns the first counts.
    pub fn new<E: Into<Entry>>(entries: impl IntoIterator<Item = (Glob, E)>) -> Self {
        let mut table = Self::default();
        for (pattern, entry) in entries {
            let entry = entry.into();
            if !pattern.is_exact() {
                table.patterns.push((pattern, entry));
            } else if !table.names.contains_key(pattern.as_str()) {
                let name: Arc<str> = pattern.as_str().into();
                table.names.insert(Arc::clone(&name), table.exact.len());
                table.exact.push((name, entry));
            }
        }
        table
    }

    /// The same table with rules, of which the first that fits a call names its targets, and with bounds of
    /// asking the next one. Of more than `limits::ROUTES_MAX` rules the rest is left out.
    #[must_use]
    pub fn with_rules(mut self, mut rules: Vec<Rule>, terms: Terms) -> Self {
        rules.truncate(limits::ROUTES_MAX);
        (self.rules, self.terms) = (rules, terms);
        self
    }

    /// The rules, in written order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How often another target may be asked.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The first rule that fits a call.
    pub fn rule(&self, facts: &Facts<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.when.fits(facts))
    }

    /// Finds where `model` may run; `None` when nothing serves it.
    pub fn plan(&self, model: &str) -> Option<Plan<'_>> {
        let exact = self.names.get(model).and_then(|&place| self.exact.get(place)).map(|(_, entry)| entry);
        let entry = exact.or_else(|| {
            self.patterns.iter().find(|(pattern, _)| pattern.matches(model)).map(|(_, entry)| entry)
        })?;
        Some(Plan { targets: Cow::Borrowed(&entry.targets), deprecation: entry.deprecation.as_ref() })
    }

    /// The models named exactly, in written order, with their entries.
    pub fn exact_names(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.exact.iter().map(|(name, entry)| (&**name, entry))
    }

    /// The patterns, in written order, with their entries.
    pub fn patterns(&self) -> impl Iterator<Item = (&Glob, &Entry)> {
        self.patterns.iter().map(|(pattern, entry)| (pattern, entry))
    }
}
