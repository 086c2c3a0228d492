//! What is kept of what was said, as far as a team's policy wants that: handed on without waiting.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::clock;
use crate::gateway::log::{Level, Sink};
use crate::ids::CallId;
use crate::ledger::content::{Kept, Part, Policy, Settings, Store};
use crate::limits;
use crate::llm::anthropic::gather::gather;

/// The store of the process, opened when the first body comes: most keep none.
#[derive(Clone)]
pub(super) struct Contents(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    retain_days: u32,
    log: Sink,
    store: OnceLock<Option<Store>>,
}

impl Contents {
    /// A store in this data folder.
    pub(super) fn new(data_dir: &std::path::Path, retain_days: u32, log: Sink) -> Self {
        let dir = data_dir.join("ledger").join("content");
        let contents = Self(Arc::new(Inner { dir, retain_days, log, store: OnceLock::new() }));
        // What is kept from before has to be forgotten in time.
        if contents.0.dir.is_dir() {
            contents.store();
        }
        contents
    }

    /// Hands on a body; the word for its entry.
    pub(super) fn put(&self, call: CallId, part: Part, policy: Policy, body: Bytes) -> &'static str {
        if !policy.keeps_bodies() {
            return Kept::No.word();
        }
        let Some(store) = self.store() else { return Kept::Skipped.word() };
        store.put(call, part, policy, body, clock::unix_ms(clock::wall())).word()
    }

    /// Forgets what is old; once an hour or so.
    pub(super) fn sweep(&self) {
        if let Some(Some(store)) = self.0.store.get() {
            store.sweep(clock::unix_ms(clock::wall()));
        }
    }

    fn store(&self) -> Option<&Store> {
        let Inner { dir, retain_days, log, store } = &*self.0;
        let open = || {
            let settings = Settings { dir: dir.clone(), retain_days: *retain_days, stream: gather };
            match Store::open(settings) {
                Ok((store, report)) => {
                    if report.cut_bytes > 0 {
                        log.line(Level::Warn, "contents that were not wholly written were cut off", |line| {
                            line.count("bytes", report.cut_bytes)
                        });
                    }
                    Some(store)
                }
                Err(fault) => {
                    log.line(Level::Error, "contents cannot be kept", |line| {
                        line.text("error", &fault.to_string())
                    });
                    None
                }
            }
        };
        store.get_or_init(open).as_ref()
    }
}

/// The bytes of an answer that passes, for as long as it may be kept.
#[derive(Debug)]
pub(super) struct Passing {
    bytes: Vec<u8>,
    /// It is longer than what is kept of an answer.
    too_long: bool,
}

impl Passing {
    /// Nothing has passed yet; `None` when nothing is to be kept.
    pub(super) fn new(policy: Policy) -> Option<Self> {
        policy.keeps_bodies().then_some(Self { bytes: Vec::new(), too_long: false })
    }

    /// Keeps what passes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.too_long |= self.bytes.len() + bytes.len() > limits::CONTENT_ANSWER_BYTES_MAX;
        if self.too_long {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// All of it; nothing when it was too long.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let bytes = std::mem::take(&mut self.bytes);
        (!self.too_long && !bytes.is_empty()).then(|| Bytes::from(bytes))
    }
}
