//! The one behind a key, as every later stage knows it.

use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::servers::ServerRules;
use crate::ids::{KeyName, TeamName};

/// Who makes a call: a key, perhaps of a team. Holds nothing that could be presented as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of the key.
    pub key: KeyName,
    /// First 12 hexadecimal digits of the key's SHA-256: tells keys apart that had the same name over time.
    pub key_id: Arc<str>,
    /// The team that the key belongs to.
    pub team: Option<TeamName>,
    /// The person behind the key, where the config names one.
    pub user: Option<Arc<str>>,
    /// Whether the key opens `/admin`, and nothing else.
    pub admin: bool,
    /// The models that the key itself may name; `None` sets no limit beyond the team's.
    pub models: Option<Arc<[Glob]>>,
    /// The MCP servers and tools that the key itself is given; `None` sets no limit beyond the team's.
    pub servers: Option<ServerRules>,
    /// The regions that calls of the key may run in; `None` sets no limit beyond the team's.
    pub regions: Option<Arc<[Glob]>>,
}
