//! How often a call may be tried, and which of its failures is told.

use crate::limits;
use crate::route::failure::Kind;

/// Bounds of one call's attempts, as the config says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Targets that may be asked after the first, at most `limits::FAILOVERS_MAX`.
    pub failovers: u32,
    /// Milliseconds that an answer's head is held back until its first content.
    pub hold_ms: u64,
}

impl Default for Terms {
    fn default() -> Self {
        let failovers = u32::try_from(limits::FAILOVERS_DEFAULT).unwrap_or(0);
        Self { failovers, hold_ms: limits::HOLD_MS_DEFAULT }
    }
}

/// What is left of a call's attempts.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    others: u32,
    again: u32,
    begun_ms: u64,
}

impl Attempts {
    /// For a call whose first attempt begins at `now_ms`.
    pub fn new(terms: &Terms, now_ms: u64) -> Self {
        Self { others: terms.failovers, again: limits::SAME_TARGET_MAX, begun_ms: now_ms }
    }

    /// Whether another target may be asked; takes it off.
    pub fn other(&mut self, now_ms: u64) -> bool {
        let late = self.is_late(now_ms);
        take(&mut self.others, late)
    }

    /// Whether the same target may be asked again; takes it off.
    pub fn again(&mut self, now_ms: u64) -> bool {
        let late = self.is_late(now_ms);
        take(&mut self.again, late)
    }

    /// Whether another target could still be asked.
    pub const fn may(&self, now_ms: u64) -> bool {
        self.others > 0 && !self.is_late(now_ms)
    }

    const fn is_late(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.begun_ms) >= limits::FAILOVER_DEADLINE_MS
    }
}

const fn take(left: &mut u32, late: bool) -> bool {
    match left.checked_sub(1) {
        Some(less) if !late => {
            *left = less;
            true
        }
        _ => false,
    }
}

/// Whether a caller is better told of the later failure than of the earlier one: a limit says when to come
/// again, a refusal what somebody has to mend; of two that say as much, the later one is told.
pub fn is_better(later: Kind, earlier: Kind) -> bool {
    rank(later) >= rank(earlier)
}

const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::TooLong => 8,
        Kind::Limited(_) => 7,
        Kind::Quota => 6,
        Kind::Credential => 5,
        Kind::Missing => 4,
        Kind::Overloaded => 3,
        Kind::Failing => 2,
        Kind::TimedOut => 1,
        Kind::Closed | Kind::Unreachable => 0,
        Kind::Refused => 9,
    }
}
