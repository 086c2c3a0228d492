//! Whether a target is left alone for a while because it fails.
//!
//! ```text
//!            rate >= limit              rest is over, one enters
//!  closed ------------------> open ---------------------------> probing
//!    ^                         ^ |                               |  |
//!    |                         | +-- somebody heard it is well   |  |
//!    |                         +------ the probe failed ---------+  |
//!    +-------------------------------- the probe went well ---------+
//! ```
//!
//! What was let in before a state changed says nothing about the new one: its ticket is of another era.

use crate::limits;

/// The breaker of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// How much of late has failed, 0 to 1, as of `at_ms`.
    rate: f64,
    at_ms: u64,
    state: State,
    /// Rests without a success between them.
    rests: u32,
    /// Counts changes of the state.
    era: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    Open { until_ms: u64 },
    Probing { since_ms: u64 },
}

/// What one call was let in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    era: u32,
    /// Whether its outcome decides.
    pub probe: bool,
}

/// What became of a call, as far as a breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// The target works.
    Well,
    /// It does not.
    Badly,
    /// Nobody knows: the caller left, or it was refused for what it asked.
    Unknown,
}

/// A change that others should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It rests.
    Opened {
        /// Until then.
        until_ms: u64,
        /// So often in a row.
        rests: u32,
    },
    /// It is used again.
    Closed,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { rate: 0.0, at_ms: 0, state: State::Closed, rests: 0, era: 0 }
    }
}

impl Breaker {
    /// Whether a call would be let in now.
    pub fn admits(&self, now_ms: u64) -> bool {
        self.rests_for(now_ms) == 0
    }

    /// Milliseconds until a call may be let in; 0 when that is at once.
    pub fn rests_for(&self, now_ms: u64) -> u64 {
        match self.state {
            State::Closed => 0,
            State::Open { until_ms } => left(until_ms, now_ms, limits::BREAKER_REST_MS_MAX),
            State::Probing { since_ms } => {
                left(since_ms.saturating_add(limits::PROBE_MS_MAX), now_ms, limits::PROBE_MS_MAX)
            }
        }
    }

    /// Whether the next call that is let in is a probe.
    pub fn is_suspect(&self) -> bool {
        self.state != State::Closed
    }

    /// Lets a call in; the first one after a rest is the probe, and nobody else is let in beside it.
    pub fn enter(&mut self, now_ms: u64) -> Option<Ticket> {
        if !self.admits(now_ms) {
            return None;
        }
        let probe = self.is_suspect();
        if probe {
            self.turn(State::Probing { since_ms: now_ms });
        }
        Some(Ticket { era: self.era, probe })
    }

    /// Notes what became of a call. A ticket of an earlier era changes nothing.
    pub fn leave(&mut self, ticket: Ticket, went: Went, now_ms: u64) -> Option<Turn> {
        if ticket.era != self.era {
            return None;
        }
        match (ticket.probe, went) {
            (true, Went::Well) => {
                self.close(now_ms);
                Some(Turn::Closed)
            }
            (true, Went::Badly) => Some(self.open(now_ms)),
            // Nobody is the wiser: the next one may probe at once.
            (true, Went::Unknown) => {
                self.turn(State::Open { until_ms: now_ms });
                None
            }
            (false, Went::Unknown) => None,
            (false, Went::Well | Went::Badly) => {
                let newest = if went == Went::Badly { limits::BREAKER_NEWEST } else { 0.0 };
                self.rate = self.rate(now_ms).mul_add(1.0 - limits::BREAKER_NEWEST, newest);
                self.at_ms = now_ms;
                (self.rate >= limits::BREAKER_OPENS_AT).then(|| self.open(now_ms))
            }
        }
    }

    /// The failure rate, 0 to 1; what is long ago counts less.
    pub fn rate(&self, now_ms: u64) -> f64 {
        let age = u32::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(u32::MAX);
        self.rate * (-f64::from(age) / f64::from(limits::BREAKER_HALF_LIFE_MS)).exp2()
    }

    /// Takes over what another core has found out.
    pub fn hear(&mut self, turn: Turn, now_ms: u64) {
        match (turn, self.state) {
            // Its own probe will tell, and sooner.
            (Turn::Opened { .. }, State::Probing { .. }) | (Turn::Closed, State::Closed) => {}
            (Turn::Opened { until_ms, rests }, State::Closed | State::Open { .. }) => {
                self.rests = self.rests.max(rests);
                self.rate = limits::BREAKER_OPENS_AT;
                self.at_ms = now_ms;
                let own = if let State::Open { until_ms } = self.state { until_ms } else { 0 };
                self.turn(State::Open { until_ms: until_ms.max(own) });
            }
            (Turn::Closed, State::Open { .. } | State::Probing { .. }) => self.close(now_ms),
        }
    }

    fn open(&mut self, now_ms: u64) -> Turn {
        let rest = limits::BREAKER_REST_MS_MIN.saturating_mul(1 << self.rests.min(16));
        let until_ms = now_ms.saturating_add(rest.min(limits::BREAKER_REST_MS_MAX));
        self.rests = self.rests.saturating_add(1);
        self.turn(State::Open { until_ms });
        Turn::Opened { until_ms, rests: self.rests }
    }

    fn close(&mut self, now_ms: u64) {
        (self.rate, self.at_ms, self.rests) = (0.0, now_ms, 0);
        self.turn(State::Closed);
    }

    const fn turn(&mut self, state: State) {
        self.state = state;
        self.era = self.era.wrapping_add(1);
    }
}

/// Milliseconds from `now_ms` to `until_ms`; none where that is further away than anything is made to be,
/// because somebody has set the clock back.
pub(super) const fn left(until_ms: u64, now_ms: u64, most: u64) -> u64 {
    let left = until_ms.saturating_sub(now_ms);
    if left > most { 0 } else { left }
}
