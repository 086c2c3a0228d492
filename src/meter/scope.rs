//! Whom a budget or a rate limit is about, and which of them a call belongs to.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::glob::Glob;

/// A call as the meter sees it. A name that is not known, or that the call does not have, is empty; all
/// others have been checked by whoever found them out, for each may become a counter of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who<'a> {
    /// Team of the key.
    pub team: &'a str,
    /// Name of the key.
    pub key: &'a str,
    /// The person behind the key, by our own word and never by the client's.
    pub user: &'a str,
    /// The model that is asked for; empty for calls of tools.
    pub model: &'a str,
    /// The provider that is asked.
    pub provider: &'a str,
    /// The MCP server that is asked; empty for calls of models.
    pub server: &'a str,
    /// Its tool.
    pub tool: &'a str,
}

/// The calls that a budget or a rate limit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Org,
    /// Those of a team.
    Team(String),
    /// Those with a key.
    Key(String),
    /// Those of a person.
    User(String),
    /// Those of models that fit one of these patterns, by name or as `provider/name`.
    ModelGroup(Vec<Glob>),
    /// Those of an MCP server.
    ToolServer(String),
    /// Those of an MCP server's tools that fit a pattern.
    Tool {
        /// Name of the server.
        server: String,
        /// Pattern of the tools' own names.
        tool: Glob,
    },
    /// Those of MCP servers whose names fit one of these patterns.
    Servers(Vec<Glob>),
    /// Those of tools, of any server, whose own names fit one of these patterns.
    Tools(Vec<Glob>),
    /// Those that are in each of these.
    All(Vec<Self>),
}

/// By what a scope is divided so that every part has a limit of its own. A call that lacks the name is in
/// no part, and is not held against the limit at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Each {
    /// By key.
    Key,
    /// By team.
    Team,
    /// By person.
    User,
    /// By MCP server.
    Server,
    /// By tool of an MCP server.
    Tool,
}

impl Scope {
    fn holds(&self, who: &Who<'_>) -> bool {
        match self {
            Self::Org => true,
            Self::Team(name) => name == who.team,
            Self::Key(name) => name == who.key,
            Self::User(name) => name == who.user,
            Self::ModelGroup(globs) => {
                let full = || format!("{}/{}", who.provider, who.model);
                !who.model.is_empty()
                    && (globs.iter().any(|glob| glob.matches(who.model))
                        || globs.iter().any(|glob| glob.as_str().contains('/') && glob.matches(&full())))
            }
            Self::ToolServer(name) => name == who.server,
            Self::Tool { server, tool } => {
                server == who.server && !who.tool.is_empty() && tool.matches(who.tool)
            }
            Self::Servers(globs) => {
                !who.server.is_empty() && globs.iter().any(|glob| glob.matches(who.server))
            }
            Self::Tools(globs) => !who.tool.is_empty() && globs.iter().any(|glob| glob.matches(who.tool)),
            Self::All(parts) => parts.iter().all(|part| part.holds(who)),
        }
    }
}

/// As in `team platform`, for people.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org => f.write_str("the organisation"),
            Self::Team(name) => write!(f, "team {name}"),
            Self::Key(name) => write!(f, "key {name}"),
            Self::User(name) => write!(f, "user {name}"),
            Self::ModelGroup(globs) => write_globs(f, "models", globs),
            Self::Servers(globs) => write_globs(f, "servers", globs),
            Self::Tools(globs) => write_globs(f, "tools", globs),
            Self::All(parts) => {
                for (place, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if place == 0 { "" } else { " with " })?;
                }
                Ok(())
            }
            Self::ToolServer(name) => write!(f, "server {name}"),
            Self::Tool { server, tool } => write!(f, "tool {server}/{}", tool.as_str()),
        }
    }
}

fn write_globs(f: &mut fmt::Formatter<'_>, noun: &str, globs: &[Glob]) -> fmt::Result {
    f.write_str(noun)?;
    for (place, glob) in globs.iter().enumerate() {
        write!(f, "{} {}", if place == 0 { "" } else { "," }, glob.as_str())?;
    }
    Ok(())
}

impl Each {
    /// The part that a call is in; `None` when it is in none.
    fn part<'a>(self, who: &Who<'a>) -> Option<Cow<'a, str>> {
        let name = match self {
            Self::Key => who.key,
            Self::Team => who.team,
            Self::User => who.user,
            Self::Server => who.server,
            Self::Tool if who.server.is_empty() || who.tool.is_empty() => "",
            Self::Tool => return Some(Cow::Owned(format!("{}/{}", who.server, who.tool))),
        };
        (!name.is_empty()).then_some(Cow::Borrowed(name))
    }

    /// What a part is called: `key`, `tool`.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::User => "user",
            Self::Server => "server",
            Self::Tool => "tool",
        }
    }
}

/// The part of a scope that a call is in, where it is divided; the empty one where it is not.
pub(super) fn part<'a>(each: Option<Each>, who: &Who<'a>) -> Option<Cow<'a, str>> {
    each.map_or(Some(Cow::Borrowed("")), |each| each.part(who))
}

/// A scope and a part of it, for people: `user ana of team platform`.
pub(super) fn shown(scope: &Scope, each: Option<Each>, instance: &str) -> String {
    match each {
        None => scope.to_string(),
        Some(each) => format!("{} {instance} of {scope}", each.noun()),
    }
}

/// Many scopes, arranged so that a call looks at its own only.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By the one name that a call must have to be in them, with what else has to hold.
    named: HashMap<(Dimension, Box<str>), Vec<Seat>>,
    /// Those that have to be looked at for every call: the organisation, and patterns.
    rest: Vec<(usize, Scope)>,
}

/// The place of a scope, and what has to hold of it beside its name.
type Seat = (usize, Option<Scope>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Dimension {
    Team,
    Key,
    User,
    Server,
}

impl Dimension {
    /// The one name that a call must have to be in a scope.
    fn of(scope: &Scope) -> Option<(Self, &str)> {
        match scope {
            Scope::Team(name) => Some((Self::Team, name)),
            Scope::Key(name) => Some((Self::Key, name)),
            Scope::User(name) => Some((Self::User, name)),
            Scope::ToolServer(name) => Some((Self::Server, name)),
            Scope::Org
            | Scope::ModelGroup(_)
            | Scope::Tool { .. }
            | Scope::Servers(_)
            | Scope::Tools(_)
            | Scope::All(_) => None,
        }
    }
}

impl Index {
    /// Arranges scopes; each is known by its place from then on.
    pub(super) fn new<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Self {
        let mut index = Self::default();
        for (place, scope) in scopes.enumerate() {
            let (found, whole) = match scope {
                Scope::All(parts) => (parts.iter().find_map(Dimension::of), Some(scope.clone())),
                one => (Dimension::of(one), None),
            };
            match found {
                Some((dimension, name)) => {
                    index.named.entry((dimension, name.into())).or_default().push((place, whole));
                }
                None => index.rest.push((place, scope.clone())),
            }
        }
        index
    }

    /// The places of the scopes that a call is in, ascending: all cores take them in the same order.
    pub(super) fn places(&self, who: &Who<'_>) -> Vec<usize> {
        let mut places: Vec<usize> =
            self.rest.iter().filter(|(_, scope)| scope.holds(who)).map(|&(place, _)| place).collect();
        let names = [
            (Dimension::Team, who.team),
            (Dimension::Key, who.key),
            (Dimension::User, who.user),
            (Dimension::Server, who.server),
        ];
        for (dimension, name) in names.into_iter().filter(|(_, name)| !name.is_empty()) {
            if let Some(found) = self.named.get(&(dimension, Box::from(name))) {
                let fits = |whole: &Option<Scope>| whole.as_ref().is_none_or(|whole| whole.holds(who));
                places.extend(found.iter().filter(|(_, whole)| fits(whole)).map(|(place, _)| *place));
            }
        }
        places.sort_unstable();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::{Each, Index, Scope, Who, shown};
    use crate::glob::Glob;

    fn scopes() -> Vec<Scope> {
        vec![
            Scope::Team("platform".into()),
            Scope::ModelGroup(vec![Glob::new("*opus*"), Glob::new("azure/*")]),
            Scope::Org,
            Scope::Key("ci".into()),
            Scope::ToolServer("github".into()),
            Scope::User("ana".into()),
            Scope::Tool { server: "github".into(), tool: Glob::new("create_*") },
        ]
    }

    fn check(who: &Who<'_>, places: &[usize]) {
        let scopes = scopes();
        assert_eq!(Index::new(scopes.iter()).places(who), places, "{who:?}");
        let plain: Vec<usize> = (0..scopes.len()).filter(|&place| scopes[place].holds(who)).collect();
        assert_eq!(plain, places, "the index says what the scopes say");
    }

    #[test]
    fn a_call_belongs_to_its_own_scopes_only() {
        let ci = Who { team: "platform", key: "ci", ..Who::default() };
        check(&Who { team: "web", key: "x", ..Who::default() }, &[2]);
        check(&Who { model: "claude-opus-5", user: "ana", ..ci }, &[0, 1, 2, 3, 5]);
        check(&Who { model: "gpt-6", provider: "azure", ..ci }, &[0, 1, 2, 3]);
        check(&Who { model: "gpt-6", provider: "openai", ..ci }, &[0, 2, 3]);
        check(&Who { server: "github", tool: "create_issue", ..ci }, &[0, 2, 3, 4, 6]);
        check(&Who { server: "github", tool: "get_issue", ..ci }, &[0, 2, 3, 4]);
        check(&Who { server: "files", tool: "create_issue", ..ci }, &[0, 2, 3]);
    }

    #[test]
    fn a_name_in_one_place_is_no_name_in_another() {
        check(&Who { team: "ci", key: "platform", user: "github", server: "ana", ..Who::default() }, &[2]);
    }

    #[test]
    fn parts_and_their_names() {
        let who = Who { key: "ci", server: "github", tool: "get", ..Who::default() };
        assert_eq!(Each::Key.part(&who).as_deref(), Some("ci"));
        assert_eq!(Each::Tool.part(&who).as_deref(), Some("github/get"));
        assert_eq!(Each::User.part(&who), None, "nobody is nobody's part");
        assert_eq!(shown(&Scope::Org, Some(Each::User), "ana"), "user ana of the organisation");
        let group = Scope::ModelGroup(vec![Glob::new("a*"), Glob::new("b")]);
        assert_eq!(shown(&group, None, ""), "models a*, b");
    }
}
