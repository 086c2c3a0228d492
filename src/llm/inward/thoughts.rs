//! What a model thinks, on its way through a caller of Responses and back: as an item of `reasoning` whose
//! sealed content is ours.
//!
//! Anthropic takes its thinking back only as it was, under its own signature, and the dialect has no place
//! for either but `encrypted_content`, which callers return as it is. So both stand in there, whoever has
//! thought.

use memchr::memmem;

use crate::json::{Fault, Field, Kind, Value, elements, fields, fields_at, text};
use crate::llm::signature;

/// What stands in for an origin: the thinking is of no kind of target, but of whoever signed it.
const ORIGIN: &str = "thinking";

/// A thought with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thought {
    pub(super) text: String,
    pub(super) signature: String,
}

/// The sealed content of an item; nothing for a thought that nobody has signed, since nobody takes it back.
pub(super) fn seal(thought: &str, signed: &str) -> Option<String> {
    let payload = || format!("{}\n{signed}{thought}", signed.len());
    (!signed.is_empty()).then(|| signature::tag(ORIGIN, payload().as_bytes()))
}

/// What an item carries, where that is of ours.
pub(super) fn open(sealed: &str) -> Option<Thought> {
    let tagged = signature::read(sealed).filter(|tagged| tagged.origin == ORIGIN)?;
    let payload = String::from_utf8(tagged.payload).ok()?;
    let (length, rest) = payload.split_once('\n')?;
    let (signed, thought) = rest.split_at_checked(length.parse().ok()?)?;
    (!signed.is_empty()).then(|| Thought { text: thought.to_owned(), signature: signed.to_owned() })
}

/// A body for `/v1/responses` without the items that carry thoughts of ours, which a provider of this dialect
/// cannot open; nothing where there are none, which costs one search.
///
/// # Errors
/// The first [`Fault`] of what is looked into.
pub fn without(body: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let prefix = format!("{}{ORIGIN}.", signature::PREFIX);
    if memmem::find(body, prefix.as_bytes()).is_none() {
        return Ok(None);
    }
    let (mut out, mut from) = (Vec::with_capacity(body.len()), 0);
    fields(body, |Field { key, value }| {
        if key.raw != b"input" || value.kind != Kind::Array {
            return Ok(());
        }
        let mut any = false;
        out.extend_from_slice(body.get(from..value.span.start).unwrap_or_default());
        out.push(b'[');
        elements(body, value.span.clone(), |item| {
            if !carries(body, &item, &prefix)? {
                if std::mem::replace(&mut any, true) {
                    out.push(b',');
                }
                out.extend_from_slice(body.get(item.span).unwrap_or_default());
            }
            Ok::<_, Fault>(())
        })?;
        out.push(b']');
        from = value.span.end;
        Ok::<_, Fault>(())
    })?;
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    Ok(Some(out))
}

/// Whether an item is a thought that we have sealed.
fn carries(body: &[u8], item: &Value, prefix: &str) -> Result<bool, Fault> {
    let (mut reasoning, mut ours) = (false, false);
    if item.kind == Kind::Object {
        fields_at(body, item.span.clone(), |Field { key, value }| {
            match (key.raw, value.inner(body)) {
                (b"type", Some(kind)) => reasoning = kind == b"reasoning",
                (b"encrypted_content", Some(raw)) => {
                    ours = text(raw).is_ok_and(|sealed| sealed.starts_with(prefix));
                }
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
    }
    Ok(reasoning && ours)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Tree, json};

    use super::{Thought, open, seal, without};
    use crate::llm::signature;

    #[test]
    fn a_thought_comes_back_as_it_was() {
        for (text, signed) in
            [("hm\n\"ł\" 😀", "EqQB/+=="), ("", "EqQB"), ("x", "tollgate.1.gemini.AA"), ("a", "1\n2")]
        {
            let sealed = seal(text, signed).unwrap();
            let expected = Thought { text: text.to_owned(), signature: signed.to_owned() };
            assert_eq!(open(&sealed), Some(expected));
            assert!(!signature::is_anthropic(&sealed), "it is no signature of Anthropic's");
        }
        assert_eq!(seal("hm", ""), None);
        for other in ["", "gAAAA", "tollgate.1.openai-responses-x.AA"] {
            assert_eq!(open(other), None);
        }
        for payload in ["", "3", "9\nabc", "x\nabc", "0\nabc", "1\n😀"] {
            assert_eq!(open(&signature::tag("thinking", payload.as_bytes())), None, "{payload:?}");
        }
    }

    #[test]
    fn what_passes_is_without_ours_and_else_as_it_was() {
        let ours =
            json!({ "type": "reasoning", "summary": [], "encrypted_content": seal("a", "E").unwrap() });
        let theirs = json!({ "type": "reasoning", "summary": [], "encrypted_content": "gAAA" });
        let said = json!({ "role": "user", "content": "tollgate.1.thinking." });
        let body = |input: &[&Tree]| json!({ "model": "m", "input": input, "stream": true });
        for (came, goes) in [
            (vec![&ours, &said], vec![&said]),
            (vec![&said, &ours, &theirs, &ours], vec![&said, &theirs]),
            (vec![&ours], vec![]),
            (vec![&said], vec![&said]),
        ] {
            for text in [body(&came).to_string(), format!("{:#}", body(&came))] {
                let out = without(text.as_bytes()).unwrap().expect("the words stand in it");
                assert_eq!(serde_json::from_slice::<Tree>(&out).unwrap(), body(&goes));
            }
        }
        assert_eq!(without(body(&[&theirs]).to_string().as_bytes()), Ok(None));
        assert!(without(b"{\"input\":[\"tollgate.1.thinking.").is_err());
    }
}
