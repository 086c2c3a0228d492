//! The first sentence of a description, on one line and of a bounded length.

/// Words before a full stop that ends no sentence.
const SHORT_FORMS: &[&str] = &[
    "approx", "cf", "dept", "dr", "e.g", "eg", "esp", "etc", "ex", "fig", "i.e", "ie", "incl", "inc", "max",
    "min", "mr", "mrs", "ms", "no", "nr", "st", "vs",
];

/// The first sentence of `text` without its white space, of at most `chars_max` characters: what is longer is
/// cut between words, and ends in `...`.
///
/// A sentence ends at a full stop, question or exclamation mark before white space, at an empty line, and
/// before a list. A full stop in `e.g. this`, `api.example.com`, `3.5` or before a small letter is none.
pub fn first_sentence(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    for row in text.trim().lines().map(str::trim) {
        if !line.is_empty() && (row.is_empty() || begins_item(row)) {
            break;
        }
        let row = row.trim_start_matches('#').trim_start();
        if !line.is_empty() && !row.is_empty() {
            line.push(' ');
        }
        push_plain(&mut line, row);
        if let Some(end) = sentence_end(&line) {
            line.truncate(end);
            break;
        }
        // Nothing that comes later is shown.
        if line.len() > chars_max.saturating_mul(4) {
            break;
        }
    }
    bounded(line, chars_max)
}

/// Appends words with one space between them; what cannot be printed is white space.
fn push_plain(line: &mut String, row: &str) {
    for (index, word) in row.split(|c: char| c.is_whitespace() || c.is_control()).enumerate() {
        if !word.is_empty() {
            line.push_str(if index > 0 && !line.ends_with(' ') && !line.is_empty() { " " } else { "" });
            line.push_str(word);
        }
    }
}

/// Whether a row is an item of a list.
fn begins_item(row: &str) -> bool {
    let digits = row.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = digits.len() < row.len() && digits.starts_with([')', '.']) && digits.len() > 1;
    numbered || row.starts_with(['-', '*', '•', '|', '<']) || row.starts_with("```")
}

/// Where the first sentence of a line ends, its mark included; nothing when it has no end.
fn sentence_end(line: &str) -> Option<usize> {
    for (at, mark) in line.char_indices() {
        let after = at + mark.len_utf8();
        match mark {
            '。' | '！' | '？' => return Some(after),
            '.' | '!' | '?' => {
                let rest = line.get(after..).unwrap_or_default();
                let closed = rest.trim_start_matches(['"', '\'', ')', ']', '`', '*']);
                if !closed.is_empty() && !closed.starts_with(' ') {
                    continue;
                }
                let before = line.get(..at).unwrap_or_default();
                if mark == '.' && (goes_on(closed) || is_short_form(before)) && !closed.is_empty() {
                    continue;
                }
                return Some(line.len() - closed.len());
            }
            _ => {}
        }
    }
    None
}

/// Whether what follows a full stop belongs to the same sentence.
fn goes_on(rest: &str) -> bool {
    rest.trim_start().starts_with(|c: char| c.is_lowercase())
}

/// Whether the word before a full stop is a short form, an initial or the number of an item.
fn is_short_form(before: &str) -> bool {
    let word = before.rsplit(' ').next().unwrap_or_default();
    let word = word.trim_start_matches(['(', '[', '"', '\'', '`', '*']);
    let lower = word.to_ascii_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let number = before == word && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    initial || number || SHORT_FORMS.contains(&&*lower)
}

/// At most so many characters, cut between words where there are any.
fn bounded(mut line: String, chars_max: usize) -> String {
    let Some((end, _)) = line.char_indices().nth(chars_max) else { return line };
    let Some((room, _)) = line.char_indices().nth(chars_max.saturating_sub(3)) else { return line };
    if chars_max < 4 {
        line.truncate(end);
        return line;
    }
    let kept = line.get(..room).unwrap_or_default();
    let word = kept.rfind(' ').filter(|space| *space > room / 2).unwrap_or(room);
    line.truncate(word);
    line.truncate(line.trim_end_matches([' ', ',', ';', ':', '.', '-']).len());
    line.push_str("...");
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::first_sentence;

    #[test]
    fn a_sentence_ends_where_a_reader_ends_it() {
        let cases = [
            ("Get a file. It must exist.", "Get a file."),
            ("Lists things (e.g. files). More.", "Lists things (e.g. files)."),
            ("Use i.e. This one, not that. No.", "Use i.e. This one, not that."),
            ("See https://example.com/a.b?c=d. Then go.", "See https://example.com/a.b?c=d."),
            ("Version 3.5 of api.example.com is used! Yes", "Version 3.5 of api.example.com is used!"),
            ("Is it there? Perhaps.", "Is it there?"),
            ("Says \"done.\" Then stops.", "Says \"done.\""),
            ("Returns one of:\n- a\n- b", "Returns one of:"),
            ("Returns one of\n1. a\n2. b", "Returns one of"),
            ("Search issues\nby their words\n\nArgs:\n  q: text", "Search issues by their words"),
            ("  \n# Title\n\nText. More", "Title"),
            ("Approx. five items. Or six.", "Approx. five items."),
            ("Takes the obj. from disk. Then ends.", "Takes the obj. from disk."),
            ("By J. Doe, the author. Old.", "By J. Doe, the author."),
            ("1. First do this. Then that.", "1. First do this."),
            ("取得する。次に。", "取得する。"),
            ("no end", "no end"),
            ("Ends in etc.", "Ends in etc."),
            ("", ""),
            ("tab\there\u{7}bell", "tab here bell"),
        ];
        for (text, first) in cases {
            assert_eq!(first_sentence(text, 200), first, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_words() {
        assert_eq!(first_sentence("one two three four five", 15), "one two...");
        assert_eq!(first_sentence("one two three, four five", 20), "one two three...");
        assert_eq!(first_sentence("exactly ten", 11), "exactly ten");
        assert_eq!(first_sentence(&"x".repeat(50), 10), "xxxxxxx...");
        assert_eq!(first_sentence("éééééééééé", 5), "éé...");
        assert_eq!(first_sentence("abcdef", 3), "abc");
    }

    proptest! {
        #[test]
        fn it_is_short_and_on_one_line(text in "[ a-zA-Z.!?()\n\"é。:0-9-]{0,120}", most in 0_usize..60) {
            let first = first_sentence(&text, most);
            prop_assert!(first.chars().count() <= most, "{first:?}");
            prop_assert!(!first.contains(['\n', '\t', '\u{7}']) && !first.contains("  "), "{first:?}");
            // Its letters are those that the text begins with.
            let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>();
            prop_assert!(letters(&text).starts_with(&letters(&first)), "{first:?}");
        }
    }
}
