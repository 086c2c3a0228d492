//! Refusals of callers whom nobody knows: so many of a second are written down one by one, the others are
//! counted, so that a stranger cannot fill the disk.

use std::cell::Cell;

use crate::limits;

/// What one core has refused.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    second: Cell<u64>,
    written: Cell<u64>,
    /// Since they were told last.
    beyond: Cell<u64>,
    told: Cell<u64>,
}

impl Strangers {
    /// Whether a refusal in this second is to be written down; else it is counted.
    pub(super) fn admit(&self, second: u64) -> bool {
        if self.second.replace(second) != second {
            self.written.set(0);
        }
        let room = self.written.get() < limits::STRANGERS_PER_S;
        let count = if room { &self.written } else { &self.beyond };
        count.set(count.get() + 1);
        room
    }

    /// How many have only been counted; at most once a second, and nothing where there are none.
    pub(super) fn take(&self, second: u64) -> Option<u64> {
        if self.beyond.get() == 0 || self.told.get() == second {
            return None;
        }
        self.told.set(second);
        Some(self.beyond.take())
    }

    /// Takes back what could not be told: it is told with what comes.
    pub(super) fn give_back(&self, count: u64) {
        self.beyond.set(self.beyond.get() + count);
    }

    /// The same at the end, whenever that is.
    pub(super) fn take_rest(&self) -> Option<u64> {
        Some(self.beyond.take()).filter(|&count| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Strangers;
    use crate::limits::STRANGERS_PER_S;

    #[test]
    fn every_refusal_is_written_or_counted() {
        let strangers = Strangers::default();
        let (mut written, mut counted) = (0, 0);
        for second in 1..=10 {
            for _ in 0..200 {
                written += u64::from(strangers.admit(second));
            }
            counted += strangers.take(second).unwrap_or_default();
            assert_eq!(strangers.take(second), None, "once a second");
        }
        assert_eq!(written, 10 * STRANGERS_PER_S);
        strangers.admit(11);
        assert_eq!(strangers.take(11), None, "a quiet second has nothing to tell");
        assert_eq!(written + counted, 2_000);
        for _ in 0..STRANGERS_PER_S {
            strangers.admit(11);
        }
        assert_eq!((strangers.take_rest(), strangers.take_rest()), (Some(1), None));
    }
}
