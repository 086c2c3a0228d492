//! Characters that nobody sees, letters that pass for others, and texts without such tricks.

use crate::base64;
use crate::mcp::hints::{Found, HintKind};

/// Spaces in a row that push what follows out of a window.
const SPACES_MAX: usize = 48;

/// Line ends in a row that do the same.
const LINES_MAX: usize = 12;

/// Bytes of base64 that may hold a sentence.
const ENCODED_BYTES_MIN: usize = 40;

/// What a character that is not seen is, for people; nothing for one that is.
pub fn name_of(character: char) -> Option<&'static str> {
    Some(match character {
        '\n' | '\r' | '\t' => return None,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "control character",
        '\u{ad}' => "soft hyphen",
        '\u{200b}' | '\u{2060}' | '\u{feff}' => "zero-width space",
        '\u{200c}' | '\u{200d}' => "zero-width joiner",
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            "direction mark"
        }
        '\u{2061}'..='\u{2065}' => "unseen operator",
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{180e}' => "blank letter",
        '\u{e0000}'..='\u{e007f}' => "tag character",
        '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0e}' | '\u{e0100}'..='\u{e01ef}' => {
            "variation selector"
        }
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10fffd}' => "private character",
        '\u{fff9}'..='\u{fffb}' => "annotation mark",
        '\u{2028}' | '\u{2029}' => "line separator",
        _ => return None,
    })
}

/// Whether a joiner between two characters is part of how their script, or an emoji, is written.
const fn joins(before: Option<char>, after: Option<char>) -> bool {
    const fn fits(one: Option<char>) -> bool {
        matches!(
            one,
            Some('\u{600}'..='\u{1cff}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
        )
    }
    fits(before) && fits(after)
}

/// Looks for them.
pub(super) fn look(place: &str, text: &str, found: &mut Found) {
    let mut before = None;
    let mut characters = text.chars().peekable();
    let (mut spaces, mut lines) = (0, 0);
    while let Some(now) = characters.next() {
        let joiner = matches!(now, '\u{200c}' | '\u{200d}');
        if let Some(name) = name_of(now)
            && !(joiner && joins(before, characters.peek().copied()))
        {
            let shown = format!("U+{:04X}, a {name}", u32::from(now));
            found.add(HintKind::Unseen, place, &shown);
        }
        spaces = if now == ' ' || now == '\u{a0}' { spaces + 1 } else { 0 };
        lines = match now {
            '\n' => lines + 1,
            ' ' | '\r' | '\t' => lines,
            _ => 0,
        };
        if spaces == SPACES_MAX || lines == LINES_MAX {
            found.add(HintKind::Unseen, place, "a long run of blanks");
        }
        before = Some(now);
    }
    if let Some(at) = text.find("<!--") {
        found.add(HintKind::Unseen, place, text.get(at..).unwrap_or_default());
    }
    if let Some(encoded) = text.split(|c: char| !is_base64(c)).find(|word| holds_words(word)) {
        found.add(HintKind::Unseen, place, &format!("base64 of words: {encoded}"));
    }
    let mixed = text.split(|c: char| !c.is_alphabetic()).find(|word| is_mixed(word));
    if let Some(word) = mixed {
        found.add(HintKind::MixedScripts, place, word);
    }
}

const fn is_base64(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=' | '-' | '_')
}

/// Whether a word is base64 of a text of several words.
fn holds_words(word: &str) -> bool {
    if word.len() < ENCODED_BYTES_MIN {
        return false;
    }
    let padded = |word: &str| base64::decode_padded(word.as_bytes());
    let filled = format!("{word}{}", "=".repeat((4 - word.len() % 4) % 4));
    let Some(bytes) = padded(word).or_else(|| padded(&filled)) else { return false };
    let readable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n');
    readable && bytes.iter().filter(|byte| **byte == b' ').count() >= 3
}

/// Whether a word has Latin letters beside letters that look like them.
fn is_mixed(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_alphabetic()) && word.chars().any(|c| twin(c).is_some())
}

/// The Latin letter that a letter of another script passes for.
pub(super) const fn twin(character: char) -> Option<char> {
    Some(match character {
        'а' | 'α' => 'a',
        'в' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ё' | 'ε' => 'e',
        'һ' | 'н' => 'h',
        'і' | 'ι' | 'ї' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'ո' | 'η' => 'n',
        'о' | 'ο' | 'օ' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' => 'u',
        'ν' => 'v',
        'ѡ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        'А' | 'Α' => 'a',
        'В' | 'Β' => 'b',
        'С' => 'c',
        'Е' | 'Ε' => 'e',
        'Н' | 'Η' => 'h',
        'І' | 'Ι' => 'i',
        'К' | 'Κ' => 'k',
        'М' | 'Μ' => 'm',
        'Ν' => 'n',
        'О' | 'Ο' => 'o',
        'Р' | 'Ρ' => 'p',
        'Ѕ' => 's',
        'Т' | 'Τ' => 't',
        'Х' | 'Χ' => 'x',
        'У' | 'Υ' => 'y',
        'Ζ' => 'z',
        _ => return None,
    })
}

/// A text as it is read: in small letters, without what is not seen, look-alikes by what they pass for, and
/// what stands in tag characters as plain text.
pub(super) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{e0020}'..='\u{e007e}' => {
                let plain = u32::from(character) - 0xe_0000;
                out.extend(char::from_u32(plain).map(|plain| plain.to_ascii_lowercase()));
            }
            '\u{ff01}'..='\u{ff5e}' => {
                let plain = u32::from(character) - 0xfee0;
                out.extend(char::from_u32(plain).map(|plain| plain.to_ascii_lowercase()));
            }
            '\u{1d400}'..='\u{1d6a3}' => {
                // Letters of mathematics: alphabets of 26 large and 26 small ones, in a row.
                let place = (u32::from(character) - 0x1_d400) % 26;
                out.extend(char::from_u32(u32::from('a') + place));
            }
            _ if name_of(character).is_some() => {}
            _ => match twin(character) {
                Some(plain) => out.push(plain),
                None => out.extend(character.to_lowercase()),
            },
        }
    }
    out
}
