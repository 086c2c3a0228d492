//! Heads and bodies that two parsers could read in two ways: refused with a status, closed, never passed on.

use std::time::Duration;

use crate::client::{Client, get, messages};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::scripted_upstream;

/// The beginning of a call with a good key, which `ASK` stands for below.
fn ask() -> String {
    format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n")
}

/// Name, what is sent, the status it gets.
const CASES: &[(&str, &str, u16)] = &[
    (
        "both framings",
        "ASKContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("two lengths", "ASKContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    ("the same length twice", "ASKContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
    ("a list of lengths", "ASKContent-Length: 2, 2\r\n\r\n{}", 400),
    ("a signed length", "ASKContent-Length: +2\r\n\r\n{}", 400),
    ("a length of words", "ASKContent-Length: two\r\n\r\n{}", 400),
    ("a folded header", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n  2\r\n\r\n", 400),
    ("bare LF", "GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    ("one bare LF", "GET /healthz HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n", 400),
    ("absolute form", "GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("authority form", "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n", 501),
    ("no host", "GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("two hosts", "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    ("blank before the colon", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A : 1\r\n\r\n", 400),
    ("a zero byte", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n", 400),
    ("no version", "GET /healthz\r\n\r\n", 400),
    ("another version", "GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ("another coding", "ASKTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("chunked twice", "ASKTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked not last", "ASKTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("a chunk size of words", "ASKTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size with a sign", "ASKTransfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n", 400),
    (
        "a chunk size of 65 bits",
        "ASKTransfer-Encoding: chunked\r\n\r\n\
         10000000000000002\r\n{}\r\n0\r\n\r\n",
        400,
    ),
    ("a chunk longer than it says", "ASKTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk that ends in LF", "ASKTransfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n", 400),
    ("another expectation", "ASKExpect: miracles\r\nContent-Length: 2\r\n\r\n{}", 417),
    ("not HTTP at all", "\x16\x03\x01\x02\x00\x01\r\n\r\n\r\n", 400),
];

#[test]
fn what_can_be_read_in_two_ways_is_refused_and_closed() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        for (name, bytes, status) in CASES {
            check(&gateway, name, &bytes.replace("ASK", &ask()), *status);
        }
        let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(9 * 1024));
        check(&gateway, "a long target", &target, 414);
        let header = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(40 * 1024));
        check(&gateway, "a long head", &header, 431);
        let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: 1\r\n".repeat(101));
        check(&gateway, "many headers", &many, 431);
        assert!(upstream.seen().is_empty(), "nothing of it reached the upstream: {:?}", upstream.seen());
    });
}

/// Sends the bytes with a good request right behind them, which must never be answered.
#[track_caller]
fn check(gateway: &Gateway, name: &str, bytes: &str, status: u16) {
    let mut client = Client::connect(gateway.addr());
    let smuggled = messages(KEY, "claude-smuggled", false);
    // It may refuse and close before all of it is sent.
    drop(client.try_send(&[bytes.as_bytes(), &smuggled].concat()));
    let head = client.try_head().unwrap_or_else(|why| panic!("{name}: {why}"));
    assert_eq!(head.status, status, "{name}: {head:?}");
    assert_eq!(head.header("connection"), Some("close"), "{name}: {head:?}");
    let reply = client.finish(head);
    assert_eq!(reply.json()["type"], "error", "{name}");
    assert!(client.closes_within(Duration::from_secs(5)), "{name}: the connection stays open");
}

#[test]
fn a_target_of_32_kib_of_nothing_is_not_waited_for() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        // It may refuse and close before all of it is sent.
        drop(client.try_send("A".repeat(64 * 1024).as_bytes()));
        let head = client.try_head().expect("it is answered before it ends");
        assert!([400, 414, 431].contains(&head.status), "{head:?}");
    });
}

#[test]
fn what_follows_a_head_request_is_refused_with_a_body() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        client.send(&get("HEAD", "/api/hello", &[]));
        assert_eq!(client.head_only().expect("HEAD is answered").status, 200);
        // What cannot be read has no method, least of all that of the request before it.
        client.send(b"nonsense\r\n\r\n");
        client.reply().refusal(400, "invalid_request_error");
        assert!(client.closes_within(Duration::from_secs(5)), "the connection stays open");
    });
}
