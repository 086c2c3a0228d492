//! What teams may do, as the config says it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::servers::ServerRules;
use crate::ids::TeamName;
use crate::policy::alias::Aliases;
use crate::policy::residency::Territory;

/// The rules of all teams. A key's own rules travel with its `Principal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    teams: HashMap<TeamName, Team>,
}

/// The rules of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// The models that its keys may name; `None` sets no limit.
    pub models: Option<Arc<[Glob]>>,
    /// The MCP servers and tools that its keys may use; `None` sets no limit.
    pub servers: Option<ServerRules>,
    /// Where its calls may run.
    pub territory: Territory,
    /// Its own names for models.
    pub aliases: Aliases,
}

impl Rules {
    /// Takes the teams by name; a name given twice keeps its last rules.
    pub fn new(teams: impl IntoIterator<Item = (TeamName, Team)>) -> Self {
        Self { teams: teams.into_iter().collect() }
    }

    /// The rules of a team, if the config knows it.
    pub fn team(&self, name: &TeamName) -> Option<&Team> {
        self.teams.get(name)
    }
}
