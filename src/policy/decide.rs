//! The decision about one call, and the permit that proves it was made.

use std::fmt;
use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::{Grant, ServerRules};
use crate::ids::{KeyName, ServerName, TeamName};
use crate::limits;
use crate::policy::residency::Territory;
use crate::policy::rules::{Rules, Team};

/// Proof that policy allowed a call. Only this module makes one; it says by which rule, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    key: KeyName,
    team: Option<TeamName>,
    reason: Reason,
}

/// Which rules allowed it: those of the key and those of its team, where they have some.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Model(Option<Match>, Option<Match>),
    Server(Option<Given>, Option<Given>),
    Own,
}

/// One pattern of a list, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Match {
    list: Arc<[Glob]>,
    place: usize,
}

/// `models claude-*`
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "models {}", self.list.get(self.place).map_or("*", Glob::as_str))
    }
}

/// One grant of some rules, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    rules: ServerRules,
    grant: Grant,
    /// Whether a tool was asked for, not the server as such.
    tool: bool,
}

/// `servers github: get_*`
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rule) = self.rules.rules().get(self.grant.rule) else { return f.write_str("servers *") };
        write!(f, "servers {}", rule.server.as_str())?;
        match rule.tools.get(self.grant.tool) {
            Some(tool) if self.tool => write!(f, ": {}", tool.as_str()),
            _ => Ok(()),
        }
    }
}

impl Permit {
    /// The permit of the gateway itself: for asking servers what they offer, for keeping sessions with them
    /// and for ending those. Whoever acts because a caller asked has to get a permit of that caller's.
    pub fn own() -> Self {
        // No key can have this name: the config refuses brackets.
        Self { key: KeyName::new("(gateway)"), team: None, reason: Reason::Own }
    }

    /// The key that was allowed; `(gateway)` for the gateway's own.
    pub const fn key(&self) -> &KeyName {
        &self.key
    }

    /// Its team.
    pub const fn team(&self) -> Option<&TeamName> {
        self.team.as_ref()
    }

    /// A permit out of thin air, for tests of those who only ask to see one.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self { key: KeyName::new("test"), team: None, reason: Reason::Model(None, None) }
    }

    fn of(principal: &Principal, reason: Reason) -> Self {
        Self { key: principal.key.clone(), team: principal.team.clone(), reason }
    }

    /// The rules, with the words for there being none.
    fn write_rules<M: fmt::Display>(
        &self,
        by: (&Option<M>, &Option<M>),
        everything: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let (by_key, by_team) = by;
        if let Some(found) = by_key {
            write!(f, "key {}: {found}", self.key)?;
        }
        if let (Some(found), Some(team)) = (by_team, &self.team) {
            let comma = if by_key.is_some() { ", " } else { "" };
            write!(f, "{comma}team {team}: {found}")?;
        }
        if by_key.is_none() && by_team.is_none() { write!(f, "no rule: {everything}") } else { Ok(()) }
    }
}

/// The rules that allowed it: `team platform: models claude-*`, or `no rule: all models`.
impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Model(by_key, by_team) => self.write_rules((by_key, by_team), "all models", f),
            Reason::Server(by_key, by_team) => self.write_rules((by_key, by_team), "all servers", f),
            Reason::Own => f.write_str("the gateway's own"),
        }
    }
}

/// Why a call may not be made: one sentence for the developer who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    wanted: Wanted,
    key: KeyName,
    whose: Whose,
}

/// What was asked for, and what there is instead; no list where a team is unknown, which allows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Model { model: String, allowed: Option<Arc<[Glob]>> },
    Server { server: ServerName, tool: Option<String>, allowed: Option<ServerRules> },
}

/// Whose rule stood in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Key,
    Team(TeamName),
}

impl std::error::Error for Denial {}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, nothing, patterns) = match &self.wanted {
            Wanted::Model { model, allowed } => {
                write!(f, "model {model:?}")?;
                let patterns = allowed.as_deref().unwrap_or_default();
                ("", "no model", patterns.iter().map(Glob::as_str).collect())
            }
            Wanted::Server { server, tool, allowed } => {
                if let Some(tool) = tool {
                    write!(f, "tool {tool:?} of ")?;
                }
                write!(f, "server \"{server}\"")?;
                alternatives(server, tool.is_some(), allowed.as_ref())
            }
        };
        write!(f, " is not allowed for key \"{}\" (", self.key)?;
        match &self.whose {
            Whose::Key => write!(f, "the key allows{what}: ")?,
            Whose::Team(team) => write!(f, "team {team} allows{what}: ")?,
        }
        if patterns.is_empty() {
            f.write_str(nothing)?;
        }
        for (place, pattern) in patterns.iter().take(limits::DENIAL_PATTERNS_MAX).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{pattern}")?;
        }
        let rest = patterns.len().saturating_sub(limits::DENIAL_PATTERNS_MAX);
        if rest > 0 {
            write!(f, " and {rest} more")?;
        }
        f.write_str(")")
    }
}

/// What to say of what there is instead: the tools of this server, or where it gives none, the servers.
fn alternatives<'r>(
    server: &ServerName,
    tool: bool,
    allowed: Option<&'r ServerRules>,
) -> (&'static str, &'static str, Vec<&'r str>) {
    let rules = allowed.map(ServerRules::rules).unwrap_or_default();
    let tools =
        rules.iter().filter(|rule| rule.server.matches(server.as_str())).flat_map(|rule| &*rule.tools);
    let tools: Vec<&str> = tools.map(Glob::as_str).collect();
    if tool && !tools.is_empty() {
        return (" of it", "no tool", tools);
    }
    let given = rules.iter().filter(|rule| !rule.tools.is_empty());
    let servers: Vec<&str> = given.map(|rule| rule.server.as_str()).collect();
    (if servers.is_empty() { "" } else { " the servers" }, "no server", servers)
}

impl Rules {
    /// Decides whether `principal` may name `model`: the key's own list and its team's list must both have
    /// it, where they exist. Whether anything serves the model is not asked here.
    ///
    /// # Errors
    /// A `Denial` that names the model, the key and what is allowed.
    pub fn decide(&self, principal: &Principal, model: &str) -> Result<Permit, Denial> {
        let own = principal.models.as_ref();
        let found = self.both(principal, own, |team| team.models.as_ref(), |list| first_match(list, model));
        match found {
            Ok((by_key, by_team)) => Ok(Permit::of(principal, Reason::Model(by_key, by_team))),
            Err((whose, allowed)) => {
                let wanted = Wanted::Model { model: shown(model), allowed: allowed.cloned() };
                Err(Denial { wanted, key: principal.key.clone(), whose })
            }
        }
    }

    /// Decides whether `principal` may call `tool` of `server`, the name being the server's own: the rules of
    /// the key and of its team must both give it, where they exist. Whether there is such a tool is not
    /// asked here.
    ///
    /// # Errors
    /// A `Denial` that names tool, server and key, and what is allowed.
    pub fn decide_tool(
        &self,
        principal: &Principal,
        server: &ServerName,
        tool: &str,
    ) -> Result<Permit, Denial> {
        self.decide_server(principal, server, Some(tool))
    }

    /// Decides whether `principal` may use what of `server` is no tool: its prompts, its resources, and the
    /// sight of it. Everyone may who is given any tool of it, whether or not it has that tool.
    ///
    /// # Errors
    /// A `Denial` that names server and key, and what is allowed.
    pub fn may_see(&self, principal: &Principal, server: &ServerName) -> Result<Permit, Denial> {
        self.decide_server(principal, server, None)
    }

    /// Whether `principal` may call `tool` of `server`: `decide_tool` without its reasons, for filtering
    /// lists.
    pub fn may_call(&self, principal: &Principal, server: &ServerName, tool: &str) -> bool {
        self.given(principal, server, Some(tool)).is_ok()
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
        ViewKey { key: principal.servers.clone(), team, places }
    }

    fn decide_server(
        &self,
        principal: &Principal,
        server: &ServerName,
        tool: Option<&str>,
    ) -> Result<Permit, Denial> {
        match self.given(principal, server, tool) {
            Ok((by_key, by_team)) => {
                let given = |found: Option<(&ServerRules, Grant)>| {
                    let (rules, grant) = found?;
                    Some(Given { rules: rules.clone(), grant, tool: tool.is_some() })
                };
                Ok(Permit::of(principal, Reason::Server(given(by_key), given(by_team))))
            }
            Err((whose, allowed)) => {
                let (server, tool) = (server.clone(), tool.map(shown));
                let wanted = Wanted::Server { server, tool, allowed: allowed.cloned() };
                Err(Denial { wanted, key: principal.key.clone(), whose })
            }
        }
    }

    fn given<'r>(
        &'r self,
        principal: &'r Principal,
        server: &ServerName,
        tool: Option<&str>,
    ) -> Both<'r, ServerRules, (&'r ServerRules, Grant)> {
        let find = |rules: &'r ServerRules| Some((rules, rules.find(server, tool)?));
        self.both(principal, principal.servers.as_ref(), |team| team.servers.as_ref(), find)
    }

    /// Looks into the list of the key and into that of its team. A list that does not exist allows
    /// everything, one in which nothing is found stands in the way.
    fn both<'r, L, F>(
        &'r self,
        principal: &Principal,
        own: Option<&'r L>,
        of_team: impl Fn(&'r Team) -> Option<&'r L>,
        find: impl Fn(&'r L) -> Option<F>,
    ) -> Both<'r, L, F> {
        let look = |whose, list: Option<&'r L>| match list {
            None => Ok(None),
            Some(list) => find(list).map(Some).ok_or((whose, Some(list))),
        };
        let by_key = look(Whose::Key, own)?;
        let Some(name) = &principal.team else { return Ok((by_key, None)) };
        let whose = Whose::Team(name.clone());
        // A team that nobody described allows nothing: the config refuses such keys, so this is a second
        // lock, not the first.
        let Some(team) = self.team(name) else { return Err((whose, None)) };
        Ok((by_key, look(whose, of_team(team))?))
    }

    /// Permits what names no model: listing the models. The list itself is filtered by `may_name`.
    pub fn permit_listing(&self, principal: &Principal) -> Permit {
        Permit::of(principal, Reason::Model(None, None))
    }

    /// Whether `principal` may name `model`: `decide` without its reasons, for filtering lists.
    pub fn may_name(&self, principal: &Principal, model: &str) -> bool {
        self.decide(principal, model).is_ok()
    }
}

/// What the lists of a key and of its team say, or whose list stands in the way.
type Both<'r, L, F> = Result<(Option<F>, Option<F>), (Whose, Option<&'r L>)>;

/// What decides which servers and tools someone sees: with equal view keys two principals see exactly the
/// same. A small handle; comparing and hashing reads the rules, which have a few entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewKey {
    pub(super) key: Option<ServerRules>,
    pub(super) team: Option<ServerRules>,
    /// What key and team say of the places of servers.
    pub(super) places: (Option<Arc<[Glob]>>, Territory),
}

impl ViewKey {
    /// Whether it sees everything, because no rule speaks of servers or their places.
    pub const fn is_everything(&self) -> bool {
        let (own, territory) = &self.places;
        let any_place = own.is_none() && territory.regions.is_none() && territory.tenancies.is_none();
        self.key.is_none() && self.team.is_none() && any_place
    }
}

fn first_match(list: &Arc<[Glob]>, model: &str) -> Option<Match> {
    let place = list.iter().position(|pattern| pattern.matches(model))?;
    Some(Match { list: Arc::clone(list), place })
}

/// A name of the caller's, cut where nobody would read on.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(limits::MODEL_SHOWN_CHARS_MAX).collect();
    if text.len() < name.len() {
        text.push_str("...");
    }
    text
}
