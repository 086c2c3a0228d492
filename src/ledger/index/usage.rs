//! What sessions did with tools: which of them they called how often, in how many requests of a model.
//!
//! A call of a tool says which `tool_use` it follows from, and the answer of the model that had that says
//! which session it was: so calls find their sessions, also where the client tells a server nothing of them.

use std::collections::{BTreeMap, HashMap};

use crate::ledger::entry::{Entry, Kind};
use crate::limits;

/// A tool: its server, and the server's own name for it.
pub type Tool = (String, String);

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
}

/// What all sessions of a time did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The sessions, in no order that means anything. Where nobody says which session it was, what one key
    /// did on one day counts as one.
    pub sessions: Vec<SessionUse>,
    /// Entries left out, because there were more sessions or calls than are looked at.
    pub left_out: u64,
}

/// Gathers that from entries, which may come in any order.
#[derive(Debug, Default)]
pub struct Gathering {
    usage: Usage,
    sessions: HashMap<String, SessionUse>,
    /// The sessions of uses of tools.
    uses: HashMap<String, String>,
    /// Calls that say which use they follow from.
    waiting: Vec<Waiting>,
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
    /// Adds an entry; those that are neither calls of models nor of tools change nothing.
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
            _ => {}
        }
    }

    fn add_request(&mut self, entry: &Entry, session: String) {
        let of_mcp = |name: &str| name.starts_with("mcp__");
        for action in entry.actions.iter().filter(|action| of_mcp(&action.name)) {
            if self.uses.len() < limits::USAGE_CALLS_MAX {
                self.uses.insert(action.id.clone(), session.clone());
            }
        }
        let tokens = &entry.tokens;
        let kinds = [tokens.input, tokens.cache_read, tokens.cache_write_5m, tokens.cache_write_1h];
        let prompt = kinds.into_iter().fold(0, u64::saturating_add);
        // What no model has answered cost no prompt.
        if prompt == 0 {
            return;
        }
        if let Some(found) = self.session(session, &entry.team) {
            found.requests = found.requests.saturating_add(1);
            found.prompt_tokens = found.prompt_tokens.saturating_add(prompt);
        }
    }

    fn session(&mut self, session: String, team: &str) -> Option<&mut SessionUse> {
        if self.sessions.len() >= limits::USAGE_SESSIONS_MAX && !self.sessions.contains_key(&session) {
            self.usage.left_out += 1;
            return None;
        }
        let new = || SessionUse { team: team.to_owned(), ..SessionUse::default() };
        Some(self.sessions.entry(session).or_insert_with(new))
    }

    /// What there is to say of all entries.
    pub fn finish(mut self) -> Usage {
        for call in std::mem::take(&mut self.waiting) {
            let Waiting { use_id, otherwise, team, tool } = call;
            let session = self.uses.get(&use_id).cloned().unwrap_or(otherwise);
            if let Some(found) = self.session(session, &team) {
                *found.calls.entry(tool).or_default() += 1;
            }
        }
        let sessions = self.sessions.into_values().collect();
        Usage { sessions, ..self.usage }
    }
}

/// Whether a call of a tool was let through: what was denied is no use of it.
fn is_made(entry: &Entry) -> bool {
    let refused = ["denied", "refused"].iter().any(|word| entry.decision.starts_with(word));
    !refused && !entry.server.is_empty() && !entry.tool.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Gathering, SessionUse, Tool};
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
        };
        let expected = [
            session(0, 0, &[("get", 1)]),
            session(1, 50, &[("get", 1)]),
            session(2, 400, &[("early", 1), ("get", 1)]),
        ];
        assert_eq!(usage.sessions, expected);
        assert_eq!(usage.left_out, 0);
    }
}
