//! What sessions did with tools: which of them they called how often, in how many requests of a model.
//!
//! A call of a tool says which `tool_use` it follows from, and the answer of the model that had that says
//! which session it was: so calls find their sessions, also where the client tells a server nothing of them.
//! A list of tools follows from nothing, so a session is taken to have the last one that its key was given.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ledger::entry::{Entry, Kind};
use crate::limits;

/// A tool: its server, and the server's own name for it.
pub type Tool = (String, String);

/// How a list of tools was written, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listing {
    /// As in [`Entry::mode`].
    pub mode: String,
    /// As in [`Entry::mode_by`].
    pub mode_by: String,
    /// As in [`Entry::client`].
    pub client: String,
}

/// What one session did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionUse {
    /// The team of its first entry; empty for none.
    pub team: String,
    /// Requests that a model has answered.
    pub requests: u64,
    /// Tokens of their prompts, from the cache and not.
    pub prompt_tokens: u64,
    /// Calls by tool.
    pub calls: BTreeMap<Tool, u64>,
    /// The list of tools that it had, as far as the ledger tells: the last one that was given to its key
    /// before its last request.
    pub listing: Option<Arc<Listing>>,
}

/// What all sessions of a time did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The sessions, in no order that means anything. Where nobody says which session it was, what one key
    /// did on one day counts as one.
    pub sessions: Vec<SessionUse>,
    /// How lists of tools were written, each with how many there were.
    pub listings: BTreeMap<Arc<Listing>, u64>,
    /// Entries left out, because there were more sessions, calls or lists than are looked at.
    pub left_out: u64,
}

/// Gathers that from entries, which may come in any order.
#[derive(Debug, Default)]
pub struct Gathering {
    usage: Usage,
    sessions: HashMap<String, Held>,
    /// The sessions of uses of tools.
    uses: HashMap<String, String>,
    /// Calls that say which use they follow from.
    waiting: Vec<Waiting>,
    /// Lists of tools by the key that they were given to, and the time.
    lists: HashMap<String, BTreeMap<u64, Arc<Listing>>>,
    list_count: usize,
}

/// A session with what its list of tools is found by.
#[derive(Debug)]
struct Held {
    found: SessionUse,
    key_id: String,
    /// When its last request began.
    last_ms: u64,
}

#[derive(Debug)]
struct Waiting {
    use_id: String,
    /// The session where nobody knows of that use.
    otherwise: String,
    team: String,
    tool: Tool,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Gathering {
    /// Adds an entry; those that are neither calls of models or tools nor lists of these change nothing.
    pub fn add(&mut self, entry: &Entry) {
        let session = if entry.session.is_empty() {
            format!("{} {}", entry.key_id, entry.at_ms / DAY_MS)
        } else {
            entry.session.clone()
        };
        match entry.kind {
            Kind::ModelCall => self.add_request(entry, session),
            Kind::ToolCall if is_made(entry) => {
                let (use_id, team) = (entry.tool_use_id.clone(), entry.team.clone());
                let tool = (entry.server.clone(), entry.tool.clone());
                if self.waiting.len() >= limits::USAGE_CALLS_MAX {
                    self.usage.left_out += 1;
                } else {
                    self.waiting.push(Waiting { use_id, otherwise: session, team, tool });
                }
            }
            Kind::ToolList => self.add_list(entry),
            _ => {}
        }
    }

    fn add_list(&mut self, entry: &Entry) {
        if self.list_count >= limits::USAGE_CALLS_MAX {
            self.usage.left_out += 1;
            return;
        }
        self.list_count += 1;
        let (mode, mode_by) = (entry.mode.clone(), entry.mode_by.clone());
        let listing = Arc::new(Listing { mode, mode_by, client: entry.client.clone() });
        // Most are the same, and kept once.
        let known = self.usage.listings.get_key_value(&listing).map(|(known, _)| Arc::clone(known));
        let listing = known.unwrap_or(listing);
        *self.usage.listings.entry(Arc::clone(&listing)).or_default() += 1;
        self.lists.entry(entry.key_id.clone()).or_default().insert(entry.at_ms, listing);
    }

    fn add_request(&mut self, entry: &Entry, session: String) {
        let of_mcp = |name: &str| name.starts_with("mcp__");
        for action in entry.actions.iter().filter(|action| of_mcp(&action.name)) {
            if self.uses.len() < limits::USAGE_CALLS_MAX {
                self.uses.insert(action.id.clone(), session.clone());
            } else {
                self.usage.left_out += 1;
            }
        }
        let tokens = &entry.tokens;
        let kinds = [tokens.input, tokens.cache_read, tokens.cache_write_5m, tokens.cache_write_1h];
        let prompt = kinds.into_iter().fold(0, u64::saturating_add);
        // What no model has answered cost no prompt.
        if prompt == 0 {
            return;
        }
        if let Some(held) = self.session(session, (&entry.team, &entry.key_id)) {
            held.found.requests = held.found.requests.saturating_add(1);
            held.found.prompt_tokens = held.found.prompt_tokens.saturating_add(prompt);
            held.last_ms = held.last_ms.max(entry.at_ms);
        }
    }

    fn session(&mut self, session: String, (team, key_id): (&str, &str)) -> Option<&mut Held> {
        if self.sessions.len() >= limits::USAGE_SESSIONS_MAX && !self.sessions.contains_key(&session) {
            self.usage.left_out += 1;
            return None;
        }
        let new = || Held {
            found: SessionUse { team: team.to_owned(), ..SessionUse::default() },
            key_id: key_id.to_owned(),
            last_ms: 0,
        };
        Some(self.sessions.entry(session).or_insert_with(new))
    }

    /// The session of a use of a tool. Calls of a script have its own with a `#` and their number behind.
    fn session_of(&self, use_id: &str) -> Option<&String> {
        let of_script = || use_id.rsplit_once('#').and_then(|(script, _)| self.uses.get(script));
        self.uses.get(use_id).or_else(of_script)
    }

    /// What there is to say of all entries.
    pub fn finish(mut self) -> Usage {
        for call in std::mem::take(&mut self.waiting) {
            let Waiting { use_id, otherwise, team, tool } = call;
            let session = self.session_of(&use_id).cloned().unwrap_or(otherwise);
            if let Some(held) = self.session(session, (&team, "")) {
                *held.found.calls.entry(tool).or_default() += 1;
            }
        }
        let lists = self.lists;
        let listed = |Held { found, key_id, last_ms }| {
            let last = lists.get(&key_id).and_then(|lists| lists.range(..=last_ms).next_back());
            SessionUse { listing: last.map(|(_, listing)| Arc::clone(listing)), ..found }
        };
        let sessions = self.sessions.into_values().map(listed).collect();
        Usage { sessions, ..self.usage }
    }
}

/// Whether a call of a tool was let through: what was denied is no use of it, nor is reading on in a result.
fn is_made(entry: &Entry) -> bool {
    let none = ["denied", "refused", "more of "].iter().any(|word| entry.decision.starts_with(word));
    !none && !entry.server.is_empty() && !entry.tool.is_empty()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Gathering, Listing, SessionUse, Tool};
    use crate::ids::CallId;
    use crate::ledger::entry::{Action, Entry, Kind, Tokens};

    fn request(session: &str, uses: &[&str], prompt: u64) -> Entry {
        let action =
            |id: &&str| Action { id: (*id).to_owned(), name: "mcp__s__t".into(), ..Action::default() };
        Entry {
            session: session.to_owned(),
            team: "red".to_owned(),
            key_id: "k".to_owned(),
            actions: uses.iter().map(action).collect(),
            tokens: Tokens { input: 1, cache_read: prompt - 1, ..Tokens::default() },
            ..Entry::new(CallId(1), Kind::ModelCall, 5)
        }
    }

    fn call(tool: &str, use_id: &str, decision: &str) -> Entry {
        Entry {
            server: "s".to_owned(),
            tool: tool.to_owned(),
            tool_use_id: use_id.to_owned(),
            decision: decision.to_owned(),
            team: "red".to_owned(),
            key_id: "k".to_owned(),
            ..Entry::new(CallId(2), Kind::ToolCall, 7)
        }
    }

    fn tool(name: &str) -> Tool {
        ("s".to_owned(), name.to_owned())
    }

    #[test]
    fn calls_find_the_sessions_that_they_follow_from() {
        let entries = [
            call("early", "use_1", "allowed"),
            request("one", &["use_1", "use_2"], 100),
            request("one", &[], 300),
            call("get", "use_2", "allowed"),
            call("get", "use_2", "denied by rule 1"),
            call("get", "unknown", "allowed"),
            call("by_script", "use_2#7", "allowed"),
            call("read_more", "use_2", "more of s.get"),
            request("two", &["use_3"], 50),
            call("get", "use_3", "allowed"),
            Entry::new(CallId(3), Kind::Admin, 9),
        ];
        let mut gathering = Gathering::default();
        entries.iter().for_each(|entry| gathering.add(entry));
        let mut usage = gathering.finish();
        usage.sessions.sort_by_key(|session| session.prompt_tokens);
        let session = |requests, prompt_tokens, calls: &[(&str, u64)]| SessionUse {
            team: "red".to_owned(),
            requests,
            prompt_tokens,
            calls: calls.iter().map(|(name, calls)| (tool(name), *calls)).collect(),
            listing: None,
        };
        let expected = [
            session(0, 0, &[("get", 1)]),
            session(1, 50, &[("get", 1)]),
            session(2, 400, &[("by_script", 1), ("early", 1), ("get", 1)]),
        ];
        assert_eq!(usage.sessions, expected);
        assert_eq!((usage.left_out, usage.listings.len()), (0, 0));
    }

    fn listed(key_id: &str, at_ms: u64, mode: &str) -> Entry {
        Entry {
            key_id: key_id.to_owned(),
            client: "claude-code/2.1.330 (cli)".to_owned(),
            mode: mode.to_owned(),
            mode_by: "auto".to_owned(),
            ..Entry::new(CallId(4), Kind::ToolList, at_ms)
        }
    }

    #[test]
    fn a_session_has_the_last_list_that_its_key_was_given_before_its_end() {
        let of = |session: &str, key_id: &str, at_ms| Entry {
            key_id: key_id.to_owned(),
            at_ms,
            ..request(session, &[], 100)
        };
        let entries = [
            // In no order, as pages may come.
            of("late", "k", 500),
            listed("k", 400, "jit"),
            of("early", "k", 300),
            listed("k", 100, "search"),
            of("early", "k", 110),
            listed("k", 600, "native"),
            listed("other", 450, "code"),
            of("before", "k", 50),
            of("stranger", "nobody", 500),
        ];
        let mut gathering = Gathering::default();
        entries.iter().for_each(|entry| gathering.add(entry));
        let usage = gathering.finish();
        let mut found: Vec<(u64, &str)> = usage
            .sessions
            .iter()
            .map(|session| {
                let mode = session.listing.as_deref().map_or("-", |listing| listing.mode.as_str());
                (session.requests, mode)
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, [(1, "-"), (1, "-"), (1, "jit"), (2, "search")]);
        let kinds: Vec<(&str, u64)> =
            usage.listings.iter().map(|(listing, count)| (listing.mode.as_str(), *count)).collect();
        assert_eq!(kinds, [("code", 1), ("jit", 1), ("native", 1), ("search", 1)]);
    }

    #[test]
    fn lists_that_are_the_same_are_counted_and_kept_once() {
        let mut gathering = Gathering::default();
        (0..5).for_each(|at_ms| gathering.add(&listed("k", at_ms, "jit")));
        let usage = gathering.finish();
        let listing = Listing {
            mode: "jit".to_owned(),
            mode_by: "auto".to_owned(),
            client: "claude-code/2.1.330 (cli)".to_owned(),
        };
        assert_eq!(usage.listings.into_iter().collect::<Vec<_>>(), [(Arc::new(listing), 5)]);
    }
}
