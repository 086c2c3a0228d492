//! Times as people write them: `7d`, `2026-11-01`, `2026-11-01T12:30`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::ledger::index::query::Now;

/// A time, or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins, milliseconds since 1970.
    pub begin_ms: u64,
    /// Where it ends: the same of a time, a day later of a day.
    pub end_ms: u64,
}

/// Reads a time; `None` for what is none, and for one before 1970.
pub fn read(text: &str, now: &Now) -> Option<Found> {
    match text {
        "now" => return Some(Found { begin_ms: now.ms, end_ms: now.ms }),
        "today" => return day(date_of(now)?, &now.zone),
        "yesterday" => return day(date_of(now)?.yesterday().ok()?, &now.zone),
        _ => {}
    }
    if let Some(ago) = ago(text) {
        let at = now.ms.saturating_sub(ago);
        return Some(Found { begin_ms: at, end_ms: at });
    }
    if text.len() == 10 {
        return day(text.parse::<Date>().ok()?, &now.zone);
    }
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_no_zone) => text.parse::<DateTime>().ok()?.to_zoned(now.zone.clone()).ok()?.timestamp(),
    };
    let at = millis(at)?;
    Some(Found { begin_ms: at, end_ms: at })
}

/// How long ago, in milliseconds.
fn ago(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let ms = match unit {
        's' => 1000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 604_800_000,
        _ => return None,
    };
    count.checked_mul(ms)
}

fn date_of(now: &Now) -> Option<Date> {
    let at = Timestamp::from_millisecond(i64::try_from(now.ms).ok()?).ok()?;
    Some(at.to_zoned(now.zone.clone()).date())
}

fn day(date: Date, zone: &TimeZone) -> Option<Found> {
    let begin = |date: Date| millis(date.to_zoned(zone.clone()).ok()?.timestamp());
    Some(Found { begin_ms: begin(date)?, end_ms: begin(date.tomorrow().ok()?)? })
}

fn millis(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millisecond()).ok()
}

/// A time for people, to the second, in a zone.
pub fn shown(at_ms: u64, zone: &TimeZone) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}
