//! Rules about what tools may be told to do: `deny Bash matching "rm -rf"`, `deny Write outside "/srv/**"`.
//!
//! ```text
//! rule:   deny TOOL[,TOOL...] [ matching "REGEX"... | inside "PATH"... | outside "PATH"...
//!                             | to "HOST"... [unless "HOST"...] ]
//! TOOL:   the name that a model uses, in any case, `*` for any run of letters: Bash, mcp__prod__delete_*;
//!         or SERVER.TOOL of an MCP server: github.merge_*
//! ```
//!
//! What cannot be judged is denied: an input that is too long, no JSON, or nested too deep, where a rule
//! speaks of its tool. A command line is taken apart as a shell would do it, as far as that can be done
//! without running it, and looked at as it is written as well. What a program makes up while it runs, such as
//! names out of Base64, no rule can see.

use std::fmt;
use std::sync::Arc;

mod bash;
mod command;
mod facts;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod host;
mod path;
mod rule;
#[cfg(test)]
mod tests;

pub use bash::Why;
use facts::{Facts, ToolKind};
pub use path::Place;
use rule::Verdict;
pub use rule::{Rule, RuleFault};

/// Rules that hold for somebody: those of everyone first, then those of the team.
#[derive(Clone, Debug, Default)]
pub struct InputRules {
    rules: Arc<[Labelled]>,
}

#[derive(Clone, Debug)]
struct Labelled {
    label: Arc<str>,
    rule: Rule,
}

/// What a tool is told, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// All of it, as JSON.
    Whole(&'a [u8]),
    /// It is longer than `limits::JUDGED_INPUT_BYTES_MAX`, or a part of it is missing.
    Unknown,
}

/// The rule that denies a use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Which rule: `rule 2` of everyone's, `rule payments 1` of a team's.
    pub label: Arc<str>,
    /// The rule, as written.
    pub text: Arc<str>,
    /// The input could not be judged, and why.
    pub unjudged: Option<Why>,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied by tool_inputs {}", self.label)?;
        if let Some(why) = self.unjudged {
            write!(f, ", whose tool it is for; the input cannot be judged: {why}")?;
        }
        write!(f, ": {}", self.text)
    }
}

impl InputRules {
    /// Rules of everyone, and those of the team of this name.
    pub fn new(everyone: &[Rule], team: Option<(&str, &[Rule])>) -> Self {
        let own = |(place, rule): (usize, &Rule)| (format!("rule {}", place + 1), rule.clone());
        let all = everyone.iter().enumerate().map(own);
        let (name, rules) = team.unwrap_or_default();
        let of_team = |(place, rule): (usize, &Rule)| (format!("rule {name} {}", place + 1), rule.clone());
        let all = all.chain(rules.iter().enumerate().map(of_team));
        Self { rules: all.map(|(label, rule)| Labelled { label: label.into(), rule }).collect() }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether some rule speaks of a tool of one of these names.
    pub fn concern(&self, names: &[&str]) -> bool {
        self.rules.iter().any(|labelled| labelled.rule.names(names))
    }

    /// The first rule that denies the use of a tool; `names` are all names that it is known by.
    pub fn judge(&self, names: &[&str], input: Input<'_>, place: &Place) -> Option<Denied> {
        let mut fitting = self.rules.iter().filter(|labelled| labelled.rule.names(names)).peekable();
        fitting.peek()?;
        let facts = match input {
            Input::Whole(json) => Facts::read(json, ToolKind::of(names)),
            Input::Unknown => None,
        };
        let denied = |labelled: &Labelled, unjudged| {
            let text = Arc::clone(labelled.rule.text());
            Some(Denied { label: Arc::clone(&labelled.label), text, unjudged })
        };
        let verdict = |labelled: &Labelled| match &facts {
            Some(facts) => labelled.rule.matches(facts, place),
            None => Verdict::Unjudged(Why::Input),
        };
        fitting.find_map(|labelled| match verdict(labelled) {
            Verdict::Denies => denied(labelled, None),
            Verdict::Unjudged(why) => denied(labelled, Some(why)),
            Verdict::Passes => None,
        })
    }
}
