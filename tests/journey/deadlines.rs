//! Silence and slowness, on either side: everything that can take forever has a deadline.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, get, messages, once, post};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::{pauses_between_pieces, scripted_upstream, stalls_after_headers};
use crate::sse;

/// Far beyond each deadline below, far below the defaults.
const SOON: Duration = Duration::from_secs(5);

/// Reads what a closing gateway may say first: nothing, or a 408.
#[track_caller]
fn refused_or_closed(client: &mut Client) {
    match client.try_head() {
        Ok(head) => {
            assert_eq!(head.status, 408, "{head:?}");
            assert_eq!(head.header("connection"), Some("close"), "{head:?}");
            client.finish(head).refusal(408, "timeout_error");
        }
        Err(why) => assert_eq!(why.kind(), std::io::ErrorKind::UnexpectedEof, "{why}"),
    }
    assert!(client.closes_within(SOON), "the connection stays open");
}

#[test]
fn a_head_that_drips_is_cut_off() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::with(engine, &upstream.url(), "timeouts: { head_ms: 400 }");
        let mut client = Client::connect(gateway.addr());
        let started = Instant::now();
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ");
        while client.try_send(b"a").is_ok() && started.elapsed() < Duration::from_millis(1_500) {
            thread::sleep(Duration::from_millis(50));
        }
        // Each byte alone would be in time: the deadline is for the whole head.
        match client.try_head() {
            Ok(head) => assert_eq!(head.status, 408, "{head:?}"),
            Err(why) => assert_ne!(why.kind(), std::io::ErrorKind::WouldBlock, "still open after {why}"),
        }
        assert!(started.elapsed() < SOON);
    });
}

#[test]
fn many_slow_heads_do_not_keep_others_waiting() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut slow: Vec<Client> = (0..200).map(|_| Client::connect(gateway.addr())).collect();
        for client in &mut slow {
            client.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n");
        }
        let started = Instant::now();
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        assert!(started.elapsed() < SOON, "it took {:?}", started.elapsed());
    });
}

#[test]
fn a_body_that_stops_is_cut_off() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::with(engine, &upstream.url(), "timeouts: { body_stall_ms: 300 }");
        let mut client = Client::connect(gateway.addr());
        let whole = messages(KEY, "claude-any", false);
        client.send(&whole[..whole.len() - 10]);
        refused_or_closed(&mut client);

        let mut client = Client::connect(gateway.addr());
        let head = format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n");
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"a").as_bytes());
        refused_or_closed(&mut client);
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn a_connection_without_requests_is_closed() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::with(engine, &upstream.url(), "timeouts: { idle_ms: 1500 }");
        let mut fresh = Client::connect(gateway.addr());
        assert!(fresh.closes_within(SOON), "a silent new connection stays open");
        let mut used = Client::connect(gateway.addr());
        used.exchange(&get("GET", "/healthz", &[]));
        assert!(used.closes_within(SOON), "a silent used connection stays open");
    });
}

#[test]
fn an_upstream_that_never_answers_is_a_504() {
    for_each_engine(|engine| {
        let (upstream, left) = stalls_after_headers::before_headers();
        let gateway = Gateway::with(engine, &upstream.url(), "timeouts: { first_byte_ms: 400 }");
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        reply.refusal(504, "timeout_error");
        assert!(left.recv_timeout(SOON).is_ok(), "the upstream connection is given up");
    });
}

#[test]
fn an_upstream_that_falls_silent_ends_in_an_error_event() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any") + &sse::text_start() + &sse::text_delta("so far");
        let (upstream, left) = stalls_after_headers::start(&beginning);
        let gateway = Gateway::with(engine, &upstream.url(), "timeouts: { stream_stall_ms: 500 }");
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.starts_with(&beginning), "{text}");
        let names = sse::names(&reply.body);
        assert_eq!(names.last().map(String::as_str), Some("error"), "{text}");
        assert!(!names.iter().any(|name| name == "message_stop"), "{text}");
        assert!(left.recv_timeout(SOON).is_ok(), "the upstream connection is given up");
        assert_eq!(gateway.log().calls(1)[0]["outcome"], "upstream_stalled");
    });
}

#[test]
fn a_caller_that_never_reads_is_let_go() {
    for_each_engine(|engine| {
        let (upstream, sent) = crate::peer::never_stops_sending::start();
        let gateway = Gateway::with(engine, &upstream.url(), "timeouts: { write_stall_ms: 500 }");
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        let call = gateway.log().calls(1).remove(0);
        assert_eq!(call["outcome"], "caller_gone", "{call}");
        assert!(sent.load(std::sync::atomic::Ordering::SeqCst) > 0);
    });
}

#[test]
fn a_slow_but_steady_stream_is_not_cut() {
    for_each_engine(|engine| {
        let mut pieces = vec![(Duration::ZERO, sse::message_start("claude-any") + &sse::text_start())];
        pieces.extend((0..10).map(|_| (Duration::from_millis(250), sse::text_delta("tick"))));
        pieces.push((Duration::ZERO, sse::message_end("end_turn")));
        let upstream = pauses_between_pieces::start(&pieces);
        let more = "timeouts: { head_ms: 1500, idle_ms: 1500, body_stall_ms: 1500, write_stall_ms: 1500, \
                    first_byte_ms: 1500, stream_stall_ms: 1600 }";
        let gateway = Gateway::with(engine, &upstream.url(), more);
        let body = crate::client::messages_body("claude-any", true);
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        let expected: String = pieces.into_iter().map(|(_, piece)| piece).collect();
        assert_eq!(String::from_utf8_lossy(&reply.body), expected);
    });
}
