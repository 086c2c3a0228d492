//! The members of events, items and responses that are read.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Fault, Field, Kind, Value, fields, fields_at};
use crate::llm::foreign::text::text_of;

/// One event of a stream.
#[derive(Debug, Default)]
pub(super) struct Line<'d> {
    /// Its type.
    pub(super) kind: &'d [u8],
    /// A piece of a text, or of the input of a call.
    pub(super) delta: Cow<'d, str>,
    /// The input of a call, whole.
    pub(super) arguments: Cow<'d, str>,
    /// The tool that is called.
    pub(super) name: Cow<'d, str>,
    /// The item that it is about, by its place in the answer.
    pub(super) index: Option<u64>,
    /// The same by its id, which some servers change from event to event.
    pub(super) id: &'d [u8],
    /// Which part of a summary it is about.
    pub(super) part: u64,
    /// The item itself.
    pub(super) item: Option<Range<usize>>,
    /// The response as it is now.
    pub(super) response: Option<Range<usize>>,
    /// It tells an error.
    pub(super) error: bool,
}

impl<'d> Line<'d> {
    /// Reads an event; `name` is its type where it says none itself.
    pub(super) fn read(name: &'d [u8], doc: &'d [u8]) -> Result<Self, Fault> {
        let mut line = Self { kind: name, ..Self::default() };
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"type", Kind::String) => line.kind = value.inner(doc).unwrap_or(name),
                (b"delta", Kind::String) => line.delta = text_of(doc, &value),
                (b"arguments", Kind::String) => line.arguments = text_of(doc, &value),
                (b"name", Kind::String) => line.name = text_of(doc, &value),
                (b"output_index", Kind::Number) => line.index = value.as_u64(doc),
                (b"item_id", Kind::String) => line.id = value.inner(doc).unwrap_or_default(),
                (b"summary_index", Kind::Number) => line.part = value.as_u64(doc).unwrap_or(0),
                (b"item", Kind::Object) => line.item = Some(value.span),
                (b"response", Kind::Object) => line.response = Some(value.span),
                (b"error", Kind::Object | Kind::String) => line.error = true,
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
        Ok(line)
    }
}

/// One item of an answer.
#[derive(Debug, Default)]
pub(super) struct Said<'d> {
    pub(super) kind: &'d [u8],
    pub(super) id: &'d [u8],
    pub(super) call_id: Cow<'d, str>,
    pub(super) name: Cow<'d, str>,
    pub(super) arguments: Cow<'d, str>,
    pub(super) encrypted: Cow<'d, str>,
    pub(super) content: Option<Range<usize>>,
    pub(super) summary: Option<Range<usize>>,
    pub(super) action: Option<Range<usize>>,
}

impl<'d> Said<'d> {
    pub(super) fn read(doc: &'d [u8], span: Range<usize>) -> Result<Self, Fault> {
        let mut item = Self::default();
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"type", Kind::String) => item.kind = value.inner(doc).unwrap_or_default(),
                (b"id", Kind::String) => item.id = value.inner(doc).unwrap_or_default(),
                (b"call_id", Kind::String) => item.call_id = text_of(doc, &value),
                (b"name", Kind::String) => item.name = text_of(doc, &value),
                (b"arguments", Kind::String) => item.arguments = text_of(doc, &value),
                (b"arguments", Kind::Object) => {
                    item.arguments = String::from_utf8_lossy(value.bytes(doc));
                }
                (b"encrypted_content", Kind::String) => item.encrypted = text_of(doc, &value),
                (b"content", Kind::Array) => item.content = Some(value.span),
                (b"summary", Kind::Array) => item.summary = Some(value.span),
                (b"action", Kind::Object) => item.action = Some(value.span),
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
        Ok(item)
    }
}

/// A response, at whatever stage it is.
#[derive(Debug, Default)]
pub(super) struct Response<'d> {
    pub(super) id: Cow<'d, str>,
    pub(super) model: Cow<'d, str>,
    pub(super) status: &'d [u8],
    /// Why it is incomplete.
    pub(super) reason: &'d [u8],
    pub(super) error: Option<Value>,
    pub(super) output: Option<Range<usize>>,
    pub(super) usage: Option<Range<usize>>,
    /// Searches of the web that are charged, where that is said.
    pub(super) searches: Option<u64>,
}

impl<'d> Response<'d> {
    pub(super) fn read(doc: &'d [u8], span: Range<usize>) -> Result<Self, Fault> {
        let mut response = Self::default();
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"id", Kind::String) => response.id = text_of(doc, &value),
                (b"model", Kind::String) => response.model = text_of(doc, &value),
                (b"status", Kind::String) => response.status = value.inner(doc).unwrap_or_default(),
                (b"error", Kind::Object | Kind::String) => response.error = Some(value),
                (b"output", Kind::Array) => response.output = Some(value.span),
                (b"usage", Kind::Object) => response.usage = Some(value.span),
                (b"incomplete_details", Kind::Object) => {
                    fields_at(doc, value.span, |Field { key, value }| {
                        if let (b"reason", Some(reason)) = (key.raw, value.inner(doc)) {
                            response.reason = reason;
                        }
                        Ok::<_, Fault>(())
                    })?;
                }
                (b"tool_usage", Kind::Object) => response.searches = searches(doc, value.span)?,
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
        Ok(response)
    }
}

/// Reads `{"web_search": {"num_requests"}}`.
fn searches(doc: &[u8], span: Range<usize>) -> Result<Option<u64>, Fault> {
    let mut found = None;
    fields_at(doc, span, |Field { key, value }| {
        if let (b"web_search", Kind::Object) = (key.raw, value.kind) {
            fields_at(doc, value.span, |Field { key, value }| {
                if key.raw == b"num_requests" {
                    found = value.as_u64(doc);
                }
                Ok::<_, Fault>(())
            })?;
        }
        Ok::<_, Fault>(())
    })?;
    Ok(found)
}
