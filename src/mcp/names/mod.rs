//! The names under which tools and prompts of many servers appear as those of one.
//!
//! What is needed of a name: `[A-Za-z0-9_-]` only, because Claude Code puts `_` for anything else and then
//! loses one of two tools that have become alike; with `mcp__KEY__` before it no longer than
//! `limits::MCP_FULL_NAME_CHARS_MAX`, because tool search refuses longer ones; and unique. It is resolved by
//! looking it up in a table, never by taking it apart, so nothing depends on what a server's name contains.
//!
//! How a name comes about. Each tool goes up these steps until nobody else has its name:
//!
//! 1. the name the server gives it, every other character put as `_`;
//! 2. the prefix of its server, `__`, and that name ([`Prefix::Always`] and [`Prefix::Fixed`] begin here,
//!    [`Prefix::Never`] leaves it out);
//! 3. that, shortened where necessary, `_`, and eight letters made from the names of server and tool.
//!
//! All that share a name go up together, whichever came first, so the names depend on which tools there are
//! and on nothing else: not on the order in which servers answer, and not on the caller, whose rights are
//! applied to tools that have their names already. Two are let stay where they are: a name that the config
//! gives (`rename`), for a person chose it, and that of a server with [`Prefix::Never`], against all that
//! have no such wish and against servers that are written later. A server that lists a tool of another one's
//! name can so make it longer, but never be called in its place. Whoever wants names that no other server can
//! change writes a prefix.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::limits;
use crate::mcp::presentation::Prefix;

pub mod overrides;
#[cfg(test)]
mod tests;

/// A tool or prompt that wants a name.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The place of its server in the config.
    pub rank: usize,
    /// The name of its server there.
    pub server: &'a str,
    /// What the server calls it.
    pub name: &'a str,
    /// What its server's prefix is.
    pub prefix: &'a Prefix,
    /// The name that the config gives it.
    pub rename: Option<&'a str>,
}

/// The length of the `_` and the letters after it.
const TAIL_CHARS: usize = 9;

/// What stands between a prefix and a name.
const BETWEEN: &str = "__";

/// How long names may be where we are mounted as `endpoint_key`: always at least
/// `limits::MCP_EXPOSED_NAME_CHARS_MIN`.
pub fn chars_max(endpoint_key: &str) -> usize {
    let before = "mcp__".len() + endpoint_key.chars().count() + BETWEEN.len();
    limits::MCP_FULL_NAME_CHARS_MAX.saturating_sub(before).max(limits::MCP_EXPOSED_NAME_CHARS_MIN)
}

/// `_` for every character that is not one of `[A-Za-z0-9_-]`.
pub fn normal(name: &str) -> String {
    let kept = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    name.chars().map(|letter| if kept(letter) { letter } else { '_' }).collect()
}

/// The names of all claims, in their order: unique, of `[A-Za-z0-9_-]`, at most `chars_max` long.
pub fn expose(claims: &[Claim<'_>], chars_max: usize) -> Vec<String> {
    let mut steps: Vec<Step> = claims.iter().map(Claim::first).collect();
    let mut names: Vec<String> =
        claims.iter().zip(&steps).map(|(claim, step)| claim.at(*step, chars_max)).collect();
    // Names that follow from each other can be made into a chain of any length; what is left of one after
    // some rounds is parted in one go.
    for _ in 0..limits::MCP_NAME_ROUNDS_MAX {
        let climbers = climbers(claims, &steps, &names);
        if climbers.is_empty() {
            break;
        }
        for index in climbers {
            if let (Some(claim), Some(step), Some(name)) =
                (claims.get(index), steps.get_mut(index), names.get_mut(index))
            {
                *step = claim.after(*step);
                *name = claim.at(*step, chars_max);
            }
        }
    }
    part(claims, &steps, &mut names, chars_max);
    names
}

/// How far up a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Renamed,
    Plain,
    Prefixed,
    Tail,
}

impl Claim<'_> {
    fn first(&self) -> Step {
        match (self.rename, self.prefix) {
            (Some(_), _) => Step::Renamed,
            (None, Prefix::OnCollision | Prefix::Never) => Step::Plain,
            (None, Prefix::Always | Prefix::Fixed(_)) => Step::Prefixed,
        }
    }

    fn after(&self, step: Step) -> Step {
        match step {
            Step::Plain if *self.prefix == Prefix::OnCollision => Step::Prefixed,
            Step::Renamed | Step::Plain | Step::Prefixed | Step::Tail => Step::Tail,
        }
    }

    fn at(&self, step: Step, chars_max: usize) -> String {
        let plain = normal(self.name);
        let name = match step {
            Step::Renamed => self.rename.map(normal).unwrap_or(plain),
            Step::Plain => plain,
            Step::Prefixed => self.prefixed(&plain),
            Step::Tail => return self.with_tail(chars_max, 0),
        };
        if name.len() <= chars_max { name } else { self.cut(&name, chars_max, 0) }
    }

    fn prefixed(&self, plain: &str) -> String {
        match self.prefix {
            Prefix::Never => plain.to_owned(),
            Prefix::OnCollision | Prefix::Always => format!("{}{BETWEEN}{plain}", normal(self.server)),
            Prefix::Fixed(prefix) => format!("{}{BETWEEN}{plain}", normal(prefix)),
        }
    }

    fn with_tail(&self, chars_max: usize, turn: u32) -> String {
        let name = match self.rename {
            Some(name) => normal(name),
            None => self.prefixed(&normal(self.name)),
        };
        self.cut(&name, chars_max, turn)
    }

    /// As much of `name`, which is ASCII, as leaves room for the tail.
    fn cut(&self, name: &str, chars_max: usize, turn: u32) -> String {
        let mut out: String = name.chars().take(chars_max.saturating_sub(TAIL_CHARS)).collect();
        out.push('_');
        let mut hash = Sha256::new();
        // Lengths are part of it, so that no two pairs of names make one text.
        hash.update(self.server.len().to_be_bytes());
        hash.update(self.server);
        hash.update(self.name.len().to_be_bytes());
        hash.update(self.name);
        hash.update(turn.to_be_bytes());
        let letters = b"abcdefghijklmnopqrstuvwxyz234567";
        let digits = hash.finalize();
        out.extend(
            digits
                .iter()
                .take(TAIL_CHARS - 1)
                .filter_map(|byte| letters.get(usize::from(byte % 32)).copied().map(char::from)),
        );
        out
    }
}

/// Those that have to take a step because somebody else has their name.
fn climbers(claims: &[Claim<'_>], steps: &[Step], names: &[String]) -> Vec<usize> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        groups.entry(name).or_default().push(index);
    }
    let mut climbers = Vec::new();
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let stays = stays(claims, steps, &group);
        let last = |index: &usize| steps.get(*index) == Some(&Step::Tail);
        climbers.extend(group.iter().copied().filter(|index| Some(*index) != stays && !last(index)));
    }
    climbers
}

/// The one of several of one name that may keep it, if there is one.
fn stays(claims: &[Claim<'_>], steps: &[Step], group: &[usize]) -> Option<usize> {
    let at = |wanted: Step| {
        group.iter().copied().filter(move |index| steps.get(*index).is_some_and(|step| *step == wanted))
    };
    let mut renamed = at(Step::Renamed);
    if let Some(one) = renamed.next() {
        return renamed.next().is_none().then_some(one);
    }
    // Nobody moves into letters that were made for somebody else.
    if at(Step::Tail).next().is_some() {
        return None;
    }
    let unprefixed = |index: &usize| claims.get(*index).filter(|claim| *claim.prefix == Prefix::Never);
    let rank = |index: &usize| claims.get(*index).map(|claim| claim.rank);
    let first = at(Step::Plain).filter(|index| unprefixed(index).is_some()).min_by_key(rank)?;
    let mut rivals =
        at(Step::Plain).filter(|index| unprefixed(index).is_some() && rank(index) == rank(&first));
    (rivals.next().is_some() && rivals.next().is_none()).then_some(first)
}

/// Gives other letters to those that still share a name: who is at the end of a chain, or had its letters
/// made to measure.
fn part(claims: &[Claim<'_>], steps: &[Step], names: &mut [String], chars_max: usize) {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|index| {
        let renamed = steps.get(*index) == Some(&Step::Renamed);
        (!renamed, claims.get(*index).map(|claim| (claim.rank, claim.name)))
    });
    let mut taken: HashSet<String> = HashSet::with_capacity(names.len());
    let mut again = Vec::new();
    for index in order {
        if let Some(name) = names.get(index)
            && !taken.insert(name.clone())
        {
            again.push(index);
        }
    }
    for index in again {
        let (Some(claim), Some(name)) = (claims.get(index), names.get_mut(index)) else { continue };
        let free = (1..).map(|turn| claim.with_tail(chars_max, turn)).find(|other| !taken.contains(other));
        if let Some(free) = free {
            taken.insert(free.clone());
            *name = free;
        }
    }
}
