//! Exactly what a person writes: every key of the config file, each of them optional unless it says
//! otherwise.

use crate::call::ToolChoice;
use crate::clock;
use crate::config::books_file::{self, Budget, RateLimit};
use crate::config::cloud_file::{self, CLOUD_KEYS, Cloud};
use crate::config::core_tools;
use crate::config::credentials_file;
use crate::config::dialect_file::{self, Takes};
use crate::config::guard_file::{self, Guard};
use crate::config::identity_file::{self, Identity, ROLES};
use crate::config::key_terms;
use crate::config::mcp_file::{self, Endpoint, McpServer};
use crate::config::models_file::{self, Alias, Model};
use crate::config::network_file;
use crate::config::pinning;
use crate::config::places_file::{self, Reach, STAND_KEYS, Stand};
use crate::config::policy_file::{self, ServerGrant};
use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::routes_file::{self, Routing};
use crate::config::secrets::{self, Source};
use crate::config::snapshot::LogFormat;
use crate::config::tool_modes;
use crate::config::yaml::{Node, Value};
use crate::identity::role::Role;
use crate::ledger::content::Policy;
use crate::limits;
use crate::net::engine::EngineChoice;
use crate::net::reach::Allow;
use crate::policy::core_tools::CoreTools;
use crate::upstream::provider::Dialect;

/// The file. `None` and empty lists mean "not written".
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Whether there is no file at all.
    pub(crate) absent: bool,
    pub(crate) listen: Vec<At<String>>,
    pub(crate) data_dir: Option<At<String>>,
    pub(crate) threads: Option<u64>,
    pub(crate) engine: Option<EngineChoice>,
    pub(crate) drain_s: Option<u64>,
    pub(crate) tls: Option<Tls>,
    pub(crate) ca_file: Option<At<String>>,
    pub(crate) providers: Vec<Provider>,
    /// Also of the providers that have faults, so that a model which names one is no second fault.
    pub(crate) provider_names: Vec<String>,
    pub(crate) models: Option<Vec<Model>>,
    pub(crate) routing: Routing,
    pub(crate) mcp_servers: Vec<McpServer>,
    pub(crate) mcp: Endpoint,
    pub(crate) pinning: pinning::Written,
    pub(crate) keys: Vec<Key>,
    pub(crate) identity: Identity,
    pub(crate) teams: Vec<Team>,
    pub(crate) policy: policy_file::Policy,
    pub(crate) ledger: books_file::Ledger,
    /// Those of teams first.
    pub(crate) budgets: Vec<Budget>,
    pub(crate) rate_limits: Vec<RateLimit>,
    pub(crate) prices: books_file::Prices,
    pub(crate) guard: Guard,
    pub(crate) timeouts: Timeouts,
    pub(crate) log: Option<LogFormat>,
    pub(crate) network: Allow,
}

/// `tls:`, both paths of PEM files.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) cert: At<String>,
    pub(crate) key: At<String>,
}

/// One entry of `providers:`.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: At<String>,
    pub(crate) dialect: Dialect,
    pub(crate) takes: Option<Takes>,
    /// Where its dialect is a cloud's.
    pub(crate) cloud: Option<Cloud>,
    pub(crate) base_url: Option<At<String>>,
    pub(crate) key: Option<At<Source>>,
    /// Several in the place of `key`.
    pub(crate) keys: Vec<At<Source>>,
    /// Where they are fetched from in the place of both.
    pub(crate) source: Option<At<credentials_file::Written>>,
    pub(crate) auth: Option<Auth>,
    pub(crate) proxy: Option<At<Source>>,
    pub(crate) stand: Stand,
}

/// The header that carries a provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `x-api-key: KEY`.
    ApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-goog-api-key: KEY`, of Google.
    GoogApiKey,
    /// `api-key: KEY`, of Azure.
    AzureKey,
}

/// One entry of `keys:`.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: At<String>,
    pub(crate) secret: At<Source>,
    pub(crate) team: Option<At<String>>,
    pub(crate) user: Option<At<String>>,
    pub(crate) role: Option<Role>,
    /// Milliseconds since 1970.
    pub(crate) expires: Option<u64>,
    pub(crate) models: Option<Vec<At<String>>>,
    pub(crate) deny_models: Vec<At<String>>,
    pub(crate) servers: Option<Vec<ServerGrant>>,
    pub(crate) regions: Option<Vec<String>>,
}

/// One entry of `teams:`.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) name: At<String>,
    pub(crate) models: Option<Vec<At<String>>>,
    pub(crate) deny_models: Vec<At<String>>,
    pub(crate) servers: Option<Vec<ServerGrant>>,
    pub(crate) budget: Option<Budget>,
    pub(crate) content: Option<Policy>,
    pub(crate) reach: Reach,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) guard: Guard,
    pub(crate) tools: Option<ToolChoice>,
    pub(crate) core: CoreTools,
}

/// `timeouts:`, milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeouts {
    pub(crate) head: Option<u64>,
    pub(crate) idle: Option<u64>,
    pub(crate) body_stall: Option<u64>,
    pub(crate) write_stall: Option<u64>,
    pub(crate) connect: Option<u64>,
    pub(crate) first_byte: Option<u64>,
    pub(crate) stream_stall: Option<u64>,
    pub(crate) ping: Option<u64>,
}

const KEYS: &[&str] = &[
    "listen",
    "data_dir",
    "threads",
    "engine",
    "drain_s",
    "tls",
    "ca_file",
    "providers",
    "models",
    "routes",
    "tiers",
    "failover",
    "mcp_servers",
    "mcp",
    "pinning",
    "keys",
    "identity",
    "teams",
    "policy",
    "ledger",
    "budgets",
    "rate_limits",
    "prices",
    "tool_inputs",
    "scan",
    "timeouts",
    "log",
    "network",
];

/// Reads the tree of a whole file; an empty file is a file in which nothing is written.
pub(crate) fn read(root: Option<&Node>, reader: &mut Reader) -> File {
    let mut file = File::default();
    let Some(root) = root.filter(|root| !root.is_nothing()) else { return file };
    let Some(fields) = reader.fields(root, "", KEYS) else { return file };
    read_process(&fields, &mut file, reader);
    if let Some(node) = fields.get("providers") {
        for entry in reader.entries(node, "providers").unwrap_or_default() {
            file.provider_names.push(entry.key.clone());
            let name = reader.name(&entry.key, entry.mark, "providers");
            if let Some(provider) = name.and_then(|name| read_provider(name, &entry.value, reader)) {
                file.providers.push(provider);
            }
        }
    }
    file.models = fields.get("models").and_then(|node| models_file::read_models(node, reader));
    file.routing = routes_file::read(&fields, reader);
    if let Some(node) = fields.get("mcp_servers") {
        file.mcp_servers = mcp_file::read_servers(node, reader);
    }
    if let Some(node) = fields.get("mcp") {
        file.mcp = mcp_file::read_endpoint(node, reader).unwrap_or_default();
    }
    if let Some(node) = fields.get("pinning") {
        file.pinning = pinning::read(node, reader).unwrap_or_default();
    }
    file.keys = fields.get("keys").map(|node| read_keys(node, reader)).unwrap_or_default();
    if let Some(node) = fields.get("identity") {
        file.identity = identity_file::read(node, reader).unwrap_or_default();
    }
    if let Some(entries) = fields.get("teams").and_then(|node| reader.entries(node, "teams")) {
        for entry in entries {
            let name = reader.name(&entry.key, entry.mark, "teams");
            if let Some(team) = name.and_then(|name| read_team(name, &entry.value, reader)) {
                file.teams.push(team);
            }
        }
    }
    if let Some(node) = fields.get("policy") {
        file.policy = policy_file::read(node, reader).unwrap_or_default();
    }
    read_books(&fields, &mut file, reader);
    file.guard = guard_file::read(&fields, "", reader);
    file
}

/// The keys of money and records.
fn read_books(fields: &Fields<'_>, file: &mut File, reader: &mut Reader) {
    if let Some(node) = fields.get("ledger") {
        file.ledger = books_file::read_ledger(node, reader).unwrap_or_default();
    }
    file.budgets = file.teams.iter().filter_map(|team| team.budget.clone()).collect();
    if let Some(node) = fields.get("budgets") {
        file.budgets.extend(books_file::read_budgets(node, reader));
    }
    if let Some(node) = fields.get("rate_limits") {
        file.rate_limits = books_file::read_rate_limits(node, reader);
    }
    if let Some(node) = fields.get("prices") {
        file.prices = books_file::read_prices(node, reader).unwrap_or_default();
    }
}

/// The keys that say how the process runs.
fn read_process(fields: &Fields<'_>, file: &mut File, reader: &mut Reader) {
    let text = |name: &str, reader: &mut Reader| fields.get(name).and_then(|node| reader.text(node, name));
    if let Some(node) = fields.get("listen") {
        file.listen = read_listen(node, reader);
    }
    file.data_dir = text("data_dir", reader);
    file.ca_file = text("ca_file", reader);
    let threads_max = u64::try_from(limits::THREADS_MAX).unwrap_or(u64::MAX);
    file.threads = fields.get("threads").and_then(|node| reader.number(node, "threads", 1..=threads_max));
    file.drain_s =
        fields.get("drain_s").and_then(|node| reader.number(node, "drain_s", 0..=limits::DRAIN_S_MAX));
    file.engine = fields.get("engine").and_then(|node| {
        let words = [
            ("auto", EngineChoice::Auto),
            ("io_uring", EngineChoice::IoUring),
            ("epoll", EngineChoice::Epoll),
        ];
        reader.choice(node, "engine", &words)
    });
    file.tls = fields.get("tls").and_then(|node| {
        let fields = reader.fields(node, "tls", &["cert", "key"])?;
        let cert = reader.required(&fields, "tls", "cert").and_then(|node| reader.text(node, "tls.cert"));
        let key = reader.required(&fields, "tls", "key").and_then(|node| reader.text(node, "tls.key"));
        Some(Tls { cert: cert?, key: key? })
    });
    file.log = fields.get("log").and_then(|node| {
        let fields = reader.fields(node, "log", &["format"])?;
        let words = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
        reader.choice(fields.get("format")?, "log.format", &words)
    });
    if let Some(node) = fields.get("network") {
        file.network = network_file::read(node, reader).unwrap_or_default();
    }
    if let Some(node) = fields.get("timeouts") {
        file.timeouts = read_timeouts(node, reader).unwrap_or_default();
    }
}

/// One address or a list of them.
fn read_listen(node: &Node, reader: &mut Reader) -> Vec<At<String>> {
    match &node.value {
        Value::List(nodes) => {
            if nodes.is_empty() || nodes.len() > limits::LISTEN_MAX {
                reader.fault(node.mark, format!("listen: expected 1 to {} addresses", limits::LISTEN_MAX));
            }
            nodes.iter().take(limits::LISTEN_MAX).filter_map(|node| reader.text(node, "listen")).collect()
        }
        _ => reader.text(node, "listen").into_iter().collect(),
    }
}

fn read_timeouts(node: &Node, reader: &mut Reader) -> Option<Timeouts> {
    let names = [
        "head_ms",
        "idle_ms",
        "body_stall_ms",
        "write_stall_ms",
        "connect_ms",
        "first_byte_ms",
        "stream_stall_ms",
        "ping_ms",
    ];
    let fields = reader.fields(node, "timeouts", &names)?;
    let mut read = |name: &str| {
        let what = format!("timeouts.{name}");
        fields.get(name).and_then(|node| reader.number(node, &what, 1..=limits::TIMEOUT_MS_MAX))
    };
    Some(Timeouts {
        head: read("head_ms"),
        idle: read("idle_ms"),
        body_stall: read("body_stall_ms"),
        write_stall: read("write_stall_ms"),
        connect: read("connect_ms"),
        first_byte: read("first_byte_ms"),
        stream_stall: read("stream_stall_ms"),
        ping: read("ping_ms"),
    })
}

fn read_provider(name: At<String>, node: &Node, reader: &mut Reader) -> Option<Provider> {
    let what = format!("providers.{}", name.value);
    let known = ["dialect", "takes", "base_url", "key", "keys", "auth", "proxy"];
    let fields = reader.fields(node, &what, &[&known[..], CLOUD_KEYS, &STAND_KEYS].concat())?;
    let stand = places_file::read_stand(&fields, &what, reader);
    let dialect = dialect_file::read_dialect(&fields, &what, reader);
    let base_url = fields.get("base_url").and_then(|node| reader.text(node, &format!("{what}.base_url")));
    let cloud = cloud_file::read(&fields, &what, dialect, reader)?;
    let base_url = base_url.or_else(|| cloud.as_ref().map(Cloud::base_url));
    let key = fields.get("key").and_then(|node| secrets::read(node, &format!("{what}.key"), reader));
    let keys = routes_file::read_keys(&fields, &what, reader);
    let source = credentials_file::read(&fields, &what, reader);
    let proxy = fields.get("proxy").and_then(|node| secrets::read(node, &format!("{what}.proxy"), reader));
    let auth = fields.get("auth").and_then(|node| {
        let words = [
            ("x-api-key", Auth::ApiKey),
            ("bearer", Auth::Bearer),
            ("x-goog-api-key", Auth::GoogApiKey),
            ("api-key", Auth::AzureKey),
        ];
        reader.choice(node, &format!("{what}.auth"), &words)
    });
    match dialect? {
        Dialect::Demo => {
            for name in ["base_url", "key", "keys", "auth", "proxy"] {
                if let Some(node) = fields.get(name) {
                    reader.fault(node.mark, format!("{what}: the demo calls nobody, remove `{name}`"));
                }
            }
        }
        _ if base_url.is_none() => {
            reader.fault(fields.mark, format!("{what}: `base_url` is missing"));
            return None;
        }
        _ => {}
    }
    let takes = dialect_file::read_takes(&fields, &what, dialect?, reader);
    Some(Provider { name, dialect: dialect?, takes, cloud, base_url, key, keys, source, auth, proxy, stand })
}

fn read_keys(node: &Node, reader: &mut Reader) -> Vec<Key> {
    let nodes = reader.list(node, "keys").unwrap_or_default();
    let most = limits::CONFIG_KEYS_MAX;
    if nodes.len() > most {
        let text = format!("keys: at most {most} of them; make more with `tollgate key create`");
        reader.fault(node.mark, text);
    }
    nodes.iter().take(most).filter_map(|node| read_key(node, reader)).collect()
}

fn read_key(node: &Node, reader: &mut Reader) -> Option<Key> {
    let known = [
        "name",
        "secret",
        "team",
        "user",
        "admin",
        "role",
        "expires",
        "models",
        "deny_models",
        "servers",
        "regions",
    ];
    let fields = reader.fields(node, "keys", &known)?;
    let name = reader.required(&fields, "keys", "name").and_then(|node| {
        let text = reader.text(node, "keys.name")?;
        reader.name(&text.value, text.mark, "keys.name")
    });
    let secret = reader.required(&fields, "keys", "secret");
    let secret = secret.and_then(|node| secrets::read(node, "keys.secret", reader));
    let team = fields.get("team").and_then(|node| reader.text(node, "keys.team"));
    let user = fields.get("user").and_then(|node| {
        let text = reader.text(node, "keys.user")?;
        reader.fits(&text.value, text.mark, "keys.user", "user").then_some(text)
    });
    let admin = fields.get("admin").and_then(|node| reader.yes_or_no(node, "keys.admin"));
    let role = fields.get("role").map(|node| (node.mark, reader.choice(node, "keys.role", ROLES)));
    if let (Some(_), Some((mark, _))) = (admin, role) {
        reader.fault(mark, "keys: `admin: true` is `role: owner`; write one of them");
    }
    let role = role.map_or_else(|| (admin == Some(true)).then_some(Role::Owner), |(_, role)| role);
    let expires = fields.get("expires").and_then(|node| read_expires(node, reader));
    let models = fields.get("models").and_then(|node| reader.patterns(node, "keys.models"));
    let denied = fields.get("deny_models").and_then(|node| reader.patterns(node, "keys.deny_models"));
    let servers =
        fields.get("servers").and_then(|node| policy_file::read_grants(node, "keys.servers", reader));
    let deny_models = denied.unwrap_or_default();
    let regions = fields.get("regions");
    let regions = regions.and_then(|node| places_file::read_regions(node, "keys.regions", reader));
    Some(Key {
        name: name?,
        secret: secret?,
        team,
        user,
        role,
        expires,
        models,
        deny_models,
        servers,
        regions,
    })
}

/// A time; a while from now on would never end in a file that is read again and again.
fn read_expires(node: &Node, reader: &mut Reader) -> Option<u64> {
    let text = reader.text(node, "keys.expires")?;
    let found = key_terms::moment(&text.value).map(clock::unix_ms);
    let wanted = "keys.expires: expected a time such as 2027-01-31T00:00:00Z";
    found
        .inspect_err(|_why| reader.fault(node.mark, format!("{wanted}, found {}", quoted(&text.value))))
        // A key whose end cannot be read must not be one without an end.
        .map_or(Some(0), Some)
}

fn read_team(name: At<String>, node: &Node, reader: &mut Reader) -> Option<Team> {
    let what = format!("teams.{}", name.value);
    let known = [
        "models",
        "deny_models",
        "servers",
        "budget",
        "content",
        "regions",
        "tenancies",
        "aliases",
        "tool_inputs",
        "scan",
        "tools",
        "core",
    ];
    let fields = reader.fields(node, &what, &known)?;
    let models = fields.get("models").and_then(|node| reader.patterns(node, &format!("{what}.models")));
    let denied =
        fields.get("deny_models").and_then(|node| reader.patterns(node, &format!("{what}.deny_models")));
    let servers = fields
        .get("servers")
        .and_then(|node| policy_file::read_grants(node, &format!("{what}.servers"), reader));
    let budget = fields.get("budget").and_then(|node| books_file::read_team_budget(node, &name, reader));
    let content = fields
        .get("content")
        .and_then(|node| books_file::read_policy(node, &format!("{what}.content"), reader));
    let reach = places_file::read_reach(&fields, &what, reader);
    let aliases = fields
        .get("aliases")
        .map(|node| models_file::read_aliases(node, &format!("{what}.aliases"), reader))
        .unwrap_or_default();
    let deny_models = denied.unwrap_or_default();
    let guard = guard_file::read(&fields, &format!("{what}."), reader);
    let tools =
        fields.get("tools").and_then(|node| tool_modes::read_choice(node, &format!("{what}.tools"), reader));
    let core = fields.get("core").map(|node| core_tools::of_team(node, &format!("{what}.core"), reader));
    let core = core.unwrap_or_default();
    Some(Team { name, models, deny_models, servers, budget, content, reach, aliases, guard, tools, core })
}
