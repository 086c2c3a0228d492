//! Whether an entry is what a search is for: the definition, which the index only makes fast.

use crate::glob::Glob;
use crate::ledger::entry::Entry;
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::query::{Number, Place, Query, SoughtWord, Test};
use crate::ledger::index::sums::Sums;
use crate::ledger::index::words::{self, Once};
use crate::limits;

impl Query {
    /// Whether an entry is one of those that are searched for.
    pub fn fits(&self, entry: &Entry) -> bool {
        self.since_ms.is_none_or(|since| entry.at_ms >= since)
            && self.until_ms.is_none_or(|until| entry.at_ms < until)
            && self.terms.iter().all(|term| term.test.fits(entry) != term.negated)
    }
}

impl Test {
    fn fits(&self, entry: &Entry) -> bool {
        match self {
            Self::Kind(kinds) => kinds.contains(&entry.kind),
            Self::Class(classes) => {
                classes.contains(&entry.class)
                    || entry.actions.iter().any(|action| classes.contains(&action.class))
            }
            Self::Name(name, globs) => {
                let named = names::named(entry);
                globs.iter().any(|glob| name_fits(*name, glob, &named))
            }
            Self::Session(session) => !session.is_empty() && names::named(entry).session == *session,
            Self::Once(once, texts) => texts.iter().any(|text| once_fits(*once, text, entry)),
            Self::Number(number, low, high) => {
                let found = match number {
                    Number::Status => entry.status.into(),
                    Number::CostPico => entry.cost_pico,
                    Number::TookUs => entry.took_us,
                    Number::Tokens => Sums::of(entry).tokens(),
                };
                (*low..=*high).contains(&found)
            }
            Self::Words(place, sought) => match place {
                Place::Anywhere => anywhere(sought, entry),
                Place::Error => side_by_side(sought, words::words(&entry.error)),
                Place::Decision => side_by_side(sought, words::words(&entry.decision)),
            },
        }
    }
}

/// Whether one of the entry's texts is such a name. The empty text is none.
fn name_fits(name: Name, glob: &Glob, entry: &Entry) -> bool {
    let fits = |text: &str| !text.is_empty() && glob.matches(text);
    match name {
        Name::Key => fits(&entry.key),
        Name::Team => fits(&entry.team),
        Name::User => fits(&entry.user),
        Name::Session => fits(&entry.session),
        Name::Model => fits(&entry.model) || fits(&entry.served_model),
        Name::Provider => fits(&entry.provider),
        Name::Server => fits(&entry.server),
        Name::Tool => tool_fits(glob, &names::tool_name(entry)),
        Name::Outcome => fits(&entry.outcome),
        Name::Client => fits(&entry.client),
        Name::Method => fits(&entry.method),
        Name::Agent => fits(&entry.agent),
        Name::Region => fits(&entry.region),
        Name::Stop => fits(&entry.stop_reason),
        Name::Action => entry.actions.iter().any(|action| fits(&action.name)),
        Name::Status => entry.status > 0 && glob.matches(&entry.status.to_string()),
        Name::Mode => fits(&entry.mode) || fits(&entry.mode_by),
        // Nobody can ask for it.
        Name::Who => false,
    }
}

/// Whether a tool's name, with its server's before it, is meant: by all of it, or by what follows a dot.
pub(super) fn tool_fits(glob: &Glob, name: &str) -> bool {
    let own = || name.match_indices('.').filter_map(|(at, _)| name.get(at + 1..));
    !name.is_empty() && (glob.matches(name) || own().any(|own| glob.matches(own)))
}

fn once_fits(once: Once, text: &str, entry: &Entry) -> bool {
    match once {
        Once::Id => entry.id.shown().as_slice() == text.as_bytes(),
        Once::Prompt => entry.prompt == text,
        Once::Upstream => entry.upstream_id == text,
        Once::Use => entry.tool_use_id == text || entry.actions.iter().any(|action| action.id == text),
    }
}

/// Whether the words stand side by side in one text, among the words that an entry is found by.
fn anywhere(sought: &[SoughtWord], entry: &Entry) -> bool {
    let mut left = limits::INDEX_WORDS_OF_ENTRY_MAX;
    words::texts(entry).any(|text| {
        let mut read = 0;
        let found = side_by_side(sought, words::words(text).take(left).inspect(|_| read += 1));
        left = left.saturating_sub(read);
        found
    })
}

fn side_by_side<T: AsRef<str>>(sought: &[SoughtWord], words: impl Iterator<Item = T>) -> bool {
    let words: Vec<T> = words.collect();
    words.windows(sought.len().max(1)).any(|window| {
        window.iter().zip(sought).all(|(word, sought)| {
            let word = word.as_ref();
            if sought.prefix { word.starts_with(&sought.text) } else { word == sought.text }
        })
    })
}
