//! The one behind a key, as every later stage knows it.

use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::role::Role;
use crate::identity::servers::ServerRules;
use crate::ids::{KeyName, TeamName};

/// Who makes a call: a key, or a person who has signed in at an issuer, perhaps of a team. Holds nothing
/// that could be presented as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of the key; of who has signed in, `oidc:` and the user, which no key can be called. Where there
    /// are several issuers, `oidc:`, the issuer, `#` and the user: one name, one person.
    pub key: KeyName,
    /// First 12 hexadecimal digits of the key's SHA-256: tells keys apart that had the same name over time.
    /// Of who has signed in, of a hash over issuer, subject, user, team and groups: whoever has other rights
    /// is another one to all who remember by it.
    pub key_id: Arc<str>,
    /// The team that the key belongs to.
    pub team: Option<TeamName>,
    /// The person behind the key, where the config or the issuer names one.
    pub user: Option<Arc<str>>,
    /// The groups that the issuer has put the person into; none of a key.
    pub groups: Arc<[Arc<str>]>,
    /// What the key may do at `/admin`, and nowhere else; `None` for those who call models and tools.
    pub role: Option<Role>,
    /// Whether the key belongs to a program, such as a job of CI, and to no person.
    pub service: bool,
    /// Until when it is good, milliseconds since 1970; `None` without an end.
    pub until_ms: Option<u64>,
    /// The issuer at which the person has signed in; `None` of a key.
    pub issuer: Option<Arc<str>>,
    /// What the issuer calls the person and the session, for revoking them; none of a key.
    pub handles: Arc<[Arc<str>]>,
    /// The models that the key itself may name; `None` sets no limit beyond the team's.
    pub models: Option<Arc<[Glob]>>,
    /// The models that the key itself may not name, whatever else allows them.
    pub deny_models: Arc<[Glob]>,
    /// The MCP servers and tools that the key itself is given; `None` sets no limit beyond the team's.
    pub servers: Option<ServerRules>,
    /// The regions that calls of the key may run in; `None` sets no limit beyond the team's.
    pub regions: Option<Arc<[Glob]>>,
}

impl Principal {
    /// A key with nothing but its name and id: no team, no role, no limits of its own, no end.
    pub fn of_key(key: KeyName, key_id: impl Into<Arc<str>>) -> Self {
        Self {
            key,
            key_id: key_id.into(),
            team: None,
            user: None,
            groups: Arc::default(),
            role: None,
            service: false,
            until_ms: None,
            issuer: None,
            handles: Arc::default(),
            models: None,
            deny_models: Arc::default(),
            servers: None,
            regions: None,
        }
    }

    /// Whether its time is over at `now_ms`.
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms)
    }
}
