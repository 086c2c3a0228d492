//! Takes thinking of other vendors' models out of a request that goes to Anthropic's own.
//!
//! Claude Code sends back what it was told, and Anthropic refuses a signature that is not its own. So when a
//! conversation moves from another model to one of Anthropic's, the blocks under our signatures are cut out
//! of the bytes; everything else stays as it is.

use std::ops::Range;

use memchr::memmem;

use crate::json::{Fault, Field, Kind, Value, elements, fields, fields_at, text};
use crate::limits;
use crate::llm::signature;

/// What stands in for a turn of which nothing is left: Anthropic takes none without content.
const NOTHING_LEFT: &[u8] = b"{\"type\":\"text\",\"text\":\"(thinking)\"}";

/// A piece of a body that goes out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its place.
    pub span: Range<usize>,
    /// What goes out in its place; mostly nothing.
    pub by: &'static [u8],
}

/// Finds the thinking of other vendors' models in a body for `/v1/messages`: in their order, apart from each
/// other, at most `limits::BLOCKS_MAX`. A body without any costs one search.
///
/// # Errors
/// The first [`Fault`] of what is looked into.
pub fn foreign_thinking(body: &[u8]) -> Result<Vec<Cut>, Fault> {
    let mut cuts = Vec::new();
    if memmem::find(body, signature::PREFIX.as_bytes()).is_none() {
        return Ok(cuts);
    }
    fields(body, |Field { key, value }| {
        if key.raw != b"messages" || value.kind != Kind::Array {
            return Ok(());
        }
        elements(body, value.span, |message| {
            if message.kind != Kind::Object {
                return Ok(());
            }
            fields_at(body, message.span, |Field { key, value }| {
                if key.raw == b"content" && value.kind == Kind::Array {
                    of_turn(body, value.span, &mut cuts)?;
                }
                Ok(())
            })
        })
    })?;
    Ok(cuts)
}

/// Puts `cuts` into effect.
pub fn apply(body: &[u8], cuts: &[Cut]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + NOTHING_LEFT.len());
    let mut from = 0;
    for Cut { span, by } in cuts {
        out.extend_from_slice(body.get(from..span.start).unwrap_or_default());
        out.extend_from_slice(by);
        from = span.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out
}

/// Cuts the blocks of one turn, each with the comma that it leaves behind.
fn of_turn(body: &[u8], content: Range<usize>, cuts: &mut Vec<Cut>) -> Result<(), Fault> {
    let (mut open, mut kept): (Option<Range<usize>>, Option<usize>) = (None, None);
    elements(body, content, |block| {
        let span = block.span.clone();
        if is_foreign(body, &block)? {
            let start = open.take().map_or(span.start, |open| open.start);
            open = Some(start..span.end);
            return Ok(());
        }
        // What was cut before this block ends where it begins, so that the comma goes, too.
        if let Some(open) = open.take() {
            push(cuts, open.start..span.start, b"");
        }
        kept = Some(span.end);
        Ok::<_, Fault>(())
    })?;
    match (open, kept) {
        (None, _) => {}
        (Some(open), Some(kept)) => push(cuts, kept..open.end, b""),
        (Some(open), None) => push(cuts, open, NOTHING_LEFT),
    }
    Ok(())
}

fn push(cuts: &mut Vec<Cut>, span: Range<usize>, by: &'static [u8]) {
    if cuts.len() < limits::BLOCKS_MAX {
        cuts.push(Cut { span, by });
    }
}

/// Whether a block is thinking under a signature of ours.
fn is_foreign(body: &[u8], block: &Value) -> Result<bool, Fault> {
    let (mut thinking, mut ours) = (false, false);
    if block.kind == Kind::Object {
        fields_at(body, block.span.clone(), |Field { key, value }| {
            match (key.raw, value.inner(body)) {
                (b"type", Some(kind)) => thinking = kind == b"thinking",
                (b"signature", Some(raw)) => {
                    ours = text(raw).is_ok_and(|signature| signature.starts_with(signature::PREFIX));
                }
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
    }
    Ok(thinking && ours)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Tree, json};

    use super::{apply, foreign_thinking};
    use crate::llm::signature::tag;

    /// What is left of the blocks of one turn, whatever white space stands between them.
    fn left(blocks: &Tree) -> Tree {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "tollgate.1."},
            {"role": "assistant", "content": blocks}], "max_tokens": 1});
        let mut found = Vec::new();
        for body in [body.to_string(), format!("{body:#}")] {
            let cuts = foreign_thinking(body.as_bytes()).unwrap();
            let out = apply(body.as_bytes(), &cuts);
            let mut tree: Tree = serde_json::from_slice(&out).unwrap();
            let blocks = tree["messages"][1]["content"].take();
            tree["messages"][1]["content"] =
                serde_json::from_str::<Tree>(&body).unwrap()["messages"][1]["content"].take();
            assert_eq!(tree, serde_json::from_str::<Tree>(&body).unwrap(), "nothing else has changed");
            found.push(blocks);
        }
        assert_eq!(found[0], found[1]);
        found.swap_remove(0)
    }

    #[test]
    fn thinking_of_others_is_cut_out_and_nothing_else() {
        let ours = json!({"type": "thinking", "thinking": "a", "signature": tag("openai-chat", b"")});
        let theirs = json!({"type": "thinking", "thinking": "tollgate.1.", "signature": "EqQB"});
        let (a, b) = (json!({"type": "text", "text": "a"}), json!({"type": "text", "text": "b"}));
        assert_eq!(left(&json!([ours, a])), json!([a]));
        assert_eq!(left(&json!([a, ours])), json!([a]));
        assert_eq!(left(&json!([ours, ours, a, ours, b, ours, ours])), json!([a, b]));
        assert_eq!(left(&json!([theirs, a])), json!([theirs, a]));
        assert_eq!(left(&json!([ours, theirs])), json!([theirs]));
        assert_eq!(left(&json!([ours])), json!([{"type": "text", "text": "(thinking)"}]));
        assert_eq!(left(&json!("tollgate.1.")), json!("tollgate.1."));
        assert_eq!(foreign_thinking(b"{\"messages\":7}"), Ok(Vec::new()));
        assert!(foreign_thinking(b"{\"messages\":[{\"tollgate.1.\"").is_err());
    }
}
