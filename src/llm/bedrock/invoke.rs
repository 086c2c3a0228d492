//! Makes Anthropic's event stream again of the frames in which InvokeModel sends it.

use std::borrow::Cow;
use std::ops::Range;

use crate::base64;
use crate::ids::CallId;
use crate::json::{self, Fault, Field, Kind, Value, fields, fields_at};
use crate::llm::bedrock::error;
use crate::llm::bedrock::eventstream::{Frame, Frames, Message};
use crate::llm::said::{self, Failure};

/// What Bedrock adds of its own to documents of Anthropic's begins so.
const OWN: &[u8] = b"amazon-bedrock-";

/// Bytes of the name of an event; the longest that is known has 19.
const NAME_BYTES_MAX: usize = 64;

/// The counts that Bedrock gives beside Anthropic's own, at the end of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Tokens read fresh, neither from nor into the prompt cache.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Tokens written into the prompt cache.
    pub cache_write_tokens: u64,
}

/// A reader of one answer in frames, and the writer of its events.
///
/// ```text
/// Open -> Over: after `message_stop` or an `error`, of the provider's or ours
/// ```
#[derive(Clone, Debug)]
pub struct InvokeStream {
    call: CallId,
    frames: Frames,
    over: bool,
    /// An event has been written that is content.
    content: bool,
    /// An event has told how much was read from the cache or written into it.
    cache_told: bool,
    /// The data of a `message_delta` that waits for counts which only the metrics have.
    delta: Option<Vec<u8>>,
    metrics: Option<Metrics>,
    failure: Option<Failure>,
}

impl InvokeStream {
    /// A reader of the answer to this call.
    pub fn new(call: CallId) -> Self {
        Self {
            call,
            frames: Frames::default(),
            over: false,
            content: false,
            cache_told: false,
            delta: None,
            metrics: None,
            failure: None,
        }
    }

    /// Takes the next bytes and appends the events that they make, each whole: `event: ...\ndata: ...\n\n`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        let read = frames.push(bytes, &mut |frame| self.frame(&frame, out));
        self.frames = frames;
        if let Err(fault) = read {
            let mut failure = unreadable();
            failure.detail = fault.to_string().into();
            self.fail(failure, out);
        }
    }

    /// Takes the end of the bytes. What has not come to its own end by then ends with an error.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let words = "the provider broke off before the end of its answer";
        self.fail(Failure::new(said::Kind::CutShort, words), out);
    }

    /// Whether the last event has been written: bytes after it mean nothing.
    pub const fn finished(&self) -> bool {
        self.over
    }

    /// Whether some of the answer has been written that is more than its beginning.
    pub const fn has_content(&self) -> bool {
        self.content
    }

    /// Why the answer failed, unless it told so in an event of Anthropic's.
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Bedrock's own counts, when they have come.
    pub const fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match frame.message() {
            Message::Event("chunk") => {
                if self.chunk(frame.payload, out).is_none() {
                    self.fail(unreadable(), out);
                }
            }
            Message::Event(_) => {}
            Message::Exception(name) => self.fail(error::read(0, name, frame.payload), out),
            Message::Error { code, message } => {
                let mut failure = error::read(500, code, frame.payload);
                if failure.detail.is_empty() {
                    failure.detail = error::read(500, code, message.as_bytes()).detail;
                }
                self.fail(failure, out);
            }
            Message::Unknown => self.fail(unreadable(), out),
        }
    }

    /// Reads `{"bytes": "<base64>", "p": "<padding>"}`; nothing when it is none.
    fn chunk(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut digits = None;
        let read: Result<(), Fault> = fields(payload, |Field { key, value }| {
            if key.raw == b"bytes" {
                digits = value.inner(payload);
            }
            Ok(())
        });
        read.ok()?;
        let digits = digits?;
        let mut data = match base64::decode_padded(digits) {
            Some(data) => data,
            // A slash may be written as an escape.
            None => base64::decode_padded(json::text(digits).ok()?.as_bytes())?,
        };
        // Line ends between values mean nothing to JSON, and everything to an event stream.
        data.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        self.event(&data, out)
    }

    /// Writes one event of Anthropic's; nothing when it is none.
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let event = Event::read(data).ok()?;
        let name = event.name.as_deref().filter(|name| {
            (1..=NAME_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })?;
        self.content |= !matches!(name, "message_start" | "ping" | "error");
        self.cache_told |= event.tells_cache;
        if let Some(metrics) = event.metrics {
            self.metrics = Some(metrics);
        }
        match name {
            "message_delta" if !self.cache_told => {
                self.flush(out);
                self.delta = Some(without_own(data).into_owned());
                return Some(());
            }
            "message_stop" | "error" => self.over = true,
            _ => {}
        }
        self.flush(out);
        write(name, &without_own(data), out);
        Some(())
    }

    /// Lets go of the event that waits, with the counts that have come for it.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let Some(delta) = self.delta.take() else { return };
        let metrics = self.metrics.unwrap_or_default();
        if metrics.cache_read_tokens > 0 || metrics.cache_write_tokens > 0 {
            write("message_delta", &with_cache(&delta, &metrics), out);
        } else {
            write("message_delta", &delta, out);
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.flush(out);
        out.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":");
        json::write_string(out, failure.kind.shown().1);
        out.extend_from_slice(b",\"message\":");
        json::write_string(out, &failure.message);
        out.extend_from_slice(b"},\"request_id\":\"");
        out.extend_from_slice(&self.call.shown());
        out.extend_from_slice(b"\"}\n\n");
        self.failure = Some(failure);
    }
}

fn unreadable() -> Failure {
    Failure::new(said::Kind::Unreadable, "the provider answered in a form that cannot be read")
}

fn write(name: &str, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// What is read of one event.
#[derive(Default)]
struct Event<'d> {
    name: Option<Cow<'d, str>>,
    tells_cache: bool,
    metrics: Option<Metrics>,
}

impl<'d> Event<'d> {
    /// Reads `{"type", "message": {"usage"}, "usage", "amazon-bedrock-invocationMetrics"}`.
    fn read(data: &'d [u8]) -> Result<Self, Fault> {
        let mut event = Event::default();
        let (mut usage, mut message, mut metrics) = (None, None, None);
        fields(data, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"type", Kind::String) => {
                    event.name = json::text(value.inner(data).unwrap_or_default()).ok()
                }
                (b"usage", Kind::Object) => usage = Some(value.span),
                (b"message", Kind::Object) => message = Some(value.span),
                (b"amazon-bedrock-invocationMetrics", Kind::Object) => metrics = Some(value.span),
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
        if let Some(span) = message {
            fields_at(data, span, |Field { key, value }| {
                if (key.raw, value.kind) == (b"usage", Kind::Object) {
                    usage = Some(value.span);
                }
                Ok::<_, Fault>(())
            })?;
        }
        if let Some(span) = usage {
            fields_at(data, span, |Field { key, value }| {
                let counts = matches!(key.raw, b"cache_read_input_tokens" | b"cache_creation_input_tokens");
                event.tells_cache |= counts && value.kind == Kind::Number;
                Ok::<_, Fault>(())
            })?;
        }
        event.metrics = metrics.map(|span| Metrics::read(data, span)).transpose()?;
        Ok(event)
    }
}

impl Metrics {
    fn read(data: &[u8], span: Range<usize>) -> Result<Self, Fault> {
        let mut metrics = Self::default();
        fields_at(data, span, |Field { key, value }| {
            let place = match key.raw {
                b"inputTokenCount" => &mut metrics.input_tokens,
                b"outputTokenCount" => &mut metrics.output_tokens,
                b"cacheReadInputTokenCount" => &mut metrics.cache_read_tokens,
                b"cacheWriteInputTokenCount" => &mut metrics.cache_write_tokens,
                _ => return Ok(()),
            };
            *place = value.as_u64(data).unwrap_or(*place);
            Ok::<_, Fault>(())
        })?;
        Ok(metrics)
    }
}

/// The document of an answer in one piece without what Bedrock has added to it; the same when it is none.
pub fn strip_metrics(document: &[u8]) -> Cow<'_, [u8]> {
    without_own(document)
}

/// The object without its members of Bedrock's own.
fn without_own(data: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(data, OWN).is_none() {
        return Cow::Borrowed(data);
    }
    let mut out = Vec::with_capacity(data.len());
    let walked: Result<(), Fault> = fields(data, |Field { key, value }: Field<'_>| {
        if !key.raw.starts_with(OWN) {
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(data.get(key.at - 1..value.span.end).unwrap_or_default());
        }
        Ok(())
    });
    if walked.is_err() {
        return Cow::Borrowed(data);
    }
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    Cow::Owned(out)
}

/// The event with counts of the cache in its `usage`.
fn with_cache(data: &[u8], metrics: &Metrics) -> Vec<u8> {
    let mut usage: Option<Value> = None;
    let walked: Result<(), Fault> = fields(data, |Field { key, value }| {
        if (key.raw, value.kind) == (b"usage", Kind::Object) {
            usage = Some(value);
        }
        Ok(())
    });
    let (Ok(()), Some(usage)) = (walked, usage) else { return data.to_vec() };
    let (before, after) = data.split_at(usage.span.start + 1);
    let void = after.trim_ascii_start().first() == Some(&b'}');
    let counts = format!(
        "\"cache_creation_input_tokens\":{},\"cache_read_input_tokens\":{}{}",
        metrics.cache_write_tokens,
        metrics.cache_read_tokens,
        if void { "" } else { "," }
    );
    [before, counts.as_bytes(), after].concat()
}
