//! Rules that send a call elsewhere than its model alone would: by what it is, how long, whose, and when.

use std::sync::Arc;

use crate::glob::Glob;
use crate::route::model::Target;
use crate::route::version::family;

/// What kind of work a call is, as Claude Code tells or lets guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The conversation with a person.
    Main,
    /// An agent inside of it.
    Subagent,
    /// Small work on the side: titles, summaries, checks.
    Background,
}

impl Class {
    /// The words of the config.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("main", Self::Main), ("subagent", Self::Subagent), ("background", Self::Background)];

    /// By `x-claude-code-request-class` where it is sent; else an agent's id is of a subagent, and what asks
    /// for the family of haiku without one is background work.
    pub fn of(header: &[u8], agent: &str, model: &str) -> Self {
        match header {
            b"main" => Self::Main,
            b"subagent" => Self::Subagent,
            b"background" => Self::Background,
            _ if !agent.is_empty() => Self::Subagent,
            _ if family(model) == Some("haiku") => Self::Background,
            _ => Self::Main,
        }
    }

    /// The word of the config.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Subagent => "subagent",
            Self::Background => "background",
        }
    }
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The model that is meant.
    pub model: &'a str,
    /// What kind of work it is.
    pub class: Class,
    /// Name of the caller's key.
    pub key: &'a str,
    /// Name of its team, empty for none.
    pub team: &'a str,
    /// Tokens that the request is taken for.
    pub tokens: u64,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// How much is left of the caller's tightest budget, in percent; `None` where it has none.
    pub budget_left: Option<u8>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What records call it: `routes 2`, counted from 1.
    pub name: Arc<str>,
    /// Which calls it is about.
    pub when: When,
    /// Where they go.
    pub targets: Vec<Target>,
}

/// Which calls a rule is about: all that is said has to hold, and of a list one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Names or patterns of models.
    pub models: Vec<Glob>,
    /// Kinds of work.
    pub classes: Vec<Class>,
    /// Names or patterns of keys.
    pub keys: Vec<Glob>,
    /// Names or patterns of teams.
    pub teams: Vec<Glob>,
    /// More tokens than this.
    pub tokens_over: Option<u64>,
    /// Fewer tokens than this.
    pub tokens_under: Option<u64>,
    /// At which hours of the day in UTC.
    pub hours: Option<Hours>,
    /// Less of the tightest budget left than so many percent. Who has no budget has all of it left.
    pub budget_under: Option<u8>,
}

impl When {
    /// Whether a call is one of these.
    pub fn fits(&self, facts: &Facts<'_>) -> bool {
        let Self { models, classes, keys, teams, tokens_over, tokens_under, hours, budget_under } = self;
        let named = |globs: &[Glob], name: &str| globs.is_empty() || globs.iter().any(|it| it.matches(name));
        named(models, facts.model)
            && (classes.is_empty() || classes.contains(&facts.class))
            && named(keys, facts.key)
            && named(teams, facts.team)
            && tokens_over.is_none_or(|least| facts.tokens > least)
            && tokens_under.is_none_or(|most| facts.tokens < most)
            && hours.is_none_or(|hours| hours.holds(facts.now_ms))
            && budget_under.is_none_or(|most| facts.budget_left.is_some_and(|left| left < most))
    }
}

/// Hours of a day in UTC, from the first one to before the last one; they may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// 0 to 23.
    pub from: u8,
    /// 0 to 24, another one than `from`.
    pub to: u8,
}

impl Hours {
    /// Reads `22-6`; `None` for what is not that.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let hour = |text: &str| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u8>().ok().filter(|_| digits)
        };
        let (from, to) = (hour(from.trim())?, hour(to.trim())?);
        (from <= 23 && to <= 24 && from != to).then_some(Self { from, to })
    }

    /// Whether a moment, milliseconds since 1970, is within.
    pub fn holds(self, now_ms: u64) -> bool {
        let hour = u8::try_from(now_ms / 3_600_000 % 24).unwrap_or(0);
        if self.from < self.to {
            (self.from..self.to).contains(&hour)
        } else {
            hour >= self.from || hour < self.to
        }
    }
}
