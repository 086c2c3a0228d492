//! What a person writes about places: `region` and `tenancy` of what serves, `regions` and `tenancies` of who
//! calls.

use std::sync::Arc;

use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::yaml::{Node, Value};
use crate::glob::Glob;
use crate::ids::{KeyName, TeamName};
use crate::limits;
use crate::policy::residency::{Residency, Tenancy, Territory};
use crate::policy::rules::Rules;
use crate::route::model::Table;
use crate::upstream::provider::Provider;

/// `region` and `tenancy` of a provider or server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stand {
    /// Empty when nobody knows.
    pub(crate) regions: Vec<String>,
    pub(crate) tenancy: Tenancy,
}

/// `regions` and `tenancies` of a team.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    pub(crate) regions: Option<Vec<String>>,
    pub(crate) tenancies: Option<Vec<Tenancy>>,
}

/// The keys of a `Stand`.
pub(crate) const STAND_KEYS: [&str; 2] = ["region", "tenancy"];

/// Reads `region` and `tenancy`.
pub(crate) fn read_stand(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Stand {
    let tenancy = fields
        .get("tenancy")
        .and_then(|node| reader.choice(node, &format!("{what}.tenancy"), Tenancy::WORDS));
    let what = format!("{what}.region");
    let regions = fields.get("region").map(|node| one_or_more(node, &what, false, reader));
    Stand { regions: regions.unwrap_or_default(), tenancy: tenancy.unwrap_or_default() }
}

/// Reads the one region of a place that is neither provider nor server.
pub(crate) fn read_region(node: &Node, what: &str, reader: &mut Reader) -> Option<At<String>> {
    let text = reader.text(node, what)?;
    let mark = text.mark;
    Some(At { mark, value: region(text, what, false, reader)? })
}

/// Reads `regions`, patterns: `eu`, `"eu-*"`.
pub(crate) fn read_regions(node: &Node, what: &str, reader: &mut Reader) -> Option<Vec<String>> {
    reader.list(node, what)?;
    Some(one_or_more(node, what, true, reader))
}

/// Reads `regions` and `tenancies`.
pub(crate) fn read_reach(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Reach {
    let regions = fields.get("regions");
    let regions = regions.and_then(|node| read_regions(node, &format!("{what}.regions"), reader));
    let tenancies = fields.get("tenancies").and_then(|node| {
        let what = format!("{what}.tenancies");
        let nodes = reader.list(node, &what)?;
        Some(nodes.iter().filter_map(|node| reader.choice(node, &what, Tenancy::WORDS)).collect())
    });
    Reach { regions, tenancies }
}

impl Reach {
    /// As the rules have it.
    pub(crate) fn territory(&self) -> Territory {
        Territory {
            regions: self.regions.as_deref().map(globs),
            tenancies: self.tenancies.as_deref().map(Arc::from),
        }
    }
}

/// Patterns of regions as the rules have them.
pub(crate) fn globs(regions: &[String]) -> Arc<[Glob]> {
    regions.iter().map(|region| Glob::new(region)).collect()
}

fn one_or_more(node: &Node, what: &str, patterns: bool, reader: &mut Reader) -> Vec<String> {
    let one = std::slice::from_ref(node);
    let nodes = if let Value::List(nodes) = &node.value { nodes.as_slice() } else { one };
    if nodes.len() > limits::REGIONS_MAX || (nodes.is_empty() && !patterns) {
        reader.fault(node.mark, format!("{what}: expected 1 to {} regions", limits::REGIONS_MAX));
    }
    let nodes = nodes.iter().take(limits::REGIONS_MAX);
    nodes.filter_map(|node| region(reader.text(node, what)?, what, patterns, reader)).collect()
}

/// A region stands in the ledger and in errors, and is compared with what providers say of themselves.
fn region(text: At<String>, what: &str, patterns: bool, reader: &mut Reader) -> Option<String> {
    let At { mark, value } = text;
    if is_region(&value, patterns) {
        return Some(value);
    }
    let max = limits::NAME_CHARS_MAX;
    let star = if patterns { " *" } else { "" };
    let wanted = format!("use 1 to {max} of a-z 0-9 - _{star}, such as eu or eu-central-1");
    reader.fault(mark, format!("{what}: {} is no region: {wanted}", quoted(&value)));
    None
}

/// Whether a text can be a region, or a pattern of regions.
pub(crate) fn is_region(text: &str, pattern: bool) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| letter(byte) || b"-_".contains(&byte) || (pattern && byte == b'*');
    (1..=limits::NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(fits)
        && !["unknown", "not_available"].contains(&text)
}

/// Lines for people: rules about places that leave a model nothing, and places that no such rule can allow.
pub(crate) fn warnings(rules: &Rules, teams: &[TeamName], (routes, providers): Served<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let key = KeyName::new("of the team");
    for name in teams {
        let Some(team) = rules.team(name) else { continue };
        let residency = Residency::of_team(&key, name, &team.territory);
        if residency.is_free() {
            continue;
        }
        let entries =
            routes.exact_names().chain(routes.patterns().map(|(glob, entry)| (glob.as_str(), entry)));
        for (model, entry) in entries {
            let places =
                entry.targets.iter().filter_map(|target| Some(&*providers.get(target.provider)?.place));
            if !places.clone().any(|place| residency.allows(place)) {
                let outside = residency.outside(&format!("model {model:?}"), places);
                lines.push(format!("teams.{name}: {outside}"));
            }
        }
    }
    lines
}

/// Which providers serve which models.
type Served<'a> = (&'a Table, &'a [Arc<Provider>]);
