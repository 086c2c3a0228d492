//! Finds secrets: keys and tokens of known issuers, private keys, passwords in addresses, and values that
//! look random under a name such as `password`.
//!
//! It reads bytes, not JSON, so text and JSON inside of JSON are read as well. A secret is made of bytes that
//! need no escape; where a match may hold escapes (private keys) it ends before the quote. One pass, and the
//! time is in proportion to the bytes: what has been looked at for one rule in vain is not looked at again
//! for another.
//!
//! What it cannot see: secrets without a form, such as short passwords in prose, and those that are encoded.
//! Code and hashes must not be taken for secrets, so names alone are never enough.

use std::ops::Range;

use memchr::memmem;

use crate::limits;
use crate::scan::rules::{self, Letters, NAMES, PUBLIC_NAMES, is_name};

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Where it is.
    pub(crate) span: Range<usize>,
    /// What kind of secret.
    pub(crate) rule: &'static str,
}

/// A pass over the bytes.
#[derive(Debug)]
pub(crate) struct Secrets<'a> {
    bytes: &'a [u8],
    /// Everything before has been looked at.
    at: usize,
}

impl<'a> Secrets<'a> {
    /// Begins a pass.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next secret.
    pub(crate) fn next(&mut self) -> Option<Match> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let place = self.at;
            let found = match byte {
                b'=' | b':' => self.address(place).or_else(|| self.assigned(place)),
                b'-' => self.private_key(place),
                b'\\' => {
                    self.at = self.after_escape(place);
                    continue;
                }
                _ if is_name(byte) && self.begins_word(place) => {
                    let found = self.word(place);
                    if found.is_none() && self.at == place {
                        // On to the end of the word: only its beginning can be the beginning of a secret.
                        self.at = self.end_of(place, is_name);
                        continue;
                    }
                    found
                }
                _ => None,
            };
            if let Some(found) = found {
                self.at = found.span.end;
                return Some(found);
            }
            self.at = self.at.max(place + 1);
        }
        None
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// The place where the bytes that are `wanted` end.
    fn end_of(&self, at: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.from(at);
        at + rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len())
    }

    /// The place behind an escape, so that its letter is not taken for the beginning of a word; JSON inside
    /// of JSON has more than one back slash.
    fn after_escape(&self, at: usize) -> usize {
        let end = self.end_of(at, |byte| byte == b'\\');
        match self.byte(end) {
            Some(b'n' | b'r' | b't' | b'b' | b'f') => end + 1,
            Some(b'u') => {
                end + 1
                    + self.from(end + 1).iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count()
            }
            _ => end,
        }
    }

    /// Whether no word is under way: the letter of an escape, `\n` in JSON, is not one.
    fn begins_word(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).and_then(|place| self.byte(place));
        match before(1) {
            Some(b'n' | b'r' | b't' | b'b' | b'f') => before(2) == Some(b'\\'),
            Some(b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                before(5) == Some(b'u') && before(6) == Some(b'\\')
            }
            Some(byte) => !is_name(byte),
            None => true,
        }
    }

    /// Looks at the word that begins here. Moves past what has been looked at in vain.
    fn word(&mut self, at: usize) -> Option<Match> {
        let rest = self.from(at);
        if let Some(one) = rules::beginning(rest) {
            let start = at + one.prefix.len();
            let end = self.end_of(start, |byte| one.letters.has(byte));
            let (least, most) = one.bytes;
            let ends = self.byte(end).is_none_or(|byte| !is_name(byte));
            let body = self.bytes.get(start..end).unwrap_or_default();
            if ends && (least..=most).contains(&body.len()) && is_varied(body) {
                // Full stops and dashes at the end belong to the sentence.
                let trimmed = body.len() - body.iter().rev().take_while(|byte| b".-=".contains(byte)).count();
                return Some(Match { span: at..start + trimmed, rule: one.rule });
            }
            self.at = end;
            return None;
        }
        match rest {
            [b'e', b'y', b'J', ..] => self.web_token(at),
            [b'h', b'o', b'o', b'k', b's', b'.', ..] => self.webhook(at),
            [b'B' | b'b', b'e', b'a', b'r', b'e', b'r', b' ', ..] => self.bearer(at, 7),
            [b'B' | b'b', b'a', b's', b'i', b'c', b' ', ..] => self.bearer(at, 6),
            [_, _, _, b'0'..=b'9', b'Q', b'~', ..] => self.azure(at),
            _ => None,
        }
    }

    /// `eyJ... . eyJ... . signature`.
    fn web_token(&mut self, at: usize) -> Option<Match> {
        let url = |byte| Letters::Url.has(byte);
        let head = self.end_of(at, url);
        let body = self.end_of(head + 1, url);
        let end = self.end_of(body + 1, url);
        let dots = self.byte(head) == Some(b'.') && self.byte(body) == Some(b'.');
        if dots && self.from(head + 1).starts_with(b"eyJ") && head - at >= 12 && end - body > 12 {
            return Some(Match { span: at..end, rule: "jwt" });
        }
        self.at = head;
        None
    }

    /// `hooks.slack.com/services/T.../B.../...`.
    fn webhook(&self, at: usize) -> Option<Match> {
        const PLACE: &[u8] = b"hooks.slack.com/services/";
        let start = at + PLACE.len();
        let end = self.end_of(start, |byte| byte.is_ascii_alphanumeric() || byte == b'/');
        let found = self.from(at).starts_with(PLACE) && end - start >= 40;
        found.then_some(Match { span: start..end, rule: "slack" })
    }

    /// What follows `Bearer` or `Basic` in a header.
    fn bearer(&self, at: usize, skip: usize) -> Option<Match> {
        let start = at + skip;
        let part = |byte: u8| is_name(byte) || b"-._~+/".contains(&byte);
        let body = self.end_of(start, part);
        let end = self.end_of(body, |byte| byte == b'=');
        let token = self.bytes.get(start..body).unwrap_or_default();
        // Issuers with prefixes of their own have rules of their own.
        let known = token.starts_with(b"eyJ") || rules::beginning(token).is_some();
        let found = !known && looks_random(token);
        found.then_some(Match { span: start..end, rule: "authorization" })
    }

    /// A client secret of Azure: `???dQ~` and 31 to 34 more.
    fn azure(&self, at: usize) -> Option<Match> {
        let part = |byte: u8| is_name(byte) || b"-.~".contains(&byte);
        let mut bytes = self.from(at).iter().take(42).take_while(|&&byte| part(byte)).count();
        bytes -= usize::from(self.byte((at + bytes).saturating_sub(1)) == Some(b'.'));
        let end = at + bytes;
        let found = (37..=40).contains(&bytes)
            && self.bytes.get(at..at + 6).is_some_and(|head| head.iter().all(|&byte| part(byte)));
        found.then_some(Match { span: at..end, rule: "azure" })
    }

    /// The password of `scheme://user:password@host`, from the colon of the scheme.
    fn address(&self, colon: usize) -> Option<Match> {
        let rest = self.from(colon).strip_prefix(b"://")?;
        let start = colon + 3;
        let part = |byte: u8| byte > b' ' && byte < 0x7f && !b"\"\\/<>'`|^?#".contains(&byte);
        let all =
            rest.iter().take(limits::REDACTED_PASSWORD_BYTES_MAX).take_while(|&&byte| part(byte)).count();
        let authority = rest.get(..all)?;
        let at_sign = memchr::memrchr(b'@', authority)?;
        let user_info = authority.get(..at_sign)?;
        let user = memchr::memchr(b':', user_info)?;
        let password = user_info.get(user + 1..)?;
        let template = matches!(password.first()?, b'$' | b'{' | b'%' | b'*' | b'[' | b'(');
        let host = authority.get(at_sign + 1).is_some_and(|&byte| is_name(byte) || byte == b'[');
        let secret = !template && host && !user_info.contains(&b',');
        secret.then_some(Match { span: start + user + 1..start + at_sign, rule: "password" })
    }

    /// A value that looks random behind a name that says secret, from the sign between them.
    fn assigned(&self, sign: usize) -> Option<Match> {
        let name = self.name_before(sign)?;
        // `=`, `:`, `:=`, `=>`, `==`, blanks, and one quote with the back slashes that it needs.
        let after = self.from(sign + 1).iter().take(limits::REDACTED_GAP_BYTES_MAX);
        let gap = after.take_while(|byte| b"=:> \t\"'`\\".contains(byte)).count();
        let mut start = sign + 1 + gap;
        if self.byte(start - 1) == Some(b'\\') {
            start = self.after_escape(start - 1);
        }
        let part = |byte: u8| is_name(byte) || b"-+/".contains(&byte);
        let all = self.from(start).iter().take(limits::REDACTED_VALUE_BYTES_MAX + 1);
        let body = start + all.take_while(|&&byte| part(byte)).count();
        let value = self.bytes.get(start..body)?;
        let end = body + self.from(body).iter().take(3).take_while(|&&byte| byte == b'=').count();
        // Behind a value is its quote or the end of the line; code goes on with a dot or a bracket.
        let ends =
            self.byte(end).is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'`\\,;&})]<|".contains(&byte));
        let aws = name.ends_with(b"secretaccesskey") && value.len() == 40;
        let secret = ends && (looks_random(value) || aws);
        let rule = if aws { "aws" } else { "secret" };
        secret.then_some(Match { span: start..end, rule })
    }

    /// The name before the sign, when it is one for secrets; in lower case, without `_` and `-`.
    fn name_before(&self, sign: usize) -> Option<Vec<u8>> {
        let before = self.bytes.get(sign.saturating_sub(limits::REDACTED_NAME_BYTES_MAX)..sign)?;
        let quoted = before.iter().rev().take_while(|byte| b" \t\"'`\\]".contains(byte)).count();
        let before = before.get(..before.len() - quoted)?;
        // Most names of most documents end here.
        if !may_end(*before.last()?) {
            return None;
        }
        let bytes = before.iter().rev().take_while(|&&byte| is_name(byte) || byte == b'-').count();
        secret_name(before.get(before.len() - bytes..)?)
    }

    /// `-----BEGIN ... PRIVATE KEY-----` up to its end, or as far as a key can go on, in
    /// `limits::REDACTED_KEY_BYTES_MAX`.
    fn private_key(&self, at: usize) -> Option<Match> {
        const BEGIN: &[u8] = b"-----BEGIN ";
        const END: &[u8] = b"-----END ";
        let rest = self.from(at);
        let kind = rest.strip_prefix(BEGIN)?;
        let kind = kind.get(..memmem::find(kind.get(..64).unwrap_or(kind), b"-----")?)?;
        memmem::find(kind, b"PRIVATE KEY")?;
        let head = BEGIN.len() + kind.len() + 5;
        // Headers, lines, escaped line feeds; never a quote.
        let part = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-:,.\\ \t\r\n()".contains(&byte);
        let room = rest.iter().take(limits::REDACTED_KEY_BYTES_MAX);
        let bytes = room.take_while(|&&byte| part(byte)).count();
        let found = rest.get(..bytes)?;
        let body = found.get(head..)?;
        let mut len = found.len();
        if let Some(end) = memmem::find(body, END) {
            let tail = body.get(end + END.len()..)?;
            let closing = memmem::find(tail, b"-----").map_or(tail.len(), |closing| closing + 5);
            len = head + end + END.len() + closing;
        }
        // A back slash at the end belongs to what follows.
        len -= rest.get(..len)?.iter().rev().take_while(|&&byte| byte == b'\\').count();
        // Only the words, as in a text about keys or in a program that looks for them.
        let mut lines =
            rest.get(head..len)?.split(|byte| !byte.is_ascii_alphanumeric() && !b"+/".contains(byte));
        lines.any(|line| line.len() >= 40).then_some(Match { span: at..at + len, rule: "private-key" })
    }
}

/// Whether a value is a secret by the name of its member, and by looking drawn at random.
pub(crate) fn is_named(name: &[u8], value: &[u8]) -> bool {
    let part = |&byte: &u8| is_name(byte) || b"-+/=".contains(&byte);
    name.last().is_some_and(|&last| may_end(last))
        && (16..=limits::REDACTED_VALUE_BYTES_MAX).contains(&value.len())
        && value.iter().all(part)
        && looks_random(value)
        && secret_name(name.get(name.len().saturating_sub(limits::REDACTED_NAME_BYTES_MAX)..).unwrap_or(name))
            .is_some()
}

/// Whether names of secrets end so.
fn may_end(last: u8) -> bool {
    matches!(last.to_ascii_lowercase(), b'd' | b'e' | b't' | b'n' | b'y' | b'l' | b's')
}

/// A name when it is one for secrets; in lower case, without `_` and `-`.
fn secret_name(name: &[u8]) -> Option<Vec<u8>> {
    let letters = || name.iter().filter(|byte| !b"_-".contains(byte)).map(u8::to_ascii_lowercase);
    // Most names are none: only those that are take memory.
    let ends = |ending: &&[u8]| {
        let mut letters = letters().rev();
        ending.iter().rev().all(|byte| letters.next() == Some(*byte))
    };
    let secret = NAMES.iter().any(ends) && !PUBLIC_NAMES.iter().any(ends);
    secret.then(|| letters().collect())
}

/// Whether the bytes behind a prefix are more than a stand-in such as `********` or `your-key-here`.
fn is_varied(body: &[u8]) -> bool {
    distinct(body) >= 6 && (body.len() < 24 || body.iter().any(u8::is_ascii_digit) || mixes_case(body))
}

fn mixes_case(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase)
}

/// How many different bytes there are.
fn distinct(body: &[u8]) -> u32 {
    let (low, high) = body.iter().fold((0_u64, 0_u64), |(low, high), &byte| match byte {
        0..64 => (low | 1 << byte, high),
        _ => (low, high | 1 << (byte & 63)),
    });
    low.count_ones() + high.count_ones()
}

/// Whether a value looks drawn at random rather than written by somebody: 16 bytes or more, with digits, and
/// with more breaks than words have. A break is a change between letters and digits, or an upper-case letter
/// that begins no word. Of 20 random letters and digits about ten are breaks, of names in programs one or
/// two. UUIDs name things.
fn looks_random(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    if value.len() < 16 || digits == 0 || distinct(value) < 8 || is_uuid(value) {
        return false;
    }
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let letters_break = value.windows(3).filter(|window| match window {
        [first, second, third] => {
            lower
                && first.is_ascii_uppercase()
                && !(second.is_ascii_lowercase() && third.is_ascii_lowercase())
        }
        _ => false,
    });
    let digits_break = value.windows(2).filter(|window| match window {
        [first, second] => {
            (first.is_ascii_digit() && second.is_ascii_alphabetic())
                || (first.is_ascii_alphabetic() && second.is_ascii_digit())
        }
        _ => false,
    });
    letters_break.count() + digits_break.count() >= 5.max(value.len() / 6)
}

/// `8-4-4-4-12` hexadecimal digits.
fn is_uuid(value: &[u8]) -> bool {
    let dashes = [8, 13, 18, 23];
    value.len() == 36
        && value.iter().enumerate().all(|(place, byte)| {
            if dashes.contains(&place) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
}
