//! How long a model may still be named, and what takes its place.

use std::sync::Arc;

/// The end of a model, as the config says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// From when on it is over: milliseconds since 1970, the beginning of a day in UTC.
    pub from_ms: u64,
    /// That day as written, `2026-12-31`.
    pub date: Arc<str>,
    /// What to name instead.
    pub replacement: Option<Arc<str>>,
    /// Whether the replacement answers from that day on; without it the call is refused.
    pub replaces: bool,
    /// What callers are told of it in a header: `2026-12-31; use claude-sonnet-5`.
    pub notice: Arc<str>,
}

/// How a model stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Nothing is known against it.
    Current,
    /// It will end.
    Ends(&'a Deprecation),
    /// It has ended, and another one answers.
    Replaced(&'a Deprecation, &'a Arc<str>),
    /// It has ended.
    Ended(&'a Deprecation),
}

impl Deprecation {
    /// A deprecation from a day on, and what to use instead.
    pub fn new(from_ms: u64, date: &str, replacement: Option<&str>, replaces: bool) -> Self {
        let notice = match replacement {
            Some(other) => format!("{date}; use {other}"),
            None => date.to_owned(),
        };
        let replacement = replacement.map(Arc::from);
        Self { from_ms, date: date.into(), replacement, replaces, notice: notice.into() }
    }

    /// How the model stands at `now_ms`, milliseconds since 1970.
    pub fn standing(&self, now_ms: u64) -> Standing<'_> {
        match &self.replacement {
            _ if now_ms < self.from_ms => Standing::Ends(self),
            Some(other) if self.replaces => Standing::Replaced(self, other),
            _ => Standing::Ended(self),
        }
    }
}

/// Whether a provider that was asked for the model `asked` has served it when it names `served`: the same
/// name, or what a name without a date or with `-latest` stands for.
pub fn is_served_as(asked: &str, served: &str) -> bool {
    // What stands in brackets at the end is about the window, not about the model.
    let bare = |name: &'_ str| -> usize { name.find('[').unwrap_or(name.len()) };
    let asked = asked.get(..bare(asked)).unwrap_or(asked);
    let served = served.get(..bare(served)).unwrap_or(served);
    let stem = asked.strip_suffix("-latest").unwrap_or(asked);
    let Some(rest) = served.strip_prefix(stem) else { return false };
    let date = rest.strip_prefix('-').or_else(|| rest.strip_prefix('@'));
    rest.is_empty() || date.is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

/// The family of a model, by the word in its name; `None` for names that have none of them.
pub fn family(model: &str) -> Option<&'static str> {
    FAMILIES.iter().copied().find(|family| model.contains(family))
}

/// What models of one vendor differ by first: by these words clients choose among them, too.
const FAMILIES: [&str; 5] = ["haiku", "sonnet", "opus", "fable", "mythos"];
