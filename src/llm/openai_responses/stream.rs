//! Reads an answer as a stream of events, or as whatever else has come in its place.

use crate::llm::foreign::stream::{Answer, Each, Frame};
use crate::llm::openai_responses::output::{Output, Reading};
use crate::llm::said::{Event, Failure};

/// Reads a stream in pieces of any size.
#[derive(Clone, Debug)]
pub struct StreamReader(Frame<Output>);

impl StreamReader {
    /// A reader of one answer.
    pub fn new(reading: Reading) -> Self {
        Self(Frame::new(Output::new(reading)))
    }

    /// Takes the next bytes and tells what they say.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        self.0.push(bytes, each);
    }

    /// Takes the end of the bytes: unless the server has said that the answer is over, it has been cut short.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        self.0.finish(each);
    }

    /// Whether the answer is over: bytes after it mean nothing.
    pub fn finished(&self) -> bool {
        self.0.finished()
    }
}

impl Answer for Output {
    fn event(&mut self, name: &[u8], data: &[u8], each: Each<'_>) {
        match data {
            // Some servers say this behind the end that counts.
            b"[DONE]" => self.end(each),
            doc => self.take(name, doc, each),
        }
    }

    fn document(&mut self, doc: &[u8], each: Each<'_>) {
        self.take_whole(doc, each);
    }

    fn end(&mut self, each: Each<'_>) {
        self.end(each);
    }

    fn fail(&mut self, failure: &Failure, each: Each<'_>) {
        self.fail(failure, each);
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}
