//! Reads an answer as a stream of events, or as whatever else has come in its place.

use crate::llm::foreign::stream::Frame;
use crate::llm::gemini::chunk::{Chunks, Reading};
use crate::llm::said::Event;

/// Reads a stream in pieces of any size.
#[derive(Clone, Debug)]
pub struct StreamReader(Frame<Chunks>);

impl StreamReader {
    /// A reader of one answer.
    pub fn new(reading: Reading) -> Self {
        Self(Frame::new(Chunks::new(reading)))
    }

    /// Takes the next bytes and tells what they say.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        self.0.push(bytes, each);
    }

    /// Takes the end of the bytes: the answer is at its end, or it has been cut short.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        self.0.finish(each);
    }

    /// Whether the answer is over: bytes after it mean nothing.
    pub fn finished(&self) -> bool {
        self.0.finished()
    }
}
