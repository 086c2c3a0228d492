//! An upstream that promises keep-alive and closes right after its answer, as restarting load balancers do.

use std::thread;
use std::time::Duration;

use super::{After, Peer};

/// Answers whole, then closes after `idle`.
pub(crate) fn start(idle: Duration) -> Peer {
    Peer::start(move |_, exchange| {
        exchange.answer(200, &[("Content-Type", "application/json")], b"{\"type\":\"message\"}")?;
        thread::sleep(idle);
        Ok(After::Close)
    })
}

/// Answers the first request of a connection, then waits for the next one and closes without a word:
/// no client can see this coming.
pub(crate) fn on_second_request() -> Peer {
    let answered = std::sync::Mutex::new(std::collections::HashSet::new());
    Peer::start(move |seen, exchange| {
        if !answered.lock().expect("no holder panics").insert(seen.connection) {
            return Ok(After::Close);
        }
        exchange.answer(200, &[("Content-Type", "application/json")], b"{\"type\":\"message\"}")?;
        Ok(After::KeepOpen)
    })
}
