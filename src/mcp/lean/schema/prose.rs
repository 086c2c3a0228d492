//! White space of descriptions that stands there because of how the source was laid out.

use std::borrow::Cow;

/// A text without white space at its ends and at the ends of its lines, without the indentation that all its
/// lines but the first have in common, and with one empty line where there are several. Words, the order of
/// lines and how deep they stand against each other stay; a text with fenced code keeps its empty lines.
pub fn dedent(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches(is_white);
    if !trimmed.contains('\n') {
        return if trimmed.len() == text.len() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(trimmed.to_owned())
        };
    }
    let mut lines = trimmed.split('\n').map(|line| line.trim_end_matches(is_white));
    let first = lines.next().unwrap_or_default();
    let margin = margin(lines.clone());
    let fenced = trimmed.contains("```");
    let mut out = String::with_capacity(trimmed.len());
    out.push_str(first);
    let mut empty = 0_u32;
    for line in lines {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 || fenced {
            out.push('\n');
            out.push_str(line.get(margin..).unwrap_or_default());
        }
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// Bytes of white space that all lines with something in them begin with.
fn margin<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut common: Option<&str> = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let white = line.len() - line.trim_start_matches([' ', '\t']).len();
        let white = line.get(..white).unwrap_or_default();
        let same = common.map(|common| {
            let same = common.bytes().zip(white.bytes()).take_while(|(one, other)| one == other).count();
            common.get(..same).unwrap_or_default()
        });
        common = Some(same.unwrap_or(white));
    }
    common.map_or(0, str::len)
}

/// White space of ASCII: other kinds are written on purpose.
fn is_white(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}
