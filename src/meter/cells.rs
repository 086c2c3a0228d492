//! The counters of budgets: what is spent and what is reserved, exact however many cores count at once.
//!
//! One word decides: `held`, that is spent and reserved together. Whoever wants to reserve puts the sum in
//! its place in one step, or finds that it does not fit. `spent` and the parts of a rolling window say of
//! what it is made, and are never more than it: an addition comes to `held` first, a subtraction last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::meter::window::{Span, Window, part_ms};

/// Places of a ring: the parts of a window, the present one, and a few that part an old one from a new one.
const PLACES: usize = 64;

/// Parts that count, the present one included.
const LIVE: u64 = limits::ROLLING_PARTS + 1;

const _: () = assert!(LIVE < PLACES as u64);

/// The counter of one instance of a budget in one window, in pico-dollars.
#[derive(Debug, Default)]
pub(super) struct Cell {
    held: AtomicU64,
    spent: AtomicU64,
    ring: Option<Ring>,
}

/// What was spent in each part of a rolling window; the sum is `Cell::spent`.
#[derive(Debug)]
struct Ring {
    part_ms: u64,
    /// The latest part that was seen, counted from 1970.
    head: AtomicU64,
    turning: Mutex<()>,
    parts: [AtomicU64; PLACES],
}

impl Ring {
    fn new(length_ms: u64) -> Self {
        Self {
            part_ms: part_ms(length_ms),
            head: AtomicU64::new(0),
            turning: Mutex::new(()),
            parts: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The counter of a part; places are used in turn.
    fn place(&self, part: u64) -> Option<&AtomicU64> {
        self.parts.get(usize::try_from(part % PLACES as u64).ok()?)
    }

    /// The counter that money of `part` belongs to; `None` when that part has left the window. A part that
    /// is still to come was met before the clock was set back: its money counts as the latest.
    fn living(&self, part: u64) -> Option<&AtomicU64> {
        let head = self.head.load(Ordering::Acquire);
        if head.saturating_sub(part) >= LIVE { None } else { self.place(part.min(head)) }
    }
}

impl Cell {
    /// An empty counter for windows of this kind.
    pub(super) fn new(window: &Window) -> Self {
        let ring = match window {
            Window::Rolling { length_ms } => Some(Ring::new(*length_ms)),
            Window::Total | Window::Calendar { .. } => None,
        };
        Self { ring, ..Self::default() }
    }

    /// What is spent.
    pub(super) fn spent(&self) -> u64 {
        self.spent.load(Ordering::Acquire)
    }

    /// What is spent and reserved.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Brings a rolling window up to now: forgets what is too old. Says the part that money belongs to from
    /// now on, to be given back when it is settled; always 0 for other windows.
    ///
    /// When the clock is set back inside of the window, money belongs to the latest part that was seen.
    /// When it is set back farther, all that is remembered counts from now on.
    pub(super) fn advance(&self, now_ms: u64) -> u64 {
        let Some(ring) = &self.ring else { return 0 };
        let now = now_ms / ring.part_ms;
        if ring.head.load(Ordering::Acquire) == now {
            return now;
        }
        let turning = ring.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let head = ring.head.load(Ordering::Acquire);
        if head > now && head - now < LIVE {
            return head;
        }
        if head > now {
            let kept = ring
                .parts
                .iter()
                .fold(0, |sum: u64, part| sum.saturating_add(part.swap(0, Ordering::AcqRel)));
            ring.head.store(now, Ordering::Release);
            if let Some(place) = ring.place(now) {
                place.fetch_add(kept, Ordering::AcqRel);
            }
            return now;
        }
        for old in head.saturating_sub(LIVE - 1)..=head.min(now.saturating_sub(LIVE)) {
            if now >= LIVE
                && let Some(place) = ring.place(old)
            {
                let gone = place.swap(0, Ordering::AcqRel);
                take(&self.spent, gone);
                take(&self.held, gone);
            }
        }
        ring.head.store(now, Ordering::Release);
        drop(turning);
        now
    }

    /// Reserves at least `least` and at most `most`, as far as `limit` allows; says how much. Nothing at
    /// all is changed when it does not fit. Nothing always fits.
    pub(super) fn reserve(&self, least: u64, most: u64, limit: u64) -> Option<u64> {
        let fits = |held: u64| limit.checked_sub(held).map(|room| most.min(room));
        if least == 0 && most == 0 {
            return Some(0);
        }
        self.held
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
                fits(held).filter(|&taken| taken >= least).and_then(|taken| held.checked_add(taken))
            })
            .ok()
            .and_then(fits)
    }

    /// Gives back what was reserved.
    pub(super) fn release(&self, reserved: u64) {
        take(&self.held, reserved);
    }

    /// Turns a reservation of `part` into what it came to, and says what was added to what is spent: less
    /// than `actual` only beyond 18.4 million dollars, and nothing when the part has left its window.
    pub(super) fn settle(&self, part: u64, reserved: u64, actual: u64) -> u64 {
        let place = match &self.ring {
            None => None,
            Some(ring) => match ring.living(part) {
                Some(place) => Some(place),
                None => {
                    self.release(reserved);
                    return 0;
                }
            },
        };
        let added = |held: u64| actual.min(u64::MAX - held.saturating_sub(reserved));
        let before = self.held.update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            held.saturating_sub(reserved).saturating_add(added(held))
        });
        let added = added(before);
        self.spent.fetch_add(added, Ordering::AcqRel);
        if let Some(place) = place {
            place.fetch_add(added, Ordering::AcqRel);
        }
        added
    }

    /// Turns what was settled back into a reservation, as far as its window still knows of it; says how
    /// much is reserved by that.
    pub(super) fn reopen(&self, part: u64, charged: u64) -> u64 {
        let charged = match &self.ring {
            None => charged,
            Some(ring) => ring.living(part).map_or(0, |place| take(place, charged)),
        };
        take(&self.spent, charged)
    }

    /// Adds what was spent before this process began, at `at_ms`, in any order.
    pub(super) fn seed(&self, at_ms: u64, spent: u64) {
        let part = match &self.ring {
            None => 0,
            Some(ring) if at_ms / ring.part_ms > ring.head.load(Ordering::Acquire) => self.advance(at_ms),
            Some(ring) => at_ms / ring.part_ms,
        };
        self.settle(part, 0, spent);
    }

    /// When `wanted` more will fit below `limit`, as far as that is a matter of time: for rolling windows
    /// only, when enough of what is spent has become too old.
    pub(super) fn frees_at_ms(&self, wanted: u64, limit: u64) -> Option<u64> {
        let ring = self.ring.as_ref()?;
        let head = ring.head.load(Ordering::Acquire);
        let over = u128::from(self.held()) + u128::from(wanted);
        let mut over = over.saturating_sub(u128::from(limit));
        let mut latest = head.saturating_add(1);
        for part in head.saturating_sub(LIVE - 1)..=head {
            let spent = ring.place(part).map_or(0, |place| place.load(Ordering::Acquire));
            if over == 0 {
                break;
            }
            if spent > 0 {
                latest = part.saturating_add(LIVE);
                over = over.saturating_sub(u128::from(spent));
            }
        }
        Some(latest.saturating_mul(ring.part_ms))
    }
}

/// Subtracts, and says how much: never more than there is.
fn take(from: &AtomicU64, amount: u64) -> u64 {
    from.update(Ordering::AcqRel, Ordering::Relaxed, |held| held.saturating_sub(amount)).min(amount)
}

/// One instance of a budget: its counters, a window each.
#[derive(Debug)]
pub(super) struct Instance {
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    open: Vec<(Span, Arc<Cell>)>,
    retired: bool,
}

impl Instance {
    pub(super) fn new() -> Self {
        Self { windows: Mutex::default() }
    }

    /// The counter that counts at `now_ms`, and for how long; `None` when this instance was retired, and
    /// its table has to be asked for another one.
    pub(super) fn cell(&self, window: &Window, now_ms: u64) -> Option<(Span, Arc<Cell>)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.retired {
            return None;
        }
        if let Some((span, cell)) = windows.open.iter().find(|(span, _)| span.contains(now_ms)) {
            return Some((*span, Arc::clone(cell)));
        }
        let span = match window {
            Window::Calendar { .. } => window.span(now_ms),
            // A rolling window is one counter that turns.
            Window::Total | Window::Rolling { .. } => Span::ALWAYS,
        };
        if windows.open.len() >= limits::BUDGET_WINDOWS_KEPT {
            let oldest = windows.open.iter().enumerate().min_by_key(|(_, (span, _))| *span);
            if let Some(place) = oldest.map(|(place, _)| place) {
                windows.open.swap_remove(place);
            }
        }
        let cell = Arc::new(Cell::new(window));
        windows.open.push((span, Arc::clone(&cell)));
        Some((span, cell))
    }

    /// Retires an instance whose windows are all over: nobody opens another one in it.
    pub(super) fn retire(&self, now_ms: u64) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retired |= windows.open.iter().all(|(span, _)| span.is_over(now_ms));
        windows.retired
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Instance};
    use crate::limits;
    use crate::meter::window::{Unit, Window, Zone};

    const HOUR: u64 = 60 * 60 * 1000;
    const MINUTE: u64 = 60 * 1000;

    fn rolling() -> Cell {
        Cell::new(&Window::rolling_hours(1).unwrap())
    }

    #[test]
    fn what_does_not_fit_leaves_no_trace() {
        let cell = Cell::new(&Window::Total);
        assert_eq!(cell.reserve(60, 60, 100), Some(60));
        assert_eq!(cell.reserve(41, 41, 100), None);
        assert_eq!(cell.held(), 60);
        assert_eq!(cell.reserve(10, 50, 100), Some(40), "as much as there is room");
        assert_eq!(cell.reserve(1, 1, 100), None);
        assert_eq!(cell.reserve(0, 0, 50), Some(0), "what costs nothing always fits");
        assert_eq!(cell.settle(0, 60, 70), 70);
        assert_eq!((cell.spent(), cell.held()), (70, 110), "a cost over its reservation is still charged");
        assert_eq!(cell.reserve(1, 1, 100), None);
    }

    #[test]
    fn the_largest_numbers_neither_wrap_nor_come_back_as_room() {
        let cell = Cell::new(&Window::Total);
        assert_eq!(cell.reserve(u64::MAX, u64::MAX, limits::BUDGET_PICO_MAX), None);
        assert_eq!(cell.reserve(5, 5, 10), Some(5));
        assert_eq!(cell.settle(0, 0, u64::MAX), u64::MAX - 5);
        assert_eq!(cell.settle(0, 5, u64::MAX), 5);
        assert_eq!((cell.spent(), cell.held()), (u64::MAX, u64::MAX));
        assert_eq!(cell.reserve(1, 1, limits::BUDGET_PICO_MAX), None);
        assert_eq!(cell.settle(0, 0, 9), 0);
        cell.release(0);
        assert_eq!(cell.held(), u64::MAX);
    }

    #[test]
    fn a_rolling_window_forgets_a_part_at_a_time_and_never_early() {
        let cell = rolling();
        let start = 1000 * HOUR;
        for minute in 0..60 {
            let part = cell.advance(start + minute * MINUTE);
            assert_eq!(cell.reserve(1, 1, 100), Some(1));
            cell.settle(part, 1, 1);
        }
        cell.advance(start + HOUR - 1);
        assert_eq!(cell.spent(), 60);
        cell.advance(start + HOUR);
        assert_eq!(cell.spent(), 60, "the last of the first minute is not yet an hour old");
        cell.advance(start + HOUR + MINUTE);
        assert_eq!((cell.spent(), cell.held()), (59, 59));
        cell.advance(start + HOUR + 30 * MINUTE + 1);
        assert_eq!(cell.spent(), 30);
        assert_eq!(cell.frees_at_ms(75, 100), Some(start + HOUR + 35 * MINUTE), "when five minutes are gone");
        cell.advance(start + 100 * HOUR);
        assert_eq!((cell.spent(), cell.held()), (0, 0));
    }

    #[test]
    fn a_reservation_outlives_its_rolling_window_and_is_then_free() {
        let cell = rolling();
        let part = cell.advance(500 * HOUR);
        assert_eq!(cell.reserve(40, 40, 100), Some(40));
        cell.advance(502 * HOUR);
        assert_eq!(cell.held(), 40, "it is still under way");
        assert_eq!(cell.settle(part, 40, 30), 0);
        assert_eq!((cell.spent(), cell.held()), (0, 0));
        assert_eq!(cell.reopen(part, 30), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_neither_forgets_nor_locks_for_longer_than_a_window() {
        let cell = rolling();
        let now = 1_000_000 * HOUR;
        cell.settle(cell.advance(now), 0, 70);
        cell.settle(cell.advance(now - 30 * MINUTE), 0, 7);
        assert_eq!(cell.spent(), 77);
        cell.settle(cell.advance(now - 1000 * HOUR), 0, 3);
        assert_eq!(cell.spent(), 80, "nothing is forgotten");
        cell.advance(now - 999 * HOUR + MINUTE);
        assert_eq!((cell.spent(), cell.held()), (0, 0), "all counted from the new time on");
    }

    #[test]
    fn what_was_spent_before_is_put_into_its_part() {
        let cell = rolling();
        let now = 1000 * HOUR;
        cell.seed(now - 3 * HOUR, 50);
        cell.seed(now, 6);
        cell.seed(now - 59 * MINUTE, 5);
        cell.seed(now - 2 * HOUR, 50);
        assert_eq!(cell.spent(), 11, "what is too old is left out");
        cell.advance(now + 2 * MINUTE);
        assert_eq!(cell.spent(), 6);
    }

    #[test]
    fn a_settled_cost_can_be_taken_up_again() {
        for cell in [Cell::new(&Window::Total), rolling()] {
            let part = cell.advance(HOUR);
            cell.reserve(50, 50, 100);
            assert_eq!(cell.settle(part, 50, 20), 20);
            assert_eq!(cell.reopen(part, 20), 20);
            assert_eq!((cell.spent(), cell.held()), (0, 20));
            assert_eq!(cell.settle(part, 20, 35), 35);
            assert_eq!((cell.spent(), cell.held()), (35, 35));
        }
    }

    #[test]
    fn windows_that_a_clock_may_come_back_to_are_kept_and_no_more() {
        let day = Window::Calendar { unit: Unit::Day, zone: Zone::utc() };
        let instance = Instance::new();
        let first = instance.cell(&day, 0).unwrap().1;
        first.settle(0, 0, 9);
        for jump in 1..limits::BUDGET_WINDOWS_KEPT as u64 {
            instance.cell(&day, jump * 1000 * 24 * HOUR).unwrap();
            assert_eq!(instance.cell(&day, 5).unwrap().1.spent(), 9);
        }
        instance.cell(&day, 9999 * 24 * HOUR).unwrap();
        assert_eq!(instance.cell(&day, 5).unwrap().1.spent(), 0, "one too many");
        assert!(!instance.retire(HOUR));
        assert!(instance.retire(u64::MAX));
        assert!(instance.cell(&day, 5).is_none());
    }
}
