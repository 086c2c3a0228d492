//! Tables for people: columns as wide as they have to be, and texts of others that cannot do anything.

/// Characters of the last column that are shown however narrow the terminal is.
const LAST_CHARS_MIN: usize = 16;

/// A table with two spaces between columns and a newline after every row. The columns in `right` are numbers
/// and stand to the right. Where `width` is given, rows that are longer are cut in their last column.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]], right: &[usize], width: Option<usize>) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let before: usize = widths.iter().take(N.saturating_sub(1)).map(|width| width + 2).sum();
    let last = width.map_or(usize::MAX, |width| width.saturating_sub(before).max(LAST_CHARS_MIN));
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
            if place > 0 {
                line.push_str("  ");
            }
            if place + 1 == N {
                line.push_str(&cut(cell, last));
            } else if right.contains(&place) {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:width$}"));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A text in so many characters; one that is cut ends with `…`.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// A text of somebody else as one line: white space is one space, and what steers terminals, turns lines
/// around or hides is `\u{fffd}`, so that it is seen.
pub(crate) fn plain(text: &str) -> String {
    let shown = |character: char| if is_steering(character) { '\u{fffd}' } else { character };
    let words: Vec<String> = text.split_whitespace().map(|word| word.chars().map(shown).collect()).collect();
    words.join(" ")
}

fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The first sentence of a text, or all of it where it has no end.
pub(crate) fn first_sentence(text: &str) -> String {
    let text = text.trim_start();
    // A blank line ends a paragraph, and with it a sentence, whatever it ends with.
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let line = plain(paragraph);
    // `e.g. this` is no end: what follows one begins with no small letter.
    let end = line.match_indices(['.', '!', '?']).map(|(at, mark)| at + mark.len()).find(|at| {
        let mut after = line.get(*at..).unwrap_or_default().chars();
        matches!((after.next(), after.next()), (None, _) | (Some(' '), Some(_)))
            && !after_small(line.get(*at..).unwrap_or_default())
    });
    end.and_then(|end| line.get(..end)).unwrap_or(&line).to_owned()
}

fn after_small(rest: &str) -> bool {
    rest.trim_start().chars().next().is_some_and(char::is_lowercase)
}

/// A number with commas between its thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be_and_the_last_is_cut() {
        let rows = [["NAME", "N", "TEXT"], ["a", "1,000", "a text that is too long"], ["bbbbb", "2", "é"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let expected = "NAME       N  TEXT\na      1,000  a text that is…\nbbbbb      2  é\n";
        assert_eq!(columns(&rows, &[1], Some(20)), expected, "the last column keeps 16 characters");
        assert!(columns(&rows, &[1], None).contains("too long\n"));
        assert!(columns(&rows, &[1], Some(40)).contains("too long\n"));
    }

    #[test]
    fn texts_of_others_are_one_line_and_steer_nothing() {
        assert_eq!(plain(" a\r\n\tb\u{1b}[31mred\u{202e}x\u{200b} "), "a b\u{fffd}[31mred\u{fffd}x\u{fffd}");
        assert_eq!(plain("grün 漢字"), "grün 漢字");
    }

    #[test]
    fn the_first_sentence_is_one() {
        for (text, first) in [
            ("Reads a file. Then stops.", "Reads a file."),
            ("Reads v1.2 of a file", "Reads v1.2 of a file"),
            ("Reads, e.g. a file! Or not.", "Reads, e.g. a file!"),
            ("  Heading\nand more\n\nParagraph. Two.", "Heading and more"),
            ("One?", "One?"),
            ("", ""),
            ("Ends\u{7}. here", "Ends\u{fffd}. here"),
        ] {
            assert_eq!(first_sentence(text), first, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_read_in_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
