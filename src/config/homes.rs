//! Where what is known of teams may be kept: the rules about places, asked about exports and signed heads.

use crate::config::file::File;
use crate::ids::{KeyName, TeamName};
use crate::policy::residency::{Residency, Territory};

/// The teams whose `regions` say where what is theirs may be.
#[derive(Clone, Debug, Default)]
pub struct Homes(Vec<(TeamName, Territory)>);

impl Homes {
    pub(crate) fn of(file: &File) -> Self {
        let homes = file.teams.iter().map(|team| {
            // Whose machines an export is put on nobody says here: regions alone are asked about.
            let territory = Territory { tenancies: None, ..team.reach.territory() };
            (TeamName::new(&team.name.value), territory)
        });
        Self(homes.filter(|(_, territory)| territory.regions.is_some()).collect())
    }

    /// Whether no team has any such rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules that do not allow `region`, `team payments: regions eu`, each with its team; those of all
    /// teams for a place of which nobody knows where it is.
    pub fn against(&self, region: Option<&str>) -> Vec<(&str, String)> {
        let key = KeyName::new("(any)");
        let found = self.0.iter().filter_map(|(team, territory)| {
            let rule = Residency::of_team(&key, team, territory);
            let allows = region.is_some_and(|region| rule.allows_region(region));
            (!allows).then(|| (team.as_str(), rule.to_string()))
        });
        found.collect()
    }
}
