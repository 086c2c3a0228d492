//! Pings into the silence of an upstream: between events, never inside one, and never otherwise.

use std::time::Duration;

use crate::client::{messages, once};
use crate::gateway::{Engine, Gateway, KEY, for_each_engine};
use crate::peer::{Peer, pauses_between_pieces};
use crate::sse;

const SILENCE: Duration = Duration::from_millis(1_100);
const PINGS: &str = "timeouts: { ping_ms: 200 }";

fn answer(engine: Engine, upstream: &Peer) -> String {
    let gateway = Gateway::with(engine, &upstream.url(), PINGS);
    let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
    assert_eq!(reply.head.status, 200);
    String::from_utf8(reply.body).expect("the answer is text")
}

/// Takes the pings out, each a whole event of its own.
fn without_pings(text: &str) -> String {
    text.split_inclusive("\n\n").filter(|event| !event.starts_with("event: ping\n")).collect()
}

#[test]
fn silence_between_events_is_filled() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any") + &sse::text_start();
        let end = sse::text_delta("late") + &sse::message_end("end_turn");
        let upstream =
            pauses_between_pieces::start(&[(Duration::ZERO, beginning.clone()), (SILENCE, end.clone())]);
        let text = answer(engine, &upstream);
        let pings = sse::names(text.as_bytes()).iter().filter(|name| *name == "ping").count();
        assert!((2..=6).contains(&pings), "{pings} pings of 200 ms in {SILENCE:?}:\n{text}");
        assert_eq!(without_pings(&text), format!("{beginning}{end}"));
        assert!(text.starts_with(&beginning), "no ping before the silence:\n{text}");
        assert!(text.contains("\"type\": \"ping\"") || text.contains("\"type\":\"ping\""), "{text}");
    });
}

#[test]
fn silence_inside_an_event_stays_silent() {
    for_each_engine(|engine| {
        let delta = sse::text_delta("one event in three pieces");
        let (head, tail) = delta.split_at(delta.len() / 2);
        // The last cut is the hardest to see: the event lacks only its empty line.
        let (middle, last) = tail.split_at(tail.len() - 1);
        let beginning = sse::message_start("claude-any") + &sse::text_start() + head;
        let upstream = pauses_between_pieces::start(&[
            (Duration::ZERO, beginning),
            (SILENCE, middle.to_owned()),
            (SILENCE, last.to_owned() + &sse::message_end("end_turn")),
        ]);
        let text = answer(engine, &upstream);
        assert!(!sse::names(text.as_bytes()).iter().any(|name| name == "ping"), "{text}");
        assert!(text.contains(&delta), "the event was torn:\n{text}");
    });
}

#[test]
fn a_busy_stream_gets_none() {
    for_each_engine(|engine| {
        let mut pieces = vec![(Duration::ZERO, sse::message_start("claude-any") + &sse::text_start())];
        pieces.extend((0..30).map(|_| (Duration::from_millis(20), sse::text_delta("busy"))));
        pieces.push((Duration::ZERO, sse::message_end("end_turn")));
        let upstream = pauses_between_pieces::start(&pieces);
        let text = answer(engine, &upstream);
        assert!(!sse::names(text.as_bytes()).iter().any(|name| name == "ping"), "{text}");
    });
}

#[test]
fn an_answer_that_is_no_event_stream_gets_none() {
    const BODY: (&str, &str) = ("{\"type\":\"message\",", "\"usage\":{}}");
    for_each_engine(|engine| {
        let upstream = Peer::start(|_, exchange| {
            exchange.raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            )?;
            exchange.chunk(BODY.0.as_bytes())?;
            std::thread::sleep(SILENCE);
            exchange.chunk(BODY.1.as_bytes())?;
            exchange.end_chunks()?;
            Ok(crate::peer::After::KeepOpen)
        });
        assert_eq!(answer(engine, &upstream), format!("{}{}", BODY.0, BODY.1));
    });
}
