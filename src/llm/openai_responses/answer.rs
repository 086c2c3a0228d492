//! Reads an answer that came as one document.

use crate::llm::openai_responses::output::{Output, Reading};
use crate::llm::said::Event;

/// Reads the body of an answer with the status 200 and tells what it says: to its end, or to a failure.
pub fn read(body: &[u8], reading: Reading, each: &mut dyn FnMut(&Event<'_>)) {
    let mut output = Output::new(reading);
    output.take_whole(body, each);
    output.end(each);
}
