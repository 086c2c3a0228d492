//! From what was written to what holds: references checked, secrets found, defaults filled in, all
//! faults together.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::config::atomic;
use crate::config::books;
use crate::config::defaults;
use crate::config::embedding_file::{self, Hashed};
use crate::config::environment::Environment;
use crate::config::file::{self, File};
use crate::config::guard_file;
use crate::config::heads;
use crate::config::identity::Identity;
use crate::config::key_file::{Stored, StoredKey};
use crate::config::mcp_json;
use crate::config::mcp_servers;
use crate::config::models_file;
use crate::config::pinning::{self, Pinning};
use crate::config::places_file;
use crate::config::policies::{self, Beside};
use crate::config::providers::{self, Surroundings};
use crate::config::proxy::ProxyVariables;
use crate::config::reader::{At, Reader, quoted};
use crate::config::routing;
use crate::config::secrets::{Finder, Source};
use crate::config::shown_mcp::ShownServer;
use crate::config::snapshot::{ContentRules, Fixed, LedgerPlan, McpServer, Snapshot, Spending};
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::token::KeyHash;
use crate::identity::virtual_keys::KeyRing;
use crate::ids::{KeyName, TeamName};
use crate::limits::{self, Timeouts};
use crate::mcp::search::meaning::Embedding;
use crate::meter::book::Book;
use crate::meter::table;
use crate::net::tls::ServerTls;
use crate::policy::raw::RawFile;
use crate::policy::rules::Rules;
use crate::route::model::Table;
use crate::upstream::provider::Provider;

/// What resolving works on and leaves behind.
pub(crate) struct Resolver<'e> {
    /// Where relative paths begin.
    folder: &'e Path,
    environment: &'e Environment,
    shared: Surroundings<'e>,
    /// The servers for people.
    shown_servers: Vec<ShownServer>,
    /// Hash over everything that no one may see but that makes a version.
    facts: Sha256,
}

/// Everything that a config says, resolved.
pub(crate) struct Resolved {
    /// Ready but for its version.
    pub(crate) snapshot: Snapshot,
    /// The keys of the config.
    pub(crate) config_keys: Vec<(KeyHash, Principal)>,
    /// For people.
    pub(crate) warnings: Vec<String>,
    /// Certificates, roots and secret files.
    pub(crate) files: Vec<PathBuf>,
    /// The servers of `snapshot`, without their secrets.
    pub(crate) shown_servers: Vec<ShownServer>,
    /// The hash so far.
    pub(crate) facts: Sha256,
}

/// The settings of the process.
pub(crate) fn fixed(file: &File, folder: &Path, reader: &mut Reader) -> Fixed {
    let data_dir = file.data_dir.as_ref().map_or(defaults::DATA_DIR, |path| &path.value);
    Fixed {
        listen: listen(&file.listen, reader),
        data_dir: folder.join(data_dir),
        threads: file.threads.and_then(|n| usize::try_from(n).ok()).unwrap_or_else(defaults::threads),
        engine: file.engine.unwrap_or_default(),
        drain: Duration::from_secs(file.drain_s.unwrap_or(limits::DRAIN_S_DEFAULT)),
        log: file.log.unwrap_or_default(),
        ledger: LedgerPlan {
            synced: file.ledger.synced,
            sync_ms: file.ledger.sync_ms.unwrap_or(limits::LEDGER_SYNC_MS_DEFAULT),
            serve_when_full: file.ledger.serve_when_full,
            keep_days: file.ledger.keep_days,
            content_days: file.ledger.content_days.unwrap_or(limits::CONTENT_DAYS_DEFAULT),
        },
    }
}

fn listen(written: &[At<String>], reader: &mut Reader) -> Vec<SocketAddr> {
    let mut out = Vec::new();
    for text in written {
        match text.value.parse::<SocketAddr>() {
            // Port 0 asks the system for a free port, so two of them are two ports.
            Ok(address) if address.port() != 0 && out.contains(&address) => {
                reader.fault(text.mark, format!("listen: {address} is given twice"));
            }
            Ok(address) => out.push(address),
            Err(_) => {
                let wanted = "an address and a port, such as 127.0.0.1:4000 or [::]:4000";
                reader.fault(text.mark, format!("listen: expected {wanted}, found {}", quoted(&text.value)));
            }
        }
    }
    if written.is_empty() { vec![defaults::LISTEN] } else { out }
}

impl<'e> Resolver<'e> {
    /// Starts from the place of the config.
    pub(crate) fn new(folder: &'e Path, environment: &'e Environment) -> Self {
        let shared = Surroundings {
            proxies: ProxyVariables::read(environment),
            ca_pem: None,
            tls: None,
            finder: Finder { environment, folder, files: Vec::new(), only: None },
            warnings: Vec::new(),
            allow: Arc::default(),
            chains: Vec::new(),
        };
        Self { folder, environment, shared, shown_servers: Vec::new(), facts: Sha256::new() }
    }

    /// The same, reading no other files than these.
    pub(crate) fn reading_only(mut self, files: &'e [PathBuf]) -> Self {
        self.shared.finder.only = Some(files);
        self
    }

    /// Resolves everything; the result is of use only when `reader` has no fault afterwards.
    pub(crate) fn resolve(mut self, file: &File, stored: &Stored, reader: &mut Reader) -> Resolved {
        self.shared.allow = Arc::new(file.network.clone());
        self.shared.ca_pem = file.ca_file.as_ref().and_then(|path| self.read_file(path, "ca_file", reader));
        let server_tls = file.tls.as_ref().and_then(|tls| self.server_tls(tls, reader));
        let suggested;
        let written = if file.provider_names.is_empty() {
            suggested = providers::suggested(self.environment, &mut self.shared.warnings);
            &suggested
        } else {
            &file.providers
        };
        let names: HashMap<&str, usize> = written
            .iter()
            .enumerate()
            .map(|(place, provider)| (provider.name.value.as_str(), place))
            .collect();
        let known = written.iter().filter_map(|one| self.shared.resolve(one, reader));
        let (providers, speeches): (Vec<_>, Vec<_>) =
            known.map(|(provider, speech)| (Arc::new(provider), speech)).unzip();
        for provider in &providers {
            self.add_provider_facts(provider);
        }
        let routes = routing::routes(file, &names, reader);
        let servers = self.mcp_servers(file, reader);
        let pinning = self.pinning(file, reader);
        let embedding = self.embedding(file, reader);
        self.check_grants(file, &servers);
        books::check(file, reader);
        let config_keys = self.config_keys(file, reader);
        self.check_stored(file, &stored.keys);
        let identity = self.shared.identity(file, &stored.users, reader);
        let keys = self.ring(&config_keys, &stored.keys, &identity);
        let stored = stored.keys.iter().filter(|key| key.is_valid()).map(StoredKey::principal);
        let principals = config_keys.iter().map(|(_, principal)| principal.clone()).chain(stored).collect();
        let rules = self.rules(file, (&servers, principals), reader);
        let served = (&routes, providers.as_slice());
        self.shared.warnings.extend(places_file::warnings(&rules, &team_list(file), served));
        self.check_aliases(file, &rules, &routes, reader);
        let spending = self.spending(file, &providers, reader);
        heads::check_places(file, reader);
        let heads = self.shared.head_targets(&file.ledger.heads, reader);
        for fact in heads::facts(&heads) {
            self.facts.update(Sha256::digest(fact));
        }
        let snapshot = Snapshot {
            credentials: Arc::new(self.shared.sources()),
            spending,
            contents: contents(file),
            guards: guard_file::guards(file),
            heads: Arc::new(heads),
            keys,
            identity: Arc::new(identity),
            rules,
            routes,
            providers,
            speeches,
            mcp: mcp_servers::mcp(&file.mcp, servers, pinning, embedding),
            server_tls,
            timeouts: timeouts(&file.timeouts),
            shown: Arc::default(),
            version: String::new(),
        };
        let Surroundings { finder, warnings, .. } = self.shared;
        let (shown_servers, facts) = (self.shown_servers, self.facts);
        Resolved { snapshot, config_keys, warnings, files: finder.files, shown_servers, facts }
    }

    /// Who may do what. Where a Cedar file cannot be taken there is a fault, and no one sees the result.
    fn rules(
        &mut self,
        file: &File,
        (servers, principals): (&[McpServer], Vec<Principal>),
        reader: &mut Reader,
    ) -> Rules {
        let mut files = Vec::new();
        for path in &file.policy.files {
            let most = limits::POLICY_FILE_BYTES_MAX;
            let Some(bytes) = self.read_bounded(path, "policy.files", most, reader) else { continue };
            match String::from_utf8(bytes) {
                Ok(text) => files.push(RawFile { name: path.value.clone(), text }),
                Err(_) => reader.fault(path.mark, format!("policy.files: {} is not UTF-8 text", path.value)),
            }
        }
        let beside = Beside { files, principals, servers };
        policies::rules(file, beside, &mut self.shared.warnings, reader).unwrap_or_default()
    }

    /// The servers of the config; where there is none, those of a `.mcp.json`, as far as they are of use.
    fn mcp_servers(&mut self, file: &File, reader: &mut Reader) -> Vec<McpServer> {
        let mut out: Vec<McpServer> = Vec::new();
        let first = file.pinning.first_sight.unwrap_or_default();
        for written in &file.mcp_servers {
            let server = self.shared.mcp_server(written, reader);
            self.shown_servers.extend(server.as_ref().map(|server| ShownServer::of(written, server, first)));
            out.extend(server);
        }
        if file.absent {
            self.shared.finder.files.push(mcp_json::path(self.folder));
            for written in mcp_json::read(self.folder, &mut self.shared.warnings) {
                let mut own = Reader::new("");
                let server = self.shared.mcp_server(&written, &mut own);
                match own.into_faults().list().first() {
                    Some(fault) => {
                        let name = &written.name.value;
                        self.shared.warnings.push(mcp_json::left_out(name, &fault.text));
                    }
                    None => {
                        let shown = server.as_ref().map(|server| ShownServer::of(&written, server, first));
                        self.shown_servers.extend(shown);
                        out.extend(server);
                    }
                }
            }
        }
        if file.absent && !out.is_empty() {
            let names: Vec<&str> = out.iter().map(|one| one.server.name.as_str()).collect();
            self.shared.warnings.push(mcp_json::taken(&names));
        }
        for fact in out.iter().flat_map(|server| mcp_servers::facts(&server.server)) {
            self.facts.update(Sha256::digest(fact));
        }
        out
    }

    /// How definitions are pinned.
    fn pinning(&mut self, file: &File, reader: &mut Reader) -> Pinning {
        let written = (&file.pinning, file.mcp_servers.as_slice());
        let pinning = pinning::resolve(written, self.folder, &mut self.shared.finder, reader);
        if let Some(lock) = &pinning.lock {
            self.facts.update(Sha256::digest(lock.facts()));
        }
        pinning
    }

    /// The table by which tools are found by what they mean. Where it cannot be read there is a fault.
    fn embedding(&mut self, file: &File, reader: &mut Reader) -> Option<Arc<Embedding>> {
        let written = file.mcp.embedding.as_ref()?;
        let (most, path) = (limits::EMBEDDING_WEIGHTS_BYTES_MAX, &written.weights);
        let weights = self.read_hashed(path, "mcp.embedding.weights", most, reader);
        let (most, path) = (limits::EMBEDDING_TOKENIZER_BYTES_MAX, &written.tokenizer);
        let tokenizer = self.read_hashed(path, "mcp.embedding.tokenizer", most, reader);
        embedding_file::resolve(written, weights?, &tokenizer?, reader)
    }

    /// Prices and budgets. Where the prices cannot be read there is a fault, and no one sees the result.
    fn spending(&mut self, file: &File, providers: &[Arc<Provider>], reader: &mut Reader) -> Spending {
        let prices = &file.prices;
        let written = prices.file.as_ref().and_then(|path| self.read_file(path, "prices.file", reader));
        let written = written.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
        let book = books::book(prices, written.as_deref(), &names, reader)
            .unwrap_or_else(|| Arc::new(Book::of(table::Table::default())));
        Spending {
            book,
            sections: providers.iter().map(|provider| books::section(provider)).collect(),
            tools: books::tool_prices(prices),
            budgets: books::budgets(file),
            rates: books::rates(file),
        }
    }

    /// All keys; those of revoked users open nothing, wherever they stand.
    fn ring(
        &mut self,
        config: &[(KeyHash, Principal)],
        stored: &[StoredKey],
        identity: &Identity,
    ) -> KeyRing {
        let stored = stored.iter().map(|key| (key.sha256, key.principal(), key.is_valid()));
        let config = config.iter().map(|(hash, principal)| (*hash, principal.clone(), true));
        let (mut valid, mut revoked) = (Vec::new(), Vec::new());
        for (hash, principal, holds) in config.chain(stored) {
            let holds = holds && !identity.is_revoked(principal.user.as_deref());
            self.facts.update(hash.bytes());
            self.facts.update([u8::from(holds)]);
            if holds { &mut valid } else { &mut revoked }.push((hash, principal));
        }
        KeyRing::new(valid).with_revoked(revoked)
    }

    fn check_grants(&mut self, file: &File, servers: &[McpServer]) {
        for team in &file.teams {
            let whose = format!("teams.{}.servers", team.name.value);
            let lines =
                mcp_servers::idle_grants(&whose, team.servers.as_deref().unwrap_or_default(), servers);
            self.shared.warnings.extend(lines);
        }
        for key in &file.keys {
            let whose = format!("keys: servers of {:?}", key.name.value);
            let lines = mcp_servers::idle_grants(&whose, key.servers.as_deref().unwrap_or_default(), servers);
            self.shared.warnings.extend(lines);
        }
    }

    fn check_aliases(&mut self, file: &File, rules: &Rules, routes: &Table, reader: &mut Reader) {
        for team in &file.teams {
            let name = TeamName::new(&team.name.value);
            let lines = models_file::check_aliases((&name, &team.aliases), rules, routes, reader);
            self.shared.warnings.extend(lines);
        }
    }

    fn server_tls(&mut self, tls: &file::Tls, reader: &mut Reader) -> Option<ServerTls> {
        let chain = self.read_file(&tls.cert, "tls.cert", reader);
        let key = self.read_file(&tls.key, "tls.key", reader);
        ServerTls::from_pem(&chain?, &key?)
            .inspect_err(|why| reader.fault(tls.cert.mark, format!("tls: {why}")))
            .ok()
    }

    fn read_file(&mut self, path: &At<String>, what: &str, reader: &mut Reader) -> Option<Vec<u8>> {
        self.read_bounded(path, what, limits::SECRET_FILE_BYTES_MAX, reader)
    }

    fn read_bounded(
        &mut self,
        path: &At<String>,
        what: &str,
        most: u64,
        reader: &mut Reader,
    ) -> Option<Vec<u8>> {
        self.read_hashed(path, what, most, reader).map(|file| file.bytes)
    }

    fn read_hashed(
        &mut self,
        path: &At<String>,
        what: &str,
        most: u64,
        reader: &mut Reader,
    ) -> Option<Hashed> {
        let full = self.folder.join(&path.value);
        let readable = self.shared.finder.note(&full);
        match readable.and_then(|()| atomic::read(&full, most)) {
            Ok(bytes) => {
                let sha256 = Sha256::digest(&bytes).into();
                self.facts.update(sha256);
                Some(Hashed { bytes, sha256 })
            }
            Err(why) => {
                reader.fault(path.mark, format!("{what}: {} cannot be read: {why}", full.display()));
                None
            }
        }
    }

    fn add_provider_facts(&mut self, provider: &Provider) {
        let credential = provider.credential.as_ref().map(|credential| &credential.value);
        let password = provider.site.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
        let spare = provider.spare.credentials.iter().map(|credential| Some(&credential.value));
        for secret in [credential, password].into_iter().chain(spare) {
            self.facts.update(Sha256::digest(secret.map_or("", |secret| secret.expose())));
        }
        for fact in provider.source.iter().flat_map(|chain| chain.facts()) {
            self.facts.update(Sha256::digest(fact.expose()));
        }
        for secret in provider.cloud.iter().flat_map(|cloud| cloud.secrets()) {
            self.facts.update(Sha256::digest(secret.expose()));
        }
    }

    fn config_keys(&mut self, file: &File, reader: &mut Reader) -> Vec<(KeyHash, Principal)> {
        let mut out: Vec<(KeyHash, Principal)> = Vec::new();
        let mut names = HashSet::new();
        let mut owners: HashMap<KeyHash, &str> = HashMap::new();
        let teams = team_names(file);
        for key in &file.keys {
            let name = &key.name.value;
            if !names.insert(name) {
                reader.fault(key.name.mark, format!("keys: {name:?} is the name of two keys"));
            }
            if let Some(team) = &key.team
                && !teams.contains(team.value.as_str())
            {
                let shown = quoted(&team.value);
                reader.fault(
                    team.mark,
                    format!("keys: key {name:?} names team {shown}, which `teams:` does not have"),
                );
            }
            let what = format!("keys: secret of {name:?}");
            let Some(secret) = self.shared.finder.find(&key.secret, &what, reader) else { continue };
            let bytes = secret.expose().len();
            if bytes > limits::KEY_BYTES_MAX {
                let max = limits::KEY_BYTES_MAX;
                reader.fault(key.secret.mark, format!("{what}: it is longer than {max} characters"));
            }
            if bytes < WEAK_BYTES {
                self.shared
                    .warnings
                    .push(format!("{what}: it is shorter than {WEAK_BYTES} characters, easy to guess"));
            }
            if matches!(key.secret.value, Source::Written(_)) {
                let line = key.secret.mark.line;
                self.shared.warnings.push(format!(
                    "{what}: it stands in the config itself, line {line}; \
                     write `${{env:NAME}}` to keep it out"
                ));
            }
            let hash = KeyHash::of(secret.expose().as_bytes());
            if let Some(other) = owners.insert(hash, name) {
                let text = format!("{what}: it is the secret of {other:?} too; each key needs its own");
                reader.fault(key.secret.mark, text);
            }
            out.push((hash, principal(key, hash)));
        }
        out
    }

    /// Keys of the key file stay valid whatever the config says; people are told what does not fit.
    fn check_stored(&mut self, file: &File, stored: &[StoredKey]) {
        let teams = team_names(file);
        let names: HashSet<&str> = file.keys.iter().map(|key| key.name.value.as_str()).collect();
        for key in stored.iter().filter(|key| key.is_valid()) {
            let name = &key.name;
            if names.contains(name.as_str()) {
                self.shared
                    .warnings
                    .push(format!("the config and the key file both have a valid key {name:?}"));
            }
            if let Some(team) = &key.team
                && !teams.contains(team.as_str())
            {
                let text = format!(
                    "key {name:?} names team {team:?}, which `teams:` does not have: it allows no model"
                );
                self.shared.warnings.push(text);
            }
        }
    }
}

fn team_names(file: &File) -> HashSet<&str> {
    file.teams.iter().map(|team| team.name.value.as_str()).collect()
}

fn team_list(file: &File) -> Vec<TeamName> {
    file.teams.iter().map(|team| TeamName::new(&team.name.value)).collect()
}

/// Below this a person has chosen a word, not a random text.
const WEAK_BYTES: usize = 20;

pub(crate) fn principal(key: &file::Key, hash: KeyHash) -> Principal {
    Principal {
        team: key.team.as_ref().map(|team| TeamName::new(&team.value)),
        user: key.user.as_ref().map(|user| user.value.as_str().into()),
        role: key.role,
        until_ms: key.expires,
        models: key.models.as_deref().map(globs),
        deny_models: globs(&key.deny_models),
        servers: key.servers.as_deref().map(policies::servers),
        regions: key.regions.as_deref().map(places_file::globs),
        ..Principal::of_key(KeyName::new(&key.name.value), hash.id())
    }
}

fn globs(patterns: &[At<String>]) -> Arc<[Glob]> {
    patterns.iter().map(|pattern| Glob::new(&pattern.value)).collect()
}

/// What is kept of what is said, by team.
fn contents(file: &File) -> ContentRules {
    let teams = file.teams.iter().filter_map(|team| Some((TeamName::new(&team.name.value), team.content?)));
    ContentRules { default: file.ledger.content.unwrap_or_default(), teams: teams.collect() }
}

fn timeouts(written: &file::Timeouts) -> Timeouts {
    let default = Timeouts::default();
    let or = |ms: Option<u64>, default| ms.map_or(default, Duration::from_millis);
    Timeouts {
        head: or(written.head, default.head),
        idle: or(written.idle, default.idle),
        body_stall: or(written.body_stall, default.body_stall),
        write_stall: or(written.write_stall, default.write_stall),
        connect: or(written.connect, default.connect),
        first_byte: or(written.first_byte, default.first_byte),
        stream_stall: or(written.stream_stall, default.stream_stall),
        ping: or(written.ping, default.ping),
    }
}
