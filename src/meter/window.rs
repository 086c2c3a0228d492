//! The spans of time that budgets are for: by the calendar of a time zone, rolling, or for ever.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::limits;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Where calendars end, in the year 9996: what they are made with ends with 9999.
const CLOCK_MS_MAX: u64 = 253_300_000_000_000;

/// A time zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A part of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// From minute 0.
    Hour,
    /// From midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From midnight of the first.
    Month,
}

/// What a budget is for. Two that are equal share what was spent, over a change of config too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// All time: it never begins anew.
    Total,
    /// Each part of a calendar. A day with 23 or 25 hours is one day.
    Calendar {
        /// Which part.
        unit: Unit,
        /// Whose calendar.
        zone: Zone,
    },
    /// The time up to now. It is counted in `limits::ROLLING_PARTS` parts, of which each is forgotten when
    /// the last of it is too old: money counts for up to a part longer than it should, never shorter.
    Rolling {
        /// How long, in milliseconds: whole hours, at most `limits::ROLLING_HOURS_MAX`.
        length_ms: u64,
    },
}

/// A stretch of time, in milliseconds since 1970 (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Its first millisecond.
    pub start_ms: u64,
    /// The first one after it; `u64::MAX` when there is none.
    pub end_ms: u64,
}

/// What can be wrong with a window that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowFault {
    /// The time zone is in no database.
    #[error("there is no time zone `{0}`: name one of the IANA database, such as Europe/Berlin")]
    UnknownZone(String),
    /// A rolling window has no length, or too much of it.
    #[error("a rolling window has 1 to {} hours", limits::ROLLING_HOURS_MAX)]
    Length,
}

impl Zone {
    /// Finds a zone by name: `Europe/Berlin`.
    ///
    /// # Errors
    /// `WindowFault::UnknownZone`.
    pub fn named(name: &str) -> Result<Self, WindowFault> {
        match TimeZone::get(name) {
            Ok(zone) if !zone.is_unknown() => Ok(Self(zone)),
            Ok(_) | Err(_) => Err(WindowFault::UnknownZone(name.chars().take(100).collect())),
        }
    }

    /// The zone of the sun over Greenwich.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Its name in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A time as people of this zone write it, to the minute: `2026-12-01 00:00 CET`.
    pub fn shown(&self, at_ms: u64) -> String {
        timestamp(at_ms).map_or_else(String::new, |at| {
            at.to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
        })
    }
}

impl Span {
    /// All of time.
    pub const ALWAYS: Self = Self { start_ms: 0, end_ms: u64::MAX };

    /// Whether `now_ms` is inside of it.
    pub const fn contains(&self, now_ms: u64) -> bool {
        self.start_ms <= now_ms && (now_ms < self.end_ms || self.end_ms == u64::MAX)
    }

    /// Whether it is over at `now_ms`.
    pub const fn is_over(&self, now_ms: u64) -> bool {
        self.end_ms <= now_ms && self.end_ms != u64::MAX
    }

    /// When it is over; `None` when it never is.
    pub fn resets_at_ms(&self) -> Option<u64> {
        (self.end_ms != u64::MAX).then_some(self.end_ms)
    }
}

impl Window {
    /// The last so many hours.
    ///
    /// # Errors
    /// `WindowFault::Length`.
    pub fn rolling_hours(hours: u64) -> Result<Self, WindowFault> {
        match hours {
            1..=limits::ROLLING_HOURS_MAX => Ok(Self::Rolling { length_ms: hours.saturating_mul(HOUR_MS) }),
            _ => Err(WindowFault::Length),
        }
    }

    /// The last so many days of 24 hours.
    ///
    /// # Errors
    /// `WindowFault::Length`.
    pub fn rolling_days(days: u64) -> Result<Self, WindowFault> {
        Self::rolling_hours(days.saturating_mul(24))
    }

    /// The stretch that `now_ms` is in: what was spent in it counts at `now_ms`. Stretches of a calendar
    /// follow each other without gap or overlap, and the last one, from the year 9996 on, never ends. A
    /// rolling one ends with the present part.
    pub fn span(&self, now_ms: u64) -> Span {
        match self {
            Self::Total => Span::ALWAYS,
            Self::Calendar { .. } if now_ms >= CLOCK_MS_MAX => {
                Span { start_ms: CLOCK_MS_MAX, end_ms: u64::MAX }
            }
            Self::Calendar { unit, zone } => {
                let span = match unit {
                    Unit::Hour => hour(&zone.0, now_ms),
                    Unit::Day | Unit::Week | Unit::Month => days(*unit, &zone.0, now_ms),
                };
                span.map_or(Span::ALWAYS, |span| Span { end_ms: span.end_ms.min(CLOCK_MS_MAX), ..span })
            }
            Self::Rolling { length_ms } => {
                let part = part_ms(*length_ms);
                let end = (now_ms / part).saturating_add(1).saturating_mul(part);
                let whole = part.saturating_mul(limits::ROLLING_PARTS.saturating_add(1));
                Span { start_ms: end.saturating_sub(whole), end_ms: end }
            }
        }
    }

    /// When the stretch that `now_ms` is in is over; `None` for `Total`. A rolling window has no such time:
    /// it is when the present part is over, and money may be forgotten.
    pub fn next_reset(&self, now_ms: u64) -> Option<u64> {
        self.span(now_ms).resets_at_ms()
    }

    /// The zone in which people speak of its times.
    pub fn zone(&self) -> Zone {
        match self {
            Self::Calendar { zone, .. } => zone.clone(),
            Self::Total | Self::Rolling { .. } => Zone::utc(),
        }
    }

    /// What Claude Code calls it, where it has a word: `daily`, `weekly`, `monthly`.
    pub const fn period(&self) -> Option<&'static str> {
        match self {
            Self::Calendar { unit: Unit::Day, .. } => Some("daily"),
            Self::Calendar { unit: Unit::Week, .. } => Some("weekly"),
            Self::Calendar { unit: Unit::Month, .. } => Some("monthly"),
            Self::Calendar { unit: Unit::Hour, .. } | Self::Total | Self::Rolling { .. } => None,
        }
    }
}

/// How long a part of a rolling window is, rounded up so that all parts together are never too short.
pub(super) fn part_ms(length_ms: u64) -> u64 {
    length_ms.div_ceil(limits::ROLLING_PARTS).max(1)
}

fn timestamp(at_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at_ms.min(CLOCK_MS_MAX)).ok()?).ok()
}

/// Milliseconds since 1970; what is before it begins with it.
fn unix_ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// The hour of the clock on the wall. An hour in which that clock is moved by less than an hour ends there.
fn hour(zone: &TimeZone, now_ms: u64) -> Option<Span> {
    let now = timestamp(now_ms)?;
    let offset_s = i64::from(zone.to_offset(now).seconds());
    let now_s = now.as_second();
    let start_s = now_s - now_s.saturating_add(offset_s).rem_euclid(3600);
    let (mut start, mut end) =
        (Timestamp::from_second(start_s).ok()?, Timestamp::from_second(start_s + 3600).ok()?);
    let second_after = Timestamp::from_second(now_s + 1).ok()?;
    if let Some(moved) = zone.preceding(second_after).next() {
        start = start.max(moved.timestamp());
    }
    if let Some(moved) = zone.following(now).next() {
        end = end.min(moved.timestamp());
    }
    Some(Span { start_ms: unix_ms(start), end_ms: unix_ms(end) })
}

/// The day, week or month around `now_ms`. The civil date of now says which, except where clocks are moved
/// over midnight: a step to either side puts that right.
fn days(unit: Unit, zone: &TimeZone, now_ms: u64) -> Option<Span> {
    let now = timestamp(now_ms)?;
    let midnight = |date: Date| zone.to_timestamp(date.at(0, 0, 0, 0)).ok();
    let mut first = first_of(unit, zone.to_datetime(now).date())?;
    for _ in 0..3 {
        let next = following(unit, first)?;
        let (start, end) = (midnight(first)?, midnight(next)?);
        if now < start {
            first = first_of(unit, first.yesterday().ok()?)?;
        } else if now >= end {
            first = next;
        } else {
            return Some(Span { start_ms: unix_ms(start), end_ms: unix_ms(end) });
        }
    }
    None
}

fn first_of(unit: Unit, date: Date) -> Option<Date> {
    match unit {
        Unit::Month => Some(date.first_of_month()),
        Unit::Week => {
            let back = i64::from(date.weekday().since(Weekday::Monday));
            date.checked_sub(jiff::Span::new().try_days(back).ok()?).ok()
        }
        Unit::Hour | Unit::Day => Some(date),
    }
}

fn following(unit: Unit, first: Date) -> Option<Date> {
    match unit {
        Unit::Month => first.last_of_month().tomorrow().ok(),
        Unit::Week => first.checked_add(jiff::Span::new().try_days(7).ok()?).ok(),
        Unit::Hour | Unit::Day => first.tomorrow().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{HOUR_MS, Span, Unit, Window, WindowFault, Zone};
    use crate::limits;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn calendar(unit: Unit, zone: &str) -> Window {
        Window::Calendar { unit, zone: Zone::named(zone).unwrap() }
    }

    fn check(unit: Unit, zone: &str, now: &str, start: &str, end: &str) {
        let span = calendar(unit, zone).span(ms(now));
        assert_eq!(span, Span { start_ms: ms(start), end_ms: ms(end) }, "{unit:?} in {zone} at {now}");
    }

    #[test]
    fn windows_follow_the_calendar_of_their_zone() {
        let now = "2026-11-22T23:30:00Z";
        check(Unit::Day, "UTC", now, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Unit::Day, "Europe/Berlin", now, "2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z");
        check(Unit::Week, "UTC", now, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Unit::Week, "Europe/Berlin", now, "2026-11-22T23:00:00Z", "2026-11-29T23:00:00Z");
        check(Unit::Month, "America/New_York", now, "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z");
        check(Unit::Month, "UTC", "2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check(Unit::Hour, "Asia/Kolkata", now, "2026-11-22T23:30:00Z", "2026-11-23T00:30:00Z");
        check(Unit::Hour, "UTC", now, "2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z");
    }

    #[test]
    fn days_with_23_and_25_hours_are_one_day() {
        let spring = "2026-03-29T12:00:00Z";
        check(Unit::Day, "Europe/Berlin", spring, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        let autumn = "2026-10-25T12:00:00Z";
        check(Unit::Day, "Europe/Berlin", autumn, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        // Here midnight itself does not exist.
        let cairo = "2026-04-24T12:00:00Z";
        check(Unit::Day, "Africa/Cairo", cairo, "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z");
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours() {
        let berlin = "Europe/Berlin";
        check(Unit::Hour, berlin, "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z");
        check(Unit::Hour, berlin, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
        // Lord Howe moves by half an hour, at 2:00 back to 1:30.
        let howe = "Australia/Lord_Howe";
        check(Unit::Hour, howe, "2026-04-04T14:45:00Z", "2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z");
        check(Unit::Hour, howe, "2026-04-04T15:15:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z");
    }

    #[test]
    fn days_that_clocks_left_out_or_went_through_twice() {
        // Samoa had no 30 December 2011; Newfoundland went back over midnight, at 0:01.
        check(
            Unit::Day,
            "Pacific/Apia",
            "2011-12-30T09:00:00Z",
            "2011-12-29T10:00:00Z",
            "2011-12-30T10:00:00Z",
        );
        let second = "2010-11-07T03:10:00Z";
        check(Unit::Day, "America/St_Johns", second, "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
    }

    #[test]
    fn zones_that_are_none() {
        for name in ["", "Nowhere/Here", "../../etc/passwd", "Etc/Unknown"] {
            assert!(matches!(Zone::named(name), Err(WindowFault::UnknownZone(_))), "{name}");
        }
        assert_eq!(Zone::named("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(
            Zone::named("Europe/Berlin").unwrap().shown(ms("2026-11-30T23:00:00Z")),
            "2026-12-01 00:00 CET"
        );
        assert_eq!(Window::rolling_hours(0), Err(WindowFault::Length));
        assert_eq!(Window::rolling_days(u64::MAX), Err(WindowFault::Length));
    }

    #[test]
    fn the_end_of_the_calendar_is_no_end_of_the_budget() {
        for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month] {
            let window = calendar(unit, "Pacific/Auckland");
            let last = Span { start_ms: super::CLOCK_MS_MAX, end_ms: u64::MAX };
            assert_eq!(window.span(u64::MAX), last);
            assert_eq!(window.span(last.start_ms), last);
            assert_eq!(window.next_reset(last.start_ms - 1), Some(last.start_ms));
            assert_eq!(calendar(unit, "Europe/Berlin").span(0).start_ms, 0);
        }
        assert_eq!(Window::Total.next_reset(7), None);
    }

    proptest! {
        #[test]
        fn calendars_have_neither_gap_nor_overlap(
            at in 0u64..4_102_444_800_000, which in 0usize..8, unit in 0usize..4,
        ) {
            let zone = [
                "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia",
                "Asia/Tehran", "America/Sao_Paulo", "Africa/Cairo",
            ][which];
            let window = calendar([Unit::Hour, Unit::Day, Unit::Week, Unit::Month][unit], zone);
            let span = window.span(at);
            prop_assert!(span.contains(at));
            prop_assert_eq!(window.span(span.start_ms), span);
            prop_assert_eq!(window.span(span.end_ms - 1), span);
            prop_assert_eq!(window.span(span.end_ms).start_ms, span.end_ms);
        }

        #[test]
        fn rolling_windows_are_never_too_short(
            at in any::<u64>(), hours in 1u64..=limits::ROLLING_HOURS_MAX,
        ) {
            let at = at / 4;
            let span = Window::rolling_hours(hours).unwrap().span(at);
            let length = hours * HOUR_MS;
            prop_assert!(span.contains(at));
            prop_assert!(span.start_ms <= at.saturating_sub(length));
            let longest = length + length.div_ceil(limits::ROLLING_PARTS);
            prop_assert!(at - span.start_ms <= longest || span.start_ms == 0);
        }
    }
}
