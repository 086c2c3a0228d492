//! The resolved config as people may see it: every default filled in, every secret masked.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::config::cloud_file::ShownCloud;
use crate::config::credentials::ShownCredentials;
use crate::config::guard_file::ShownGuard;
use crate::config::shown_books::ShownBooks;
use crate::config::shown_identity::ShownIdentity;
use crate::config::shown_mcp::{ShownMcp, ShownPinning, ShownServer};
use crate::config::shown_places::{ShownReach, ShownStand};
use crate::config::shown_policy::{ShownGrant, ShownPolicy, grants_as_yaml};
use crate::config::shown_routes::{ShownModel, ShownRouting};
use crate::upstream::site::{Origin, Proxy};

/// A resolved config without its secrets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shown {
    /// `snapshot.version`.
    pub version: String,
    /// Addresses.
    pub listen: Vec<String>,
    /// Folder.
    pub data_dir: String,
    /// Workers.
    pub threads: usize,
    /// `auto`, `io_uring` or `epoll`.
    pub engine: &'static str,
    /// Seconds.
    pub drain_s: u64,
    /// Paths of certificate and key.
    pub tls: Option<ShownTls>,
    /// Path of the extra roots.
    pub ca_file: Option<String>,
    /// `auto`, `human` or `json`.
    pub log_format: &'static str,
    /// Name and milliseconds of each deadline.
    pub timeouts: Vec<(&'static str, u64)>,
    /// In written order.
    pub providers: Vec<ShownProvider>,
    /// In written order.
    pub models: Vec<ShownModel>,
    /// Where calls go, and how often another target is asked.
    #[serde(flatten)]
    pub routing: ShownRouting,
    /// In written order.
    pub mcp_servers: Vec<ShownServer>,
    /// `mcp:`.
    pub mcp: ShownMcp,
    /// `policy:`.
    pub policy: ShownPolicy,
    /// `pinning:`.
    pub pinning: ShownPinning,
    /// By name.
    pub teams: Vec<ShownTeam>,
    /// The valid ones.
    pub keys: Vec<ShownKey>,
    /// Who may call without one.
    #[serde(skip_serializing_if = "ShownIdentity::is_empty")]
    pub identity: ShownIdentity,
    /// Rules about inputs, and what is looked for, of everyone.
    #[serde(flatten)]
    pub guard: ShownGuard,
    /// What may be reached beside the Internet.
    pub allow_private: Vec<String>,
    /// Money and records.
    #[serde(flatten)]
    pub books: ShownBooks,
}

/// `tls:`.
#[derive(Clone, Debug, Serialize)]
pub struct ShownTls {
    /// Path.
    pub cert: String,
    /// Path.
    pub key: String,
}

/// One provider.
#[derive(Clone, Debug, Serialize)]
pub struct ShownProvider {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub dialect: &'static str,
    /// In what it differs from what its address lets expect, as it was written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<(String, String)>,
    /// The cloud that it is in, where its dialect is a cloud's.
    #[serde(flatten)]
    pub cloud: Option<ShownCloud>,
    /// Where it is; absent for the demo.
    pub base_url: Option<String>,
    /// Where what it is shown is fetched from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<ShownCredentials>,
    /// The mask, if it has a key.
    pub key: Option<&'static str>,
    /// How many it has.
    #[serde(skip_serializing_if = "is_one")]
    pub keys: usize,
    /// The header of the key.
    pub auth: Option<&'static str>,
    /// The proxy, its password masked.
    pub proxy: Option<String>,
    /// Where it runs.
    #[serde(flatten)]
    pub stand: ShownStand,
}

/// One team.
#[derive(Clone, Debug, Serialize)]
pub struct ShownTeam {
    /// Its name.
    pub name: String,
    /// Its patterns; absent for no limit.
    pub models: Option<Vec<String>>,
    /// The models that are denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny_models: Vec<String>,
    /// Its servers and their tools; absent for no limit.
    pub servers: Option<Vec<ShownGrant>>,
    /// What is kept of what is said; absent for what `ledger:` says.
    pub content: Option<&'static str>,
    /// How definitions of tools are written for it; absent for what `mcp:` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<&'static str>,
    /// The tools that stand in each of its lists, by server, as written.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub core: BTreeMap<String, Vec<String>>,
    /// Where its calls may run, and its names for models.
    #[serde(flatten)]
    pub reach: ShownReach,
    /// Its own rules about inputs, and what is looked for; those of everyone hold beside them.
    #[serde(flatten)]
    pub guard: ShownGuard,
}

/// One valid key.
#[derive(Clone, Debug, Serialize)]
pub struct ShownKey {
    /// Its name.
    pub name: String,
    /// The first 12 digits of its hash.
    pub id: String,
    /// Its team.
    pub team: Option<String>,
    /// The person behind it.
    pub user: Option<String>,
    /// What it may do at `/admin`, and nowhere else.
    pub role: Option<&'static str>,
    /// Whether it belongs to a program.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub service: bool,
    /// When it ends; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its patterns; absent for no limit of its own.
    pub models: Option<Vec<String>>,
    /// The models that are denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny_models: Vec<String>,
    /// Its servers and their tools; absent for no limit of its own.
    pub servers: Option<Vec<ShownGrant>>,
    /// Patterns of regions; absent for no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// `config` or `key file`.
    pub origin: &'static str,
}

/// What stands where a secret would.
pub const MASK: &str = "***";

/// In the shape of a config file, so that it reads like what was written.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# version {}", self.version)?;
        writeln!(f, "listen: {}", list(&self.listen))?;
        writeln!(f, "data_dir: {}", word(&self.data_dir))?;
        writeln!(f, "threads: {}\nengine: {}\ndrain_s: {}", self.threads, self.engine, self.drain_s)?;
        if let Some(tls) = &self.tls {
            writeln!(f, "tls: {{ cert: {}, key: {} }}", word(&tls.cert), word(&tls.key))?;
        }
        if let Some(path) = &self.ca_file {
            writeln!(f, "ca_file: {}", word(path))?;
        }
        writeln!(f, "log: {{ format: {} }}", self.log_format)?;
        writeln!(f, "timeouts:")?;
        for (name, ms) in &self.timeouts {
            writeln!(f, "  {name}: {ms}")?;
        }
        writeln!(f, "providers:")?;
        for provider in &self.providers {
            write_provider(provider, f)?;
        }
        writeln!(f, "models:")?;
        self.models.iter().try_for_each(|model| writeln!(f, "{model}"))?;
        writeln!(f, "{}", self.routing)?;
        if !self.mcp_servers.is_empty() {
            writeln!(f, "mcp_servers:")?;
        }
        for server in &self.mcp_servers {
            writeln!(f, "{server}")?;
        }
        writeln!(f, "{}", self.mcp)?;
        let ShownPolicy { files, unwritten, version } = &self.policy;
        let files = list(files);
        writeln!(f, "policy: {{ files: {files}, unwritten: {unwritten} }} # version {version}")?;
        writeln!(f, "{}", self.pinning)?;
        if !self.teams.is_empty() {
            writeln!(f, "teams:")?;
        }
        self.teams.iter().try_for_each(|team| write_team(team, f))?;
        for part in self.guard.parts() {
            writeln!(f, "{part}")?;
        }
        writeln!(f, "keys:{}", if self.keys.is_empty() { " []" } else { "" })?;
        self.keys.iter().try_for_each(|key| write_key(key, f))?;
        if !self.identity.is_empty() {
            write!(f, "{}", self.identity)?;
        }
        if !self.allow_private.is_empty() {
            writeln!(f, "network: {{ allow_private: {} }}", list(&self.allow_private))?;
        }
        writeln!(f, "{}", self.books)
    }
}

fn write_team(team: &ShownTeam, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let models = team.models.as_ref().map(|models| format!("models: {}", list(models)));
    let servers = team.servers.as_ref().map(|grants| format!("servers: {}", grants_as_yaml(grants)));
    let content = team.content.map(|content| format!("content: {content}"));
    let denied = (!team.deny_models.is_empty()).then(|| format!("deny_models: {}", list(&team.deny_models)));
    let tools = team.tools.map(|tools| format!("tools: {tools}"));
    let core = team.core.iter().map(|(server, tools)| format!("{}: {}", word(server), list(tools)));
    let core =
        (!team.core.is_empty()).then(|| format!("core: {{ {} }}", core.collect::<Vec<_>>().join(", ")));
    let all = [models, denied, servers, content, tools, core];
    let mut both: Vec<String> = all.into_iter().flatten().collect();
    both.extend(team.reach.entries());
    both.extend(team.guard.parts());
    let space = if both.is_empty() { "" } else { " " };
    writeln!(f, "  {}: {{{space}{}{space}}}", word(&team.name), both.join(", "))
}

fn write_key(key: &ShownKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "  - {{ name: {}, secret: \"{MASK}\"", word(&key.name))?;
    if let Some(team) = &key.team {
        write!(f, ", team: {}", word(team))?;
    }
    if let Some(user) = &key.user {
        write!(f, ", user: {}", word(user))?;
    }
    if let Some(role) = key.role {
        write!(f, ", role: {role}")?;
    }
    if let Some(expires) = &key.expires {
        write!(f, ", expires: {}", word(expires))?;
    }
    if let Some(models) = &key.models {
        write!(f, ", models: {}", list(models))?;
    }
    if !key.deny_models.is_empty() {
        write!(f, ", deny_models: {}", list(&key.deny_models))?;
    }
    if let Some(grants) = &key.servers {
        write!(f, ", servers: {}", grants_as_yaml(grants))?;
    }
    if let Some(regions) = &key.regions {
        write!(f, ", regions: {}", list(regions))?;
    }
    writeln!(f, " }} # {}, from the {}", key.id, key.origin)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_one(keys: &usize) -> bool {
    *keys <= 1
}

fn write_provider(provider: &ShownProvider, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "  {}: {{ dialect: {}", word(&provider.name), provider.dialect)?;
    if !provider.takes.is_empty() {
        let takes: Vec<String> =
            provider.takes.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        write!(f, ", takes: {{ {} }}", takes.join(", "))?;
    }
    if let Some(cloud) = &provider.cloud {
        write!(f, ", {cloud}")?;
    }
    if let Some(credentials) = &provider.credentials {
        write!(f, ", {}", credentials.from)?;
    }
    if let Some(url) = &provider.base_url {
        write!(f, ", base_url: {}", word(url))?;
    }
    match provider.key {
        Some(key) if provider.keys > 1 => {
            let masks = vec![format!("\"{key}\""); provider.keys];
            write!(f, ", keys: [{}]", masks.join(", "))?;
        }
        Some(key) => write!(f, ", key: \"{key}\"")?,
        None => {}
    }
    if let Some(auth) = provider.auth {
        write!(f, ", auth: {auth}")?;
    }
    if let Some(proxy) = &provider.proxy {
        write!(f, ", proxy: {}", word(proxy))?;
    }
    for entry in provider.stand.entries() {
        write!(f, ", {entry}")?;
    }
    match &provider.credentials {
        Some(credentials) => writeln!(f, " }} # credentials: {}", credentials.asked.join(", then ")),
        None => writeln!(f, " }}"),
    }
}

pub(crate) fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| word(item)).collect();
    format!("[{}]", items.join(", "))
}

/// Bare where YAML reads it back as the same text, else in the quotes that JSON and YAML share.
pub(crate) fn word(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    if first && text.bytes().all(bare) && !text.ends_with(':') && text != "null" {
        return text.to_owned();
    }
    serde_json::to_string(text).unwrap_or_default()
}

/// Scheme, host and port, as a URL begins.
pub(crate) fn shown_origin(origin: &Origin) -> String {
    format!("{}://{}", if origin.https { "https" } else { "http" }, origin.host_header())
}

/// A proxy's URL without its password.
pub(crate) fn shown_proxy(proxy: &Proxy) -> String {
    let user = if proxy.authorization.is_some() { "***@" } else { "" };
    let host = if proxy.host.contains(':') { format!("[{}]", proxy.host) } else { proxy.host.clone() };
    format!("http://{user}{host}:{}", proxy.port)
}
