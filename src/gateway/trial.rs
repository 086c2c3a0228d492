//! What would become of a call: every decision of the way, and no call.

use std::collections::HashMap;

use crate::call::Class;
use crate::config::snapshot::Snapshot;
use crate::gateway::destination::{self, Refused};
use crate::identity::principal::Principal;
use crate::ids::{KeyName, ServerName, TeamName};
use crate::llm::anthropic::request::Request;
use crate::mcp::names::overrides::Overrides;
use crate::policy::decide::ToolCall;
use crate::policy::table::Table;

/// A call that somebody makes, or has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call<'a> {
    /// A request of a model, by the name that a caller writes.
    Model(&'a str),
    /// A call of a tool, by the server's own name for it.
    Tool {
        /// The server.
        server: &'a str,
        /// The tool.
        tool: &'a str,
        /// What it does, by the word of its server. It counts where the config says nothing and trusts the
        /// server.
        class: Class,
    },
    /// What of a server is no tool: its prompts and resources.
    Server(&'a str),
}

/// What would become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it would be made.
    pub allowed: bool,
    /// The rules that allow it, or the sentence that its caller would read.
    pub why: String,
    /// The model that is meant, where the caller names another.
    pub meant: Option<String>,
    /// What callers are told of the end of the model.
    pub deprecated: Option<String>,
    /// Every place that could serve it, in the order of the config.
    pub places: Vec<PlaceVerdict>,
}

/// What the rules say of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceVerdict {
    /// The place: `provider anthropic: us`.
    pub place: String,
    /// The model that a provider is asked for, where it is another.
    pub model: Option<String>,
    /// Whether the rules about places allow it.
    pub allowed: bool,
}

/// Those who can be asked about: the keys of a config by id and by name.
#[derive(Debug)]
pub struct Trial<'s> {
    snapshot: &'s Snapshot,
    keys: HashMap<&'s str, &'s Principal>,
    decisions: Table,
}

impl<'s> Trial<'s> {
    /// Tries calls by what holds of a config.
    pub fn of(snapshot: &'s Snapshot) -> Self {
        let named = snapshot.keys.principals().map(|one| (one.key.as_str(), one));
        // An id says more than a name: of keys with one name it is the one that counts.
        let keys = named.chain(snapshot.keys.principals().map(|one| (&*one.key_id, one)));
        Self { snapshot, keys: keys.collect(), decisions: Table::default() }
    }

    /// The valid key of this name or id.
    pub fn key(&self, name_or_id: &str) -> Option<&'s Principal> {
        self.keys.get(name_or_id).copied()
    }

    /// Says what would become of a call at `now_ms`, milliseconds since 1970.
    pub fn verdict(&self, principal: &Principal, call: Call<'_>, now_ms: u64) -> Verdict {
        match call {
            Call::Model(model) => self.model(principal, model, now_ms),
            Call::Tool { server, tool, class } => self.tool(principal, server, Some((tool, class))),
            Call::Server(server) => self.tool(principal, server, None),
        }
    }

    fn model(&self, principal: &Principal, model: &str, now_ms: u64) -> Verdict {
        let snapshot = self.snapshot;
        let request = Request { model: model.to_owned(), ..Request::default() };
        let mut verdict = match destination::find((snapshot, &self.decisions), principal, &request, now_ms) {
            Ok(found) => Verdict {
                allowed: true,
                why: found.residency.decision(&found.permit),
                meant: found.meant.map(|name| name.to_string()),
                deprecated: found.notice.map(|end| end.notice.to_string()),
                places: Vec::new(),
            },
            Err(Refused { error, .. }) => Verdict { why: error.message().to_owned(), ..Verdict::default() },
        };
        // Where it would have gone, and why not: also of what is refused for its place alone.
        let residency = snapshot.rules.residency(principal);
        let targets = destination::targets((snapshot, &self.decisions), principal, model, now_ms);
        verdict.places = targets
            .iter()
            .filter_map(|target| {
                let place = &snapshot.providers.get(target.provider)?.place;
                let model = target.model.as_deref().map(str::to_owned);
                Some(PlaceVerdict { place: place.to_string(), model, allowed: residency.allows(place) })
            })
            .collect();
        verdict
    }

    fn tool(&self, principal: &Principal, server: &str, tool: Option<(&str, Class)>) -> Verdict {
        let Some(known) = self.snapshot.mcp.servers.iter().find(|one| one.server.name.as_str() == server)
        else {
            return Verdict { why: format!("there is no MCP server {server:?}"), ..Verdict::default() };
        };
        let rules = &self.snapshot.rules;
        let name = ServerName::new(server);
        let decided = match tool {
            Some((tool, said)) => {
                let by_config = Overrides::new(&known.presentation).of(tool).class;
                let class = by_config.unwrap_or(if known.server.trusted { said } else { Class::Unknown });
                // Whether somebody can be asked is a matter of the client; that the rules want it is told.
                rules.decide_tool(principal, &ToolCall { server: &name, tool, class, can_ask: true })
            }
            None => rules.may_see(principal, &name),
        };
        let (residency, place) = (rules.residency(principal), &known.server.place);
        let at = PlaceVerdict { place: place.to_string(), model: None, allowed: residency.allows(place) };
        let placed = decided.map_err(|denial| denial.to_string()).and_then(|permit| {
            let placed = residency.place(&permit, place).map_err(|outside| outside.to_string());
            placed.map(|_placed| residency.decision(&permit))
        });
        let (allowed, why) = match placed {
            Ok(why) => (true, why),
            Err(why) => (false, why),
        };
        Verdict { allowed, why, places: vec![at], ..Verdict::default() }
    }
}

/// Somebody of whom only the ledger knows: a key that is gone, with what its team may do.
pub fn stand_in(key: &str, key_id: &str, team: &str) -> Principal {
    Principal {
        team: (!team.is_empty()).then(|| TeamName::new(team)),
        ..Principal::of_key(KeyName::new(key), key_id)
    }
}
