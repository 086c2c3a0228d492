//! Paths into JSON, a small part of JSONPath (RFC 9535): `$.items[*].name`, `..url`, `$['a b'][0]`.

use std::fmt;

use crate::limits;

/// Why a path is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Something stands where a step should begin.
    #[error("a step begins with `.`, `..` or `[` (at byte {at}), as in `$.items[*].name` or `..url`")]
    Step {
        /// Its place.
        at: usize,
    },
    /// Nothing after a dot, or nothing that is a name.
    #[error("a name or `*` belongs at byte {at}; names with other letters are written `['so']`")]
    Name {
        /// Its place.
        at: usize,
    },
    /// A bracket holds something else.
    #[error(
        "the bracket at byte {at} takes `*`, a number or a name in quotes, as in `[*]`, `[0]` or `['name']`"
    )]
    Bracket {
        /// Its place.
        at: usize,
    },
    /// It names everything.
    #[error("a path needs at least one step: `$` alone is the whole result")]
    Empty,
    /// More steps or bytes than `limits::RESULT_PATH_STEPS_MAX` and `limits::RESULT_PATH_BYTES_MAX`.
    #[error(
        "a path has at most {} steps and {} bytes",
        limits::RESULT_PATH_STEPS_MAX,
        limits::RESULT_PATH_BYTES_MAX
    )]
    TooLong,
}

/// What one step takes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Take {
    Name(String),
    Index(usize),
    Any,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    take: Take,
    /// At any depth below, not only the next.
    deep: bool,
}

/// A path that has been read. Walks carry, as bits, after how many of its steps they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// 1 to `limits::RESULT_PATH_STEPS_MAX`.
    steps: Vec<Step>,
}

/// By what a value is found in what it is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    Name(&'a str),
    Index(usize),
}

impl Path {
    /// Reads a path; the `$` at its begin may be left out.
    ///
    /// # Errors
    /// [`BadPath`], with what to write instead.
    pub fn read(path: &str) -> Result<Self, BadPath> {
        if path.len() > limits::RESULT_PATH_BYTES_MAX {
            return Err(BadPath::TooLong);
        }
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = path.len() - rest.len();
            let (deep, after) = match rest.strip_prefix("..") {
                Some(after) => (true, after),
                None => (false, rest.strip_prefix('.').unwrap_or(rest)),
            };
            let take;
            (take, rest) = if after.starts_with('[') && (deep || after.len() == rest.len()) {
                bracket(after).ok_or(BadPath::Bracket { at: path.len() - after.len() })?
            } else if after.len() < rest.len() {
                dotted(after).ok_or(BadPath::Name { at: path.len() - after.len() })?
            } else {
                return Err(BadPath::Step { at });
            };
            steps.push(Step { take, deep });
        }
        match steps.len() {
            0 => Err(BadPath::Empty),
            count if count > limits::RESULT_PATH_STEPS_MAX => Err(BadPath::TooLong),
            _ => Ok(Self { steps }),
        }
    }

    /// Where a walk stands that has made no step.
    pub(super) const START: u64 = 1;

    /// Where a walk that stood at `places` stands in the value at `key`.
    pub(super) fn advance(&self, places: u64, key: Key<'_>) -> u64 {
        let mut next = 0;
        if places != 0 {
            for (place, step) in self.steps.iter().enumerate() {
                if places >> place & 1 == 1 {
                    let takes = match (&step.take, key) {
                        (Take::Any, _) => true,
                        (Take::Name(name), Key::Name(key)) => name == key,
                        (Take::Index(index), Key::Index(key)) => *index == key,
                        (Take::Name(_), Key::Index(_)) | (Take::Index(_), Key::Name(_)) => false,
                    };
                    next |= u64::from(takes) << (place + 1) | u64::from(step.deep) << place;
                }
            }
        }
        next
    }

    /// Whether a walk has made all steps.
    pub(super) fn is_done(&self, places: u64) -> bool {
        places >> self.steps.len() & 1 == 1
    }
}

/// As [`Path::read`] takes it.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for Step { take, deep } in &self.steps {
            let dot = match (take, deep) {
                (_, true) => "..",
                (Take::Index(_) | Take::Any, false) => "",
                (Take::Name(name), false) if !is_plain(name) => "",
                (Take::Name(_), false) => ".",
            };
            f.write_str(dot)?;
            match take {
                Take::Any if *deep => f.write_str("*")?,
                Take::Any => f.write_str("[*]")?,
                Take::Index(index) => write!(f, "[{index}]")?,
                Take::Name(name) if is_plain(name) => f.write_str(name)?,
                Take::Name(name) if name.contains('\'') => write!(f, "[\"{name}\"]")?,
                Take::Name(name) => write!(f, "['{name}']")?,
            }
        }
        Ok(())
    }
}

/// Whether a name may stand after a dot.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_letter)
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '$' | ':')
}

/// What stands after a dot, and what follows.
fn dotted(rest: &str) -> Option<(Take, &str)> {
    if let Some(rest) = rest.strip_prefix('*') {
        return Some((Take::Any, rest));
    }
    let end = rest.find(|c: char| !is_letter(c));
    let (name, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    (!name.is_empty()).then(|| (Take::Name(name.to_owned()), rest))
}

/// What stands in brackets, and what follows.
fn bracket(rest: &str) -> Option<(Take, &str)> {
    let inside = rest.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            return Some((Take::Name(name.to_owned()), rest.strip_prefix(']')?));
        }
    }
    let (inside, rest) = inside.split_once(']')?;
    if inside == "*" {
        return Some((Take::Any, rest));
    }
    let digits = inside.bytes().all(|byte| byte.is_ascii_digit());
    inside.parse().ok().filter(|_| digits).map(|index| (Take::Index(index), rest))
}
