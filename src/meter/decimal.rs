//! Decimal numbers as people and price lists write them, to whole numbers and back: no float touches money.

/// Digits of a number before its exponent is applied; price lists that were written by floats have 17.
const DIGITS_MAX: usize = 30;

/// What can be wrong with a written number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalFault {
    /// Not `12`, `1.5` or `.5`.
    #[error("this is no decimal number")]
    Shape,
    /// More digits after the point than are counted.
    #[error("this has more digits after the point than are counted")]
    TooFine,
    /// More than fits.
    #[error("this number is too large")]
    TooLarge,
}

/// Reads a decimal number as that many units, of which `10^places` make one: `read("6.25", 2)` is 625.
///
/// # Errors
/// Any [`DecimalFault`]; exponents and signs are faults of shape.
pub fn read(text: &str, places: u32) -> Result<u64, DecimalFault> {
    let (digits, point) = digits_of(text)?;
    let shift = i64::from(places) - point;
    if shift < 0 {
        return Err(DecimalFault::TooFine);
    }
    scaled(digits, shift).ok_or(DecimalFault::TooLarge)
}

/// Reads a number of JSON in the same way, with an exponent where it has one, rounded to the nearest unit:
/// what a program wrote as `1.3200000000000002E-7` was meant as `1.32E-7`.
///
/// # Errors
/// [`DecimalFault::Shape`], [`DecimalFault::TooLarge`].
pub fn read_json(text: &str, places: u32) -> Result<u64, DecimalFault> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i16 = exponent.parse().or(Err(DecimalFault::Shape))?;
    let (digits, point) = digits_of(mantissa)?;
    let shift = i64::from(places) - point + i64::from(exponent);
    if shift >= 0 {
        return scaled(digits, shift).ok_or(DecimalFault::TooLarge);
    }
    let Some(unit) = u32::try_from(-shift).ok().and_then(|power| 10u128.checked_pow(power)) else {
        return Ok(0);
    };
    u64::try_from(digits.saturating_add(unit / 2) / unit).or(Err(DecimalFault::TooLarge))
}

/// All digits as one number, without zeros at the end, and how many of them stand after the point.
fn digits_of(text: &str) -> Result<(u128, i64), DecimalFault> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let shaped = !part.is_empty() || (!whole.is_empty() && !text.contains('.'));
    let part = part.trim_end_matches('0');
    if !shaped || text.len() > DIGITS_MAX || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(DecimalFault::Shape);
    }
    let add = |sum: u128, byte: u8| sum * 10 + u128::from(byte - b'0');
    let digits = whole.bytes().chain(part.bytes()).fold(0, add);
    Ok((digits, i64::try_from(part.len()).unwrap_or(i64::MAX)))
}

fn scaled(digits: u128, shift: i64) -> Option<u64> {
    if digits == 0 {
        return Some(0);
    }
    let factor = 10u128.checked_pow(u32::try_from(shift).ok()?)?;
    u64::try_from(digits.checked_mul(factor)?).ok()
}

/// Writes what [`read`] reads, as short as it can be: 625 of two places is `6.25`.
pub fn write(units: u64, places: u32) -> String {
    let one = 10u64.saturating_pow(places);
    let mut out = (units / one).to_string();
    let part = units % one;
    if part > 0 {
        out.push_str(&format!(".{part:0width$}", width = usize::try_from(places).unwrap_or(0)));
        out.truncate(out.trim_end_matches('0').len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{DecimalFault, read, read_json, write};
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn numbers_of_people_are_exact_or_refused() {
        for (text, places, value) in [
            ("5", 6, 5_000_000),
            ("0.000001", 6, 1),
            (".5", 6, 500_000),
            ("1.100", 3, 1_100),
            ("18446744073709551615", 0, u64::MAX),
            ("00012.50", 2, 1_250),
            ("0", 12, 0),
        ] {
            assert_eq!(read(text, places), Ok(value), "{text}");
        }
        for text in ["", ".", "5.", "-1", "+1", "1e3", "1,5", "1.2.3", " 1", "0x1", "١", "NaN"] {
            assert_eq!(read(text, 6), Err(DecimalFault::Shape), "{text}");
        }
        assert_eq!(read("0.0000001", 6), Err(DecimalFault::TooFine));
        assert_eq!(read("18446744073709551616", 0), Err(DecimalFault::TooLarge));
        assert_eq!(read("99999999999999999999999999999", 12), Err(DecimalFault::TooLarge));
        assert_eq!(read(&"1".repeat(31), 0), Err(DecimalFault::Shape));
    }

    #[test]
    fn numbers_of_json_are_rounded_to_the_nearest_unit() {
        for (text, value) in [
            ("6.25e-06", 6_250_000),
            ("2.5E-7", 250_000),
            ("0.0000018", 1_800_000),
            ("1.3200000000000002E-7", 132_000),
            ("9.499999999999999E-7", 950_000),
            ("1.41953125E-7", 141_953),
            ("1e-400", 0),
            ("0.01", 10_000_000_000),
            ("0.0", 0),
            ("1E0", 1_000_000_000_000),
        ] {
            assert_eq!(read_json(text, 12), Ok(value), "{text}");
        }
        for text in ["", "e5", "1e", "1e5.5", "-1e-6", "true", "1e99999"] {
            assert_eq!(read_json(text, 12), Err(DecimalFault::Shape), "{text}");
        }
        assert_eq!(read_json("1e30", 12), Err(DecimalFault::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(units: u64, places in 0u32..13) {
            prop_assert_eq!(read(&write(units, places), places), Ok(units));
            prop_assert_eq!(read_json(&write(units, places), places), Ok(units));
        }
    }
}
