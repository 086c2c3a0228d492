//! Data about persons that has a form of its own: addresses of e-mail, bank accounts, cards, telephones.

use memchr::memchr_iter;

use crate::scan::{Find, Kind, Kinds};

/// Adds what is found; the order is that of the kinds.
pub(super) fn find(bytes: &[u8], kinds: Kinds, found: &mut Vec<Find>) {
    if kinds.has(Kind::Mail) {
        for at in memchr_iter(b'@', bytes) {
            found.extend(mail(bytes, at));
        }
    }
    if kinds.has(Kind::Phone) {
        for at in memchr_iter(b'+', bytes) {
            found.extend(phone(bytes, at));
        }
    }
    if kinds.has(Kind::Iban) || kinds.has(Kind::Card) {
        numbers(bytes, kinds, found);
    }
}

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The byte before a place.
fn before(bytes: &[u8], at: usize) -> Option<u8> {
    at.checked_sub(1).and_then(|place| byte(bytes, place))
}

/// Users and domains that are nobody's.
const NOBODY: &[&[u8]] = &[b"noreply", b"no-reply", b"git"];
const NOWHERE: &[&[u8]] = &[b"example.com", b"example.net", b"example.org"];

/// `user@host.tld`, from its sign.
fn mail(bytes: &[u8], sign: usize) -> Option<Find> {
    let head = bytes.get(sign.saturating_sub(64)..sign)?;
    let user =
        head.iter().rev().take_while(|&&byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte));
    let mut start = sign - user.count();
    // A full stop or a dash before it belongs to the sentence.
    while bytes.get(start).is_some_and(|byte| b".-%+".contains(byte)) {
        start += 1;
    }
    let user = bytes.get(start..sign)?;
    // Behind a slash or a colon it is the user of an address, and no mail.
    let alone = before(bytes, start).is_none_or(|byte| byte.is_ascii() && !b"/:@".contains(&byte));
    if user.is_empty() || !alone || NOBODY.iter().any(|nobody| user.eq_ignore_ascii_case(nobody)) {
        return None;
    }
    let rest = bytes.get(sign + 1..)?;
    let host =
        rest.iter().take(253).take_while(|&&byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let mut host = rest.get(..host.count())?;
    while let Some(shorter) = host.strip_suffix(b".").or_else(|| host.strip_suffix(b"-")) {
        host = shorter;
    }
    let last = host.rsplit(|&byte| byte == b'.').next()?;
    let labels = host.split(|&byte| byte == b'.');
    let is_host = host.len() > last.len()
        && last.len() >= 2
        && last.iter().all(u8::is_ascii_alphabetic)
        && labels.into_iter().all(|label| !label.is_empty());
    let end = sign + 1 + host.len();
    let ends = byte(bytes, end).is_none_or(|byte| byte.is_ascii() && byte != b'_');
    let ends =
        ends && !(byte(bytes, end) == Some(b':') && byte(bytes, end + 1).is_some_and(|next| next > b' '));
    let nowhere = NOWHERE.iter().any(|nowhere| host.eq_ignore_ascii_case(nowhere));
    (is_host && ends && !nowhere).then_some(Find { span: start..end, kind: Kind::Mail })
}

/// `+49 30 1234567`, from its sign.
fn phone(bytes: &[u8], sign: usize) -> Option<Find> {
    let starts = before(bytes, sign).is_none_or(|byte| b" \t\n\r\"'(:,;>".contains(&byte));
    let first = byte(bytes, sign + 1)?;
    if !starts || !(b'1'..=b'9').contains(&first) {
        return None;
    }
    let (mut digits, mut end, mut groups) = (0, sign + 1, 0);
    let mut at = sign + 1;
    while let Some(byte) = byte(bytes, at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
            }
            // One sign between two groups, or a bracket and a blank.
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' if at - end < 2 => groups += usize::from(at == end),
            _ => break,
        }
        if digits > 15 {
            return None;
        }
        at += 1;
    }
    let ends = byte(bytes, end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    // A number without any gap is as likely something else.
    let found = ends && (8..=15).contains(&digits) && (groups > 0 || digits >= 10);
    found.then_some(Find { span: sign..end, kind: Kind::Phone })
}

/// Looks at the words that have digits.
fn numbers(bytes: &[u8], kinds: Kinds, found: &mut Vec<Find>) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(skipped) = rest.iter().position(u8::is_ascii_digit) else { return };
        let digit = at + skipped;
        let word = rest.get(..skipped).unwrap_or_default();
        let letters = word.iter().rev().take_while(|byte| is_word(**byte)).count();
        let one = match letters {
            0 if kinds.has(Kind::Card) => card(bytes, digit),
            2 if kinds.has(Kind::Iban) => iban(bytes, digit - 2),
            _ => None,
        };
        at = match one {
            Some(one) => {
                let end = one.span.end;
                found.push(one);
                end
            }
            // On to the end of the word.
            None => {
                digit
                    + bytes.get(digit..).unwrap_or_default().iter().take_while(|byte| is_word(**byte)).count()
            }
        };
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// 13 to 19 digits of a known issuer with a sum that is right, in groups of four or so.
fn card(bytes: &[u8], start: usize) -> Option<Find> {
    let before = before(bytes, start);
    if before.is_some_and(|byte| is_word(byte) || b".-+/=#".contains(&byte)) && before != Some(b'=') {
        return None;
    }
    let (mut digits, mut end, mut at) = ([0_u8; 19], start, start);
    let mut count = 0;
    while let Some(byte) = byte(bytes, at) {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(count)? = byte - b'0';
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' if at == end => {}
            _ => break,
        }
        at += 1;
    }
    let after = byte(bytes, end);
    let point = matches!(after, Some(b'.')) && byte(bytes, end + 1).is_some_and(|byte| byte.is_ascii_digit());
    if after.is_some_and(is_word) || point {
        return None;
    }
    let number = digits.get(..count)?;
    (is_issued(number) && luhn(number)).then_some(Find { span: start..end, kind: Kind::Card })
}

/// Whether a number begins, and is as long, as those of an issuer.
fn is_issued(number: &[u8]) -> bool {
    let head = |most: usize| number.iter().take(most).fold(0_u32, |sum, &digit| sum * 10 + u32::from(digit));
    match number.len() {
        13 | 19 => head(1) == 4,
        14 => matches!(head(3), 300..=305) || matches!(head(2), 36 | 38 | 39),
        15 => matches!(head(2), 34 | 37),
        16 => {
            head(1) == 4
                || matches!(head(2), 51..=55 | 62 | 65 | 81)
                || matches!(head(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(head(3), 644..=649)
        }
        _ => false,
    }
}

fn luhn(number: &[u8]) -> bool {
    let sum = number.iter().rev().enumerate().fold(0_u32, |sum, (place, &digit)| {
        let digit = u32::from(digit);
        let doubled = if place % 2 == 1 { digit * 2 } else { digit };
        sum + doubled / 10 + doubled % 10
    });
    let same = number.first().is_some_and(|first| number.iter().all(|digit| digit == first));
    sum.is_multiple_of(10) && !same
}

/// How long the account numbers of a country are (registry of SWIFT, read 2026-11).
const IBAN_CHARS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// An account number, from the letters of its country; blanks may stand between its groups.
fn iban(bytes: &[u8], start: usize) -> Option<Find> {
    let country = bytes.get(start..start + 2)?;
    let (_, wanted) = IBAN_CHARS.iter().find(|(name, _)| name.as_slice().eq_ignore_ascii_case(country))?;
    let mut letters = Vec::with_capacity(*wanted);
    let mut at = start;
    while letters.len() < *wanted {
        match byte(bytes, at)? {
            byte if byte.is_ascii_alphanumeric() => letters.push(byte.to_ascii_uppercase()),
            b' ' if letters.len().is_multiple_of(4) && byte(bytes, at + 1)? != b' ' => {}
            _ => return None,
        }
        at += 1;
    }
    let ends = byte(bytes, at).is_none_or(|byte| !is_word(byte));
    (ends && mod_97(&letters) == 1).then_some(Find { span: start..at, kind: Kind::Iban })
}

/// The rest of ISO 7064, with the first four letters at the end.
fn mod_97(letters: &[u8]) -> u32 {
    let (head, tail) = letters.split_at_checked(4).unwrap_or((letters, &[]));
    tail.iter().chain(head).fold(0, |rest, &letter| match letter {
        b'0'..=b'9' => (rest * 10 + u32::from(letter - b'0')) % 97,
        _ => (rest * 100 + u32::from(letter.wrapping_sub(b'A')) + 10) % 97,
    })
}
