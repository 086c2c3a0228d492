//! What is watched for whom: rules about inputs of tools, and what is looked for in what is said.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::TeamName;
use crate::policy::input::InputRules;
use crate::scan::Kinds;

/// Everything that is watched.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// For keys without a team, and for teams that say nothing of their own.
    pub everyone: Arc<Guarding>,
    /// By team: what holds for everyone is in it.
    pub teams: HashMap<TeamName, Arc<Guarding>>,
}

impl Guards {
    /// What holds for a caller.
    pub fn of(&self, team: Option<&TeamName>) -> &Arc<Guarding> {
        team.and_then(|team| self.teams.get(team)).unwrap_or(&self.everyone)
    }
}

/// What is watched of one team.
#[derive(Clone, Debug, Default)]
pub struct Guarding {
    /// Rules about inputs of tools.
    pub inputs: InputRules,
    /// What is done with what is found in requests to models.
    pub requests: Scan,
    /// The same of arguments of MCP calls.
    pub arguments: Scan,
    /// The same of results of MCP calls.
    pub results: Scan,
}

/// What is looked for, and what is done when it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// What is done.
    pub act: Act,
    /// What is looked for.
    pub kinds: Kinds,
}

/// What is done with what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    /// Nobody looks.
    #[default]
    Off,
    /// The ledger says how often what was there.
    Count,
    /// A mask takes its place, and the ledger says so.
    Mask,
    /// It is refused.
    Refuse,
}

impl Act {
    /// Its word in the config.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Count => "count",
            Self::Mask => "mask",
            Self::Refuse => "refuse",
        }
    }
}
