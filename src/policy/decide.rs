//! The decision about one call, and the permit that proves it was made.

use std::fmt;
use std::sync::Arc;

use crate::call::{Class, ToolChoice};
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::ServerRules;
use crate::ids::{KeyName, ServerName, TeamName};
use crate::limits;
use crate::policy::core_tools::CoreTools;
use crate::policy::readable::Whose;
use crate::policy::residency::Territory;
use crate::policy::rights::{Answer, Rights, Verdict};
use crate::policy::rules::{Rules, Team, Unwritten};
use crate::policy::subject::Subject;
use crate::policy::table::Known;
use crate::policy::words::Told;

/// Proof that policy allowed a call. Only this module makes one; it says by which rule, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    whose: Holder,
    reason: Reason,
}

/// To whom it was given.
#[derive(Clone, Debug)]
pub(super) enum Holder {
    /// Somebody whom a table knows: nothing of it is copied.
    Known(Arc<Known>),
    Named(KeyName, Option<TeamName>),
}

impl Holder {
    fn of(principal: &Principal) -> Self {
        Self::Named(principal.key.clone(), principal.team.clone())
    }

    fn named(&self) -> (&KeyName, Option<&TeamName>) {
        match self {
            Self::Known(known) => (&known.principal().key, known.principal().team.as_ref()),
            Self::Named(key, team) => (key, team.as_ref()),
        }
    }
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        self.named() == other.named()
    }
}

impl Eq for Holder {}

/// Why it was allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    By(Arc<Verdict>),
    Listing,
    Own,
}

impl Permit {
    /// The permit of the gateway itself: for asking servers what they offer, for keeping sessions with them
    /// and for ending those. Whoever acts because a caller asked has to get a permit of that caller's.
    pub fn own() -> Self {
        // No key can have this name: the config refuses brackets.
        Self { whose: Holder::Named(KeyName::new("(gateway)"), None), reason: Reason::Own }
    }

    /// The key that was allowed; `(gateway)` for the gateway's own.
    pub fn key(&self) -> &KeyName {
        self.whose.named().0
    }

    /// Its team.
    pub fn team(&self) -> Option<&TeamName> {
        self.whose.named().1
    }

    /// Whether a person has to say so before the call is made.
    pub fn asks(&self) -> bool {
        matches!(&self.reason, Reason::By(verdict) if verdict.answer == Answer::Ask)
    }

    /// A permit out of thin air, for tests of those who only ask to see one.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self { whose: Holder::Named(KeyName::new("test"), None), reason: Reason::Listing }
    }
}

/// The rules that allowed it: `team platform: models claude-*`, or `no rule: all models`.
impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::By(verdict) => f.write_str(&verdict.told(self.key())),
            Reason::Listing => f.write_str("no rule: all models"),
            Reason::Own => f.write_str("the gateway's own"),
        }
    }
}

/// Why a call may not be made: one sentence for the developer who reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Denial {
    sentence: String,
    decision: String,
}

impl Denial {
    /// What the ledger has of it: the rules that deny it, or whose list does not have it.
    pub fn decision(&self) -> &str {
        &self.decision
    }
}

/// A call of a tool that somebody wants to make.
#[derive(Clone, Copy, Debug)]
pub struct ToolCall<'a> {
    /// The server.
    pub server: &'a ServerName,
    /// The tool, by the server's own name for it.
    pub tool: &'a str,
    /// What it does.
    pub class: Class,
    /// Whether the client asks a person where the definition of a tool says so.
    pub can_ask: bool,
}

impl<'a> ToolCall<'a> {
    pub(super) const fn subject(&self) -> Subject<'a> {
        Subject::Tool(self.server, self.tool, self.class)
    }
}

/// What the rules say, and to whom.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) whose: Holder,
    pub(super) verdict: Arc<Verdict>,
}

impl Found {
    /// The permit, if it is one.
    fn permit(self, can_ask: bool) -> Result<Permit, Self> {
        match self.verdict.answer {
            Answer::Allow => Ok(Permit { whose: self.whose, reason: Reason::By(self.verdict) }),
            Answer::Ask if can_ask => Ok(Permit { whose: self.whose, reason: Reason::By(self.verdict) }),
            Answer::Ask | Answer::Deny => Err(self),
        }
    }
}

/// A decision for people who want to know why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What it comes to.
    pub answer: Answer,
    /// The rules that decided it, by their ids; none where no list has it.
    pub rules: Vec<String>,
    /// What the developer would read, where it is denied or has to be asked about.
    pub sentence: Option<String>,
}

impl Rules {
    /// Decides whether `principal` may name `model`: the key's own list and its team's list must both have
    /// it, where they exist, and nothing may forbid it. Whether anything serves the model is not asked here.
    /// Asks Cedar; on the way of a request `table::Table` remembers what it said.
    ///
    /// # Errors
    /// A `Denial` that names the model, the key and what is allowed, or the rule that denies it.
    pub fn decide(&self, principal: &Principal, model: &str) -> Result<Permit, Denial> {
        self.settle_model(principal, model, self.found(principal, &Subject::Model(model)))
    }

    /// Decides whether `principal` may call a tool: the rules of the key and of its team must both give it,
    /// where they exist, nothing may forbid it, and where somebody has to be asked, the client has to be one
    /// that asks. Whether there is such a tool is not asked here.
    ///
    /// # Errors
    /// A `Denial` that names tool, server and key, and what is allowed, or the rule that stands in the way.
    pub fn decide_tool(&self, principal: &Principal, call: &ToolCall<'_>) -> Result<Permit, Denial> {
        self.settle_tool(principal, call, self.found(principal, &call.subject()))
    }

    /// Decides whether `principal` may use what of `server` is no tool: its prompts, its resources, and the
    /// sight of it. Everyone may who is given any tool of it, whether or not it has that tool.
    ///
    /// # Errors
    /// A `Denial` that names server and key, and what is allowed, or the rule that denies it.
    pub fn may_see(&self, principal: &Principal, server: &ServerName) -> Result<Permit, Denial> {
        self.settle_server(principal, server, self.found(principal, &Subject::Server(server)))
    }

    /// Whether `principal` may call `tool` of `server`: `decide_tool` without its reasons.
    pub fn may_call(&self, principal: &Principal, server: &ServerName, tool: &str, class: Class) -> Answer {
        self.rights(principal).about(&Subject::Tool(server, tool, class)).answer
    }

    /// Whether `principal` may name `model`: `decide` without its reasons.
    pub fn may_name(&self, principal: &Principal, model: &str) -> bool {
        self.rights(principal).about(&Subject::Model(model)).answer == Answer::Allow
    }

    /// Permits what names no model: listing the models. The list itself is filtered by `may_name`.
    pub fn permit_listing(&self, principal: &Principal) -> Permit {
        Permit { whose: Holder::of(principal), reason: Reason::Listing }
    }

    /// Explains what `principal` may do with `model`.
    pub fn explain(&self, principal: &Principal, model: &str) -> Explained {
        let found = self.found(principal, &Subject::Model(model));
        let verdict = Arc::clone(&found.verdict);
        explained(principal, &verdict, self.settle_model(principal, model, found))
    }

    /// Explains what `principal` may do with a tool.
    pub fn explain_tool(&self, principal: &Principal, call: &ToolCall<'_>) -> Explained {
        let found = self.found(principal, &call.subject());
        let verdict = Arc::clone(&found.verdict);
        explained(principal, &verdict, self.settle_tool(principal, call, found))
    }

    /// What decides which servers and tools `principal` sees.
    pub fn view_key(&self, principal: &Principal) -> ViewKey {
        let nothing = || Some(ServerRules::default());
        let team = match &principal.team {
            None => None,
            Some(name) => self.team(name).map_or_else(nothing, |team| team.servers.clone()),
        };
        let territory = principal.team.as_ref().and_then(|name| Some(self.team(name)?.territory.clone()));
        let places = (principal.regions.clone(), territory.unwrap_or_default());
        let book = &self.0;
        let key = principal.servers.clone();
        let (own, territory) = (&places.0, &places.1);
        let any_place = own.is_none() && territory.regions.is_none() && territory.tenancies.is_none();
        let open = book.unwritten == Unwritten::Allow && book.raw.is_empty() && any_place;
        let tools = principal.team.as_ref().and_then(|name| self.team(name)?.tools);
        let core = principal.team.as_ref().and_then(|name| Some(self.team(name)?.core.clone()));
        let core = core.unwrap_or_default();
        let everything = open && key.is_none() && team.is_none() && tools.is_none() && core.is_empty();
        ViewKey { key, team, told: Told::of(principal, book.spoken), places, tools, core, everything }
    }

    pub(super) fn rights(&self, principal: &Principal) -> Rights {
        Rights::of(&self.0, principal)
    }

    fn found(&self, principal: &Principal, subject: &Subject<'_>) -> Found {
        Found { whose: Holder::of(principal), verdict: self.rights(principal).about(subject) }
    }

    pub(super) fn settle_model(
        &self,
        principal: &Principal,
        model: &str,
        found: Found,
    ) -> Result<Permit, Denial> {
        let Found { verdict, .. } = match found.permit(false) {
            Ok(permit) => return Ok(permit),
            Err(found) => found,
        };
        let patterns = |whose: &Whose| {
            let list = match whose {
                Whose::Key => principal.models.as_deref(),
                Whose::Team(team) => self.team(team).and_then(|team| team.models.as_deref()),
                Whose::File | Whose::Nobody => None,
            };
            let list = list.unwrap_or_default().iter().map(|glob| glob.as_str().to_owned()).collect();
            Instead { what: "", nothing: "no model", patterns: list }
        };
        let what = format!("model {:?}", shown(model));
        Err(denial(principal, &what, &verdict, patterns))
    }

    pub(super) fn settle_tool(
        &self,
        principal: &Principal,
        call: &ToolCall<'_>,
        found: Found,
    ) -> Result<Permit, Denial> {
        let Found { verdict, .. } = match found.permit(call.can_ask) {
            Ok(permit) => return Ok(permit),
            Err(found) => found,
        };
        let what = format!("tool {:?} of server \"{}\"", shown(call.tool), call.server);
        if verdict.answer == Answer::Ask {
            return Err(unasked(principal, &what, &verdict));
        }
        let instead = |whose: &Whose| alternatives(call.server, true, self.servers(principal, whose));
        Err(denial(principal, &what, &verdict, instead))
    }

    pub(super) fn settle_server(
        &self,
        principal: &Principal,
        server: &ServerName,
        found: Found,
    ) -> Result<Permit, Denial> {
        let Found { verdict, .. } = match found.permit(false) {
            Ok(permit) => return Ok(permit),
            Err(found) => found,
        };
        let instead = |whose: &Whose| alternatives(server, false, self.servers(principal, whose));
        Err(denial(principal, &format!("server \"{server}\""), &verdict, instead))
    }

    fn servers<'r>(&'r self, principal: &'r Principal, whose: &Whose) -> Option<&'r ServerRules> {
        match whose {
            Whose::Key => principal.servers.as_ref(),
            Whose::Team(team) => self.team(team).and_then(|team: &Team| team.servers.as_ref()),
            Whose::File | Whose::Nobody => None,
        }
    }
}

/// What decides which servers and tools someone sees, and how: with equal view keys two principals see
/// exactly the same. A small handle; comparing and hashing reads the rules, which have a few entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewKey {
    pub(super) key: Option<ServerRules>,
    pub(super) team: Option<ServerRules>,
    /// What Cedar files can tell about the principal.
    told: Told,
    /// What key and team say of the places of servers.
    places: (Option<Arc<[Glob]>>, Territory),
    tools: Option<ToolChoice>,
    core: CoreTools,
    everything: bool,
}

impl ViewKey {
    /// How the team has definitions of tools written.
    pub const fn tools(&self) -> Option<ToolChoice> {
        self.tools
    }

    /// The tools that stand in every list of the team.
    pub const fn core(&self) -> &CoreTools {
        &self.core
    }

    /// Whether it sees everything as everybody does, because no rule speaks of servers or their places.
    pub const fn is_everything(&self) -> bool {
        self.everything
    }
}

fn explained(principal: &Principal, verdict: &Verdict, settled: Result<Permit, Denial>) -> Explained {
    let sentence = settled.err().map(|denial| denial.to_string());
    Explained { answer: verdict.answer, rules: verdict.rules(&principal.key), sentence }
}

/// What there is instead of what was asked for.
struct Instead {
    /// What it is of: ` of it`, ` the servers`.
    what: &'static str,
    nothing: &'static str,
    patterns: Vec<String>,
}

fn denial(
    principal: &Principal,
    what: &str,
    verdict: &Verdict,
    instead: impl Fn(&Whose) -> Instead,
) -> Denial {
    let key = &principal.key;
    if let Some(rule) = verdict.rule(key) {
        let sentence = format!("{what} is denied for key \"{key}\" by the rule `{rule}`");
        return Denial { sentence, decision: format!("denied by {}", verdict.told(key)) };
    }
    let (whose, decision) = match &verdict.missing {
        Some(Whose::Key) => ("the key allows".to_owned(), format!("not allowed by key {key}")),
        Some(Whose::Team(team)) => (format!("team {team} allows"), format!("not allowed by team {team}")),
        Some(Whose::File | Whose::Nobody) => {
            let why = "no rule allows it, and `policy: { unwritten: deny }` denies what no rule allows";
            let sentence = format!("{what} is not allowed for key \"{key}\" ({why})");
            return Denial { sentence, decision: "not allowed by any rule".to_owned() };
        }
        None => {
            let sentence =
                format!("{what} is not allowed for key \"{key}\" (its rules could not be followed)");
            return Denial { sentence, decision: "rules could not be followed".to_owned() };
        }
    };
    let Instead { what: of, nothing, patterns } = verdict
        .missing
        .as_ref()
        .map_or(Instead { what: "", nothing: "nothing", patterns: Vec::new() }, instead);
    let mut list = patterns.iter().take(limits::DENIAL_PATTERNS_MAX).cloned().collect::<Vec<_>>().join(", ");
    if patterns.is_empty() {
        nothing.clone_into(&mut list);
    }
    let rest = patterns.len().saturating_sub(limits::DENIAL_PATTERNS_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let sentence = format!("{what} is not allowed for key \"{key}\" ({whose}{of}: {list}{more})");
    Denial { sentence, decision }
}

/// What a client reads that asks nobody.
fn unasked(principal: &Principal, what: &str, verdict: &Verdict) -> Denial {
    let key = &principal.key;
    let rule = verdict.rule(key).unwrap_or_default();
    let sentence = format!(
        "{what} needs a person's approval for each call (rule `{rule}`), and your client asks nobody; \
         call it from Claude Code, which asks, or have the rule changed"
    );
    Denial { sentence, decision: format!("nobody could be asked: {}", verdict.told(key)) }
}

/// What to say of what there is instead: the tools of this server, or where it gives none, the servers.
fn alternatives(server: &ServerName, tool: bool, allowed: Option<&ServerRules>) -> Instead {
    let rules = allowed.map(ServerRules::rules).unwrap_or_default();
    let mut tools = Vec::new();
    for rule in rules.iter().filter(|rule| rule.server.matches(server.as_str())) {
        match &rule.allow {
            Some(allow) => tools.extend(allow.iter().map(ToString::to_string)),
            None => tools.push("*".to_owned()),
        }
        tools.extend(rule.ask.iter().map(ToString::to_string));
    }
    if tool && !tools.is_empty() {
        return Instead { what: " of it", nothing: "no tool", patterns: tools };
    }
    let given = rules.iter().filter(|rule| rule.gives());
    let servers: Vec<String> = given.map(|rule| Glob::as_str(&rule.server).to_owned()).collect();
    let what = if servers.is_empty() { "" } else { " the servers" };
    Instead { what, nothing: "no server", patterns: servers }
}

/// A name of the caller's, cut where nobody would read on.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(limits::MODEL_SHOWN_CHARS_MAX).collect();
    if text.len() < name.len() {
        text.push_str("...");
    }
    text
}
