//! Tells people, once a day for each team, that a model which is in use will end.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::gateway::log::Level;
use crate::gateway::record::Record;
use crate::gateway::worker::Worker;
use crate::ids::TeamName;
use crate::limits;

/// A day, counted from 1970, and the pairs of team and model that have been told of on it.
type Day = (u64, HashSet<(String, String)>);

/// What one core knows of what has been told, so that it asks the others once a day only.
#[derive(Debug, Default)]
pub(super) struct Told(RefCell<Day>);

/// What all cores have told.
static EVERYONE: Mutex<Option<Day>> = Mutex::new(None);

impl Told {
    /// Whether it is for this core to tell of a pair on this day.
    fn is_new(&self, day: u64, team: &str, model: &str) -> bool {
        let pair = || (team.to_owned(), model.to_owned());
        let first_here = add(&mut self.0.borrow_mut(), day, pair());
        first_here && {
            let mut everyone = EVERYONE.lock().unwrap_or_else(PoisonError::into_inner);
            add(everyone.get_or_insert_default(), day, pair())
        }
    }
}

fn add(told: &mut Day, day: u64, pair: (String, String)) -> bool {
    if told.0 != day || told.1.len() >= limits::DEPRECATIONS_TOLD_MAX {
        *told = (day, HashSet::new());
    }
    told.1.insert(pair)
}

impl Worker {
    /// Tells that the model of a call will end, or has been replaced.
    pub(super) fn tell_of_end(&self, record: &Record, notice: &str) {
        let team = record.team.as_ref().map_or("", TeamName::as_str);
        if self.told.is_new(record.at_ms / MS_OF_DAY, team, &record.model) {
            self.log.borrow_mut().line(Level::Warn, "a deprecated model is in use", |line| {
                line.text("team", team).text("model", &record.model).text("deprecated", notice)
            });
        }
    }
}

const MS_OF_DAY: u64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::Told;

    #[test]
    fn each_pair_is_told_once_a_day_whichever_core_sees_it() {
        let (one, two) = (Told::default(), Told::default());
        // Days that no other test has.
        let day = u64::MAX - 2;
        assert!(one.is_new(day, "payments", "claude-old"));
        assert!(!one.is_new(day, "payments", "claude-old") && !two.is_new(day, "payments", "claude-old"));
        assert!(two.is_new(day, "platform", "claude-old") && two.is_new(day, "payments", "claude-older"));
        assert!(two.is_new(day + 1, "payments", "claude-old"));
        assert!(!one.is_new(day + 1, "payments", "claude-old"));
    }
}
