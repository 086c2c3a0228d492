//! Patterns of paths, and what a path comes to when `..`, `.` and `~` are taken out of it.
//!
//! Links of the file system cannot be seen from here.

use crate::glob::Glob;
use crate::limits;
use crate::policy::input::host::percent_decoded;

/// Where a client works, by its own word; nothing where it has not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its working directory.
    pub cwd: Option<String>,
    /// Its home directory.
    pub home: Option<String>,
}

/// An absolute pattern: `*` within a segment, `**` for any number of segments.
#[derive(Clone, Debug)]
pub(super) struct PathPattern {
    segments: Vec<Segment>,
    /// In lower case, for where being strict means to fit more.
    folded: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Segment {
    Any,
    One(Glob),
}

impl PathPattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let absolute = drive(text).is_some() || text.starts_with('/');
        if !absolute {
            return Err(format!("{text:?} is no absolute path; begin with / or, for Windows, with C:/"));
        }
        let plain = text.replace('\\', "/");
        let parts: Vec<&str> = plain.split('/').filter(|part| !part.is_empty()).collect();
        if parts.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(format!("{text:?} has . or .. in it; write the path that is meant"));
        }
        if let Some(part) = parts.iter().find(|part| part.contains("**") && **part != "**") {
            return Err(format!("** stands alone between two slashes, not as in {part:?}"));
        }
        let segments = |parts: &[String]| {
            let one = |part: &String| if part == "**" { Segment::Any } else { Segment::One(Glob::new(part)) };
            parts.iter().map(one).collect()
        };
        let own: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let folded: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
        Ok(Self { segments: segments(&own), folded: segments(&folded) })
    }

    /// Whether a spot certainly lies in it, however its text is read.
    pub(super) fn holds(&self, spot: &Spot<'_>, place: &Place) -> bool {
        let open_end = matches!(self.segments.last(), Some(Segment::Any));
        readings(spot.text(), spot.is_pattern()).iter().all(|reading| match resolve(reading, spot, place) {
            Resolved::At(parts) if spot.is_one() => fits(&self.segments, &borrowed(&parts)),
            Resolved::At(parts) => {
                // Everything below what is fixed has to lie in it.
                let fixed: Vec<&str> =
                    borrowed(&parts).into_iter().take_while(|part| !is_wild(part)).collect();
                open_end && fits(&self.segments, &fixed)
            }
            Resolved::Below | Resolved::Anywhere => false,
        })
    }

    /// Whether a spot may lie in it, also where the file system does not tell upper from lower case. One that
    /// begins nobody knows where does when it goes up from there.
    pub(super) fn may_hold(&self, spot: &Spot<'_>, place: &Place) -> bool {
        readings(spot.text(), spot.is_pattern()).iter().any(|reading| match resolve(reading, spot, place) {
            Resolved::At(parts) => {
                let mut folded: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
                if spot.is_one() {
                    return fits(&self.folded, &borrowed(&folded));
                }
                if !spot.is_pattern() {
                    folded.push("**".to_owned());
                }
                meets(&self.folded, &folded)
            }
            Resolved::Below => false,
            Resolved::Anywhere => true,
        })
    }
}

/// What a tool is told about the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot<'a> {
    /// A file or folder.
    One(&'a str),
    /// A folder with everything in it.
    Under(&'a str),
    /// All that a pattern fits, from a folder on where one is named.
    Pattern { text: &'a str, from: Option<&'a str> },
}

impl Spot<'_> {
    fn text(&self) -> &str {
        match self {
            Self::One(text) | Self::Under(text) | Self::Pattern { text, .. } => text,
        }
    }

    fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    fn is_pattern(&self) -> bool {
        matches!(self, Self::Pattern { .. })
    }
}

fn borrowed(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

fn is_wild(part: &str) -> bool {
    part.contains(['*', '?', '[', ']', '{', '}', '(', '!'])
}

/// How a text may be read by whoever gets it: with blanks around it or without, with `\\` between folders or
/// in a name, and each choice of the braces of a pattern. A byte of zero stands for what cannot be told.
fn readings(text: &str, pattern: bool) -> Vec<String> {
    let mut all = vec![text.trim().to_owned()];
    if text.trim() != text {
        all.push(text.to_owned());
    }
    if text.contains('\\') {
        all.push(text.trim().replace('\\', "/"));
    }
    if pattern {
        all = all.iter().flat_map(|text| choices(text)).collect();
    }
    all
}

/// The texts that `{a,b}` stands for.
fn choices(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        if done.len() + open.len() > limits::PATH_CHOICES_MAX {
            return vec!["\0".to_owned()];
        }
        // The innermost braces first: they have no others in them.
        let found = text.find('}').and_then(|end| Some((text.get(..end)?.rfind('{')?, end)));
        let parts = found.and_then(|(start, end)| {
            Some((text.get(..start)?, text.get(start + 1..end)?, text.get(end + 1..)?))
        });
        match parts {
            Some((before, inner, after)) => {
                open.extend(inner.split(',').map(|choice| format!("{before}{choice}{after}")));
            }
            None => done.push(text),
        }
    }
    done
}

/// What a path comes to.
#[derive(Debug, PartialEq, Eq)]
enum Resolved {
    /// The segments from the root.
    At(Vec<String>),
    /// Somewhere below a place that is not known.
    Below,
    /// Somewhere.
    Anywhere,
}

fn resolve(text: &str, spot: &Spot<'_>, place: &Place) -> Resolved {
    match spot {
        Spot::Pattern { from: Some(from), .. } if !is_rooted(text) => {
            let base = resolve_one(from, false, place);
            let Resolved::At(base) = base else {
                return if goes_up(text) { Resolved::Anywhere } else { base };
            };
            let root = if base.first().is_some_and(|part| part.ends_with(':')) { "" } else { "/" };
            resolve_one(&format!("{root}{}/{text}", base.join("/")), true, place)
        }
        _ => resolve_one(text, spot.is_pattern(), place),
    }
}

fn is_rooted(text: &str) -> bool {
    text.starts_with(['/', '\\', '~']) || drive(text).is_some() || is_file_url(text)
}

fn goes_up(text: &str) -> bool {
    text.split(['/', '\\']).any(|part| part == "..")
}

fn resolve_one(path: &str, pattern: bool, place: &Place) -> Resolved {
    // A byte of zero ends a path for the system, and none that is meant has one.
    if path.contains('\0') {
        return Resolved::Anywhere;
    }
    let local = match is_file_url(path).then(|| local_path(path)) {
        Some(None) => return Resolved::Anywhere,
        Some(Some(local)) => Some(local),
        None => None,
    };
    let path = local.as_deref().unwrap_or(path);
    let windows = drive(path).is_some() || place.cwd.as_deref().is_some_and(|cwd| drive(cwd).is_some());
    let (base, rest) = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') || (windows && rest.starts_with('\\')) => {
            match &place.home {
                Some(home) => (home.as_str(), rest),
                None => return Resolved::Anywhere,
            }
        }
        // The home of somebody else.
        Some(_) => return Resolved::Anywhere,
        None if path.starts_with('/') || drive(path).is_some() => ("", path),
        None if windows && path.starts_with('\\') => ("", path),
        None => match place.cwd.as_deref() {
            Some(cwd) if cwd.starts_with('/') || drive(cwd).is_some() => (cwd, path),
            _ => return unknown(path),
        },
    };
    let mut parts: Vec<String> = Vec::new();
    for text in [base, rest] {
        let split = |letter: char| letter == '/' || (windows && letter == '\\');
        for part in text.split(split) {
            match part {
                "" | "." => {}
                ".." => {
                    // Nobody knows how many folders `**` has stood for.
                    if parts.pop().is_some_and(|gone| pattern && gone.contains("**")) {
                        return Resolved::Anywhere;
                    }
                }
                _ => parts.push(part.to_owned()),
            }
        }
    }
    Resolved::At(parts)
}

/// Whether a text is an address of a file.
pub(super) fn is_file_url(text: &str) -> bool {
    text.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

/// The path in an address of a file; nothing when it is of another machine, or can be read in two ways.
fn local_path(url: &str) -> Option<String> {
    let rest = url.trim().get(5..)?;
    let (plain, tail) = rest.split_at_checked(rest.find(['?', '#']).unwrap_or(rest.len()))?;
    let decoded = percent_decoded(plain);
    let encoded_twice = decoded.contains('%') && percent_decoded(&decoded) != decoded;
    if encoded_twice || decoded.contains(['\u{fffd}', '\0']) || tail.contains("..") {
        return None;
    }
    let plain = decoded.replace('\\', "/");
    let path = match plain.strip_prefix("//") {
        // Some take the first name for a host, some for a folder.
        Some(rest) => match rest.split_once('/') {
            Some((host, path)) if host.is_empty() || host.eq_ignore_ascii_case("localhost") => path,
            _ => return None,
        },
        None => plain.strip_prefix('/').unwrap_or(&plain),
    };
    let rooted = path.trim_start_matches('/');
    Some(if drive(rooted).is_some() { rooted.to_owned() } else { format!("/{rooted}") })
}

/// A path from a place that is not known.
fn unknown(path: &str) -> Resolved {
    let mut depth = 0_usize;
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Resolved::Anywhere,
            },
            _ => depth += 1,
        }
    }
    Resolved::Below
}

/// The letter of a drive with its colon, when the path begins with one and is absolute.
fn drive(path: &str) -> Option<&str> {
    match path.as_bytes() {
        [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic() => path.get(..2),
        _ => None,
    }
}

fn fits(pattern: &[Segment], path: &[&str]) -> bool {
    // As `Glob` does it, with segments in the place of letters.
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(part) = path.get(seen) {
        match pattern.get(at) {
            Some(Segment::Any) => {
                at += 1;
                retry = Some((at, seen));
                continue;
            }
            Some(Segment::One(glob)) if glob.matches(part) => {
                at += 1;
                seen += 1;
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = retry else { return false };
        at = after;
        seen = from + 1;
        retry = Some((after, seen));
    }
    pattern.iter().skip(at).all(|segment| matches!(segment, Segment::Any))
}

/// Whether there is a path that both patterns fit. Within a segment of the second one a wildcard may stand
/// for anything.
fn meets(pattern: &[Segment], path: &[String]) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    let close = |reached: &mut Vec<bool>| {
        for (at, segment) in pattern.iter().enumerate() {
            if matches!(segment, Segment::Any) && reached.get(at) == Some(&true) {
                reached.iter_mut().skip(at + 1).take(1).for_each(|next| *next = true);
            }
        }
    };
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    close(&mut reached);
    for part in path {
        let mut next = vec![false; pattern.len() + 1];
        let mut seen = false;
        for (at, &here) in reached.iter().enumerate() {
            seen |= here;
            if part.contains("**") {
                next.iter_mut().skip(at).take(1).for_each(|next| *next = seen);
                continue;
            }
            let step = match pattern.get(at) {
                Some(Segment::Any) if here => at,
                Some(Segment::One(glob)) if here && (is_wild(part) || glob.matches(part)) => at + 1,
                _ => continue,
            };
            next.iter_mut().skip(step).take(1).for_each(|next| *next = true);
        }
        close(&mut next);
        reached = next;
    }
    reached.last() == Some(&true)
}
