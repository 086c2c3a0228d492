//! Reads an answer that came as one document.

use crate::llm::foreign::stream::Answer;
use crate::llm::gemini::chunk::{Chunks, Reading};
use crate::llm::said::Event;

/// Reads the body of an answer with the status 200 and tells what it says: to its end, or to a failure.
pub fn read(body: &[u8], reading: Reading, each: &mut dyn FnMut(&Event<'_>)) {
    let mut chunks = Chunks::new(reading);
    chunks.take(body, true, each);
    chunks.end(each);
}
