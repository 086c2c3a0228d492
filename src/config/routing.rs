//! From `models:`, `tiers:` and `routes:` to the table of who serves what.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::faults::Mark;
use crate::config::file::File;
use crate::config::models_file;
use crate::config::reader::{Reader, quoted};
use crate::config::routes_file;
use crate::glob::Glob;
use crate::route::model::{Entry, Table, Target};
use crate::route::rule::Rule;
use crate::route::tier;

/// The providers by name, each with its place.
type Places<'a> = HashMap<&'a str, usize>;

/// The table of a config; without `models:` everything that no tier takes goes to the only provider.
pub(crate) fn routes(file: &File, providers: &Places<'_>, reader: &mut Reader) -> Table {
    let mut entries = Vec::new();
    let mut patterns = Vec::new();
    match &file.models {
        None => {
            if providers.len() > 1 {
                let text = "`models` is missing: with several providers say which model runs where";
                reader.fault(Mark { line: 1, column: 1 }, text);
            }
            patterns.push((Glob::new("*"), Entry::from(vec![Target::new(0, "*")])));
        }
        Some(models) => {
            if models.is_empty() {
                let text = "`models` names no model, so no call could be served";
                reader.fault(Mark { line: 1, column: 1 }, text);
            }
            for model in models {
                let pattern = &model.pattern.value;
                let what = format!("models.{pattern}");
                let targets = targets(&model.targets, (&what, pattern), (file, providers), reader);
                let deprecation = model.end.as_ref().map(models_file::End::deprecation);
                let glob = Glob::new(pattern);
                let kind = if glob.is_exact() { &mut entries } else { &mut patterns };
                kind.push((glob, Entry { targets, deprecation }));
            }
        }
    }
    for (word, written) in &file.routing.tiers {
        let (what, pattern) = (format!("tiers.{word}"), tier::pattern(word));
        let targets = targets(written, (&what, &pattern), (file, providers), reader);
        entries.extend(tier::entries(word, &targets));
    }
    // A tier is more exact than a pattern, and less than a name.
    entries.extend(patterns);
    let table = Table::new(entries).with_rules(rules(file, providers, reader), file.routing.terms);
    models_file::check_ends(file.models.as_deref().unwrap_or_default(), &table, reader);
    table
}

fn rules(file: &File, providers: &Places<'_>, reader: &mut Reader) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(file.routing.routes.len());
    for (place, route) in file.routing.routes.iter().enumerate() {
        let name = format!("routes {}", place + 1);
        let what = format!("routes: rule {}: use", place + 1);
        for team in &route.teams {
            if !file.teams.iter().any(|known| known.name.value == team.value) {
                let shown = quoted(&team.value);
                let text = format!("routes: rule {}: `teams:` does not have {shown}", place + 1);
                reader.fault(team.mark, text);
            }
        }
        let targets = targets(&route.targets, (&what, &name), (file, providers), reader);
        rules.push(Rule { name: name.as_str().into(), when: route.when.clone(), targets });
    }
    rules
}

/// Targets as the table has them. Where none says a weight or a priority, each is asked only after those
/// before it; where one does, those that say nothing have the weight 1 and the priority 1.
fn targets(
    written: &[routes_file::Target],
    (what, pattern): (&str, &str),
    (file, providers): (&File, &Places<'_>),
    reader: &mut Reader,
) -> Vec<Target> {
    let shared = written.iter().any(|target| target.weight.or(target.priority).is_some());
    let pattern: Arc<str> = pattern.into();
    let mut targets = Vec::with_capacity(written.len());
    for (place, target) in written.iter().enumerate() {
        let name = &target.provider.value;
        let Some(&provider) = providers.get(name.as_str()) else {
            if file.provider_names.contains(name) {
                continue;
            }
            let mut known: Vec<&str> = providers.keys().copied().collect();
            known.sort_unstable();
            let known = known.join(", ");
            let text = format!("{what}: there is no provider {}; known: {known}", quoted(name));
            reader.fault(target.provider.mark, text);
            continue;
        };
        let in_order = u32::try_from(place + 1).unwrap_or(u32::MAX);
        targets.push(Target {
            model: target.model.as_deref().map(Arc::from),
            weight: target.weight.unwrap_or(1),
            priority: target.priority.unwrap_or(if shared { 1 } else { in_order }),
            fit: target.fit,
            ..Target::new(provider, Arc::clone(&pattern))
        });
    }
    targets
}
