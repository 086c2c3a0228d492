//! Finds what a cloud does not take inside of the members that stay.

use memchr::memmem;

use crate::json::{self, Field, Kind, Value};
use crate::limits;
use crate::llm::anthropic::hosted::Host;
use crate::llm::anthropic::hosted::cuts::{Cuts, Sieve};
use crate::llm::conversation::{Refusal, Why};
use crate::llm::loss::{Losses, Treatment};

/// A walk over a body.
pub(super) struct Walk<'w> {
    pub(super) body: &'w [u8],
    pub(super) host: &'w Host<'w>,
    pub(super) cuts: &'w mut Cuts,
    pub(super) losses: &'w mut Losses,
}

impl Walk<'_> {
    /// Looks into one member of the top level.
    pub(super) fn member(&mut self, name: &str, value: &Value) -> Result<(), Refusal> {
        match (name, value.kind) {
            ("tools", Kind::Array) => self.tools(value),
            ("cache_control", Kind::Object) => self.mark(value),
            ("system", Kind::Array) if self.has_odd_marks(value) => self.blocks(value, 0),
            ("messages", Kind::Array) if self.has_odd_marks(value) => {
                json::elements(self.body, value.span.clone(), |message| {
                    if message.kind == Kind::Object { self.block(&message, 0) } else { Ok(()) }
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a mark may say what the cloud does not know: most requests have none, and one search is
    /// enough.
    fn has_odd_marks(&self, value: &Value) -> bool {
        let bytes = value.bytes(self.body);
        let has = |word: &[u8]| memmem::find(bytes, word).is_some();
        has(b"\"scope\"") || (!self.host.cache_ttl && has(b"\"ttl\""))
    }

    fn blocks(&mut self, list: &Value, depth: usize) -> Result<(), Refusal> {
        if depth > limits::BLOCK_DEPTH_MAX {
            return Err(Refusal::new("messages", Why::Depth));
        }
        json::elements(self.body, list.span.clone(), |block| {
            if block.kind == Kind::Object { self.block(&block, depth) } else { Ok(()) }
        })
    }

    /// A block or a message: what is in its mark and in its content.
    fn block(&mut self, block: &Value, depth: usize) -> Result<(), Refusal> {
        let (mut mark, mut content) = (None, None);
        json::fields_at(self.body, block.span.clone(), |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"cache_control", Kind::Object) => mark = Some(value),
                (b"content", Kind::Array) => content = Some(value),
                _ => {}
            }
            Ok::<_, Refusal>(())
        })?;
        if let Some(mark) = mark {
            self.mark(&mark)?;
        }
        content.map_or(Ok(()), |content| self.blocks(&content, depth + 1))
    }

    /// `{"type": "ephemeral", "ttl": "1h", "scope": "global"}`.
    fn mark(&mut self, mark: &Value) -> Result<(), Refusal> {
        let mut sieve = Sieve::default();
        json::fields_at(self.body, mark.span.clone(), |Field { key, value }| {
            let lost = match key.raw {
                b"scope" => Some("cache_control.scope"),
                b"ttl" if !self.host.cache_ttl => Some("cache_control.ttl"),
                _ => None,
            };
            if let Some(what) = lost {
                self.losses.note(what, Treatment::Dropped);
            }
            sieve.item(key.at - 1..value.span.end, lost.is_none(), self.cuts);
            Ok::<_, Refusal>(())
        })?;
        sieve.end(self.cuts);
        Ok(())
    }

    fn tools(&mut self, list: &Value) -> Result<(), Refusal> {
        let mut index = 0_usize;
        json::elements(self.body, list.span.clone(), |tool| {
            if index == limits::TOOLS_MAX {
                return Err(Refusal::new("tools", Why::TooMany(limits::TOOLS_MAX)));
            }
            if tool.kind == Kind::Object {
                self.tool(&tool, index)?;
            }
            index += 1;
            Ok(())
        })
    }

    fn tool(&mut self, tool: &Value, index: usize) -> Result<(), Refusal> {
        let mut sieve = Sieve::default();
        let mut mark = None;
        json::fields_at(self.body, tool.span.clone(), |Field { key, value }| {
            let name = json::text(key.raw)?;
            if name == "type" {
                self.kind(&value, index)?;
            }
            if name == "cache_control" && value.kind == Kind::Object {
                mark = Some(value.clone());
            }
            let known = !self.host.tool_fields_left_out.contains(&&*name);
            if !known {
                self.losses.note(format!("tools.{name}"), Treatment::Dropped);
            }
            sieve.item(key.at - 1..value.span.end, known, self.cuts);
            Ok::<_, Refusal>(())
        })?;
        sieve.end(self.cuts);
        mark.map_or(Ok(()), |mark| self.mark(&mark))
    }

    /// A tool that the cloud would have to run and does not.
    fn kind(&self, value: &Value, index: usize) -> Result<(), Refusal> {
        let Some(raw) = value.inner(self.body) else { return Ok(()) };
        let kind = json::text(raw)?;
        if !self.host.tools_refused.iter().any(|prefix| kind.starts_with(prefix)) {
            return Ok(());
        }
        let shown = kind.get(..kind.floor_char_boundary(limits::MODEL_NAME_BYTES_MAX)).unwrap_or_default();
        let why = Why::Unsupported("this tool is run by Anthropic alone; leave it out or use another model");
        Err(Refusal::new(format!("tools.{index}.type ({shown})"), why))
    }
}

/// Leaves out the edits of `context_management` that are not among `taken`; whether any stays.
pub(super) fn edits(
    body: &[u8],
    value: &Value,
    taken: Option<&[&str]>,
    cuts: &mut Cuts,
    losses: &mut Losses,
) -> Result<bool, Refusal> {
    let (Some(taken), Kind::Object) = (taken, value.kind) else { return Ok(true) };
    let mut list = None;
    json::fields_at(body, value.span.clone(), |Field { key, value }| {
        if key.raw == b"edits" && value.kind == Kind::Array {
            list = Some(value);
        }
        Ok::<_, Refusal>(())
    })?;
    let Some(list) = list else { return Ok(false) };
    let mut sieve = Sieve::default();
    json::elements(body, list.span, |edit| {
        let kind = kind_of(body, &edit)?;
        let stays = taken.contains(&&*kind);
        if !stays {
            losses.note("context_management.edits", Treatment::Dropped);
        }
        sieve.item(edit.span, stays, cuts);
        Ok::<_, Refusal>(())
    })?;
    Ok(sieve.end(cuts))
}

fn kind_of(body: &[u8], edit: &Value) -> Result<String, Refusal> {
    let mut kind = String::new();
    if edit.kind == Kind::Object {
        json::fields_at(body, edit.span.clone(), |Field { key, value }| {
            if let (b"type", Some(raw)) = (key.raw, value.inner(body)) {
                kind = json::text(raw)?.into_owned();
            }
            Ok::<_, Refusal>(())
        })?;
    }
    Ok(kind)
}
