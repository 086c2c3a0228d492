//! Models, their targets, and rules about where calls go, as people may see them.

use std::fmt;

use serde::Serialize;

use crate::config::shown::{list, word};
use crate::config::shown_places::ShownEnd;
use crate::config::snapshot::Snapshot;
use crate::glob::Glob;
use crate::route::attempts::Terms;
use crate::route::model::{Entry, Target};
use crate::route::rule::{Rule, When};

/// One entry of `models:`. Those of `tiers:` stand here as the names and patterns that they make.
#[derive(Clone, Debug, Serialize)]
pub struct ShownModel {
    /// What a caller names.
    pub pattern: String,
    /// Where it may run.
    pub targets: Vec<ShownTarget>,
    /// When it ends; absent while nobody knows.
    #[serde(flatten)]
    pub end: Option<ShownEnd>,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub struct ShownTarget {
    /// Name of the provider.
    pub provider: String,
    /// The name of the model there if it differs.
    pub model: Option<String>,
    /// Its part of the calls of its priority.
    pub weight: u32,
    /// The lower number first.
    pub priority: u32,
    /// Tokens of request and answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Tokens of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// `images`, `tools` or `thinking`, where it cannot take them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cannot: Vec<&'static str>,
}

/// Rules, and how often another target is asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownRouting {
    /// `routes:`, in written order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<ShownRoute>,
    /// `failover:`.
    pub failover: ShownTerms,
}

/// One entry of `routes:`.
#[derive(Clone, Debug, Serialize)]
pub struct ShownRoute {
    /// What has to hold, as the config has it.
    pub when: Vec<String>,
    /// Where such calls go.
    #[serde(rename = "use")]
    pub targets: Vec<ShownTarget>,
}

/// `failover:`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ShownTerms {
    /// Targets after the first.
    pub targets_max: u32,
    /// Milliseconds.
    pub hold_ms: u64,
}

impl ShownModel {
    /// The models of a snapshot, exact names first, as they are looked up.
    pub(crate) fn all(snapshot: &Snapshot) -> Vec<Self> {
        let exact = snapshot.routes.exact_names();
        let patterns = snapshot.routes.patterns().map(|(glob, entry)| (glob.as_str(), entry));
        let of = |(pattern, entry): (&str, &Entry)| Self {
            pattern: pattern.to_owned(),
            targets: ShownTarget::all(snapshot, &entry.targets),
            end: entry.deprecation.as_ref().map(ShownEnd::of),
        };
        exact.chain(patterns).map(of).collect()
    }
}

impl fmt::Display for ShownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, targets) = (word(&self.pattern), targets(&self.targets));
        match &self.end {
            None => write!(f, "  {pattern}: [{targets}]"),
            Some(end) => write!(f, "  {pattern}: {{ targets: [{targets}], {} }}", end.entries().join(", ")),
        }
    }
}

impl ShownTarget {
    fn all(snapshot: &Snapshot, targets: &[Target]) -> Vec<Self> {
        let of = |target: &Target| {
            let fit = &target.fit;
            let can = [("images", fit.images), ("tools", fit.tools), ("thinking", fit.thinking)];
            Some(Self {
                provider: snapshot.providers.get(target.provider)?.name.to_string(),
                model: target.model.as_deref().map(str::to_owned),
                weight: target.weight,
                priority: target.priority,
                context: fit.context,
                max_output: fit.max_output,
                cannot: can.iter().filter(|(_, can)| !can).map(|&(name, _)| name).collect(),
            })
        };
        targets.iter().filter_map(of).collect()
    }

    /// As the config has it; `in_order` leaves out what the place in a list says.
    fn written(&self, in_order: bool) -> String {
        let Self { provider, model, weight, priority, context, max_output, cannot } = self;
        let mut entries = vec![format!("provider: {}", word(provider))];
        entries.extend(model.as_ref().map(|model| format!("model: {}", word(model))));
        if !in_order {
            entries.push(format!("weight: {weight}, priority: {priority}"));
        }
        entries.extend(context.map(|tokens| format!("context: {tokens}")));
        entries.extend(max_output.map(|tokens| format!("max_output: {tokens}")));
        entries.extend(cannot.iter().map(|name| format!("{name}: false")));
        if entries.len() == 1 { word(provider) } else { format!("{{ {} }}", entries.join(", ")) }
    }
}

impl ShownRouting {
    /// What may be seen of it: all.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let of = |rule: &Rule| ShownRoute {
            when: conditions(&rule.when),
            targets: ShownTarget::all(snapshot, &rule.targets),
        };
        let &Terms { failovers, hold_ms } = snapshot.routes.terms();
        Self {
            routes: snapshot.routes.rules().iter().map(of).collect(),
            failover: ShownTerms { targets_max: failovers, hold_ms },
        }
    }
}

impl fmt::Display for ShownRouting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.routes.is_empty() {
            writeln!(f, "routes:")?;
        }
        for route in &self.routes {
            let when = route.when.join(", ");
            writeln!(f, "  - {{ when: {{ {when} }}, use: [{}] }}", targets(&route.targets))?;
        }
        let ShownTerms { targets_max, hold_ms } = self.failover;
        write!(f, "failover: {{ targets_max: {targets_max}, hold_ms: {hold_ms} }}")
    }
}

/// Targets that are asked one after the other need no weights and priorities.
fn targets(targets: &[ShownTarget]) -> String {
    let in_order = (1..).zip(targets).all(|(place, it)| it.weight == 1 && it.priority == place);
    targets.iter().map(|target| target.written(in_order)).collect::<Vec<_>>().join(", ")
}

fn conditions(when: &When) -> Vec<String> {
    let named = |name: &str, globs: &[Glob]| {
        let words: Vec<String> = globs.iter().map(|glob| glob.as_str().to_owned()).collect();
        (!words.is_empty()).then(|| format!("{name}: {}", list(&words)))
    };
    let classes: Vec<String> = when.classes.iter().map(|class| class.word().to_owned()).collect();
    let conditions = [
        named("models", &when.models),
        (!classes.is_empty()).then(|| format!("class: {}", list(&classes))),
        named("keys", &when.keys),
        named("teams", &when.teams),
        when.tokens_over.map(|tokens| format!("tokens_over: {tokens}")),
        when.tokens_under.map(|tokens| format!("tokens_under: {tokens}")),
        when.hours.map(|hours| format!("hours: {}-{}", hours.from, hours.to)),
        when.budget_under.map(|percent| format!("budget_under_percent: {percent}")),
    ];
    conditions.into_iter().flatten().collect()
}
