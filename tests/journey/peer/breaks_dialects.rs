//! A provider of any dialect that fails in the way that a request names, by a word in what the user says.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::json;

use super::{After, Exchange, Peer, Seen};
use crate::targets::{Target, wants_stream};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(60);

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LimitedUntil,
    Limited,
    Overloaded,
    ResetBeforeHead,
    ResetInBody,
    NoHead,
    HalfHead,
    SlowHead,
    Stalls,
    Page,
    BadGateway,
    NotJson,
    Cut,
    WrongType,
}

/// Each with the word that asks for it; none is the beginning of another.
pub(crate) const FAULTS: &[(&str, Fault)] = &[
    ("fault-limited-until", Fault::LimitedUntil),
    ("fault-limited-for-long", Fault::Limited),
    ("fault-overloaded", Fault::Overloaded),
    ("fault-reset-before", Fault::ResetBeforeHead),
    ("fault-reset-inside", Fault::ResetInBody),
    ("fault-no-head", Fault::NoHead),
    ("fault-half-a-head", Fault::HalfHead),
    ("fault-slow-head", Fault::SlowHead),
    ("fault-stalls", Fault::Stalls),
    ("fault-page", Fault::Page),
    ("fault-bad-gateway", Fault::BadGateway),
    ("fault-not-json", Fault::NotJson),
    ("fault-cut", Fault::Cut),
    ("fault-wrong-type", Fault::WrongType),
];

/// What stands in bodies of providers that callers have no business with.
pub(crate) const SECRET: &str = "org-SECRET";

/// Starts a provider of `target` that fails as it is told to. One word of `go_on` is awaited before anything
/// goes wrong inside a stream, so that what came before has arrived.
pub(crate) fn start(target: &'static Target, go_on: Receiver<()>) -> Peer {
    let go_on = Mutex::new(go_on);
    Peer::start(move |seen, exchange| {
        let Some(fault) = named(seen) else { return (target.answer)(&[], seen, exchange) };
        let wait = || {
            // Whoever is gone has nothing more to say.
            go_on.lock().expect("no holder panics").recv_timeout(FOREVER).unwrap_or_default();
        };
        play(fault, target, (seen, exchange), &wait)
    })
}

/// The fault that a request asks for.
pub(crate) fn named(seen: &Seen) -> Option<Fault> {
    let text = String::from_utf8_lossy(&seen.body);
    FAULTS.iter().find(|(word, _)| text.contains(word)).map(|(_, fault)| *fault)
}

/// Fails.
pub(crate) fn play(
    fault: Fault,
    target: &Target,
    (seen, exchange): (&Seen, &mut Exchange),
    wait: &dyn Fn(),
) -> io::Result<After> {
    match fault {
        Fault::LimitedUntil => refuse(exchange, 429, &[("retry-after", "7")]),
        Fault::Limited => refuse(exchange, 429, &[]),
        Fault::Overloaded => refuse(exchange, 529, &[]),
        Fault::ResetBeforeHead => Ok(After::Reset),
        Fault::ResetInBody => {
            begin(target, seen, exchange, wait)?;
            Ok(After::Reset)
        }
        Fault::NoHead => until_given_up(exchange),
        Fault::HalfHead => {
            exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Ty")?;
            until_given_up(exchange)
        }
        Fault::SlowHead => {
            exchange.drip();
            (target.answer)(&[], seen, exchange)?;
            Ok(After::Close)
        }
        Fault::Stalls => {
            begin(target, seen, exchange, wait)?;
            until_given_up(exchange)
        }
        Fault::Page => page(exchange, 200),
        Fault::BadGateway => page(exchange, 502),
        Fault::NotJson => not_json(target, seen, exchange),
        Fault::Cut => {
            begin(target, seen, exchange, wait)?;
            Ok(After::Close)
        }
        Fault::WrongType => {
            exchange.name_streams("text/plain");
            (target.answer)(&[], seen, exchange)?;
            Ok(After::Close)
        }
    }
}

fn until_given_up(exchange: &mut Exchange) -> io::Result<After> {
    exchange.wait_for_close(FOREVER);
    Ok(After::Close)
}

/// Refuses in words that all dialects know; a status says more than they do.
fn refuse(exchange: &mut Exchange, status: u16, headers: &[(&str, &str)]) -> io::Result<After> {
    let kind = if status == 429 { "rate_limit_error" } else { "overloaded_error" };
    let error = json!({ "type": kind, "message": format!("not now, {SECRET}"), "code": status });
    let body = json!({ "type": "error", "error": error }).to_string();
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    exchange.answer(status, &all, body.as_bytes())?;
    Ok(After::KeepOpen)
}

fn page(exchange: &mut Exchange, status: u16) -> io::Result<After> {
    let page = format!("<html>Sign in, {SECRET}</html>");
    exchange.answer(status, &[("Content-Type", "text/html")], page.as_bytes())?;
    Ok(After::KeepOpen)
}

/// Begins an answer: a stream up to its first words, or half a document.
fn begin(target: &Target, seen: &Seen, exchange: &mut Exchange, wait: &dyn Fn()) -> io::Result<()> {
    if wants_stream(seen) {
        target.begin(exchange)?;
    } else {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n";
        exchange.raw(format!("{head}{{\"id\":\"so").as_bytes())?;
    }
    wait();
    Ok(())
}

fn not_json(target: &Target, seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    if wants_stream(seen) {
        target.start(exchange)?;
        exchange.chunk(format!("data: {{oops {SECRET}\n\n").as_bytes())?;
        exchange.end_chunks()?;
        return Ok(After::KeepOpen);
    }
    let body = format!("{{\"oops {SECRET}");
    exchange.answer(200, &[("Content-Type", "application/json")], body.as_bytes())?;
    Ok(After::KeepOpen)
}
