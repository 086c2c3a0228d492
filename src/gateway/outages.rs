//! What people have to know of targets that fail: an entry of the ledger when one is left alone and when it
//! is used again, and when nobody serves a model.
//!
//! A target that comes and goes must not fill the disk: of each so many milliseconds one entry is written at
//! once, and one more at their end, with the newest of the others and how many there were.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::clock;
use crate::gateway::log::Level;
use crate::gateway::worker::Worker;
use crate::ids::ProviderName;
use crate::ledger::entry::{Entry, Kind};
use crate::limits;
use crate::route::breaker::Turn;

/// What one core has told of late.
#[derive(Debug, Default)]
pub(super) struct Outages {
    told: RefCell<HashMap<About, Told>>,
}

/// What an entry is about. A model that nobody serves has no provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct About {
    provider: String,
    model: String,
}

/// Since when nothing is written down at once, and what was left out since.
#[derive(Debug)]
struct Told {
    since_ms: u64,
    count: u64,
    newest: String,
}

impl Outages {
    /// Whether this is to be written down at once; else it is counted, or forgotten where there is no room.
    fn admit(&self, about: &About, text: &str, now_ms: u64) -> bool {
        let mut told = self.told.borrow_mut();
        if let Some(told) = told.get_mut(about) {
            told.count = told.count.saturating_add(1);
            text.clone_into(&mut told.newest);
            return false;
        }
        if told.len() >= limits::OUTAGES_MAX {
            return false;
        }
        told.insert(about.clone(), Told { since_ms: now_ms, count: 0, newest: String::new() });
        true
    }

    /// What is to be written down now because its time is over, or all of it: what it is about, the newest
    /// sentence and how many more there were.
    fn take(&self, now_ms: u64, all: bool) -> Vec<(About, String)> {
        let mut told = self.told.borrow_mut();
        let mut due = Vec::new();
        told.retain(|about, told| {
            // A clock that was set back must not silence anybody.
            let over = now_ms.abs_diff(told.since_ms) >= limits::OUTAGE_EVERY_MS || all;
            if !over || told.count == 0 {
                return !over;
            }
            let text = match told.count {
                1 => std::mem::take(&mut told.newest),
                count => format!("{} (and {} such changes before)", told.newest, count - 1),
            };
            due.push((about.clone(), text));
            (told.since_ms, told.count) = (now_ms, 0);
            true
        });
        due
    }
}

impl Worker {
    /// Has people look at a target that is left alone, or used again.
    pub(super) fn note_turn(&self, provider: &ProviderName, model: &str, turn: Turn) {
        let now_ms = clock::unix_ms(clock::wall());
        let (kind, text) = match turn {
            Turn::Opened { until_ms, rests } => {
                let seconds = until_ms.saturating_sub(now_ms).div_ceil(1_000);
                let again = if rests > 1 { " again" } else { "" };
                let text =
                    format!("provider {provider} fails{again} for {model}: left alone for {seconds} s");
                ("target_left_alone", text)
            }
            Turn::Closed => {
                ("target_used_again", format!("provider {provider} is well again for {model}: used again"))
            }
        };
        self.metrics.borrow_mut().upstream_error(provider, kind);
        let about = About { provider: provider.to_string(), model: model.to_owned() };
        self.note_outage(about, (kind, text), now_ms);
    }

    /// Has people look at a model that none of its targets serves.
    pub(super) fn note_unserved(&self, model: &str) {
        let about = About { provider: String::new(), model: model.to_owned() };
        let text = format!("nobody serves {model}: all targets that were asked failed, and the others rest");
        self.note_outage(about, ("model_unserved", text), clock::unix_ms(clock::wall()));
    }

    fn note_outage(&self, about: About, (kind, text): (&str, String), now_ms: u64) {
        if !self.outages.admit(&about, &text, now_ms) {
            return;
        }
        self.log.borrow_mut().line(Level::Warn, "alarm", |line| {
            line.text("kind", kind).text("model", &about.model).text("error", &text)
        });
        self.write_outage(about, text, now_ms);
    }

    /// Writes down what has been left out whose time is over, or all of it at the end of the process.
    pub(super) fn note_outages(&self, all: bool) {
        let now_ms = clock::unix_ms(clock::wall());
        for (about, text) in self.outages.take(now_ms, all) {
            self.write_outage(about, text, now_ms);
        }
    }

    fn write_outage(&self, About { provider, model }: About, text: String, now_ms: u64) {
        let entry = Entry {
            provider,
            model,
            error: text,
            outcome: "done".to_owned(),
            ..Entry::new(self.next_id(), Kind::Alarm, now_ms)
        };
        self.books.event_or_count(&entry);
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Outages};
    use crate::limits::{OUTAGE_EVERY_MS, OUTAGES_MAX};

    fn about(model: &str) -> About {
        About { provider: "far".to_owned(), model: model.to_owned() }
    }

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn one_is_written_at_once_and_the_others_are_counted() {
        let outages = Outages::default();
        assert!(outages.admit(&about("m"), "opened", NOW));
        assert!(outages.admit(&about("other"), "opened", NOW), "each has its own");
        for text in ["closed", "opened again", "closed again"] {
            assert!(!outages.admit(&about("m"), text, NOW + 1));
        }
        assert!(outages.take(NOW + OUTAGE_EVERY_MS - 1, false).is_empty());
        let due = outages.take(NOW + OUTAGE_EVERY_MS, false);
        assert_eq!(due, [(about("m"), "closed again (and 2 such changes before)".to_owned())]);
        // What was written at the end of its time begins the next.
        assert!(!outages.admit(&about("m"), "opened", NOW + OUTAGE_EVERY_MS + 1));
        assert!(outages.admit(&about("other"), "opened", NOW + OUTAGE_EVERY_MS), "that one was quiet");
        assert_eq!(outages.take(NOW + OUTAGE_EVERY_MS + 2, true), [(about("m"), "opened".to_owned())]);
        assert!(outages.take(NOW + 9 * OUTAGE_EVERY_MS, false).is_empty());
        assert!(outages.admit(&about("m"), "opened", NOW + 9 * OUTAGE_EVERY_MS), "it is quiet long enough");
    }

    #[test]
    fn names_have_a_bound_and_a_clock_that_goes_back_silences_nobody() {
        let outages = Outages::default();
        for number in 0..OUTAGES_MAX {
            assert!(outages.admit(&about(&number.to_string()), "opened", NOW));
        }
        assert!(!outages.admit(&about("one more"), "opened", NOW));
        assert!(outages.take(NOW - 10 * OUTAGE_EVERY_MS, false).is_empty());
        assert!(outages.admit(&about("0"), "opened", NOW - 10 * OUTAGE_EVERY_MS));
    }
}
