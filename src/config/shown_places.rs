//! Places, versions and names of models as people may see them.

use serde::Serialize;

use crate::config::models_file::Alias;
use crate::config::places_file::Reach;
use crate::config::shown::{list, word};
use crate::policy::residency::Place;
use crate::route::version::Deprecation;

/// Where a provider or server runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownStand {
    /// Its regions; none where nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub region: Vec<String>,
    /// `shared`, `dedicated` or `on_prem`.
    pub tenancy: &'static str,
}

/// Where calls of a team may run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownReach {
    /// Patterns; absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancies: Option<Vec<&'static str>>,
    /// Its own names for models, in written order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<(String, String)>,
}

/// When a model ends.
#[derive(Clone, Debug, Serialize)]
pub struct ShownEnd {
    /// The day.
    pub deprecated: String,
    /// What to name instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// `refuse` or `replace`.
    pub on_deprecated: &'static str,
}

impl ShownStand {
    /// What may be seen of a place: all of it.
    pub(crate) fn of(place: &Place) -> Self {
        Self { region: place.regions().map(str::to_owned).collect(), tenancy: place.tenancy().word() }
    }

    /// As the config has it, what is usual left out.
    pub(crate) fn entries(&self) -> Vec<String> {
        let region = match self.region.as_slice() {
            [] => None,
            [one] => Some(format!("region: {}", word(one))),
            more => Some(format!("region: {}", list(more))),
        };
        let tenancy = (self.tenancy != "shared").then(|| format!("tenancy: {}", self.tenancy));
        [region, tenancy].into_iter().flatten().collect()
    }
}

impl ShownReach {
    /// What may be seen of it: all.
    pub(crate) fn of(reach: &Reach, aliases: &[Alias]) -> Self {
        Self {
            regions: reach.regions.clone(),
            tenancies: reach.tenancies.as_ref().map(|list| list.iter().map(|one| one.word()).collect()),
            aliases: aliases.iter().map(|one| (one.name.value.clone(), one.model.value.clone())).collect(),
        }
    }

    /// As the config has it.
    pub(crate) fn entries(&self) -> Vec<String> {
        let regions = self.regions.as_ref().map(|regions| format!("regions: {}", list(regions)));
        let tenancies = self.tenancies.as_ref().map(|words| format!("tenancies: [{}]", words.join(", ")));
        let pairs: Vec<String> =
            self.aliases.iter().map(|(name, model)| format!("{}: {}", word(name), word(model))).collect();
        let aliases = (!pairs.is_empty()).then(|| format!("aliases: {{ {} }}", pairs.join(", ")));
        [regions, tenancies, aliases].into_iter().flatten().collect()
    }
}

impl ShownEnd {
    /// What may be seen of it: all.
    pub(crate) fn of(end: &Deprecation) -> Self {
        Self {
            deprecated: end.date.to_string(),
            replacement: end.replacement.as_deref().map(str::to_owned),
            on_deprecated: if end.replaces { "replace" } else { "refuse" },
        }
    }

    /// As the config has it.
    pub(crate) fn entries(&self) -> Vec<String> {
        let replacement = self.replacement.as_ref().map(|name| format!("replacement: {}", word(name)));
        let day = Some(format!("deprecated: {}", self.deprecated));
        let on_deprecated = Some(format!("on_deprecated: {}", self.on_deprecated));
        [day, replacement, on_deprecated].into_iter().flatten().collect()
    }
}
