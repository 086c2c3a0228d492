//! The signatures of thinking blocks, tagged by who made them.
//!
//! Anthropic's signatures hold for Anthropic's models wherever they run, and for nobody else's. What other
//! models think goes to the caller under a signature of ours that names its origin and carries what that
//! origin wants back. On its way out a block whose signature is of another origin than the target is left
//! out.

use crate::base64::{self, URL_SAFE};
use crate::limits;

/// What ours begin with; Anthropic's are base64, which has no such character as the `.`.
pub(crate) const PREFIX: &str = "tollgate.1.";

/// A signature of ours: `tollgate.1.<origin>.<payload>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged<'a> {
    /// Which kind of target thought it, such as `openai-chat`.
    pub origin: &'a str,
    /// What the target wants back; may be empty.
    pub payload: Vec<u8>,
}

/// A signature for what `origin` has thought, which has letters, digits and `-` only.
pub fn tag(origin: &str, payload: &[u8]) -> String {
    debug_assert!(!origin.contains('.'), "the origin ends at the dot");
    format!("{PREFIX}{origin}.{}", base64::encode(payload, URL_SAFE))
}

/// Reads a signature; nothing when it is not one of ours.
pub fn read(signature: &str) -> Option<Tagged<'_>> {
    if signature.len() > limits::SIGNATURE_BYTES_MAX {
        return None;
    }
    let (origin, payload) = signature.strip_prefix(PREFIX)?.split_once('.')?;
    Some(Tagged { origin, payload: base64::decode(payload.as_bytes(), URL_SAFE)? })
}

/// Whether one of Anthropic's models may be shown the block with this signature: it is there, and not ours.
pub fn is_anthropic(signature: &str) -> bool {
    !signature.is_empty() && !signature.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::{Tagged, is_anthropic, read, tag};

    #[test]
    fn origins_are_told_apart() {
        let ours = tag("openai-chat", b"\x00carried");
        let expected = Tagged { origin: "openai-chat", payload: b"\x00carried".to_vec() };
        assert_eq!(read(&ours), Some(expected));
        assert!(!is_anthropic(&ours) && !is_anthropic(""));
        assert!(is_anthropic("EqQBCgIYAhIkZ+/=="));
        for other in ["", "EqQBCgIYAhIk", "tollgate.1.", "tollgate.1.x", "tollgate.1.x.!", "tollgate.2.x.AA"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
