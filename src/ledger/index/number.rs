//! Numbers as searches write them: `>=400`, `0.01..0.05`, `5s`.

/// The range that a text stands for, both ends in; `None` where it stands for none. `read` reads one number.
pub(super) fn range(text: &str, read: fn(&str) -> Option<u64>) -> Option<(u64, u64)> {
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (read(low)?, read(high)?);
        return (low <= high).then_some((low, high));
    }
    if let Some(rest) = text.strip_prefix(">=") {
        return Some((read(rest)?, u64::MAX));
    }
    if let Some(rest) = text.strip_prefix("<=") {
        return Some((0, read(rest)?));
    }
    if let Some(rest) = text.strip_prefix('>') {
        return Some((read(rest)?.checked_add(1)?, u64::MAX));
    }
    if let Some(rest) = text.strip_prefix('<') {
        return Some((0, read(rest)?.checked_sub(1)?));
    }
    let one = read(text.strip_prefix('=').unwrap_or(text))?;
    Some((one, one))
}

/// Digits, with `_` or nothing between them.
pub(super) fn plain(text: &str) -> Option<u64> {
    let well = text.starts_with(|c: char| c.is_ascii_digit());
    well.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// Dollars with up to twelve decimals, in pico-dollars.
pub(super) fn dollars(text: &str) -> Option<u64> {
    decimal(text.strip_prefix('$').unwrap_or(text), 12)
}

/// A time such as `5s`, `200ms`, `2m`, `1h`, in microseconds; a number alone is of seconds.
pub(super) fn micros(text: &str) -> Option<u64> {
    let units = [("us", 0, 1), ("ms", 3, 1), ("s", 6, 1), ("m", 6, 60), ("h", 6, 3600), ("", 6, 1)];
    let (digits, decimals, times) = units
        .into_iter()
        .find_map(|(unit, decimals, times)| Some((text.strip_suffix(unit)?, decimals, times)))?;
    decimal(digits, decimals)?.checked_mul(times)
}

/// A decimal number times ten to the power of `decimals`; more decimals are no number.
fn decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > decimals {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok()
}
