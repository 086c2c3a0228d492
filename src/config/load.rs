//! Loading a config: from a path to everything that the process needs to start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;

use crate::call::ToolChoice;
use crate::config::atomic;
use crate::config::cloud_file::ShownCloud;
use crate::config::credentials::ShownCredentials;
use crate::config::defaults;
use crate::config::environment::Environment;
use crate::config::faults::{Faults, Mark};
use crate::config::file::{self, File};
use crate::config::guard_file::ShownGuard;
use crate::config::key_file::{KeyFile, Stored};
use crate::config::key_terms;
use crate::config::network_file;
use crate::config::policies;
use crate::config::reader::{At, Reader};
use crate::config::resolve::{self, Resolved, Resolver};
use crate::config::shown::{MASK, Shown, ShownKey, ShownProvider, ShownTeam, ShownTls};
use crate::config::shown::{shown_origin, shown_proxy};
use crate::config::shown_books::{self, ShownBooks};
use crate::config::shown_identity::ShownIdentity;
use crate::config::shown_mcp::{ShownMcp, ShownPinning};
use crate::config::shown_places::{ShownReach, ShownStand};
use crate::config::shown_policy::{ShownGrant, ShownPolicy};
use crate::config::shown_routes::{ShownModel, ShownRouting};
use crate::config::snapshot::{Fixed, LogFormat, Snapshot};
use crate::config::yaml;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::identity::token::KeyHash;
use crate::limits;
use crate::net::engine::EngineChoice;
use crate::policy::rules::Unwritten;
use crate::secret::Secret;
use crate::upstream::provider::{Dialect, Provider};

/// A config that has been read, checked and resolved.
#[derive(Debug)]
pub struct Loaded {
    /// What only a restart can change.
    pub fixed: Fixed,
    /// What a reload may change.
    pub snapshot: Snapshot,
    /// Lines that people should read, none of which stops us.
    pub warnings: Vec<String>,
    /// The text of the key that was made because there was none: to be printed once, now.
    pub first_key: Option<Secret>,
    /// The files whose change should lead to a reload, also those that do not exist yet.
    pub watched: Vec<PathBuf>,
    /// The whole of it for people.
    pub shown: Shown,
}

/// Reads the config at `path`; without one `./tollgate.yaml`, or the embedded defaults where there is none.
/// Relative paths inside begin at the config's folder. Makes and stores a first key where none is valid.
///
/// # Errors
/// Every fault of the config, together.
pub fn load(path: Option<&Path>) -> Result<Loaded, Faults> {
    load_in(path, &Environment::of_process(), &Keys::MakeFirst)
}

/// The same without making a key: for looking, not for serving.
///
/// # Errors
/// As `load`.
pub fn read(path: Option<&Path>) -> Result<Loaded, Faults> {
    load_in(path, &Environment::of_process(), &Keys::Read)
}

/// Where keys of the key file come from.
pub(crate) enum Keys<'a> {
    /// From the config's data folder; one is made if there is none.
    MakeFirst,
    /// From the config's data folder.
    Read,
    /// From the data folder of the running process.
    ReadFrom(&'a Path),
}

/// `load` in a given environment.
pub(crate) fn load_in(
    path: Option<&Path>,
    environment: &Environment,
    keys: &Keys<'_>,
) -> Result<Loaded, Faults> {
    resolved(open(path, environment)?, environment, keys, None)
}

/// Reads `text` as if it stood where the config stands: nothing is changed, and no other files are read than
/// those that the config there names. Keys are those of `data_dir`.
///
/// # Errors
/// As `load`.
pub fn check(text: &[u8], path: Option<&Path>, data_dir: &Path) -> Result<Loaded, Faults> {
    let (environment, keys) = (Environment::of_process(), Keys::ReadFrom(data_dir));
    // Whoever can write that config can read these files; where it has faults there are none.
    let files = load_in(path, &environment, &keys).map(|loaded| loaded.watched).unwrap_or_default();
    let (full, folder) = place(path, &environment);
    let mut reader = Reader::new("config");
    let file = parse(text, &mut reader);
    let opened = Opened { path: full, folder, file, reader };
    resolved(opened, &environment, &keys, Some(&files))
}

fn resolved(
    opened: Opened,
    environment: &Environment,
    keys: &Keys<'_>,
    only: Option<&[PathBuf]>,
) -> Result<Loaded, Faults> {
    let Opened { path, folder, file, mut reader } = opened;
    let fixed = resolve::fixed(&file, &folder, &mut reader);
    let data_dir = match keys {
        Keys::ReadFrom(data_dir) => data_dir,
        Keys::MakeFirst | Keys::Read => fixed.data_dir.as_path(),
    };
    let key_file = KeyFile::of(data_dir);
    let (mut stored, key_faults) = match key_file.read_all() {
        Ok(stored) => (stored, Faults::default()),
        Err(why) => (Stored::default(), why.into_faults()),
    };
    let mut resolver = Resolver::new(&folder, environment);
    if let Some(files) = only {
        resolver = resolver.reading_only(files);
    }
    let mut resolved = resolver.resolve(&file, &stored, &mut reader);
    let mut faults = reader.into_faults();
    faults.extend(key_faults);
    faults.or(())?;

    let mut first_key = None;
    let shut = resolved.snapshot.keys.is_empty() && resolved.snapshot.identity.issuers.is_empty();
    if matches!(keys, Keys::MakeFirst) && shut {
        // The config was resolved without this key; to resolve again is simpler than to patch what is
        // immutable.
        first_key = key_file.create_first(defaults::FIRST_KEY).map_err(|why| why.into_faults())?;
        stored = key_file.read_all().map_err(|why| why.into_faults())?;
        let mut again = Reader::new(defaults::CONFIG);
        resolved = Resolver::new(&folder, environment).resolve(&file, &stored, &mut again);
        again.into_faults().or(())?;
    }
    let mut shown = shown(&file, &fixed, &resolved, &stored);
    let Resolved { mut snapshot, warnings, files, mut facts, .. } = resolved;
    facts.update(serde_json::to_vec(&shown).unwrap_or_default());
    snapshot.version = hex(&facts.finalize());
    shown.version.clone_from(&snapshot.version);
    snapshot.shown = Arc::new(shown.clone());
    let mut watched = vec![path, key_file.path().to_owned()];
    watched.extend(files);
    let first_key = first_key.map(|created| created.secret);
    Ok(Loaded { fixed, snapshot, warnings, first_key, watched, shown })
}

/// The first 12 hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A config file that has been read but not resolved.
pub(crate) struct Opened {
    /// Where it is, or would be.
    pub(crate) path: PathBuf,
    /// Where relative paths begin.
    pub(crate) folder: PathBuf,
    /// What is written.
    pub(crate) file: File,
    /// Faults so far, and more to come.
    pub(crate) reader: Reader,
}

/// Reads the file at `path`, which must exist; without a path the usual one, which need not.
pub(crate) fn open(path: Option<&Path>, environment: &Environment) -> Result<Opened, Faults> {
    let name = path.map_or_else(|| defaults::CONFIG.to_owned(), |path| path.display().to_string());
    let (full, folder) = place(path, environment);
    let mut reader = Reader::new(&name);
    let text = match atomic::read(&full, limits::CONFIG_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(why) if path.is_none() && why.kind() == std::io::ErrorKind::NotFound => None,
        Err(why) => return Err(Faults::of_file(&name, format!("the config cannot be read: {why}"))),
    };
    let mut file = parse(text.as_deref().unwrap_or_default(), &mut reader);
    file.absent = text.is_none();
    Ok(Opened { path: full, folder, file, reader })
}

/// Where the config is, or would be, and where its relative paths begin.
fn place(path: Option<&Path>, environment: &Environment) -> (PathBuf, PathBuf) {
    let full = environment.folder().join(path.unwrap_or_else(|| Path::new(defaults::CONFIG)));
    let folder = full.parent().map(Path::to_owned).unwrap_or_default();
    (full, folder)
}

/// Reads the bytes of a config file; faults go to `reader`.
pub(crate) fn parse(bytes: &[u8], reader: &mut Reader) -> File {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let root = yaml::parse(text.strip_prefix('\u{feff}').unwrap_or(text), reader);
            file::read(root.as_ref(), reader)
        }
        Err(why) => {
            let before = bytes.iter().take(why.valid_up_to());
            let line = 1 + before.filter(|&&byte| byte == b'\n').count();
            reader.fault(Mark { line, column: 1 }, "the file is not UTF-8 text");
            File::default()
        }
    }
}

fn shown(file: &File, fixed: &Fixed, resolved: &Resolved, stored: &Stored) -> Shown {
    let snapshot = &resolved.snapshot;
    let config_keys = resolved.config_keys.iter().map(|(hash, key)| shown_key(*hash, key, "config"));
    let stored = stored.keys.iter().filter(|key| key.is_valid());
    let stored_keys = stored.map(|key| shown_key(key.sha256, &key.principal(), "key file"));
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let times = &snapshot.timeouts;
    Shown {
        version: String::new(),
        listen: fixed.listen.iter().map(ToString::to_string).collect(),
        data_dir: fixed.data_dir.display().to_string(),
        threads: fixed.threads,
        engine: match fixed.engine {
            EngineChoice::Auto => "auto",
            EngineChoice::IoUring => "io_uring",
            EngineChoice::Epoll => "epoll",
        },
        drain_s: fixed.drain.as_secs(),
        tls: file
            .tls
            .as_ref()
            .map(|tls| ShownTls { cert: tls.cert.value.clone(), key: tls.key.value.clone() }),
        ca_file: file.ca_file.as_ref().map(|path| path.value.clone()),
        log_format: match fixed.log {
            LogFormat::Auto => "auto",
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        },
        timeouts: vec![
            ("head_ms", ms(times.head)),
            ("idle_ms", ms(times.idle)),
            ("body_stall_ms", ms(times.body_stall)),
            ("write_stall_ms", ms(times.write_stall)),
            ("connect_ms", ms(times.connect)),
            ("first_byte_ms", ms(times.first_byte)),
            ("stream_stall_ms", ms(times.stream_stall)),
            ("ping_ms", ms(times.ping)),
        ],
        providers: snapshot.providers.iter().map(|provider| shown_provider(provider, file)).collect(),
        models: ShownModel::all(snapshot),
        routing: ShownRouting::of(snapshot),
        mcp_servers: resolved.shown_servers.clone(),
        mcp: ShownMcp::of(&snapshot.mcp, file.mcp.embedding.as_ref()),
        policy: shown_policy(file, snapshot),
        pinning: ShownPinning::of(&snapshot.mcp.pinning),
        teams: file
            .teams
            .iter()
            .map(|team| ShownTeam {
                name: team.name.value.clone(),
                models: team.models.as_deref().map(texts),
                deny_models: texts(&team.deny_models),
                servers: team.servers.as_deref().map(|grants| ShownGrant::all(&policies::servers(grants))),
                content: team.content.map(shown_books::word_of),
                tools: team.tools.map(ToolChoice::name),
                core: team
                    .core
                    .entries()
                    .iter()
                    .map(|(server, tools)| (server.as_str().to_owned(), globs(tools)))
                    .collect(),
                reach: ShownReach::of(&team.reach, &team.aliases),
                guard: ShownGuard::of(&team.guard),
            })
            .collect(),
        keys: config_keys.chain(stored_keys).collect(),
        identity: ShownIdentity::of(&snapshot.identity),
        guard: ShownGuard::of(&file.guard),
        allow_private: network_file::shown(&file.network),
        books: ShownBooks::of(file, &snapshot.heads),
    }
}

fn shown_policy(file: &File, snapshot: &Snapshot) -> ShownPolicy {
    ShownPolicy {
        files: texts(&file.policy.files),
        unwritten: match file.policy.unwritten.unwrap_or_default() {
            Unwritten::Allow => "allow",
            Unwritten::Deny => "deny",
        },
        version: snapshot.rules.version().to_string(),
    }
}

fn texts(list: &[At<String>]) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}

fn globs(list: &[Glob]) -> Vec<String> {
    list.iter().map(|glob| glob.as_str().to_owned()).collect()
}

fn shown_key(hash: KeyHash, key: &Principal, origin: &'static str) -> ShownKey {
    ShownKey {
        name: key.key.to_string(),
        id: hash.id(),
        team: key.team.as_ref().map(ToString::to_string),
        user: key.user.as_deref().map(str::to_owned),
        role: key.role.map(Role::name),
        service: key.service,
        expires: key.until_ms.map(key_terms::text_ms),
        models: key.models.as_deref().map(globs),
        deny_models: globs(&key.deny_models),
        servers: key.servers.as_ref().map(ShownGrant::all),
        regions: key.regions.as_deref().map(globs),
        origin,
    }
}

fn shown_provider(provider: &Provider, file: &File) -> ShownProvider {
    let written = file.providers.iter().find(|one| one.name.value == provider.name.as_str());
    let takes = written.and_then(|one| one.takes.as_ref());
    let url = || format!("{}{}", shown_origin(&provider.site.origin), provider.base_path);
    let proxy = provider.site.proxy.as_ref().map(shown_proxy);
    ShownProvider {
        name: provider.name.to_string(),
        dialect: match provider.dialect {
            Dialect::Anthropic => "anthropic",
            Dialect::AnthropicLenient => "anthropic_lenient",
            Dialect::OpenAiChat => "openai_chat",
            Dialect::OpenAiResponses => "openai_responses",
            Dialect::Gemini => "gemini",
            Dialect::Bedrock => "bedrock",
            Dialect::BedrockConverse => "bedrock_converse",
            Dialect::Vertex => "vertex",
            Dialect::Demo => "demo",
        },
        cloud: written.and_then(|one| one.cloud.as_ref()).map(ShownCloud::of),
        takes: takes.map(|takes| takes.written.clone()).unwrap_or_default(),
        base_url: (provider.dialect != Dialect::Demo).then(url),
        credentials: provider.source.as_ref().map(|chain| ShownCredentials::of(chain)),
        key: provider.credential.as_ref().map(|_| MASK),
        keys: provider.keys(),
        auth: provider.credential.as_ref().map(|credential| match credential.header {
            "authorization" => "bearer",
            other => other,
        }),
        proxy,
        stand: ShownStand::of(&provider.place),
    }
}
