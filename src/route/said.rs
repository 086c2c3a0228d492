//! What providers say in headers about when to come again: seconds, dates and durations.

use crate::clock;

/// `retry-after` as milliseconds from `now_ms`: whole or broken seconds, or a date (RFC 9110 section 10.2.3).
pub fn retry_after_ms(value: &[u8], now_ms: u64) -> Option<u64> {
    let text = str::from_utf8(value).ok()?.trim();
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return scaled(text, 1_000);
    }
    Some(http_date_ms(text)?.saturating_sub(now_ms))
}

/// A duration as `1s`, `6m0s`, `2m59.56s`, `20ms` or `1h`, in milliseconds.
pub fn duration_ms(value: &[u8]) -> Option<u64> {
    let mut rest = str::from_utf8(value).ok()?.trim();
    let mut sum: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, more) = rest.split_at_checked(digits)?;
        let unit = more.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(more.len());
        let (unit, more) = more.split_at_checked(unit)?;
        let scale = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        sum = sum.saturating_add(scaled(number, scale)?);
        rest = more;
    }
    Some(sum)
}

/// A moment as RFC 3339 has it, milliseconds since 1970.
pub fn moment_ms(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?.trim();
    humantime::parse_rfc3339_weak(text).ok().map(clock::unix_ms)
}

/// A whole number.
pub fn number(value: &[u8]) -> Option<u64> {
    str::from_utf8(value).ok()?.trim().parse().ok()
}

/// A decimal number times `scale`, rounded up to whole units; three digits behind the point count.
fn scaled(text: &str, scale: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    // What does not fit is longer than anything that is waited for.
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(scale);
    let thousandths: u64 = format!("{:0<3}", part.get(..3).unwrap_or(part)).parse().ok()?;
    Some(whole.saturating_add(thousandths.saturating_mul(scale).div_ceil(1_000)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7; the two obsolete forms are not read).
fn http_date_ms(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let mut next = || words.next();
    let (day, month, year, time) = (next()?, next()?, next()?, next()?);
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    if next() != Some("GMT") || next().is_some() || day.len() != 2 || year.len() != 4 {
        return None;
    }
    moment_ms(format!("{year}-{month:02}-{day}T{time}Z").as_bytes())
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
