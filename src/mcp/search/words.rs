//! Texts as the words that a search goes by: identifiers taken apart, endings cut, small words left out.

use crate::limits;

/// Gives every word of a text that a search goes by, in lower case and without its ending.
///
/// `getPullRequest`, `get_pull_request` and `Getting pull requests` give the same three words. Digits stand
/// apart from letters, and every character of a script that writes without spaces is a word.
pub(super) fn each(text: &str, mut take: impl FnMut(&str)) {
    split(text, |word| take(stem(word)));
}

/// As [`each`], but gives words with their endings.
#[cfg(feature = "embedding")]
pub(super) fn each_whole(text: &str, mut take: impl FnMut(&str)) {
    split(text, |word| take(word));
}

fn split(text: &str, mut take: impl FnMut(&mut String)) {
    let mut word = String::new();
    let mut before = Sort::Space;
    let mut chars = text.chars().take(limits::SEARCH_TEXT_CHARS_MAX).peekable();
    while let Some(c) = chars.next() {
        let sort = Sort::of(c);
        let next_is_lower = chars.peek().is_some_and(|next| Sort::of(*next) == Sort::Lower);
        let goes_on = match (before, sort) {
            (Sort::Lower | Sort::Upper, Sort::Lower) | (Sort::Digit, Sort::Digit) => true,
            // `HTTPServer` is `http` and `server`.
            (Sort::Upper, Sort::Upper) => !next_is_lower,
            _ => false,
        };
        if !goes_on {
            end(&mut word, &mut take);
        }
        if sort != Sort::Space && word.len() < limits::SEARCH_WORD_BYTES_MAX {
            word.extend(c.to_lowercase());
        }
        before = sort;
    }
    end(&mut word, &mut take);
}

/// What a character does to the word that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Lower,
    Upper,
    Digit,
    /// A word by itself.
    Alone,
    Space,
}

impl Sort {
    fn of(c: char) -> Self {
        match c {
            _ if c.is_ascii_digit() => Self::Digit,
            _ if c.is_uppercase() => Self::Upper,
            _ if c.is_lowercase() => Self::Lower,
            _ if c.is_alphanumeric() => Self::Alone,
            _ => Self::Space,
        }
    }
}

fn end(word: &mut String, take: &mut impl FnMut(&mut String)) {
    if !word.is_empty() && SMALL.binary_search(&word.as_str()).is_err() {
        take(word);
    }
    word.clear();
}

/// Cuts the endings of English that mostly mean nothing to a search. What is left need be no word, as long
/// as all forms of one leave the same.
fn stem(word: &mut String) -> &str {
    let long = |least: usize| word.len() > least && word.is_ascii();
    if long(4) && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
        return word;
    }
    if long(5) && word.ends_with("ing") {
        word.truncate(word.len() - 3);
        undouble(word);
    } else if long(4) && word.ends_with("ed") {
        word.truncate(word.len() - 2);
        undouble(word);
    } else if long(4) && ["ses", "xes", "zes", "hes"].iter().any(|end| word.ends_with(end)) {
        word.truncate(word.len() - 2);
    } else if long(3) && word.ends_with('s') && !word.ends_with("ss") {
        word.truncate(word.len() - 1);
    }
    if word.is_ascii() && word.len() > 3 { word.trim_end_matches('e') } else { word }
}

/// `running` has lost its ending; so does its second `n` go.
fn undouble(word: &mut String) {
    let mut ends = word.bytes().rev();
    if word.len() > 2
        && let (Some(last), Some(other)) = (ends.next(), ends.next())
        && last == other
        && !matches!(last, b'l' | b's')
    {
        word.pop();
    }
}

/// Words that stand everywhere and say nothing, in the order of the alphabet.
const SMALL: [&str; 61] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "get", "has",
    "have", "how", "i", "if", "in", "into", "is", "it", "its", "let", "me", "my", "of", "on", "or", "our",
    "out", "please", "so", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to",
    "us", "use", "used", "using", "was", "we", "what", "when", "where", "which", "who", "will", "with",
    "within", "would", "you", "your",
];
