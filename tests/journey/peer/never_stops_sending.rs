//! An upstream that sends events as fast as it can, and counts what left its hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{After, Peer};
use crate::sse;

/// Streams without end until the connection closes. The counter holds the bytes that the socket took.
pub(crate) fn start() -> (Peer, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let delta = sse::text_delta(&"x".repeat(8 * 1024));
    let peer = Peer::start(move |_, exchange| {
        exchange.start_events()?;
        exchange.chunk((sse::message_start("claude-flood") + &sse::text_start()).as_bytes())?;
        loop {
            if let Err(why) = exchange.chunk(delta.as_bytes()) {
                return if why.kind() == std::io::ErrorKind::BrokenPipe {
                    Ok(After::Close)
                } else {
                    Err(why)
                };
            }
            counter.fetch_add(u64::try_from(delta.len()).unwrap_or(0), Ordering::SeqCst);
        }
    });
    (peer, sent)
}
