//! Cuts a body into the pieces that come again: what a conversation repeats in every turn is stored once.
//!
//! Cut out are the blocks of `system` and of each message, the definitions of `tools`, and the blocks of an
//! answer's `content`; what stands between them makes pieces, too, so that all pieces in their order are the
//! body again, byte for byte. The mark for prompt caching moves from block to block as a conversation grows,
//! so it is left to what stands between.

use std::ops::Range;

use crate::json::{Fault, Field, Kind, Value, elements, fields, fields_at};
use crate::limits;

/// The places of the pieces of `body`, in their order and without gaps; none of them is empty. A body that
/// is no JSON object is one piece.
pub(super) fn cut(body: &[u8]) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let walked: Result<(), Fault> = fields(body, |Field { key, value }| match (key.raw, value.kind) {
        (b"messages", Kind::Array) => {
            elements(body, value.span, |message| add_message(body, message, &mut blocks))
        }
        (b"system" | b"content" | b"tools", Kind::Array) => {
            elements(body, value.span, |block| add_block(body, &block, &mut blocks))
        }
        (b"system", Kind::String) => add_block(body, &value, &mut blocks),
        _ => Ok(()),
    });
    if walked.is_err() {
        blocks.clear();
    }
    // Each block makes two pieces with what stands before it, and the last piece is the rest.
    blocks.truncate((limits::CONTENT_PIECES_MAX - 1) / 2);
    let mut pieces = Vec::with_capacity(2 * blocks.len() + 1);
    let mut from = 0;
    for block in blocks {
        // A walk goes forwards, so blocks never overlap.
        pieces.push(from..block.start);
        from = block.end;
        pieces.push(block);
    }
    pieces.push(from..body.len());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn add_message(body: &[u8], message: Value, blocks: &mut Vec<Range<usize>>) -> Result<(), Fault> {
    if message.kind != Kind::Object {
        return Ok(());
    }
    fields_at(body, message.span, |Field { key, value }| match (key.raw, value.kind) {
        (b"content", Kind::Array) => elements(body, value.span, |block| add_block(body, &block, blocks)),
        (b"content", Kind::String) => add_block(body, &value, blocks),
        _ => Ok(()),
    })
}

/// Adds a block without its closing bracket and without the mark before it.
fn add_block(body: &[u8], block: &Value, blocks: &mut Vec<Range<usize>>) -> Result<(), Fault> {
    let Range { start, end } = block.span;
    if block.kind != Kind::Object {
        blocks.push(start..end);
        return Ok(());
    }
    // Where the member before the one under way ended, and where the mark begins.
    let (mut before, mut cut) = (start + 1, None);
    fields_at(body, block.span.clone(), |Field { key, value }| {
        cut = (key.raw == b"cache_control").then_some(before);
        before = value.span.end;
        Ok::<_, Fault>(())
    })?;
    blocks.push(start..cut.unwrap_or(before));
    Ok(())
}
