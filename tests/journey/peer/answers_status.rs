//! An upstream that gives the same whole answer to everything.

use super::{After, Peer};

/// Answers each request with this status, these headers and this body.
pub(crate) fn start(status: u16, headers: &'static [(&'static str, &'static str)], body: &str) -> Peer {
    let body = body.to_owned();
    Peer::start(move |_, exchange| {
        exchange.answer(status, headers, body.as_bytes())?;
        Ok(After::KeepOpen)
    })
}
