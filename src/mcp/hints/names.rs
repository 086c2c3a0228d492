//! Names of tools that pass for others, and texts that speak of tools of other servers.

use std::collections::{HashMap, HashSet};

use crate::mcp::hints::unseen::folded;
use crate::mcp::hints::{Found, HintKind};

/// Names shorter than this are alike by chance.
const ALIKE_BYTES_MIN: usize = 6;

/// All tools that are known, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Neighbours<'a> {
    /// Who has a tool of this name.
    servers_of: HashMap<&'a str, Vec<&'a str>>,
    /// Names by how they look.
    looks: HashMap<String, Vec<(&'a str, &'a str)>>,
    servers: HashSet<&'a str>,
}

impl<'a> Neighbours<'a> {
    /// Of pairs of a server and a tool of it.
    pub fn new(all: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut made = Self::default();
        for (server, tool) in all {
            made.servers.insert(server);
            made.servers_of.entry(tool).or_default().push(server);
            made.looks.entry(look_of(tool)).or_default().push((server, tool));
        }
        made
    }
}

/// How a name looks at a glance: `l` and `1`, `0` and `o` are one, `rn` is `m`, doubled letters are single,
/// and what stands between words does not count.
fn look_of(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in folded(name).replace("rn", "m").replace("vv", "w").chars() {
        let plain = match character {
            '0' => 'o',
            '1' | 'l' | '|' => 'i',
            '3' => 'e',
            '5' => 's',
            '_' | '-' | '.' | ' ' | '/' => continue,
            other => other,
        };
        if !out.ends_with(plain) {
            out.push(plain);
        }
    }
    out
}

/// Looks whether a name passes for that of a tool of another server, or of this one.
pub(super) fn look(server: &str, tool: &str, neighbours: &Neighbours<'_>, found: &mut Found) {
    let own_look = look_of(tool);
    if own_look.len() < ALIKE_BYTES_MIN {
        return;
    }
    let mut tell = |other: &str, whose: &str| {
        found.add(HintKind::LookAlike, "name", &format!("{whose}.{other}"));
    };
    if let Some((whose, other)) = neighbours.looks.get(&own_look).and_then(|alike| {
        // The same name at another server is a collision, which the names for callers solve.
        alike.iter().find(|(_, other)| *other != tool && !only_spelt_anew(tool, other))
    }) {
        return tell(other, whose);
    }
    let near = |other: &str| other != own_look && is_near(&own_look, other);
    let typo = neighbours.looks.iter().filter(|(look, _)| near(look)).find_map(|(_, alike)| {
        let others = alike.iter().filter(|(whose, _)| *whose != server);
        let free = |other: &&&(&str, &str)| !is_plural(tool, other.1);
        others.collect::<Vec<_>>().iter().find(|other| free(other)).map(|other| **other)
    });
    if let Some((whose, other)) = typo {
        tell(other, whose);
    }
}

/// Whether two names differ in nothing but how words are joined.
fn only_spelt_anew(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.replace(['_', '-', '.', '/'], "").to_ascii_lowercase();
    one.is_ascii() && plain(one) == plain(other)
}

/// Whether two names differ by an `s` for many.
fn is_plural(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.to_ascii_lowercase().replace('s', "");
    bare(one) == bare(other)
}

/// Whether two looks differ by one letter that is too many, missing, or out of its turn. Another letter in
/// the same place makes another word more often than a slip: `get` and `set`.
fn is_near(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (short, long) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let rest = |list: &[char], skip: usize| list.get(same + skip..).unwrap_or_default().to_vec();
    match long.len() - short.len() {
        // What is added at an end is another word: `get_item` and `get_items`.
        1 => same < short.len() && same > 0 && rest(short, 0) == rest(long, 1),
        0 => {
            let swapped = short.get(same) == long.get(same + 1) && short.get(same + 1) == long.get(same);
            swapped && short.get(same).is_some() && rest(short, 2) == rest(long, 2)
        }
        _ => false,
    }
}

/// Looks for names of tools and servers that are not of this server.
pub(super) fn mentions(
    server: &str,
    place: &str,
    folded: &str,
    neighbours: &Neighbours<'_>,
    found: &mut Found,
) {
    // Names of parameters are words that many share.
    if !place.ends_with("description") && !place.ends_with("title") {
        return;
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut before = "";
    for word in folded.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()) {
        if let Some(owners) = neighbours.servers_of.get(word)
            && is_telling(word)
            && !owners.contains(&server)
        {
            let whose = owners.first().copied().unwrap_or_default();
            found.add(HintKind::Shadowing, place, &format!("names the tool {whose}.{word}"));
        }
        let about = matches!(word, "server" | "tool" | "tools" | "mcp");
        if about && before != server && neighbours.servers.contains(before) {
            found.add(HintKind::Shadowing, place, &format!("speaks of the server {before}"));
        }
        before = word;
    }
}

/// Whether a name is one that no one writes by chance.
fn is_telling(name: &str) -> bool {
    name.len() >= ALIKE_BYTES_MIN && name.contains(['_', '-'])
}
