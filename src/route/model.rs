//! The table of models: names and patterns, each with its targets in order.

use std::collections::HashMap;
use std::sync::Arc;

use crate::glob::Glob;

/// One place where a model may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider: an index into `Snapshot.providers`, always valid there.
    pub provider: usize,
    /// The name that the provider knows the model by; `None` passes the caller's name on.
    pub model: Option<Arc<str>>,
    /// The name or pattern of the config that led here.
    pub pattern: Arc<str>,
}

/// Where one call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The targets, first choice first; never empty in a table that `config` has made.
    pub targets: &'a [Target],
}

/// All models that a caller may name. Exact names come before patterns, patterns in their written order.
#[derive(Clone, Debug, Default)]
pub struct Table {
    names: HashMap<Arc<str>, usize>,
    exact: Vec<(Arc<str>, Vec<Target>)>,
    patterns: Vec<(Glob, Vec<Target>)>,
}

impl Table {
    /// Takes the entries in written order. Of two equal names or patterns the first counts.
    pub fn new(entries: impl IntoIterator<Item = (Glob, Vec<Target>)>) -> Self {
        let mut table = Self::default();
        for (pattern, targets) in entries {
            if !pattern.is_exact() {
                table.patterns.push((pattern, targets));
            } else if !table.names.contains_key(pattern.as_str()) {
                let name: Arc<str> = pattern.as_str().into();
                table.names.insert(Arc::clone(&name), table.exact.len());
                table.exact.push((name, targets));
            }
        }
        table
    }

    /// Finds where `model` may run; `None` when nothing serves it.
    pub fn plan(&self, model: &str) -> Option<Plan<'_>> {
        let exact =
            self.names.get(model).and_then(|&place| self.exact.get(place)).map(|(_, targets)| targets);
        let targets = exact.or_else(|| {
            self.patterns.iter().find(|(pattern, _)| pattern.matches(model)).map(|(_, targets)| targets)
        })?;
        Some(Plan { targets })
    }

    /// The models named exactly, in written order, with their targets.
    pub fn exact_names(&self) -> impl Iterator<Item = (&str, &[Target])> {
        self.exact.iter().map(|(name, targets)| (&**name, targets.as_slice()))
    }

    /// The patterns, in written order, with their targets.
    pub fn patterns(&self) -> impl Iterator<Item = (&Glob, &[Target])> {
        self.patterns.iter().map(|(pattern, targets)| (pattern, targets.as_slice()))
    }
}
