//! Names of tools and ids of calls that another vendor takes, and the way back.
//!
//! Names of 1 to 64 letters, digits, `_` and `-` that begin with a letter or `_` stay as they are. Others
//! become a readable beginning and a hash, the same in every request of a conversation, and [`Names`] knows
//! the way back. Ids of calls need no table: what [`to_caller`] makes of a provider's id says by itself what
//! that was, so that the history of a conversation can go to any provider, also by way of another gateway
//! process.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::base64::{self, URL_SAFE};
use crate::limits;
use crate::llm::written::Written;

/// Characters of a name that all vendors take.
const NAME_CHARS_MAX: usize = 64;

/// Characters that stay of a name that is too long: `_` and eight digits follow.
const PREFIX_CHARS: usize = 55;

/// Attempts to find a name that is free; a hash that two names share is as good as never.
const ATTEMPTS_MAX: u32 = 8;

/// What all of our ids begin with, as Anthropic's do.
const ID: &str = "toolu_";

/// The names of one request that had to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// From the caller's name.
    foreign: BTreeMap<Box<str>, Box<str>>,
    /// And back.
    original: BTreeMap<Box<str>, Box<str>>,
}

impl Names {
    /// Names for all tools of a request, those of its history included.
    pub fn of<'a>(all: impl Iterator<Item = Written<'a>> + Clone) -> Self {
        let mut names = Self::default();
        let odd: BTreeSet<Cow<'_, str>> =
            all.clone().filter(|name| !is_plain(name.bytes())).map(Written::text).collect();
        if odd.is_empty() {
            return names;
        }
        let plain: BTreeSet<&[u8]> = all.map(Written::bytes).filter(|name| is_plain(name)).collect();
        for name in odd {
            let free = (0..ATTEMPTS_MAX)
                .map(|attempt| shortened(&name, attempt))
                .find(|made| !plain.contains(made.as_bytes()) && !names.original.contains_key(made.as_str()));
            let Some(made) = free.map(String::into_boxed_str) else { continue };
            names.original.insert(made.clone(), (&*name).into());
            names.foreign.insert((&*name).into(), made);
        }
        names
    }

    /// The name under which the target knows the tool.
    pub fn foreign<'s>(&'s self, name: Written<'s>) -> Cow<'s, str> {
        let text = name.text();
        if self.foreign.is_empty() || is_plain(name.bytes()) {
            return text;
        }
        match self.foreign.get(&*text) {
            Some(foreign) => Cow::Borrowed(foreign),
            None => text,
        }
    }

    /// The caller's name of the tool; what is no name of ours is what the model said.
    pub fn original<'s>(&'s self, foreign: &'s str) -> &'s str {
        self.original.get(foreign).map_or(foreign, |name| name)
    }

    /// Whether any name had to change.
    pub fn changed(&self) -> bool {
        !self.foreign.is_empty()
    }
}

fn is_plain(name: &[u8]) -> bool {
    let begins = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    begins && name.len() <= NAME_CHARS_MAX && name.iter().all(|byte| is_letter(*byte))
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn shortened(name: &str, attempt: u32) -> String {
    // There are vendors that take no other beginning.
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let mut out = String::from(if begins { "" } else { "_" });
    let kept = name.chars().take(PREFIX_CHARS - out.len());
    out.extend(kept.map(|letter| if u8::try_from(letter).is_ok_and(is_letter) { letter } else { '_' }));
    out.push('_');
    let mut hash = Sha256::new();
    hash.update(attempt.to_be_bytes());
    hash.update(name);
    push_hex(&mut out, &hash.finalize(), 4);
    out
}

fn push_hex(out: &mut String, bytes: &[u8], count: usize) {
    for byte in bytes.iter().take(count) {
        // A string takes all that is written to it.
        write!(out, "{byte:02x}").unwrap_or_default();
    }
}

/// The caller's id of a call that the provider calls `foreign`: `toolu_x<nonce>_<id>`, or `toolu_z<nonce>_`
/// and the id in base64 when it has characters that Anthropic's have not. `nonce` tells answers apart, since
/// there are servers that begin anew with `call_0` in each. Of an id over `limits::CALL_ID_BYTES_MAX` a hash
/// is kept, and the way back leads to our id.
pub fn to_caller(foreign: &str, nonce: u32) -> String {
    let bytes = foreign.as_bytes();
    if bytes.len() > limits::CALL_ID_BYTES_MAX {
        let mut out = format!("{ID}h{nonce:08x}_");
        push_hex(&mut out, &Sha256::digest(bytes), 16);
        out
    } else if bytes.iter().all(|byte| is_letter(*byte)) {
        format!("{ID}x{nonce:08x}_{foreign}")
    } else {
        format!("{ID}z{nonce:08x}_{}", base64::encode(bytes, URL_SAFE))
    }
}

/// The caller's id of a call that the provider gave none: the `index`th of its answer.
pub fn made(nonce: u32, index: usize) -> String {
    format!("{ID}s{nonce:08x}_{index}")
}

/// Whether an id is one that [`made`] has given.
pub fn is_made(id: &str) -> bool {
    let rest = id.strip_prefix(ID).and_then(|rest| rest.strip_prefix('s')).unwrap_or_default();
    let (nonce, index) = rest.split_once('_').unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    nonce.len() == 8 && digits(nonce) && digits(index)
}

/// The id for the target of a call that the caller calls `id`: what [`to_caller`] was given, or the id as it
/// is where it came from elsewhere. One that is longer than `chars_max`, or has other characters than letters
/// and digits where only few are taken, is replaced by a hash of that length.
pub fn to_target(id: &str, chars_max: usize) -> Cow<'_, str> {
    let own = provider_id(id).unwrap_or(Cow::Borrowed(id));
    if (1..=chars_max).contains(&own.chars().count()) {
        return own;
    }
    let mut out = String::from(if chars_max >= 37 { "call_" } else { "" });
    push_hex(&mut out, &Sha256::digest(id), 32);
    out.truncate(chars_max.min(37));
    Cow::Owned(out)
}

/// What [`to_caller`] was given for it.
fn provider_id(id: &str) -> Option<Cow<'_, str>> {
    let rest = id.strip_prefix(ID)?;
    let (head, own) = rest.split_once('_')?;
    let nonce = head.get(1..)?;
    if nonce.len() != 8 || !nonce.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    match head.bytes().next()? {
        b'x' => Some(Cow::Borrowed(own)),
        b'z' => Some(Cow::Owned(String::from_utf8(base64::decode(own.as_bytes(), URL_SAFE)?).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{Names, is_made, made, to_caller, to_target};
    use crate::limits;
    use crate::llm::written::Written;

    fn names(all: &[&'static str]) -> Names {
        Names::of(all.iter().map(|name| Written::new(name.as_bytes())))
    }

    fn foreign(names: &Names, name: &str) -> String {
        names.foreign(Written::new(name.as_bytes())).into_owned()
    }

    #[test]
    fn plain_names_stay_and_others_come_back() {
        const LONG: &str = "mcp__a_server_with_a_name__and_a_tool_with_a_much_longer_name_than_that";
        const DIGIT: &str = "7_is_no_letter_and_neither_are_many_others_of_this_rather_long_name";
        let all = names(&["Bash", LONG, "mcp__x.y__z", "é", "7z", "-x", DIGIT]);
        assert_eq!(foreign(&all, "Bash"), "Bash");
        for name in [LONG, "mcp__x.y__z", "é", "7z", "-x", DIGIT] {
            let other = foreign(&all, name);
            assert!(other.len() <= 64 && other != name, "{other}");
            assert!(other.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_'));
            assert!(other.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
            assert_eq!(all.original(&other), name);
            assert_eq!(foreign(&names(&[name]), name), other, "the same in every request");
        }
        assert!(foreign(&all, LONG).starts_with("mcp__a_server_with_a_name__and_a_tool_with_a_much_longe_"));
        assert_eq!(foreign(&all, LONG).len(), 64);
        assert_eq!(all.original("never_heard_of"), "never_heard_of");
        assert!(all.changed() && !names(&["Bash"]).changed());
    }

    #[test]
    fn a_name_that_is_taken_is_not_given() {
        let odd = names(&["a.b"]);
        let taken: &'static str = foreign(&odd, "a.b").leak();
        let both = names(&["a.b", taken]);
        assert_eq!(foreign(&both, taken), taken);
        assert_ne!(foreign(&both, "a.b"), taken);
        assert_eq!(both.original(taken), taken);
    }

    #[test]
    fn ids_of_others_stay_and_ours_come_back() {
        assert_eq!(to_target("toolu_01A09q90qw90lq917835lq9", 40), "toolu_01A09q90qw90lq917835lq9");
        assert_eq!(to_target("toolu_bdrk_01A09q90qw90lq917835", 40), "toolu_bdrk_01A09q90qw90lq917835");
        assert_eq!(to_caller("call_9", 7), "toolu_x00000007_call_9");
        assert_eq!(to_target("toolu_x00000007_call_9", 40), "call_9");
        assert_eq!(to_target(&made(7, 0), 40), "toolu_s00000007_0");
        assert!(is_made(&made(7, 12)) && is_made(&made(u32::MAX, 0)));
        for other in ["toolu_01A09q90qw90lq917835lq9", "toolu_x00000007_call_9", "toolu_s00000007_", "s", ""]
        {
            assert!(!is_made(other), "{other}");
        }
        let long = "x".repeat(limits::CALL_ID_BYTES_MAX + 1);
        assert_eq!(to_caller(&long, 7).len(), 48);
        assert_eq!(to_target(&to_caller(&long, 7), 40).len(), 37);
        assert_eq!(to_target("toolu_01A09q90qw90lq917835lq9", 9).len(), 9);
        assert_ne!(to_caller("call_0", 1), to_caller("call_0", 2), "each answer may begin with call_0");
    }

    proptest! {
        #[test]
        fn any_id_comes_back(id in "\\PC{1,80}", nonce in 0_u32..) {
            let ours = to_caller(&id, nonce);
            let rest = ours.strip_prefix("toolu_").unwrap();
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
            assert_eq!(to_target(&ours, 400), id.as_str());
        }
    }
}
