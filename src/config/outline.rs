//! What the command line needs of a config without its secrets, so that keys can be made and revoked from a
//! shell that does not have the secrets of the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::defaults;
use crate::config::environment::Environment;
use crate::config::faults::Faults;
use crate::config::homes::Homes;
use crate::config::load::{Opened, open};
use crate::config::reader::Reader;
use crate::config::resolve;
use crate::config::secrets::Finder;
use crate::identity::role::Role;
use crate::identity::token::KeyHash;

/// A config in outline.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The folder of the key file.
    pub data_dir: PathBuf,
    /// The addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Whether callers come in over TLS.
    pub tls: bool,
    /// The name under which developers mount our MCP endpoint.
    pub endpoint_key: String,
    /// The lock file of tools, where there is one.
    pub pinning_lock: Option<String>,
    /// The teams that keys may name.
    pub teams: Vec<String>,
    /// Where what is known of teams may be kept.
    pub homes: Homes,
    /// The keys that stand in the config itself.
    pub keys: Vec<ConfigKey>,
}

/// A key that stands in the config.
#[derive(Clone, Debug)]
pub struct ConfigKey {
    /// Its name.
    pub name: String,
    /// The id of its secret, where that can be found from here.
    pub id: Option<String>,
    /// Its team.
    pub team: Option<String>,
    /// The person behind it.
    pub user: Option<String>,
    /// What it may do at `/admin`, and nowhere else.
    pub role: Option<Role>,
    /// When it ends, milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Its patterns.
    pub models: Option<Vec<String>>,
    /// Patterns of its regions.
    pub regions: Option<Vec<String>>,
}

/// Reads the outline of the config at `path`, as `load` would choose it.
///
/// # Errors
/// Faults of what is written; secrets that are missing are none.
pub fn outline(path: Option<&Path>) -> Result<Outline, Faults> {
    outline_in(path, &Environment::of_process())
}

/// The value of an environment variable that the command line names; `None` when unset or empty.
pub fn variable(name: &str) -> Option<String> {
    Environment::of_process().read_set(name)
}

/// `outline` in a given environment.
pub(crate) fn outline_in(path: Option<&Path>, environment: &Environment) -> Result<Outline, Faults> {
    let Opened { folder, file, mut reader, .. } = open(path, environment)?;
    let fixed = resolve::fixed(&file, &folder, &mut reader);
    reader.into_faults().or(())?;
    let mut finder = Finder { environment, folder: &folder, files: Vec::new(), only: None };
    let keys = file.keys.iter().map(|key| {
        // A secret that cannot be found leaves the id unknown, which the list shows.
        let secret = finder.find(&key.secret, "keys.secret", &mut Reader::new(""));
        ConfigKey {
            name: key.name.value.clone(),
            id: secret.map(|secret| KeyHash::of(secret.expose().as_bytes()).id()),
            team: key.team.as_ref().map(|team| team.value.clone()),
            user: key.user.as_ref().map(|user| user.value.clone()),
            role: key.role,
            until_ms: key.expires,
            regions: key.regions.clone(),
            models: key.models.as_ref().map(|list| list.iter().map(|text| text.value.clone()).collect()),
        }
    });
    let homes = Homes::of(&file);
    Ok(Outline {
        data_dir: fixed.data_dir,
        listen: fixed.listen,
        tls: file.tls.is_some(),
        endpoint_key: file.mcp.endpoint_key.unwrap_or_else(|| defaults::ENDPOINT_KEY.to_owned()),
        pinning_lock: file.pinning.lock.as_ref().map(|lock| lock.value.clone()),
        teams: file.teams.iter().map(|team| team.name.value.clone()).collect(),
        homes,
        keys: keys.collect(),
    })
}
