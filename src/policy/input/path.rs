//! Patterns of paths, and what a path comes to when `..`, `.` and `~` are taken out of it.
//!
//! Links of the file system cannot be seen from here.

use crate::glob::Glob;

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

    /// Whether a path certainly lies in it.
    pub(super) fn holds(&self, path: &str, place: &Place) -> bool {
        match resolve(path, place) {
            Resolved::At(parts) => fits(&self.segments, &borrowed(&parts)),
            Resolved::Below | Resolved::Anywhere => false,
        }
    }

    /// Whether a path may lie in it, also where the file system does not tell upper from lower case. One that
    /// begins nobody knows where does when it goes up from there.
    pub(super) fn may_hold(&self, path: &str, place: &Place) -> bool {
        match resolve(path, place) {
            Resolved::At(parts) => {
                let folded: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
                fits(&self.folded, &borrowed(&folded))
            }
            Resolved::Below => false,
            Resolved::Anywhere => true,
        }
    }
}

fn borrowed(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
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

fn resolve(path: &str, place: &Place) -> Resolved {
    // A byte of zero ends a path for the system, and none that is meant has one.
    if path.contains('\0') {
        return Resolved::Anywhere;
    }
    let path = path.trim();
    let path = match path.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("file://") => path.get(7..).unwrap_or_default(),
        _ => path,
    };
    let windows = drive(path).is_some() || place.cwd.as_deref().is_some_and(|cwd| drive(cwd).is_some());
    let (base, rest) = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match &place.home {
            Some(home) => (home.as_str(), rest),
            None => return Resolved::Anywhere,
        },
        // The home of somebody else.
        Some(_) => return Resolved::Anywhere,
        None if path.starts_with('/') || drive(path).is_some() => ("", path),
        None if windows && path.starts_with('\\') => ("", path),
        None => match place.cwd.as_deref() {
            Some(cwd) if cwd.starts_with('/') || drive(cwd).is_some() => (cwd, path),
            _ => return unknown(path),
        },
    };
    let mut parts = Vec::new();
    for text in [base, rest] {
        let split = |letter: char| letter == '/' || (windows && letter == '\\');
        for part in text.split(split) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                _ => parts.push(part.to_owned()),
            }
        }
    }
    Resolved::At(parts)
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
