//! Makes one document of an answer that was streamed, as it would have come without the stream.
//!
//! For whoever keeps answers: a text is cut between events anywhere, and nobody finds a word in it. Bytes
//! between quotes are put together as they are written, so no escape changes.

use std::collections::BTreeMap;

use crate::http::sse::{Piece, Splitter};
use crate::json::{Fault, Field, Kind, fields, fields_at, strict, text};

/// What a delta adds to: the type of the delta, its member, the member of the block.
const DELTAS: &[(&[u8], &[u8], &str)] = &[
    (b"text_delta", b"text", "text"),
    (b"thinking_delta", b"thinking", "thinking"),
    (b"signature_delta", b"signature", "signature"),
    (b"input_json_delta", b"partial_json", "input"),
];

/// Makes `{...message, "content": [...], ...delta, "usage": {...}}` of a stream of events; nothing of what
/// has no `message_start`. A stream that broke off makes a document of what there was. Deltas of kinds that
/// are not known stand in the member `deltas` of their block.
pub fn gather(stream: &[u8]) -> Option<Vec<u8>> {
    let mut splitter = Splitter::default();
    let mut gathered = Gathered::default();
    let mut data = Vec::new();
    splitter.push(stream, |piece| match piece {
        Piece::Data(bytes) => data.extend_from_slice(bytes),
        Piece::End(name) => {
            // What is no JSON adds nothing: those who read the stream could not read it either.
            gathered.take(name, &data).unwrap_or_default();
            data.clear();
        }
        Piece::Void => data.clear(),
        Piece::Name(_) | Piece::Id(_) | Piece::Retry(_) => {}
    });
    gathered.write()
}

#[derive(Debug, Default)]
struct Gathered {
    /// The members of the message but for those that come later: name and value, as written.
    message: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    delta: Vec<(Vec<u8>, Vec<u8>)>,
    usage: Vec<u8>,
    blocks: BTreeMap<u64, Block>,
}

/// A content block under way.
#[derive(Debug, Default)]
struct Block {
    members: Vec<(Vec<u8>, Vec<u8>)>,
    /// What deltas have added, by the member that they add to: between the quotes, as written.
    added: BTreeMap<&'static str, Vec<u8>>,
    /// Deltas of other kinds.
    others: Vec<Vec<u8>>,
}

impl Gathered {
    fn take(&mut self, event: &[u8], doc: &[u8]) -> Result<(), Fault> {
        let (mut index, mut object) = (0, None);
        let wanted: &[u8] = match event {
            b"message_start" => b"message",
            b"content_block_start" => b"content_block",
            b"content_block_delta" | b"message_delta" => b"delta",
            _ => return Ok(()),
        };
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"index", _) => index = value.as_u64(doc).unwrap_or_default(),
                (b"usage", Kind::Object) if event == b"message_delta" => {
                    self.usage = value.bytes(doc).to_vec()
                }
                (name, Kind::Object) if name == wanted => object = Some(value.span),
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
        let Some(span) = object else { return Ok(()) };
        let mut members = Vec::new();
        fields_at(doc, span.clone(), |Field { key, value }| {
            members.push((key.raw.to_vec(), value.bytes(doc).to_vec()));
            Ok::<_, Fault>(())
        })?;
        match event {
            b"message_start" => self.message = Some(members),
            b"message_delta" => self.delta = members,
            b"content_block_start" => drop(self.blocks.insert(index, Block { members, ..Block::default() })),
            _ => {
                let block = self.blocks.entry(index).or_default();
                block.add(&members, doc.get(span).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn write(self) -> Option<Vec<u8>> {
        let mut message = self.message?;
        if !self.usage.is_empty() {
            message.retain(|(name, _)| name != b"usage");
            message.push((b"usage".to_vec(), self.usage));
        }
        message.retain(|(name, _)| name != b"content" && self.delta.iter().all(|(other, _)| other != name));
        message.extend(self.delta);
        let mut out = b"{".to_vec();
        for (name, value) in &message {
            member(&mut out, name, value);
        }
        out.extend_from_slice(b"\"content\":[");
        for (place, block) in self.blocks.into_values().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            block.write(&mut out);
        }
        out.extend_from_slice(b"]}");
        Some(out)
    }
}

impl Block {
    fn add(&mut self, delta: &[(Vec<u8>, Vec<u8>)], raw: &[u8]) {
        let value = |wanted: &[u8]| delta.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let inner = |wanted| value(wanted)?.strip_prefix(b"\"")?.strip_suffix(b"\"");
        let kind = inner(b"type").unwrap_or_default();
        let known = DELTAS.iter().find(|(of, ..)| *of == kind);
        match known.and_then(|(_, from, to)| Some((*to, inner(from)?))) {
            Some((to, text)) => self.added.entry(to).or_default().extend_from_slice(text),
            None => self.others.push(raw.to_vec()),
        }
    }

    fn write(mut self, out: &mut Vec<u8>) {
        self.members.retain(|(name, _)| self.added.keys().all(|added| added.as_bytes() != name));
        out.push(b'{');
        for (name, value) in &self.members {
            member(out, name, value);
        }
        for (name, written) in &self.added {
            let quoted = [b"\"", written.as_slice(), b"\""].concat();
            match (*name == "input").then(|| text(written)) {
                // An input that broke off stays the text that it is.
                Some(Ok(input)) if strict(&mut input.as_bytes().to_vec()).is_ok() => {
                    member(out, b"input", input.as_bytes());
                }
                _ => member(out, name.as_bytes(), &quoted),
            }
        }
        if !self.others.is_empty() {
            member(out, b"deltas", &[b"[", self.others.join(&b","[..]).as_slice(), b"]"].concat());
        }
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.push(b'}');
    }
}

/// Appends a member and a comma; its name is as it was written.
fn member(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
    out.push(b',');
}
