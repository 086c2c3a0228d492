//! The records of the chain: what is written before a call, after it, and about the ledger itself.

use crate::ids::CallId;
use crate::ledger::encode::Stamp;
use crate::ledger::entry::{Class, Entry, Kind, Tokens};

/// A SHA-256.
pub type Hash = [u8; 32];

/// One record of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A call is about to go out.
    Open(Open),
    /// A call has ended, or was refused after it had been opened.
    Close(Entry),
    /// Something that happened at once, such as a refusal or a change of the config.
    Event(Entry),
    /// A signed statement about all records before this one.
    Head(Head),
    /// Records that could not be kept while the disk was full, where the config prefers that to refusing.
    Gap(Gap),
    /// Old segments that were dropped on purpose.
    Retention(Retention),
}

/// What is known of a call before it goes out: enough to charge and to name it, should the process be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// As in [`Entry::id`].
    pub id: CallId,
    /// As in [`Entry::kind`].
    pub kind: Kind,
    /// As in [`Entry::at_ms`].
    pub at_ms: u64,
    /// As in [`Entry::key`].
    pub key: String,
    /// As in [`Entry::key_id`].
    pub key_id: String,
    /// As in [`Entry::team`].
    pub team: String,
    /// As in [`Entry::user`].
    pub user: String,
    /// As in [`Entry::client`].
    pub client: String,
    /// As in [`Entry::session`].
    pub session: String,
    /// As in [`Entry::agent`].
    pub agent: String,
    /// As in [`Entry::prompt`].
    pub prompt: String,
    /// As in [`Entry::model`].
    pub model: String,
    /// As in [`Entry::provider`].
    pub provider: String,
    /// As in [`Entry::method`].
    pub method: String,
    /// As in [`Entry::server`].
    pub server: String,
    /// As in [`Entry::tool`].
    pub tool: String,
    /// As in [`Entry::tool_hash`].
    pub tool_hash: String,
    /// As in [`Entry::class`].
    pub class: Class,
    /// As in [`Entry::tool_use_id`].
    pub tool_use_id: String,
    /// As in [`Entry::decision`].
    pub decision: String,
    /// What has been reserved for it, in pico-dollars: its cost if nothing better is ever known.
    pub estimate_pico: u64,
    /// As in [`Entry::budgets`].
    pub budgets: Vec<String>,
    /// As in [`Entry::request_bytes`].
    pub request_bytes: u64,
    /// As in [`Entry::policy`].
    pub policy: String,
}

/// All records before `size`, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// When it was signed, milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// How many records it is about: those with an index below.
    pub size: u64,
    /// Root of the Merkle tree over them (RFC 9162, section 2.1).
    pub root: Hash,
    /// Hash of the chain after the last of them.
    pub chain: Hash,
    /// First bytes of the SHA-256 of the public key.
    pub key: [u8; 8],
    /// Ed25519 signature over the rest.
    pub signature: [u8; 64],
}

/// Records that are missing because they had nowhere to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// When records could be written again, milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// How many were counted instead of kept.
    pub records: u64,
}

/// Records that were dropped with their segments because they were old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// When, milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// Index of the first record that is kept: all before it are gone.
    pub kept_from: u64,
    /// Hash of the chain after the last dropped record.
    pub chain: Hash,
    /// Roots of the full subtrees of the dropped records, the largest first.
    pub frontier: Vec<Hash>,
}

/// What is true between two records; it begins every segment and ends every full one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// When it was written, milliseconds since 1970 (UTC).
    pub(super) at_ms: u64,
    /// Index of the record behind it, which is the number of records before it.
    pub(super) index: u64,
    /// Hash of the chain after the record before it.
    pub(super) chain: Hash,
    /// Roots of the full subtrees of all records before it, the largest first.
    pub(super) frontier: Vec<Hash>,
    /// How far each journal has arrived.
    pub(super) arrived: Vec<Stamp>,
    /// Index of the oldest opening without an end, and `index` when there is none.
    pub(super) open_from: u64,
}

impl Entry {
    /// An entry of which nothing else is known yet.
    pub const fn new(id: CallId, kind: Kind, at_ms: u64) -> Self {
        Self {
            id,
            kind,
            at_ms,
            took_us: 0,
            first_byte_us: 0,
            key: String::new(),
            key_id: String::new(),
            team: String::new(),
            user: String::new(),
            client: String::new(),
            session: String::new(),
            agent: String::new(),
            prompt: String::new(),
            upstream_id: String::new(),
            model: String::new(),
            served_model: String::new(),
            provider: String::new(),
            region: String::new(),
            method: String::new(),
            server: String::new(),
            tool: String::new(),
            tool_hash: String::new(),
            class: Class::Unknown,
            tool_use_id: String::new(),
            tokens: Tokens { input: 0, output: 0, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0 },
            cost_pico: 0,
            priced: String::new(),
            budgets: Vec::new(),
            decision: String::new(),
            status: 0,
            outcome: String::new(),
            stop_reason: String::new(),
            error: String::new(),
            request_bytes: 0,
            answer_bytes: 0,
            actions: Vec::new(),
            content: String::new(),
            offers: Vec::new(),
            policy: String::new(),
            marks: String::new(),
            sought: String::new(),
            mode: String::new(),
            mode_by: String::new(),
        }
    }
}

impl Open {
    /// An opening of which nothing else is known.
    pub const fn new(id: CallId, kind: Kind, at_ms: u64) -> Self {
        Self {
            id,
            kind,
            at_ms,
            key: String::new(),
            key_id: String::new(),
            team: String::new(),
            user: String::new(),
            client: String::new(),
            session: String::new(),
            agent: String::new(),
            prompt: String::new(),
            model: String::new(),
            provider: String::new(),
            method: String::new(),
            server: String::new(),
            tool: String::new(),
            tool_hash: String::new(),
            class: Class::Unknown,
            tool_use_id: String::new(),
            decision: String::new(),
            estimate_pico: 0,
            budgets: Vec::new(),
            request_bytes: 0,
            policy: String::new(),
        }
    }

    /// The opening of a call from what its entry says so far.
    pub fn of(entry: Entry, estimate_pico: u64) -> Self {
        let Entry {
            id,
            kind,
            at_ms,
            key,
            key_id,
            team,
            user,
            client,
            session,
            agent,
            prompt,
            model,
            provider,
            method,
            server,
            tool,
            tool_hash,
            class,
            tool_use_id,
            decision,
            budgets,
            request_bytes,
            policy,
            ..
        } = entry;
        Self {
            id,
            kind,
            at_ms,
            key,
            key_id,
            team,
            user,
            client,
            session,
            agent,
            prompt,
            model,
            provider,
            method,
            server,
            tool,
            tool_hash,
            class,
            tool_use_id,
            decision,
            estimate_pico,
            budgets,
            request_bytes,
            policy,
        }
    }

    /// The entry of a call whose end nobody saw: charged at its estimate, since it may have been answered.
    pub fn lost(self) -> Entry {
        Entry {
            key: self.key,
            key_id: self.key_id,
            team: self.team,
            user: self.user,
            client: self.client,
            session: self.session,
            agent: self.agent,
            prompt: self.prompt,
            model: self.model,
            provider: self.provider,
            method: self.method,
            server: self.server,
            tool: self.tool,
            tool_hash: self.tool_hash,
            class: self.class,
            tool_use_id: self.tool_use_id,
            cost_pico: self.estimate_pico,
            priced: "estimate".to_owned(),
            budgets: self.budgets,
            decision: self.decision,
            outcome: LOST.to_owned(),
            request_bytes: self.request_bytes,
            policy: self.policy,
            ..Entry::new(self.id, self.kind, self.at_ms)
        }
    }
}

/// [`Entry::outcome`] of a call that ended with the process.
pub const LOST: &str = "lost";
