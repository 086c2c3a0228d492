//! What a provider wants back, on its way through the caller: in the signatures of thinking, and in blocks of
//! compaction.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::llm::signature;

/// What stands in front of the provider in an origin.
const DIALECT: &str = "openai-responses";

/// Letters of a provider's name that an origin has as they are.
const NAME_CHARS_MAX: usize = 40;

/// What stands in signatures of thinking that came from this provider. What one provider has encrypted no
/// other one can read, so its name in the config belongs to it; an odd name is told by its hash.
pub fn origin(provider: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=NAME_CHARS_MAX).contains(&provider.len()) && provider.bytes().all(plain) {
        return format!("{DIALECT}-{provider}");
    }
    let mut out = format!("{DIALECT}--");
    for byte in Sha256::digest(provider).iter().take(8) {
        // A string takes all that is written to it.
        write!(out, "{byte:02x}").unwrap_or_default();
    }
    out
}

/// What a signature carries: an item's id and its encrypted content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// May be empty.
    pub(super) id: String,
    /// Empty where the provider encrypts nothing.
    pub(super) encrypted: String,
}

/// The signature that carries an item's id and its encrypted content to the caller and back.
pub(super) fn wrap(origin: &str, id: &str, encrypted: &str) -> String {
    if encrypted.is_empty() {
        return signature::tag(origin, b"");
    }
    signature::tag(origin, format!("{id}\n{encrypted}").as_bytes())
}

/// What a signature carries, when it is of this origin.
pub(super) fn unwrap(origin: &str, signature: Cow<'_, str>) -> Option<Carried> {
    let tagged = signature::read(&signature).filter(|tagged| tagged.origin == origin)?;
    let text = String::from_utf8(tagged.payload).ok()?;
    if text.is_empty() {
        return Some(Carried { id: String::new(), encrypted: String::new() });
    }
    let (id, encrypted) = text.split_once('\n')?;
    Some(Carried { id: id.to_owned(), encrypted: encrypted.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{Carried, origin, unwrap, wrap};

    #[test]
    fn only_its_own_provider_gets_it_back() {
        let (ours, other) = (origin("openai"), origin("azure-eu"));
        let signature = wrap(&ours, "rs_1", "gAAAA\"\u{e9}==");
        let expected = Carried { id: "rs_1".into(), encrypted: "gAAAA\"\u{e9}==".into() };
        assert_eq!(unwrap(&ours, signature.as_str().into()), Some(expected));
        assert_eq!(unwrap(&other, signature.as_str().into()), None);
        assert_eq!(unwrap(&ours, "EqQBCgIYAhIk".into()), None);
        let bare = wrap(&ours, "rs_1", "");
        assert_eq!(unwrap(&ours, bare.into()).unwrap().encrypted, "");
        assert_ne!(origin("a.b"), origin("a_b"));
        assert!(origin("a.b").bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        assert_eq!(origin("azure-eu"), "openai-responses-azure-eu");
    }
}
