//! Tool definitions that go along with calls of models: whose they are, how much of a context they take, and
//! which of them an answer uses.
//!
//! A client sends all definitions with each call of a session, so a list is weighed once per core and then
//! known by its hash.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::config::snapshot::Snapshot;
use crate::gateway::record::Record;
use crate::gateway::showcase::Shown;
use crate::gateway::worker::Worker;
use crate::identity::principal::Principal;
use crate::ledger::entry::Offer;
use crate::ledger::redact;
use crate::limits;
use crate::llm::action::Action;
use crate::llm::anthropic::request::Request;
use crate::llm::anthropic::tools::{self, Tool};
use crate::mcp::definition::ItemKind;
use crate::mcp::names;

/// What the list of one request weighs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Weighed {
    /// By server, nothing used yet.
    rows: Vec<Offer>,
    /// The hash of a name, its row, and its tokens, in the order of the hashes.
    names: Vec<(u64, usize, u64)>,
    /// Searches of the web that the provider may make, each for a fee.
    pub(super) web_searches: u64,
}

/// The lists that one core has weighed.
#[derive(Debug)]
pub(super) struct Offers {
    /// Callers who do not know it cannot make two lists that are taken for one.
    seed: u64,
    held: RefCell<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The version of the config that servers were told by.
    config: String,
    found: HashMap<u128, (Rc<Weighed>, Told)>,
    /// Names in all of them together.
    names: usize,
}

/// Whether servers have been told by our own catalog, where a list has names of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// For good.
    Wholly,
    /// There was no catalog yet: at a start, or after something has changed.
    Partly,
}

impl Default for Offers {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0), held: RefCell::default() }
    }
}

impl Offers {
    /// Weighs the list at `span`; `catalog` is asked for only where a name of our own has to be told.
    fn weigh(
        &self,
        (body, span): (&[u8], Range<usize>),
        snapshot: &Snapshot,
        catalog: impl Fn() -> Option<Arc<Shown>>,
    ) -> Rc<Weighed> {
        let hash = xxh3_128_with_seed(body.get(span.clone()).unwrap_or_default(), self.seed);
        let mut held = self.held.borrow_mut();
        if held.config != snapshot.version {
            *held = Held { config: snapshot.version.clone(), ..Held::default() };
        }
        let known = held.found.get(&hash);
        let shown = match known {
            Some((weighed, Told::Wholly)) => return Rc::clone(weighed),
            Some((weighed, Told::Partly)) => match catalog() {
                None => return Rc::clone(weighed),
                shown => shown,
            },
            None => catalog(),
        };
        let (weighed, told) = weigh(body, span, &snapshot.mcp.endpoint_key, shown.as_deref());
        let weighed = Rc::new(weighed);
        if held.found.len() >= limits::OFFERS_HELD_MAX || held.names >= limits::OFFERS_HELD_NAMES_MAX {
            held.found.clear();
            held.names = 0;
        }
        held.names += weighed.names.len();
        held.found.insert(hash, (Rc::clone(&weighed), told));
        weighed
    }
}

/// Walks a list.
fn weigh(body: &[u8], span: Range<usize>, own: &str, shown: Option<&Shown>) -> (Weighed, Told) {
    let mut weighed = Weighed::default();
    let mut told = Told::Wholly;
    let read = tools::read(body, span, |tool| {
        let (server, known) = server_of(&tool.name, own, shown);
        if !known {
            told = Told::Partly;
        }
        weighed.add(&tool, server);
    });
    if read.is_err() {
        // What stands behind the fault may be a search as well; the provider will hardly take it.
        weighed.web_searches = weighed.web_searches.saturating_add(limits::WEB_SEARCHES_UNSAID);
    }
    weighed.names.sort_unstable();
    (weighed, told)
}

/// The server that a tool is of, and whether that is its last word. Clients call a tool of MCP
/// `mcp__SERVER__TOOL`; for us that is one server, behind which our catalog tells the real one.
fn server_of(name: &str, own: &str, shown: Option<&Shown>) -> (String, bool) {
    let Some((server, tool)) = name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) else {
        return (String::new(), true);
    };
    if server == own
        && let Some(shown) = shown
        && let Some(entry) = shown.view.find(ItemKind::Tool, tool)
        && let Some(way) = shown.ways.get(entry.server)
    {
        return (way.server.name.as_str().to_owned(), true);
    }
    let bounded: String = server.chars().take(limits::OFFER_SERVER_CHARS_MAX).collect();
    let shown_name = redact::redact_text(&names::normal(&bounded)).into_owned();
    // Without a catalog nobody can tell yet what stands behind our own name.
    (shown_name, server != own || shown.is_some())
}

impl Weighed {
    fn add(&mut self, tool: &Tool<'_>, server: String) {
        if tool.is_web_search() {
            let most = tool.max_uses.unwrap_or(limits::WEB_SEARCHES_UNSAID);
            self.web_searches = self.web_searches.saturating_add(most);
        }
        let bytes = u64::try_from(tool.bytes).unwrap_or(u64::MAX);
        let tokens = bytes.div_ceil(limits::DEFINITION_BYTES_PER_TOKEN);
        let place = self.place(server);
        let Some(row) = self.rows.get_mut(place) else { return };
        row.definitions = row.definitions.saturating_add(1);
        row.tokens = row.tokens.saturating_add(tokens);
        if tool.deferred {
            row.deferred = row.deferred.saturating_add(tokens);
        }
        if self.names.len() < limits::OFFER_NAMES_MAX {
            self.names.push((xxh3_64(tool.name.as_bytes()), place, tokens));
        }
    }

    /// The row of a server, the last of which is for all that have none.
    fn place(&mut self, server: String) -> usize {
        if let Some(place) = self.rows.iter().position(|row| row.server == server) {
            return place;
        }
        let last = self.rows.len() + 1 >= limits::OFFERS_OF_ENTRY_MAX;
        let server = if last { OTHERS.to_owned() } else { server };
        if let Some(place) = self.rows.iter().position(|row| row.server == server) {
            return place;
        }
        self.rows.push(Offer { server, ..Offer::default() });
        self.rows.len() - 1
    }

    /// The rows with what these uses of tools have used of them.
    fn used(&self, actions: &[Action]) -> Vec<Offer> {
        let mut rows = self.rows.clone();
        let mut seen = Vec::new();
        for action in actions {
            let hash = xxh3_64(action.name.as_bytes());
            let Ok(place) = self.names.binary_search_by_key(&hash, |(known, _, _)| *known) else { continue };
            let Some((_, row, tokens)) = self.names.get(place).filter(|_| !seen.contains(&hash)) else {
                continue;
            };
            seen.push(hash);
            if let Some(row) = rows.get_mut(*row) {
                row.used = row.used.saturating_add(*tokens);
            }
        }
        rows
    }
}

/// The row of the servers that have none.
const OTHERS: &str = "*";

impl Worker {
    /// Weighs the definitions of tools that a request brings along.
    pub(super) fn weigh(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        (body, request): (&[u8], &Request),
    ) -> Option<Rc<Weighed>> {
        let span = request.tools.clone()?;
        let catalog = || {
            // Where there are no servers there is no catalog to wait for.
            let has = !snapshot.mcp.servers.is_empty();
            has.then(|| self.shown.any(&self.showcase, principal, || snapshot.rules.view_key(principal)))?
        };
        Some(self.offers.weigh((body, span), snapshot, catalog))
    }
}

impl Record {
    /// What a model was offered with a call that it has answered.
    pub(super) fn offers(&self) -> Vec<Offer> {
        let answered = self.open.is_some() && (200..300).contains(&self.status);
        let tools = self.tools.as_ref().filter(|_| answered);
        tools.map_or_else(Vec::new, |tools| tools.used(&self.answer.actions))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::llm::anthropic::request;

    fn weighed(tools: &Value) -> Weighed {
        let body = json!({ "model": "m", "tools": tools }).to_string().into_bytes();
        let span = request::read(&body).unwrap().tools.unwrap();
        weigh(&body, span, "tollgate", None).0
    }

    fn uses(names: &[&str]) -> Vec<Action> {
        names.iter().map(|name| Action { name: (*name).into(), ..Action::default() }).collect()
    }

    fn tokens(tool: &Value) -> u64 {
        (tool.to_string().len() as u64).div_ceil(4)
    }

    #[test]
    fn definitions_are_counted_by_server_and_those_that_are_used_once() {
        let issue = json!({ "name": "mcp__github__create_issue", "input_schema": { "type": "object" } });
        let search = json!({ "name": "mcp__github__search", "defer_loading": true });
        let bash = json!({ "name": "Bash", "description": "runs", "input_schema": {} });
        let found = weighed(&json!([issue, bash, search, "no object"]));
        let used = found.used(&uses(&["mcp__github__search", "mcp__github__search", "unknown"]));
        let row = |server: &str, definitions, tokens, deferred, used| {
            let server = server.to_owned();
            Offer { server, definitions, tokens, deferred, used }
        };
        let (searching, both) = (tokens(&search), tokens(&search) + tokens(&issue));
        assert_eq!(used, [row("github", 2, both, searching, searching), row("", 1, tokens(&bash), 0, 0)]);
        assert_eq!(found.used(&uses(&["Bash"]))[1].used, tokens(&bash));
    }

    #[test]
    fn servers_without_a_row_of_their_own_are_counted_together() {
        let tools: Vec<Value> = (0..200).map(|n| json!({ "name": format!("mcp__s{n}__t") })).collect();
        let used = weighed(&tools.clone().into()).used(&uses(&["mcp__s0__t", "mcp__s199__t"]));
        assert_eq!(used.len(), limits::OFFERS_OF_ENTRY_MAX);
        let last = used.last().unwrap();
        assert_eq!((last.server.as_str(), last.used), ("*", tokens(&tools[199])));
        let all: u64 = used.iter().map(|row| row.tokens).sum();
        assert_eq!(all, tools.iter().map(tokens).sum::<u64>());
        assert_eq!(used.iter().map(|row| row.definitions).sum::<u64>(), 200);
        let long = weighed(&json!([{ "name": format!("mcp__{}__t", "ä b".repeat(99)) }]));
        assert!(long.rows[0].server.len() <= limits::OFFER_SERVER_CHARS_MAX);
        assert!(long.rows[0].server.is_ascii());
    }

    #[test]
    fn searches_of_the_web_are_counted_as_far_as_they_may_be_made() {
        let search = |more: Value| {
            let mut tool = json!({ "type": "web_search_20250305", "name": "web_search" });
            tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            tool
        };
        let unsaid = limits::WEB_SEARCHES_UNSAID;
        for (tools, searches) in [
            (json!([]), 0),
            (json!([search(json!({ "max_uses": 8 }))]), 8),
            (json!([search(json!({}))]), unsaid),
            (json!([search(json!({ "max_uses": "many" }))]), unsaid),
            (json!([search(json!({ "max_uses": 8 })), search(json!({}))]), 8 + unsaid),
            (json!([search(json!({ "max_uses": u64::MAX })), search(json!({}))]), u64::MAX),
            (json!([{ "type": "custom", "name": "web_search" }, { "name": "web_search" }]), 0),
        ] {
            assert_eq!(weighed(&tools).web_searches, searches, "{tools}");
        }
        for (tools, searches) in [
            (r#"[{"typ\u0065":"web\u005fsearch_20250305","max\u005fuses":3}]"#, 3),
            (r#"[{"type":"custom","type":"web_search_1","max_uses":3,"max_uses":1}]"#, 3),
            (r#"[{"type":1 2}, {"type":"web_search_1","max_uses":3}]"#, unsaid),
        ] {
            let body = format!(r#"{{"model":"m","tools":{tools}}}"#);
            let span = request::read(body.as_bytes()).unwrap().tools.unwrap();
            assert_eq!(weigh(body.as_bytes(), span, "", None).0.web_searches, searches, "{tools}");
        }
    }

    #[test]
    fn a_list_is_weighed_once_and_the_shelf_is_bounded() {
        let snapshot = crate::gateway::tests::snapshot(([127, 0, 0, 1], 9).into());
        let offers = Offers::default();
        let weigh = |body: &str| offers.weigh((body.as_bytes(), 0..body.len()), &snapshot, || None);
        let first = weigh(r#"[{"name":"mcp__tollgate__a"}]"#);
        assert!(Rc::ptr_eq(&first, &weigh(r#"[{"name":"mcp__tollgate__a"}]"#)));
        assert!(!Rc::ptr_eq(&first, &weigh(r#"[{"name":"mcp__tollgate__b"}]"#)));
        for number in 0..2 * limits::OFFERS_HELD_MAX {
            weigh(&format!(r#"[{{"name":"{number}"}}]"#));
        }
        assert!(offers.held.borrow().found.len() <= limits::OFFERS_HELD_MAX);
        let many = vec![r#"{"name":"a"}"#; 5000].join(",");
        for number in 0..40 {
            weigh(&format!("[{number},{many}]"));
            let held = offers.held.borrow();
            assert!(held.names < limits::OFFERS_HELD_NAMES_MAX + limits::OFFER_NAMES_MAX);
        }
    }
}
