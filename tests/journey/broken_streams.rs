//! Connections that break: in the middle of an answer, before it, or while nobody looks.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, messages, once};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::{After, Peer, closes_idle_connections, closes_mid_stream, stalls_after_headers};
use crate::sse;

/// What the last event says, which must be an error.
///
/// A torn event before it cannot be taken back. By the rules of event streams the last `event` line names it,
/// so an error right behind a torn line is an event of type `error` with the torn data before its own; an
/// empty line between them would hand half a JSON text to the client as if it were whole.
#[track_caller]
pub(crate) fn last_error(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body).into_owned();
    assert!(!text.contains("message_stop"), "an end was made up:\n{text}");
    assert!(text.ends_with("\n\n"), "the last event is not whole:\n{text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let name = last.lines().rev().find_map(|line| line.strip_prefix("event: "));
    assert_eq!(name, Some("error"), "{text}");
    let data = last.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    let json: Value = serde_json::from_str(data).unwrap_or_else(|why| panic!("{why} in {data}"));
    assert_eq!(json["type"], "error", "{json}");
    assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
    json
}

#[test]
fn an_upstream_that_dies_between_events_is_told() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any") + &sse::text_start() + &sse::text_delta("so far");
        let upstream = closes_mid_stream::start(&beginning);
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        let reply = client.exchange(&messages(KEY, "claude-any", true));
        assert!(reply.body.starts_with(beginning.as_bytes()));
        last_error(&reply.body);
        let call = gateway.log().calls(1).remove(0);
        assert_eq!(call["outcome"], "upstream_cut", "{call}");
        assert_eq!(call["input_tokens"], 11, "what was charged so far is known: {call}");
        assert_eq!(upstream.seen().len(), 1, "nothing is asked twice after the first byte");
    });
}

#[test]
fn a_body_that_ends_well_without_the_last_event_is_told() {
    let beginning = sse::message_start("claude-any") + &sse::text_start() + &sse::text_delta("so far");
    let close = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    for_each_engine(|engine| {
        for counted in [true, false] {
            let events = beginning.clone();
            let upstream = Peer::start(move |_, exchange| {
                if counted {
                    exchange.start_events()?;
                    exchange.chunk(events.as_bytes())?;
                    exchange.end_chunks()?;
                    return Ok(After::KeepOpen);
                }
                exchange.raw(close.as_bytes())?;
                exchange.raw(events.as_bytes())?;
                Ok(After::Close)
            });
            let gateway = Gateway::start(engine, &upstream.url());
            let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
            assert!(reply.body.starts_with(beginning.as_bytes()), "what came is passed on: {reply:?}");
            last_error(&reply.body);
            let call = gateway.log().calls(1).remove(0);
            assert_eq!(call["outcome"], "upstream_cut", "{call}");
        }
    });
}

#[test]
fn an_error_that_the_upstream_tells_itself_passes_and_is_recorded() {
    for_each_engine(|engine| {
        let stream = sse::message_start("claude-any")
            + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
               \"message\":\"Overloaded\"}}\n\n";
        let upstream = closes_mid_stream::start(&stream);
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        assert_eq!(String::from_utf8_lossy(&reply.body), stream, "nothing of ours is added to it");
        let call = gateway.log().calls(1).remove(0);
        let error = call["error"].as_str().unwrap_or_default();
        assert!(error.contains("overloaded_error"), "{call}");
        let metrics = once(gateway.addr(), b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        assert!(text.contains("kind=\"error_event\"} 1"), "{text}");
    });
}

#[test]
fn an_upstream_that_dies_inside_an_event_is_told_as_well() {
    for_each_engine(|engine| {
        let whole = sse::message_start("claude-any") + &sse::text_start();
        let delta = sse::text_delta("torn");
        for kept in [3, delta.len() / 2, delta.len() - 2, delta.len() - 1] {
            let upstream = closes_mid_stream::start(&format!("{whole}{}", delta.split_at(kept).0));
            let gateway = Gateway::start(engine, &upstream.url());
            let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
            assert!(reply.body.starts_with(whole.as_bytes()));
            last_error(&reply.body);
        }
    });
}

#[test]
fn a_whole_answer_that_breaks_off_does_not_look_whole() {
    for_each_engine(|engine| {
        let upstream = Peer::start(|_, exchange| {
            exchange.raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"a\":",
            )?;
            Ok(After::Close)
        });
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", false));
        let Ok(head) = client.try_head() else { return };
        if head.status == 502 {
            return;
        }
        let mut read = 0;
        let broken = loop {
            match client.part() {
                Ok(Some(part)) => read += part.len(),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken, "{read} bytes of 500 came and the answer ended as if it were whole");
    });
}

#[test]
fn a_pooled_connection_that_the_upstream_closed_is_not_used() {
    for_each_engine(|engine| {
        for idle in [Duration::ZERO, Duration::from_millis(30)] {
            let upstream = closes_idle_connections::start(idle);
            let gateway = Gateway::start(engine, &upstream.url());
            let mut client = Client::connect(gateway.addr());
            for round in 0..6 {
                let reply = client.exchange(&messages(KEY, "claude-any", false));
                assert_eq!(reply.head.status, 200, "round {round}: {reply:?}");
                std::thread::sleep(idle * 2);
            }
        }
    });
}

#[test]
fn a_pooled_connection_that_closes_under_a_request_is_replaced_once() {
    for_each_engine(|engine| {
        let upstream = closes_idle_connections::on_second_request();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        for round in 0..4 {
            let reply = client.exchange(&messages(KEY, "claude-any", false));
            assert_eq!(reply.head.status, 200, "round {round}: {reply:?}");
        }
        assert_eq!(upstream.connections(), 4, "each round after the first met a closing connection");
    });
}

#[test]
fn a_caller_that_hangs_up_is_noticed_at_once() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any");
        let (upstream, left) = stalls_after_headers::start(&beginning);
        let gateway = Gateway::start(engine, &upstream.url());
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let mut client = Client::connect(gateway.addr());
            client.send(&messages(KEY, "claude-any", true));
            client.head();
            client.read_until("message_start");
            let hung_up = Instant::now();
            drop(client);
            let noticed = left.recv_timeout(Duration::from_secs(20)).expect("the upstream is told");
            best = best.min(noticed.saturating_duration_since(hung_up));
            if best < Duration::from_millis(100) {
                break;
            }
        }
        eprintln!("the upstream saw the close {best:?} after the caller left");
        assert!(best < Duration::from_millis(100), "it took {best:?}");
        assert_eq!(gateway.log().calls(1)[0]["outcome"], "caller_gone");
    });
}

#[test]
fn a_caller_that_hangs_up_before_the_answer_cancels_it() {
    for_each_engine(|engine| {
        let (upstream, left) = stalls_after_headers::before_headers();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        crate::program::eventually("the request arrives", Duration::from_secs(20), || {
            upstream.seen().len() == 1
        });
        drop(client);
        assert!(left.recv_timeout(Duration::from_secs(10)).is_ok(), "the upstream goes on for nobody");
    });
}
