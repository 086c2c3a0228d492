//! An upstream that streams its answer piece by piece with a pause before each.

use std::thread;
use std::time::Duration;

use super::{After, Peer};

/// Streams each piece as a chunk of its own after its pause, then ends the stream properly.
pub(crate) fn start(pieces: &[(Duration, String)]) -> Peer {
    let pieces = pieces.to_vec();
    Peer::start(move |_, exchange| {
        exchange.start_events()?;
        for (pause, piece) in &pieces {
            thread::sleep(*pause);
            exchange.chunk(piece.as_bytes())?;
        }
        exchange.end_chunks()?;
        Ok(After::KeepOpen)
    })
}
