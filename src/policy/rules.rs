//! What everybody may do, as the config and the Cedar files beside it say it: compiled once, never changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::call::ToolChoice;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::ServerRules;
use crate::ids::TeamName;
use crate::policy::alias::Aliases;
use crate::policy::core_tools::CoreTools;
use crate::policy::raw::{self, Known, RawFault, RawFile, RawRule, Read};
use crate::policy::readable::{Scope, Whose, Written};
use crate::policy::residency::Territory;
use crate::policy::words::Spoken;

/// All rules. A small handle: copies share what they hold.
#[derive(Clone)]
pub struct Rules(pub(super) Arc<Book>);

/// The rules of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// The models that its keys may name; `None` sets no limit.
    pub models: Option<Arc<[Glob]>>,
    /// The models that its keys may not name, whatever else allows them.
    pub deny_models: Arc<[Glob]>,
    /// The MCP servers and tools that its keys may use; `None` sets no limit.
    pub servers: Option<ServerRules>,
    /// Where its calls may run.
    pub territory: Territory,
    /// Its own names for models.
    pub aliases: Aliases,
    /// How definitions of tools are written for it, where nothing is said of a server or tool. No rule: it
    /// decides nothing but what its lists look like.
    pub tools: Option<ToolChoice>,
    /// Which tools stand in its lists whatever `tools` says. No rule either.
    pub core: CoreTools,
}

/// What holds for models and servers of which no list of the key or its team speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unwritten {
    /// They are allowed.
    #[default]
    Allow,
    /// They are denied, unless a Cedar file permits them.
    Deny,
}

/// What rules are made of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The teams by name; of a name given twice the last one counts.
    pub teams: Vec<(TeamName, Team)>,
    /// Those whose own rules are known already. Others may come: their rules are compiled when they do.
    pub principals: Vec<Principal>,
    /// What holds where nothing is written.
    pub unwritten: Unwritten,
    /// Cedar files, in written order.
    pub files: Vec<RawFile>,
    /// What files may name.
    pub known: Known,
    /// What else decides, such as classes that people give to tools: a part of the version.
    pub facts: Vec<String>,
}

/// What all handles share.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) teams: HashMap<TeamName, (Team, Option<Arc<Scope>>)>,
    own: HashMap<Own, Option<Arc<Scope>>>,
    pub(super) unwritten: Unwritten,
    pub(super) raw: Vec<Arc<RawRule>>,
    /// The facts about principals that the files can tell apart.
    pub(super) spoken: Spoken,
    version: Arc<str>,
}

/// The rules that a key has of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Own {
    models: Option<Arc<[Glob]>>,
    deny_models: Arc<[Glob]>,
    pub(super) servers: Option<ServerRules>,
}

impl Own {
    pub(super) fn of(principal: &Principal) -> Self {
        let Principal { models, deny_models, servers, .. } = principal;
        Self { models: models.clone(), deny_models: Arc::clone(deny_models), servers: servers.clone() }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.models.is_none() && self.deny_models.is_empty() && self.servers.is_none()
    }

    fn written(&self) -> Written<'_> {
        Written {
            models: self.models.as_deref(),
            deny_models: &self.deny_models,
            servers: self.servers.as_ref(),
        }
    }
}

impl Rules {
    /// Takes the teams by name; a name given twice keeps its last rules.
    pub fn new(teams: impl IntoIterator<Item = (TeamName, Team)>) -> Self {
        let sources = Sources { teams: teams.into_iter().collect(), ..Sources::default() };
        Self::assemble(sources, Read::default().rules)
    }

    /// Makes the rules, with what is odd about the files.
    ///
    /// # Errors
    /// Everything that is wrong with the Cedar files.
    pub fn build(sources: Sources) -> Result<(Self, Vec<RawFault>), Vec<RawFault>> {
        let read = raw::read(&sources.files, &sources.known)?;
        Ok((Self::assemble(sources, read.rules), read.odd))
    }

    fn assemble(sources: Sources, raw: Vec<Arc<RawRule>>) -> Self {
        let version = version(&sources);
        let teams = sources.teams.into_iter().map(|(name, team)| {
            let written = Written {
                models: team.models.as_deref(),
                deny_models: &team.deny_models,
                servers: team.servers.as_ref(),
            };
            let scope = compiled(Whose::Team(name.clone()), &written);
            (name, (team, scope))
        });
        let teams = teams.collect();
        let mut own = HashMap::new();
        for principal in &sources.principals {
            let rules = Own::of(principal);
            if !rules.is_nothing() && !own.contains_key(&rules) {
                let scope = compiled(Whose::Key, &rules.written());
                own.insert(rules, scope);
            }
        }
        let spoken = raw.iter().fold(Spoken::default(), |all, rule| all.or(rule.spoken));
        let unwritten = sources.unwritten;
        Self(Arc::new(Book { teams, own, unwritten, raw, spoken, version }))
    }

    /// The rules of a team, if the config knows it.
    pub fn team(&self, name: &TeamName) -> Option<&Team> {
        self.0.teams.get(name).map(|(team, _)| team)
    }

    /// The version of the policy: equal rules, equal version. 12 hexadecimal digits of a SHA-256.
    pub fn version(&self) -> Arc<str> {
        Arc::clone(&self.0.version)
    }

    pub(super) fn spoken(&self) -> Spoken {
        self.0.spoken
    }

    /// The readable form of a team as Cedar, each policy below its id; nothing for teams that there are not.
    pub fn as_cedar(&self, team: &TeamName) -> Option<String> {
        let (_, scope) = self.0.teams.get(team)?;
        let rules = scope.as_ref()?.rules.iter().map(ToString::to_string);
        Some(rules.collect::<Vec<_>>().join("\n\n"))
    }
}

impl Book {
    /// The compiled rules of a key, which are there where it was known in time.
    pub(super) fn own(&self, rules: &Own) -> Option<Arc<Scope>> {
        match self.own.get(rules) {
            Some(scope) => scope.clone(),
            None => compiled(Whose::Key, &rules.written()),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new([])
    }
}

/// Two handles are the same when they share what they hold.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Rules {}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({} teams, {} policies of files)", self.0.teams.len(), self.0.raw.len())
    }
}

/// Rules that Cedar refuses give nothing, and whoever has them may do nothing.
fn compiled(whose: Whose, written: &Written<'_>) -> Option<Arc<Scope>> {
    Scope::compile(whose, written).ok().map(Arc::new)
}

fn version(sources: &Sources) -> Arc<str> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| hash.update(Sha256::digest(text));
    let mut teams: Vec<_> = sources.teams.iter().collect();
    teams.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, team) in teams {
        add(&format!("team {name}"));
        let Team { models, deny_models, servers, territory, aliases, tools: _, core: _ } = team;
        add(&format!("{territory:?} {aliases:?}"));
        add(&spelt(&Own {
            models: models.clone(),
            deny_models: Arc::clone(deny_models),
            servers: servers.clone(),
        }));
    }
    let mut regions: Vec<String> = sources.principals.iter().filter_map(regions_of).collect();
    regions.sort();
    regions.iter().for_each(|one| add(one));
    let mut keys: Vec<_> = sources.principals.iter().map(|who| (who.key.as_str(), Own::of(who))).collect();
    keys.retain(|(_, own)| !own.is_nothing());
    keys.sort_by_key(|(name, _)| *name);
    for (name, own) in keys {
        add(&format!("key {name}"));
        add(&spelt(&own));
    }
    add(&format!("unwritten {:?}", sources.unwritten));
    for file in &sources.files {
        add(&file.name);
        add(&file.text);
    }
    for fact in &sources.facts {
        add(fact);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn regions_of(who: &Principal) -> Option<String> {
    let list = who.regions.as_deref()?.iter().map(Glob::as_str).collect::<Vec<_>>();
    Some(format!("regions of key {}: {}", who.key, list.join(" ")))
}

/// Everything that rules say, in one text: their `Debug` form has all of it.
fn spelt(own: &Own) -> String {
    format!("{own:?}")
}
