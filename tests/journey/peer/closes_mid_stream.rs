//! An upstream that dies in the middle of its answer.

use super::{After, Peer};

/// Streams `text` and closes without the last chunk.
pub(crate) fn start(text: &str) -> Peer {
    let text = text.to_owned();
    Peer::start(move |_, exchange| {
        exchange.start_events()?;
        exchange.chunk(text.as_bytes())?;
        Ok(After::Close)
    })
}

/// Closes before the first byte of an answer.
pub(crate) fn before_the_answer() -> Peer {
    Peer::start(|_, _| Ok(After::Close))
}
