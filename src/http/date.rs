//! The time as HTTP writes it: IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).

/// Bytes of every such date.
pub const DATE_BYTES: usize = 29;

/// The last second that has a year of four digits, 9999-12-31T23:59:59Z.
const LAST_S: u64 = 253_402_300_799;

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Writes the second `unix_s` since the Unix epoch; what lies after the year 9999 becomes its last second.
pub fn imf_fixdate(unix_s: u64) -> [u8; DATE_BYTES] {
    let unix_s = unix_s.min(LAST_S);
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    put_name(&mut out, 0, DAYS.get(usize::try_from(days % 7).unwrap_or_default()));
    put_name(&mut out, 8, MONTHS.get(usize::try_from(month).unwrap_or_default()));
    put_two_digits(&mut out, 5, day);
    put_two_digits(&mut out, 12, year / 100);
    put_two_digits(&mut out, 14, year % 100);
    put_two_digits(&mut out, 17, second / 3_600);
    put_two_digits(&mut out, 20, second / 60 % 60);
    put_two_digits(&mut out, 23, second % 60);
    out
}

/// Year, month (from 0) and day (from 1) of a day since the Unix epoch.
///
/// Years are counted from March, so that the leap day is the last of its year and the lengths of the months
/// before it repeat with a period of five: 153 days.
const fn civil(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01, the beginning of a cycle of 400 years with 146,097 days.
    let days = days + 719_468;
    let (cycle, of_cycle) = (days / 146_097, days % 146_097);
    let year_of_cycle = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = cycle * 400 + year_of_cycle + if month < 2 { 1 } else { 0 };
    (year, month, day)
}

fn put_name(out: &mut [u8; DATE_BYTES], at: usize, name: Option<&&[u8; 3]>) {
    if let (Some(place), Some(name)) = (out.get_mut(at..at + 3), name) {
        place.copy_from_slice(*name);
    }
}

fn put_two_digits(out: &mut [u8; DATE_BYTES], at: usize, number: u64) {
    let digit = |number: u64| b'0' + u8::try_from(number % 10).unwrap_or_default();
    if let Some(place) = out.get_mut(at..at + 2) {
        place.copy_from_slice(&[digit(number / 10), digit(number)]);
    }
}

#[cfg(test)]
mod tests {
    use super::imf_fixdate;

    #[test]
    fn seconds_become_dates() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_210_096, "Thu, 29 Feb 2024 12:34:56 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (second, date) in cases {
            assert_eq!(String::from_utf8_lossy(&imf_fixdate(second)), date, "{second}");
        }
    }

    #[test]
    fn every_day_is_the_one_that_another_reader_finds() {
        for day in (0..200_000_u64).step_by(13) {
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(day * 86_400);
            let other = humantime::format_rfc3339_seconds(at).to_string();
            let (other, ours) = (other.as_bytes(), imf_fixdate(day * 86_400));
            assert_eq!((&other[0..4], &other[8..10]), (&ours[12..16], &ours[5..7]), "day {day}");
        }
    }
}
