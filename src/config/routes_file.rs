//! What a person writes about where calls go: targets with their weights and limits, `routes:`, `tiers:`,
//! `failover:`, and `keys:` of a provider.

use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::secrets::{self, Source};
use crate::config::yaml::{Node, Value};
use crate::glob::Glob;
use crate::limits;
use crate::route::attempts::Terms;
use crate::route::fit::Fit;
use crate::route::rule::{Class, Hours, When};
use crate::route::tier::TIERS;

/// `name`, or `{ provider: name, model: renamed, ... }`.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) provider: At<String>,
    pub(crate) model: Option<String>,
    pub(crate) weight: Option<u32>,
    pub(crate) priority: Option<u32>,
    pub(crate) fit: Fit,
}

/// `routes:`, `tiers:` and `failover:`.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    pub(crate) routes: Vec<Route>,
    /// The word of the tier, and its targets.
    pub(crate) tiers: Vec<(&'static str, Vec<Target>)>,
    pub(crate) terms: Terms,
}

/// One entry of `routes:`.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) when: When,
    /// The teams that are named without a star.
    pub(crate) teams: Vec<At<String>>,
    pub(crate) targets: Vec<Target>,
}

/// Reads all three.
pub(crate) fn read(fields: &Fields<'_>, reader: &mut Reader) -> Routing {
    let mut routing = Routing::default();
    if let Some(nodes) = fields.get("routes").and_then(|node| reader.list(node, "routes")) {
        for (place, node) in nodes.iter().enumerate() {
            let what = format!("routes: rule {}", place + 1);
            if place == limits::ROUTES_MAX {
                reader.fault(node.mark, format!("routes: expected at most {} rules", limits::ROUTES_MAX));
                break;
            }
            routing.routes.extend(read_route(node, &what, reader));
        }
    }
    if let Some(node) = fields.get("tiers")
        && let Some(fields) = reader.fields(node, "tiers", &TIERS)
    {
        for tier in TIERS {
            let Some(node) = fields.get(tier) else { continue };
            let targets = read_targets(node, &format!("tiers.{tier}"), reader);
            routing.tiers.extend(targets.map(|targets| (tier, targets)));
        }
    }
    if let Some(node) = fields.get("failover") {
        routing.terms = read_terms(node, reader).unwrap_or_default();
    }
    routing
}

fn read_terms(node: &Node, reader: &mut Reader) -> Option<Terms> {
    let fields = reader.fields(node, "failover", &["targets_max", "hold_ms"])?;
    let default = Terms::default();
    let failovers = fields
        .get("targets_max")
        .and_then(|node| number(node, "failover.targets_max", (0, limits::FAILOVERS_MAX), reader));
    let hold_ms = fields
        .get("hold_ms")
        .and_then(|node| reader.number(node, "failover.hold_ms", 0..=limits::HOLD_MS_MAX));
    Some(Terms {
        failovers: failovers.unwrap_or(default.failovers),
        hold_ms: hold_ms.unwrap_or(default.hold_ms),
    })
}

fn read_route(node: &Node, what: &str, reader: &mut Reader) -> Option<Route> {
    let fields = reader.fields(node, what, &["when", "use"])?;
    let when = reader.required(&fields, what, "when");
    let when = when.and_then(|node| read_when(node, &format!("{what}: when"), reader));
    let targets = reader.required(&fields, what, "use");
    let targets = targets.and_then(|node| read_targets(node, &format!("{what}: use"), reader));
    let (when, teams) = when?;
    Some(Route { when, teams, targets: targets? })
}

const WHEN: [&str; 8] =
    ["models", "class", "keys", "teams", "tokens_over", "tokens_under", "hours", "budget_under_percent"];

fn read_when(node: &Node, what: &str, reader: &mut Reader) -> Option<(When, Vec<At<String>>)> {
    let fields = reader.fields(node, what, &WHEN)?;
    if !WHEN.iter().any(|name| fields.get(name).is_some()) {
        let text = format!("{what}: say which calls go there, by one of {}", WHEN.join(", "));
        reader.fault(node.mark, text);
    }
    let globs = |words: &[At<String>]| words.iter().map(|word| Glob::new(&word.value)).collect();
    let models = words(&fields, "models", what, reader);
    let keys = words(&fields, "keys", what, reader);
    let teams = words(&fields, "teams", what, reader);
    let tokens = |name: &str, reader: &mut Reader| {
        let most = limits::CONTEXT_TOKENS_MAX;
        fields.get(name).and_then(|node| reader.number(node, &format!("{what}.{name}"), 1..=most))
    };
    let (tokens_over, tokens_under) = (tokens("tokens_over", reader), tokens("tokens_under", reader));
    if let (Some(over), Some(under)) = (tokens_over, tokens_under)
        && under <= over.saturating_add(1)
    {
        reader.fault(node.mark, format!("{what}: no call has over {over} and under {under} tokens"));
    }
    let hours = fields.get("hours").and_then(|node| {
        let text = reader.text(node, &format!("{what}.hours"))?;
        let hours = Hours::parse(&text.value);
        if hours.is_none() {
            let shown = quoted(&text.value);
            let wanted = "hours of the day in UTC such as 22-6";
            reader.fault(node.mark, format!("{what}.hours: expected {wanted}, found {shown}"));
        }
        hours
    });
    let budget_under = fields
        .get("budget_under_percent")
        .and_then(|node| reader.number(node, &format!("{what}.budget_under_percent"), 1..=100));
    let when = When {
        models: globs(&models),
        classes: classes(&fields, what, reader),
        keys: globs(&keys),
        teams: globs(&teams),
        tokens_over,
        tokens_under,
        hours,
        budget_under: budget_under.and_then(|percent| u8::try_from(percent).ok()),
    };
    Some((when, teams.into_iter().filter(|team| !team.value.contains('*')).collect()))
}

fn classes(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Vec<Class> {
    let Some(node) = fields.get("class") else { return Vec::new() };
    let what = format!("{what}.class");
    nodes(node, &what, reader).iter().filter_map(|node| reader.choice(node, &what, Class::WORDS)).collect()
}

/// Names or patterns, one or a list of them.
fn words(fields: &Fields<'_>, name: &str, what: &str, reader: &mut Reader) -> Vec<At<String>> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let what = format!("{what}.{name}");
    let texts = nodes(node, &what, reader).iter().filter_map(|node| reader.text(node, &what));
    let texts: Vec<At<String>> = texts.collect();
    texts.into_iter().filter(|text| reader.fits(&text.value, text.mark, &what, "name")).collect()
}

/// One value or a list of them, within bounds and not empty.
fn nodes<'n>(node: &'n Node, what: &str, reader: &mut Reader) -> &'n [Node] {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        Value::Text { .. } | Value::Map(_) => std::slice::from_ref(node),
    };
    let most = limits::ROUTE_WORDS_MAX;
    if nodes.is_empty() || nodes.len() > most {
        reader.fault(node.mark, format!("{what}: expected 1 to {most} words"));
    }
    nodes.get(..most).unwrap_or(nodes)
}

/// Reads a list of targets.
pub(crate) fn read_targets(node: &Node, what: &str, reader: &mut Reader) -> Option<Vec<Target>> {
    let nodes = reader.list(node, what)?;
    if nodes.is_empty() {
        reader.fault(node.mark, format!("{what}: expected at least one provider"));
    }
    let most = limits::TARGETS_MAX;
    if nodes.len() > most {
        reader.fault(node.mark, format!("{what}: expected at most {most} targets"));
    }
    Some(nodes.iter().take(most).filter_map(|node| read_target(node, what, reader)).collect())
}

const TARGET: [&str; 9] =
    ["provider", "model", "weight", "priority", "context", "max_output", "images", "tools", "thinking"];

fn read_target(node: &Node, what: &str, reader: &mut Reader) -> Option<Target> {
    if let Value::Text { .. } = node.value {
        let provider = reader.text(node, what)?;
        return Some(Target { provider, model: None, weight: None, priority: None, fit: Fit::default() });
    }
    let fields = reader.fields(node, what, &TARGET)?;
    let provider = reader.required(&fields, what, "provider").and_then(|node| reader.text(node, what));
    let model = match fields.get("model") {
        None => None,
        Some(node) => {
            let text = reader.text(node, what)?;
            if text.value.contains('*') {
                reader.fault(
                    node.mark,
                    format!("{what}: the provider is asked for one model, not for a pattern"),
                );
            }
            reader.pattern_fits(&text.value, text.mark, what).then_some(text.value)
        }
    };
    let mut small = |name: &str, most: u64| {
        fields.get(name).and_then(|node| number(node, &format!("{what}.{name}"), (1, most), reader))
    };
    let weight = small("weight", limits::WEIGHT_MAX);
    let priority = small("priority", limits::PRIORITY_MAX);
    let fit = read_fit(&fields, what, reader);
    Some(Target { provider: provider?, model, weight, priority, fit })
}

fn read_fit(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Fit {
    let mut tokens = |name: &str| {
        let most = limits::CONTEXT_TOKENS_MAX;
        fields.get(name).and_then(|node| reader.number(node, &format!("{what}.{name}"), 1..=most))
    };
    let (context, max_output) = (tokens("context"), tokens("max_output"));
    let mut can = |name: &str| {
        let written = fields.get(name).and_then(|node| reader.yes_or_no(node, &format!("{what}.{name}")));
        written.unwrap_or(true)
    };
    Fit { context, max_output, images: can("images"), tools: can("tools"), thinking: can("thinking") }
}

fn number(node: &Node, what: &str, (least, most): (u64, u64), reader: &mut Reader) -> Option<u32> {
    reader.number(node, what, least..=most).and_then(|number| u32::try_from(number).ok())
}

/// Reads `keys:` of a provider: several of them in the place of `key`.
pub(crate) fn read_keys(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Vec<At<Source>> {
    let Some(node) = fields.get("keys") else { return Vec::new() };
    if fields.get("key").is_some() {
        reader.fault(node.mark, format!("{what}: write `key` or `keys`, not both"));
    }
    let what = format!("{what}.keys");
    let nodes = reader.list(node, &what).unwrap_or_default();
    let most = limits::PROVIDER_KEYS_MAX;
    if nodes.is_empty() || nodes.len() > most {
        reader.fault(node.mark, format!("{what}: expected 1 to {most} keys"));
    }
    nodes.iter().take(most).filter_map(|node| secrets::read(node, &what, reader)).collect()
}
