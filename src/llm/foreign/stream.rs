//! The frame of an answer: a stream of events, or whatever else has come in its place.

use crate::http::sse::{Piece, Splitter};
use crate::json::Fault;
use crate::limits;
use crate::llm::foreign::error;
use crate::llm::said::{self, Event, Failure};

/// Who is told what an answer says.
pub(in crate::llm) type Each<'e> = &'e mut dyn FnMut(&Event<'_>);

/// Reads what stands in the frame.
pub(in crate::llm) trait Answer {
    /// Takes the data of one event of the stream, which are not blank, and its name, which may be empty.
    fn event(&mut self, name: &[u8], data: &[u8], each: Each<'_>);

    /// Takes an answer that is one document.
    fn document(&mut self, doc: &[u8], each: Each<'_>);

    /// Takes the end of the bytes.
    fn end(&mut self, each: Each<'_>);

    /// Tells a failure, unless the answer is over.
    fn fail(&mut self, failure: &Failure, each: Each<'_>);

    /// Whether the end or a failure has been told.
    fn is_over(&self) -> bool;
}

/// Why a document is not read to its end.
#[derive(Clone, Debug)]
pub(in crate::llm) enum Trouble {
    /// By the server's word, or ours.
    Failed(Failure),
    /// It is none.
    NotJson,
}

impl Trouble {
    /// The same as a failure.
    pub(in crate::llm) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::NotJson => unreadable(),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(_: Fault) -> Self {
        Self::NotJson
    }
}

/// What came is not in the dialect's form.
pub(in crate::llm) fn unreadable() -> Failure {
    Failure::new(said::Kind::Unreadable, "the provider answered in a form that cannot be read")
}

/// The bytes ended before the answer.
pub(in crate::llm) fn cut_short() -> Failure {
    Failure::new(said::Kind::CutShort, "the provider broke off before the end of its answer")
}

/// What the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Nothing but white space yet.
    Unknown,
    /// An event stream.
    Events,
    /// One JSON document: the answer of a server that knows no streams, or an error.
    Document,
    /// A page for people, of which the beginning is kept.
    Page,
}

/// Reads a stream in pieces of any size.
#[derive(Clone, Debug)]
pub(in crate::llm) struct Frame<A> {
    form: Form,
    splitter: Splitter,
    /// The data of the event under way, or the document or the page so far.
    data: Vec<u8>,
    /// It is longer than the bound.
    over_long: bool,
    answer: A,
}

impl<A: Answer> Frame<A> {
    /// A frame around one answer.
    pub(in crate::llm) fn new(answer: A) -> Self {
        let (form, splitter) = (Form::Unknown, Splitter::default());
        Self { form, splitter, data: Vec::new(), over_long: false, answer }
    }

    /// Takes the next bytes and tells what they say.
    pub(in crate::llm) fn push(&mut self, mut bytes: &[u8], each: Each<'_>) {
        if self.answer.is_over() {
            return;
        }
        if self.form == Form::Unknown {
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            self.form = match first {
                None => Form::Unknown,
                Some(b'{' | b'[') => Form::Document,
                Some(b'<') => Form::Page,
                Some(_) => Form::Events,
            };
            // What comes before them is no part of a document or a page, in whatever pieces it comes.
            if matches!(self.form, Form::Document | Form::Page) {
                bytes = bytes.trim_ascii_start();
            }
        }
        match self.form {
            Form::Unknown | Form::Events => self.events(bytes, each),
            Form::Document => self.keep(bytes, limits::FOREIGN_ANSWER_BYTES_MAX),
            Form::Page => {
                let room = limits::ERROR_DETAIL_BYTES_MAX.saturating_sub(self.data.len());
                self.data.extend(bytes.iter().take(room));
            }
        }
        if self.over_long {
            self.answer.fail(&unreadable(), each);
        }
    }

    fn keep(&mut self, bytes: &[u8], most: usize) {
        self.over_long |= self.data.len() + bytes.len() > most;
        if !self.over_long {
            self.data.extend_from_slice(bytes);
        }
    }

    fn events(&mut self, bytes: &[u8], each: Each<'_>) {
        let Self { splitter, data, over_long, answer, .. } = self;
        splitter.push(bytes, |piece| match piece {
            Piece::Data(more) => {
                *over_long |= data.len() + more.len() > limits::FOREIGN_EVENT_BYTES_MAX;
                if !*over_long {
                    data.extend_from_slice(more);
                }
            }
            Piece::End(name) => {
                if !*over_long {
                    let trimmed = data.trim_ascii();
                    if !trimmed.is_empty() {
                        answer.event(name, trimmed, each);
                    }
                    data.clear();
                }
            }
            Piece::Void => data.clear(),
            Piece::Name(_) | Piece::Id(_) | Piece::Retry(_) => {}
        });
    }

    /// Takes the end of the bytes: the answer is at its end, or it has been cut short.
    pub(in crate::llm) fn finish(&mut self, each: Each<'_>) {
        match self.form {
            Form::Unknown => self.answer.fail(&cut_short(), each),
            Form::Events => self.answer.end(each),
            Form::Document => {
                self.answer.document(&self.data, each);
                self.answer.end(each);
            }
            Form::Page => {
                let mut failure = unreadable();
                failure.detail = error::read(0, &self.data).detail;
                self.answer.fail(&failure, each);
            }
        }
    }

    /// Whether the answer is over: bytes after it mean nothing.
    pub(in crate::llm) fn finished(&self) -> bool {
        self.answer.is_over()
    }
}
