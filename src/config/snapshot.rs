//! What the process runs on: facts without defaults or references left to resolve, never changed, only
//! replaced.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::virtual_keys::KeyRing;
use crate::limits::Timeouts;
use crate::net::engine::EngineChoice;
use crate::net::tls::ServerTls;
use crate::policy::rules::Rules;
use crate::route::model::Table;
use crate::upstream::provider::Provider;

/// Everything that a reload may change. Shared by all cores as one `Arc`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The keys that are valid.
    pub keys: KeyRing,
    /// What teams may do.
    pub rules: Rules,
    /// Which provider serves which model.
    pub routes: Table,
    /// The providers, in written order; `route::model::Target.provider` points into it.
    pub providers: Vec<Arc<Provider>>,
    /// How callers reach us over TLS; `None` when they come in plain.
    pub server_tls: Option<ServerTls>,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// The first 12 hexadecimal digits of the SHA-256 of all resolved facts: equal facts, equal version.
    pub version: String,
}

/// Everything that only a restart can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The addresses to listen on; never empty.
    pub listen: Vec<SocketAddr>,
    /// The folder of everything that we write.
    pub data_dir: PathBuf,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// How I/O is done.
    pub engine: EngineChoice,
    /// How long streams may go on after SIGTERM.
    pub drain: Duration,
    /// How log lines look.
    pub log: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `Human` on a terminal, else `Json`.
    #[default]
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}
