//! Pins: what the tools of every server were when somebody trusted them, and what has become of them since.
//!
//! A server may change what its tools say and take at any time, also after people have looked at them. So
//! each definition is kept as it was trusted, under two SHA-256 hashes: one of what a model sees, one of
//! everything else. What a server lists later is compared by meaning. A harmless difference is let through
//! and written down; any other is held: callers go on seeing the old definition, and a call of the tool is
//! refused until a person has said yes. Prompts and resources are not pinned: no model acts on them by
//! itself.

pub mod barred;
pub mod change;
pub mod difference;
pub mod fingerprint;
pub mod judge;
pub mod lock;
mod room;
mod schema;
pub mod tree;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::mcp::pin::fingerprint::{Fingerprint, Hash};

/// What becomes of a tool that is seen for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstSight {
    /// It is pinned as it comes. Whoever put the server into the config has trusted it that day; what pins
    /// guard against is that it becomes another afterwards.
    #[default]
    Trust,
    /// It is not listed, and cannot be called, until somebody approves it.
    Approve,
    /// Nothing of this server is pinned.
    Off,
}

impl FirstSight {
    /// The word of the config.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trust => "trust_on_first_use",
            Self::Approve => "approve",
            Self::Off => "off",
        }
    }
}

/// How a definition came to be the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was the first that was seen.
    FirstSight,
    /// It differed from the one before in nothing that matters.
    Accepted,
    /// Somebody approved it.
    Approved,
    /// The lock file has it.
    Locked,
}

/// One definition of a tool at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The definition as its server wrote it.
    pub definition: String,
    /// Its hashes.
    pub print: Fingerprint,
    /// When it was first seen, or became the pinned one: milliseconds since 1970.
    pub at_ms: u64,
    /// How it came to be pinned; of no meaning for what is only proposed.
    pub how: How,
}

/// What is known of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What callers see; nothing while it waits for its first approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Version>,
    /// What the server lists now, where that is not let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Version>,
    /// What somebody has said no to: ids of definitions, at most `limits::PIN_REJECTED_MAX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Hash>,
    /// Since when its server does not list it, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_ms: Option<u64>,
}

/// How a tool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is as it was trusted.
    Pinned,
    /// It has changed, and nobody has decided yet.
    Held,
    /// It is new, and nobody has decided yet.
    Waiting,
    /// What it is now has been rejected.
    Rejected,
}

impl State {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Rejected => "rejected",
        }
    }
}

impl Known {
    /// How it stands.
    pub fn state(&self) -> State {
        match (&self.pinned, &self.proposed) {
            (_, Some(proposed)) if self.rejected.contains(&proposed.print.id()) => State::Rejected,
            (None, _) => State::Waiting,
            (Some(_), Some(_)) => State::Held,
            (Some(_), None) => State::Pinned,
        }
    }

    /// The newest that is known of it.
    pub fn newest(&self) -> Option<&Version> {
        self.proposed.as_ref().or(self.pinned.as_ref())
    }
}

/// What has happened to a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A tool was seen for the first time, and pinned.
    FirstSight,
    /// A tool was seen for the first time, and waits.
    Waiting,
    /// A change was let through.
    Accepted,
    /// A change was held.
    Held,
    /// A tool is again what is pinned.
    Returned,
    /// Somebody approved a definition.
    Approved,
    /// Somebody rejected a definition.
    Rejected,
    /// A definition is not that of the lock file.
    LockMismatch,
    /// A tool that had been gone for long was forgotten, because others took its room.
    Forgotten,
}

impl What {
    /// The word in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::FirstSight => "first_sight",
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Returned => "returned",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::LockMismatch => "lock_mismatch",
            Self::Forgotten => "forgotten",
        }
    }

    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::FirstSight => "first sight",
            Self::Waiting => "first sight, waits for approval",
            Self::Accepted => "change accepted",
            Self::Held => "change held",
            Self::Returned => "as pinned again",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::LockMismatch => "not as locked",
            Self::Forgotten => "forgotten",
        }
    }
}

/// Something that happened to a pin, kept until the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Tells it from all others of this file.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub what: What,
    /// The server.
    pub server: String,
    /// The server's name of the tool.
    pub tool: String,
    /// The definition that was pinned before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Hash>,
    /// The definition that it is about.
    pub new: Hash,
    /// What is different, or who decided.
    pub detail: String,
    /// What the hint scanner found in the new one.
    pub marks: String,
}

impl Event {
    /// As a decision of the ledger.
    pub fn decision(&self) -> String {
        let old = self.old.map(|old| format!("{} -> ", old.short())).unwrap_or_default();
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        format!("pin {}: {old}{}{detail}", self.what.words(), self.new.short())
    }
}

/// All pins, as the state file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// By server, then by the server's name of the tool.
    #[serde(default)]
    pub servers: BTreeMap<String, BTreeMap<String, Known>>,
    /// What the ledger does not have yet, oldest first. None is ever dropped: from `limits::PIN_EVENTS_MAX`
    /// on a gateway takes no more lists.
    #[serde(default)]
    pub events: Vec<Event>,
    /// The number of the next event.
    #[serde(default)]
    pub next_event: u64,
    /// Servers of which tools were forgotten. What is new of them waits for approval, whatever the config
    /// says: it may be what was forgotten, and come back as another.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub crowded: BTreeSet<String>,
}

/// Why a decision cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinFault {
    /// Nobody has seen such a tool.
    #[error("no tool {0} is known: see `tollgate tools pins`")]
    Unknown(String),
    /// There is nothing to decide.
    #[error("{0} is as it is pinned: there is nothing to decide")]
    Settled(String),
    /// It has changed since it was looked at.
    #[error("{tool} is by now {now}, not {wanted}: look again with `tollgate tools diff {tool}`")]
    Changed {
        /// The tool.
        tool: String,
        /// What it is now.
        now: String,
        /// What was to be decided about.
        wanted: String,
    },
    /// It has been rejected already.
    #[error("{0} has been rejected already")]
    Rejected(String),
}

impl Pins {
    /// How a tool stands.
    pub fn known(&self, server: &str, tool: &str) -> Option<&Known> {
        self.servers.get(server)?.get(tool)
    }

    /// Makes what is proposed the pinned definition. `expected` is the beginning of the id of what was looked
    /// at, at least `fingerprint::SHORT_DIGITS` of it; without it, whatever is proposed. `by` says who.
    ///
    /// # Errors
    /// [`PinFault`]; nothing has changed then.
    pub fn approve(&mut self, one: Decision<'_>, at_ms: u64) -> Result<Hash, PinFault> {
        let known = self.open(&one)?;
        let Some(mut version) = known.proposed.take() else { return Err(PinFault::Settled(one.name())) };
        let id = version.print.id();
        known.rejected.retain(|other| *other != id);
        let old = known.pinned.as_ref().map(|pinned| pinned.print.id());
        (version.at_ms, version.how) = (at_ms, How::Approved);
        known.pinned = Some(version);
        self.decided(&one, What::Approved, (old, id), at_ms);
        Ok(id)
    }

    /// Says no to what is proposed: it is not asked about again.
    ///
    /// # Errors
    /// As `approve`, and where it has been rejected already.
    pub fn reject(&mut self, one: Decision<'_>, at_ms: u64) -> Result<Hash, PinFault> {
        let known = self.open(&one)?;
        let Some(version) = &known.proposed else { return Err(PinFault::Settled(one.name())) };
        let id = version.print.id();
        if known.rejected.contains(&id) {
            return Err(PinFault::Rejected(one.name()));
        }
        known.rejected.push(id);
        let over = known.rejected.len().saturating_sub(limits::PIN_REJECTED_MAX);
        known.rejected.drain(..over);
        let old = known.pinned.as_ref().map(|pinned| pinned.print.id());
        self.decided(&one, What::Rejected, (old, id), at_ms);
        Ok(id)
    }

    /// The tool that is to be decided about, if it is still what was looked at.
    fn open(&mut self, one: &Decision<'_>) -> Result<&mut Known, PinFault> {
        let known = self.servers.get_mut(one.server).and_then(|tools| tools.get_mut(one.tool));
        let known = known.ok_or_else(|| PinFault::Unknown(one.name()))?;
        let Some(proposed) = &known.proposed else { return Err(PinFault::Settled(one.name())) };
        let now = proposed.print.id();
        let fits =
            |wanted: &str| wanted.len() >= fingerprint::SHORT_DIGITS && now.to_string().starts_with(wanted);
        match one.expected {
            Some(wanted) if !fits(wanted) => Err(PinFault::Changed {
                tool: one.name(),
                now: now.short(),
                wanted: wanted.chars().take(64).collect(),
            }),
            _ => Ok(known),
        }
    }

    fn decided(&mut self, one: &Decision<'_>, what: What, (old, new): (Option<Hash>, Hash), at_ms: u64) {
        self.note(Event {
            number: 0,
            at_ms,
            what,
            server: one.server.to_owned(),
            tool: one.tool.to_owned(),
            old,
            new,
            detail: format!("by {}", one.by),
            marks: String::new(),
        });
    }

    /// Keeps an event until the ledger has it.
    fn note(&mut self, event: Event) {
        let number = self.next_event;
        self.next_event = number.wrapping_add(1);
        self.events.push(Event { number, ..event });
    }

    /// Forgets events that the ledger has: those before `number`.
    pub fn recorded(&mut self, number: u64) {
        self.events.retain(|event| event.number >= number);
    }
}

/// A decision of a person about one tool.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The server.
    pub server: &'a str,
    /// The server's name of the tool.
    pub tool: &'a str,
    /// The beginning of the id of what was looked at; without it, whatever is proposed.
    pub expected: Option<&'a str>,
    /// Who decides, for the ledger.
    pub by: &'a str,
}

impl Decision<'_> {
    fn name(&self) -> String {
        format!("{}.{}", self.server, self.tool)
    }
}
