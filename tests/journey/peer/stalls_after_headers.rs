//! An upstream that begins an answer and then says nothing more, but notices when the other side leaves.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{After, Peer};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(60);

/// Sends the head and `beginning`, then waits. The receiver gets the moment at which the other side closed.
pub(crate) fn start(beginning: &str) -> (Peer, Receiver<Instant>) {
    let beginning = beginning.to_owned();
    let (tell, told) = channel();
    let peer = Peer::start(move |_, exchange| {
        exchange.start_events()?;
        if !beginning.is_empty() {
            exchange.chunk(beginning.as_bytes())?;
        }
        if exchange.wait_for_close(FOREVER).is_some() {
            // Without a listener any more, there is nobody to tell.
            tell.send(Instant::now()).unwrap_or_default();
        }
        Ok(After::Close)
    });
    (peer, told)
}

/// Takes the request and never answers. The receiver gets the moment at which the other side closed.
pub(crate) fn before_headers() -> (Peer, Receiver<Instant>) {
    let (tell, told) = channel();
    let peer = Peer::start(move |_, exchange| {
        if exchange.wait_for_close(FOREVER).is_some() {
            // Without a listener any more, there is nobody to tell.
            tell.send(Instant::now()).unwrap_or_default();
        }
        Ok(After::Close)
    });
    (peer, told)
}
