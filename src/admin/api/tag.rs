//! Entity tags: the state of what can be changed as a hash, so that nobody changes what they have not seen
//! (RFC 9110 section 13).

use sha2::{Digest, Sha256};

use crate::limits;

/// The tag of a state: equal states, equal tags.
pub fn of(state: &[u8]) -> String {
    let hash = Sha256::digest(state);
    let digits: String = hash.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// Bytes of the hash that stand in a tag: as many as nobody can make two states agree in by trying.
const TAG_BYTES: usize = 16;

/// Under which condition a change is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The state has one of these tags.
    Is(Vec<String>),
    /// There is nothing of that name yet.
    Absent,
}

/// Reads the condition of a request: the values of its `If-Match` and `If-None-Match` lines. `None` where it
/// has none that says something: `If-Match: *` names no state, and a weak tag matches nothing.
pub fn condition<'a>(
    if_match: impl Iterator<Item = &'a [u8]>,
    if_none_match: impl Iterator<Item = &'a [u8]>,
) -> Option<Condition> {
    let tags = if_match.flat_map(|line| line.split(|&byte| byte == b','));
    let tags = tags.map(<[u8]>::trim_ascii).filter(|tag| tag.starts_with(b"\"") && tag.ends_with(b"\""));
    let tags: Vec<String> = tags
        .filter_map(|tag| std::str::from_utf8(tag).ok())
        .take(limits::ADMIN_TAGS_MAX)
        .map(str::to_owned)
        .collect();
    if !tags.is_empty() {
        return Some(Condition::Is(tags));
    }
    let mut none = if_none_match.map(<[u8]>::trim_ascii);
    none.any(|value| value == b"*").then_some(Condition::Absent)
}

impl Condition {
    /// Whether it holds for a state with this tag; `None` for a thing that is not there.
    pub fn holds(&self, tag: Option<&str>) -> bool {
        match (self, tag) {
            (Self::Is(tags), Some(tag)) => tags.iter().any(|known| known == tag),
            (Self::Absent, None) => true,
            (Self::Is(_), None) | (Self::Absent, Some(_)) => false,
        }
    }
}
