//! Keeps from a caller the chunk of usage that the meter has asked for and the caller has not.

use memchr::memmem;

use crate::json::{Fault, Field, Kind, fields};
use crate::limits;

/// Lets a stream pass but for that chunk. Bytes of an event are held until it is whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Hide {
    /// The beginning of an event, <= `limits::FOREIGN_EVENT_BYTES_MAX`.
    held: Vec<u8>,
}

impl Hide {
    /// Takes the next bytes: what of them, and of those before, may pass.
    pub(super) fn pass(&mut self, bytes: &[u8], done: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len() + bytes.len());
        let seen = self.held.len().saturating_sub(3);
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        let mut look = seen;
        while let Some(end) = end_of_event(&self.held, look) {
            let event = self.held.get(from..end).unwrap_or_default();
            if !is_usage_alone(event) {
                out.extend_from_slice(event);
            }
            (from, look) = (end, end);
        }
        self.held.drain(..from);
        if done || self.held.len() > limits::FOREIGN_EVENT_BYTES_MAX {
            out.append(&mut self.held);
        }
        out
    }
}

/// Where the event ends in which, or before which, `from` is.
fn end_of_event(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let line_feeds = memmem::find(rest, b"\n\n").map(|at| from + at + 2);
    let both = memmem::find(rest, b"\r\n\r\n").map(|at| from + at + 4);
    match (line_feeds, both) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether it is `data: {"choices": [], "usage": {...}, ...}`.
fn is_usage_alone(event: &[u8]) -> bool {
    if memmem::find(event, b"prompt_tokens").is_none() {
        return false;
    }
    let text = event.trim_ascii();
    let Some(doc) = text.strip_prefix(b"data:") else { return false };
    let (mut no_choice, mut usage) = (false, false);
    let read: Result<(), Fault> = fields(doc.trim_ascii(), |Field { key, value }| {
        let inner = doc.trim_ascii().get(value.span.start + 1..value.span.end.saturating_sub(1));
        match (key.raw, value.kind) {
            (b"choices", Kind::Array) => no_choice = inner.unwrap_or_default().trim_ascii().is_empty(),
            (b"usage", Kind::Object) => usage = true,
            _ => {}
        }
        Ok(())
    });
    read.is_ok() && no_choice && usage
}
