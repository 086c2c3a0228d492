//! One answer of InvokeModel, whole or in pieces, made one of Anthropic's while it comes.

use crate::ids::CallId;
use crate::json::{Fault, Field, fields};
use crate::limits;
use crate::llm::bedrock::count::read_count;
use crate::llm::bedrock::error;
use crate::llm::bedrock::invoke::{InvokeStream, strip_metrics};
use crate::llm::said::{Failure, Kind};

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A stream.
    Stream,
    /// A document.
    Document,
    /// A number of tokens.
    Count,
}

/// Takes the bytes of one answer in pieces of any size, and gives those of Anthropic's.
#[derive(Clone, Debug)]
pub struct Answer {
    inner: Inner,
    /// A document has been written.
    written: bool,
    failure: Option<Failure>,
}

#[derive(Clone, Debug)]
enum Inner {
    Stream(Box<InvokeStream>),
    /// What has come of a document, <= `limits::FOREIGN_ANSWER_BYTES_MAX`.
    Document(Vec<u8>),
    /// The same of one with a number of tokens.
    Count(Vec<u8>),
    /// An answer with an error status: so much of it as tells why.
    Refusal {
        status: u16,
        name: Box<str>,
        body: Vec<u8>,
    },
}

impl Answer {
    /// A reader of the answer to this call.
    pub fn new(call: CallId, form: Form) -> Self {
        let inner = match form {
            Form::Stream => Inner::Stream(Box::new(InvokeStream::new(call))),
            Form::Document => Inner::Document(Vec::new()),
            Form::Count => Inner::Count(Vec::new()),
        };
        Self { inner, written: false, failure: None }
    }

    /// Reads what follows as the body of an answer with an error status: it ends in a [`Failure`]. `name` is
    /// the value of `x-amzn-errortype`.
    pub fn refused(&mut self, status: u16, name: &str) {
        self.inner = Inner::Refusal { status, name: name.into(), body: Vec::new() };
    }

    /// Takes the next bytes and appends what they say.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        match &mut self.inner {
            Inner::Stream(stream) => stream.push(bytes, out),
            Inner::Document(body) | Inner::Count(body) => {
                if body.len() + bytes.len() > limits::FOREIGN_ANSWER_BYTES_MAX {
                    self.failure = Some(Failure::new(Kind::Unreadable, "the answer is too long"));
                } else {
                    body.extend_from_slice(bytes);
                }
            }
            Inner::Refusal { body, .. } => {
                let room = limits::REFUSAL_READ_BYTES_MAX.saturating_sub(body.len());
                body.extend(bytes.iter().take(room));
            }
        }
    }

    /// Takes the end of the bytes and appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        let failure = match &mut self.inner {
            Inner::Stream(stream) => {
                stream.finish(out);
                return;
            }
            Inner::Document(body) if is_message(body) => {
                out.extend_from_slice(&strip_metrics(body));
                None
            }
            Inner::Count(body) => match read_count(body) {
                Some(tokens) => {
                    out.extend_from_slice(format!("{{\"input_tokens\":{tokens}}}").as_bytes());
                    None
                }
                None => Some(none_of(body)),
            },
            Inner::Document(body) => Some(none_of(body)),
            Inner::Refusal { status, name, body } => Some(error::read(*status, name, body)),
        };
        self.written = failure.is_none();
        self.failure = failure;
    }

    /// Whether some of the answer has been written that cannot be taken back.
    pub fn is_committed(&self) -> bool {
        match &self.inner {
            Inner::Stream(stream) => {
                stream.has_content() || (stream.finished() && stream.failure().is_none())
            }
            Inner::Document(_) | Inner::Count(_) | Inner::Refusal { .. } => self.written,
        }
    }

    /// Whether all has been written: what still comes means nothing.
    pub fn is_over(&self) -> bool {
        match &self.inner {
            Inner::Stream(stream) => stream.finished(),
            Inner::Document(_) | Inner::Count(_) | Inner::Refusal { .. } => {
                self.written || self.failure.is_some()
            }
        }
    }

    /// Why there is no answer, or why it breaks off; a stream has said so itself.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.inner {
            Inner::Stream(stream) => stream.failure(),
            Inner::Document(_) | Inner::Count(_) | Inner::Refusal { .. } => self.failure.as_ref(),
        }
    }
}

/// Whether a document is a whole message.
fn is_message(body: &[u8]) -> bool {
    let mut named = false;
    let read: Result<(), Fault> = fields(body, |Field { key, value }| {
        named |= key.raw == b"type" && value.inner(body) == Some(b"message");
        Ok(())
    });
    read.is_ok() && named
}

/// What is wrong with a document that is none.
fn none_of(body: &[u8]) -> Failure {
    let whole: Result<(), Fault> = fields(body, |_field| Ok(()));
    if whole.is_err() && body.trim_ascii_start().first().is_none_or(|first| *first == b'{') {
        return Failure::new(Kind::CutShort, "the provider broke off before the end of its answer");
    }
    Failure::new(Kind::Unreadable, "the provider answered in a form that cannot be read")
}
