//! Reads an answer as a stream of events, or as whatever else has come in its place.

use crate::http::sse::{Piece, Splitter};
use crate::limits;
use crate::llm::openai_chat::chunk::{Chunks, Each, Reading, cut_short, unreadable};
use crate::llm::openai_chat::error;
use crate::llm::said::Event;

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
pub struct StreamReader {
    form: Form,
    splitter: Splitter,
    /// The data of the event under way, or the document or the page so far.
    data: Vec<u8>,
    /// It is longer than the bound.
    over_long: bool,
    chunks: Chunks,
}

impl StreamReader {
    /// A reader of one answer.
    pub fn new(reading: Reading) -> Self {
        Self {
            form: Form::Unknown,
            splitter: Splitter::default(),
            data: Vec::new(),
            over_long: false,
            chunks: Chunks::new(reading),
        }
    }

    /// Takes the next bytes and tells what they say.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        if self.chunks.is_over() {
            return;
        }
        if self.form == Form::Unknown {
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            self.form = match first {
                None => Form::Unknown,
                Some(b'{') => Form::Document,
                Some(b'<') => Form::Page,
                Some(_) => Form::Events,
            };
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
            self.chunks.fail(&unreadable(), each);
        }
    }

    fn keep(&mut self, bytes: &[u8], most: usize) {
        self.over_long |= self.data.len() + bytes.len() > most;
        if !self.over_long {
            self.data.extend_from_slice(bytes);
        }
    }

    fn events(&mut self, bytes: &[u8], each: Each<'_>) {
        let Self { splitter, data, over_long, chunks, .. } = self;
        splitter.push(bytes, |piece| match piece {
            Piece::Data(more) => {
                *over_long |= data.len() + more.len() > limits::FOREIGN_EVENT_BYTES_MAX;
                if !*over_long {
                    data.extend_from_slice(more);
                }
            }
            Piece::End(name) => {
                if !*over_long {
                    event(chunks, name, data, each);
                    data.clear();
                }
            }
            Piece::Void => data.clear(),
            Piece::Name(_) | Piece::Id(_) | Piece::Retry(_) => {}
        });
    }

    /// Takes the end of the bytes: the answer is at its end, or it has been cut short.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        match self.form {
            Form::Unknown => self.chunks.fail(&cut_short(), each),
            Form::Events => self.chunks.end(each),
            Form::Document => {
                self.chunks.take(&self.data, true, each);
                self.chunks.end(each);
            }
            Form::Page => {
                let mut failure = unreadable();
                failure.detail = error::read(0, &self.data).detail;
                self.chunks.fail(&failure, each);
            }
        }
    }

    /// Whether the answer is over: bytes after it mean nothing.
    pub const fn finished(&self) -> bool {
        self.chunks.is_over()
    }
}

/// Reads one event.
fn event(chunks: &mut Chunks, name: &[u8], data: &[u8], each: Each<'_>) {
    match data.trim_ascii() {
        b"" => {}
        b"[DONE]" => chunks.end(each),
        _ if name == b"error" => chunks.fail(&error::read(0, data), each),
        doc => chunks.take(doc, false, each),
    }
}
