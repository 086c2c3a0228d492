//! What a person writes about models: `models:`, with the versions and ends of each, and `aliases:` of teams.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::clock;
use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::routes_file::{Target, read_targets};
use crate::config::yaml::{Node, Value};
use crate::ids::TeamName;
use crate::limits;
use crate::policy::alias::Aliases;
use crate::policy::rules::Rules;
use crate::route::model::{Plan, Table};
use crate::route::version::{Deprecation, Standing};

/// One entry of `models:`: a list of targets, or a mapping that says more.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) pattern: At<String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) end: Option<End>,
}

/// `deprecated`, `replacement` and `on_deprecated`.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The day, and its beginning in milliseconds since 1970.
    pub(crate) day: At<(String, u64)>,
    pub(crate) replacement: Option<At<String>>,
    pub(crate) replaces: bool,
}

/// One entry of `aliases:`.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: At<String>,
    pub(crate) model: At<String>,
}

/// Reads `models:`.
pub(crate) fn read_models(node: &Node, reader: &mut Reader) -> Option<Vec<Model>> {
    let entries = reader.entries(node, "models")?;
    let (most, patterns_most) = (limits::MODELS_MAX, limits::MODEL_PATTERNS_MAX);
    if entries.len() > most {
        reader.fault(node.mark, format!("models: at most {most} of them, found {}", entries.len()));
    }
    if let Some(first) = entries.iter().filter(|entry| entry.key.contains('*')).nth(patterns_most) {
        reader.fault(first.mark, format!("models: at most {patterns_most} of them may be patterns"));
    }
    let models = entries.iter().take(most).filter_map(|entry| {
        if !reader.pattern_fits(&entry.key, entry.mark, "models") {
            return None;
        }
        let what = format!("models.{}", entry.key);
        let pattern = At { mark: entry.mark, value: entry.key.clone() };
        match &entry.value.value {
            Value::Map(_) => read_described(pattern, &entry.value, &what, reader),
            _ => Some(Model { pattern, targets: read_targets(&entry.value, &what, reader)?, end: None }),
        }
    });
    Some(models.collect())
}

fn read_described(pattern: At<String>, node: &Node, what: &str, reader: &mut Reader) -> Option<Model> {
    let known = ["targets", "pinned", "deprecated", "replacement", "on_deprecated"];
    let fields = reader.fields(node, what, &known)?;
    let targets = reader.required(&fields, what, "targets");
    let targets = targets.and_then(|node| read_targets(node, &format!("{what}.targets"), reader));
    let pinned = fields.get("pinned").and_then(|node| model_name(node, &format!("{what}.pinned"), reader));
    let end = read_end(&fields, what, reader);
    let mut targets = targets?;
    for target in &mut targets {
        target.model = target.model.take().or_else(|| pinned.as_ref().map(|name| name.value.clone()));
    }
    Some(Model { pattern, targets, end })
}

fn read_end(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<End> {
    let replacement = fields.get("replacement");
    let replacement = replacement.and_then(|node| model_name(node, &format!("{what}.replacement"), reader));
    let words = [("refuse", false), ("replace", true)];
    let replaces = fields.get("on_deprecated").and_then(|node| {
        let replaces = reader.choice(node, &format!("{what}.on_deprecated"), &words)?;
        if replaces && fields.get("replacement").is_none() {
            reader.fault(node.mark, format!("{what}.on_deprecated: say by what with `replacement: MODEL`"));
        }
        Some(replaces)
    });
    let Some(node) = fields.get("deprecated") else {
        for name in ["replacement", "on_deprecated"] {
            if let Some(node) = fields.get(name) {
                let text = format!("{what}.{name}: say from when on with `deprecated: YEAR-MONTH-DAY`");
                reader.fault(node.mark, text);
            }
        }
        return None;
    };
    let text = reader.text(node, &format!("{what}.deprecated"))?;
    let Some(from_ms) = day(&text.value) else {
        let shown = quoted(&text.value);
        let text = format!("{what}.deprecated: expected a day such as 2026-12-31, found {shown}");
        reader.fault(node.mark, text);
        return None;
    };
    let day = At { mark: text.mark, value: (text.value, from_ms) };
    Some(End { day, replacement, replaces: replaces.unwrap_or_default() })
}

/// The beginning of a day in UTC, milliseconds since 1970.
fn day(text: &str) -> Option<u64> {
    let shape = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let at = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok().filter(|_| shape)?;
    at.duration_since(UNIX_EPOCH).is_ok().then(|| clock::unix_ms(at))
}

/// The name of one model.
fn model_name(node: &Node, what: &str, reader: &mut Reader) -> Option<At<String>> {
    let text = reader.text(node, what)?;
    if text.value.contains('*') {
        reader.fault(node.mark, format!("{what}: expected the name of one model, not a pattern"));
        return None;
    }
    reader.pattern_fits(&text.value, text.mark, what).then_some(text)
}

/// Reads `aliases:` of a team.
pub(crate) fn read_aliases(node: &Node, what: &str, reader: &mut Reader) -> Vec<Alias> {
    let entries = reader.entries(node, what).unwrap_or_default();
    let max = limits::ALIASES_MAX;
    if entries.len() > max {
        reader.fault(node.mark, format!("{what}: expected at most {max} names"));
    }
    let named = |name: &str| entries.iter().any(|entry| entry.key == name);
    let aliases = entries.iter().take(max).filter_map(|entry| {
        let what = format!("{what}.{}", entry.key);
        let model = model_name(&entry.value, &what, reader)?;
        if named(&model.value) {
            let shown = quoted(&model.value);
            reader.fault(model.mark, format!("{what}: {shown} is a name of this list, too; name the model"));
        }
        if entry.key.contains('*') {
            reader.fault(entry.mark, format!("{what}: expected one name, not a pattern"));
        }
        let fits = reader.pattern_fits(&entry.key, entry.mark, &what);
        fits.then(|| Alias { name: At { mark: entry.mark, value: entry.key.clone() }, model })
    });
    aliases.collect()
}

impl End {
    /// As the table has it.
    pub(crate) fn deprecation(&self) -> Deprecation {
        let (date, from_ms) = &self.day.value;
        let replacement = self.replacement.as_ref().map(|name| name.value.as_str());
        Deprecation::new(*from_ms, date, replacement, self.replaces)
    }
}

/// As the rules have them.
pub(crate) fn aliases(written: &[Alias]) -> Aliases {
    Aliases::new(written.iter().map(|alias| (alias.name.value.as_str(), alias.model.value.as_str())))
}

/// Checks that replacements are served, and lead to an end.
pub(crate) fn check_ends(models: &[Model], table: &Table, reader: &mut Reader) {
    // A name that no entry has exactly is held against each pattern: once, however many lead to it.
    let mut plans: HashMap<Arc<str>, Option<Plan<'_>>> = HashMap::new();
    for model in models {
        let Some(replacement) = model.end.as_ref().and_then(|end| end.replacement.as_ref()) else { continue };
        let what = format!("models.{}.replacement", model.pattern.value);
        let mut name: Arc<str> = replacement.value.as_str().into();
        let shown = quoted(&replacement.value);
        // At the end of all time everything that will end has ended.
        for step in 0..=limits::REPLACEMENTS_MAX {
            let plan = plans.entry(Arc::clone(&name)).or_insert_with(|| table.plan(&name));
            let Some(plan) = plan else {
                reader.fault(replacement.mark, format!("{what}: no provider serves {}", quoted(&name)));
                break;
            };
            let ends = plan.targets.first().is_some_and(|target| *target.pattern == *model.pattern.value);
            match plan.deprecation.map(|end| end.standing(u64::MAX)) {
                _ if ends => {
                    reader.fault(replacement.mark, format!("{what}: {shown} leads back to this entry"));
                    break;
                }
                Some(Standing::Replaced(_, next)) if step < limits::REPLACEMENTS_MAX => {
                    name = Arc::clone(next);
                }
                Some(Standing::Replaced(..)) => {
                    let max = limits::REPLACEMENTS_MAX;
                    let text = format!("{what}: {shown} is replaced again, more than {max} times");
                    reader.fault(replacement.mark, text);
                    break;
                }
                _ => break,
            }
        }
    }
}

/// Checks that aliases lead somewhere; lines for people about those that are of little use.
pub(crate) fn check_aliases(
    (team, written): (&TeamName, &[Alias]),
    rules: &Rules,
    table: &Table,
    reader: &mut Reader,
) -> Vec<String> {
    let mut lines = Vec::new();
    let models = rules.team(team).and_then(|team| team.models.as_ref());
    for Alias { name, model } in written {
        let (what, target) = (format!("teams.{team}.aliases.{}", name.value), &model.value);
        if table.plan(target).is_none() {
            reader.fault(model.mark, format!("{what}: no provider serves {}", quoted(target)));
        }
        if models.is_some_and(|models| !models.iter().any(|pattern| pattern.matches(target))) {
            lines.push(format!("{what}: `models` of the team does not allow {target}"));
        }
        if !["claude", "anthropic"].iter().any(|word| name.value.contains(word)) {
            let text = "Claude Code lists only models with `claude` or `anthropic` in their name; \
                        this one has to be typed";
            lines.push(format!("{what}: {text}"));
        }
    }
    lines
}
