//! What has changed between two definitions, for people: by member, long texts line by line, and nothing
//! unseen.

use crate::limits;
use crate::mcp::hints::unseen;
use crate::mcp::pin::tree::Tree;

/// The members in which two definitions differ, each under its place with its lines: `-` before what is gone,
/// `+` before what is new. Without an old one all of the new one is new. Nothing in it can steer a terminal.
pub fn difference(old: Option<&[u8]>, new: &[u8]) -> String {
    let mut out = String::new();
    if let Ok(new) = Tree::read(new) {
        let old = old.and_then(|old| Tree::read(old).ok());
        members("", old.as_ref(), Some(&new), &mut out);
    }
    out
}

/// Members that differ, each under its place.
fn members(place: &str, old: Option<&Tree>, new: Option<&Tree>, out: &mut String) {
    if old == new {
        return;
    }
    if let (Some(Tree::Object(before)), Some(Tree::Object(after))) = (old, new) {
        let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let at = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            members(&at, before.get(name), after.get(name), out);
        }
        return;
    }
    if place.is_empty()
        && let Some(Tree::Object(after)) = new
    {
        for (name, value) in after {
            members(name, None, Some(value), out);
        }
        return;
    }
    out.push_str(&format!("  {}\n", visible(place)));
    for (mark, line) in lines(&old.map(text).unwrap_or_default(), &new.map(text).unwrap_or_default()) {
        out.push_str(&format!("    {mark} {}\n", visible(line)));
    }
}

/// A value as text: strings as they are, all else as JSON.
fn text(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) => text.clone(),
        other => json(other),
    }
}

fn json(tree: &Tree) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    match tree {
        Tree::Bare(word) => word.clone(),
        Tree::Text(text) => quoted(text),
        Tree::Array(list) => format!("[{}]", list.iter().map(json).collect::<Vec<_>>().join(", ")),
        Tree::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", quoted(name), json(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The lines of two texts, `-` before what is gone, `+` before what is new, a space before what is in both.
fn lines<'t>(old: &'t str, new: &'t str) -> Vec<(char, &'t str)> {
    let (before, after): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let most = limits::DIFF_LINES_MAX;
    let same = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let (head, before) = before.split_at_checked(same).unwrap_or_default();
    let after = after.get(same..).unwrap_or_default();
    let mut out: Vec<(char, &str)> = head.iter().map(|line| (' ', *line)).collect();
    if before.len() > most || after.len() > most {
        out.extend(before.iter().map(|line| ('-', *line)));
        out.extend(after.iter().map(|line| ('+', *line)));
        return out;
    }
    let common = common(before, after);
    let (mut i, mut j) = (0, 0);
    while i < before.len() || j < after.len() {
        let at = |i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
        match (before.get(i), after.get(j)) {
            (Some(one), Some(other)) if one == other => {
                out.push((' ', one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(i + 1, j) >= at(i, j + 1) => {
                out.push(('-', one));
                i += 1;
            }
            (_, Some(other)) => {
                out.push(('+', other));
                j += 1;
            }
            (_, None) => break,
        }
    }
    out
}

/// How many lines what is left of both has in common, by how much is done of each.
fn common(before: &[&str], after: &[&str]) -> Vec<Vec<usize>> {
    let mut below = vec![0; after.len() + 1];
    let mut table = vec![below.clone()];
    for one in before.iter().rev() {
        let mut row = vec![0; after.len() + 1];
        let mut right = 0;
        for (j, other) in after.iter().enumerate().rev() {
            let diagonal = below.get(j + 1).copied().unwrap_or(0);
            let under = below.get(j).copied().unwrap_or(0);
            right = if one == other { diagonal + 1 } else { under.max(right) };
            if let Some(cell) = row.get_mut(j) {
                *cell = right;
            }
        }
        below.clone_from(&row);
        table.push(row);
    }
    table.reverse();
    table
}

/// A line of somebody else with every character that is not seen spelt out, so that it can do nothing to a
/// terminal and hide nothing from a reader.
pub fn visible(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for character in line.chars() {
        match unseen::name_of(character) {
            Some(name) => out.push_str(&format!("<U+{:04X} {name}>", u32::from(character))),
            None if matches!(character, '\n' | '\r') => out.push(' '),
            None if character == '\t' => out.push_str("    "),
            None => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{lines, visible};

    #[test]
    fn lines_are_told_apart() {
        let told = |old: &str, new: &str| -> Vec<String> {
            lines(old, new).into_iter().map(|(mark, line)| format!("{mark}{line}")).collect()
        };
        assert_eq!(told("a\nb\nc", "a\nc\nd"), [" a", "-b", " c", "+d"]);
        assert_eq!(told("", "a"), ["+a"]);
        assert_eq!(told("a", ""), ["-a"]);
        assert_eq!(told("a\nb", "b\na"), ["-a", " b", "+a"]);
        let long = "x\n".repeat(1_000);
        assert_eq!(told(&long, "y").len(), 1_001);
    }

    #[test]
    fn nothing_is_hidden_and_nothing_steers() {
        assert_eq!(
            visible("a\u{200b}b\u{1b}[2Jc\td"),
            "a<U+200B zero-width space>b<U+001B control character>[2Jc    d"
        );
        assert_eq!(visible("\u{e0041}\u{202e}"), "<U+E0041 tag character><U+202E direction mark>");
    }
}
