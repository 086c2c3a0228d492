//! When a server that failed is started again: later with every failure, and not just when others are.

use std::time::{Duration, Instant};

use crate::limits;

/// Failures of one server, and when to try again. It reads no clock: whoever asks says what time it is.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// Failures since it was healthy.
    failures: u32,
    /// Since when it runs.
    running: Option<Instant>,
    /// Not to be started before.
    due: Option<Instant>,
}

impl Backoff {
    /// Whether it may be started now: it has never failed, or the wait is over.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// When it may be started again; nothing when it has not failed since it was healthy.
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Failures since it was healthy.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// It runs from now on. Healthy it is only after `limits::MCP_RESTART_HEALTHY`.
    pub const fn started(&mut self, now: Instant) {
        self.running = Some(now);
    }

    /// It has ended, or could not be started. `random` may be any number, evenly distributed; the wait is
    /// drawn with it from the upper half of `limits::MCP_RESTART_FIRST` * 2^n, at most
    /// `limits::MCP_RESTART_MAX`, so that servers that fell together do not rise together.
    ///
    /// How long to wait.
    pub fn failed(&mut self, now: Instant, random: u64) -> Duration {
        let ran = self.running.take().map(|since| now.saturating_duration_since(since));
        if ran.is_some_and(|ran| ran >= limits::MCP_RESTART_HEALTHY) {
            self.failures = 0;
        }
        let doubled = 2u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        let most = limits::MCP_RESTART_FIRST.saturating_mul(doubled).min(limits::MCP_RESTART_MAX);
        self.failures = self.failures.saturating_add(1);
        // Parts of 1024 are fine enough for a wait.
        let parts = u32::try_from(random % 1024).unwrap_or(0);
        let wait = most / 2 + most * parts / 2048;
        self.due = Some(now + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Backoff;
    use crate::clock;
    use crate::limits::{MCP_RESTART_FIRST, MCP_RESTART_HEALTHY, MCP_RESTART_MAX};

    #[test]
    fn waits_double_up_to_a_bound() {
        let now = clock::now();
        let mut backoff = Backoff::default();
        assert!(backoff.is_due(now));
        let waits: Vec<Duration> = (0..10).map(|_| backoff.failed(now, 0)).collect();
        assert_eq!(waits.first(), Some(&(MCP_RESTART_FIRST / 2)));
        assert!(waits.windows(2).all(|pair| pair[1] == (pair[0] * 2).min(MCP_RESTART_MAX / 2)));
        assert_eq!(waits.last(), Some(&(MCP_RESTART_MAX / 2)));
        assert_eq!(backoff.failures(), 10);
    }

    #[test]
    fn a_start_has_to_wait_until_it_is_due() {
        let now = clock::now();
        let mut backoff = Backoff::default();
        let wait = backoff.failed(now, 77);
        assert!(!backoff.is_due(now));
        assert!(!backoff.is_due(now + wait - Duration::from_millis(1)));
        assert!(backoff.is_due(now + wait));
        assert_eq!(backoff.due(), Some(now + wait));
    }

    #[test]
    fn only_a_time_of_health_forgets() {
        let now = clock::now();
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed(now, 0);
        }
        backoff.started(now);
        let short = backoff.failed(now + MCP_RESTART_HEALTHY - Duration::from_millis(1), 0);
        assert_eq!(short, MCP_RESTART_FIRST * 16);
        backoff.started(now);
        assert_eq!(backoff.failed(now + MCP_RESTART_HEALTHY, 0), MCP_RESTART_FIRST / 2);
        // Health counts once, not for each failure to start that follows.
        assert_eq!(backoff.failed(now + MCP_RESTART_HEALTHY * 9, 0), MCP_RESTART_FIRST);
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(random in any::<u64>(), failures in 0u32..80) {
            let now = clock::now();
            let mut backoff = Backoff::default();
            for _ in 0..failures {
                backoff.failed(now, random);
            }
            let wait = backoff.failed(now, random);
            prop_assert!(wait >= MCP_RESTART_FIRST / 2 && wait < MCP_RESTART_MAX);
        }
    }
}
