//! Byte fidelity of the model side: what goes in comes out, in both directions.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::client::{Client, Reply, get, messages, messages_body, once, post};
use crate::gateway::{Gateway, KEY, UPSTREAM_KEY, for_each_engine};
use crate::peer::{Seen, answers_before_it_reads, answers_status, pauses_between_pieces};
use crate::peer::{scripted_upstream, sends_one_byte_at_a_time};
use crate::sse;

/// Headers of a request that must arrive, in this order.
const PASSING: &[(&str, &str)] = &[
    ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),
    ("anthropic-not-known-yet", "some value; with=odd, parts"),
    ("X-Claude-Code-Session-Id", "5b0c3c0e-0000-4000-8000-000000000000"),
    ("x-stainless-retry-count", "0"),
];

/// Headers that belong to one connection, or to the caller and us alone.
const STAYING: &[(&str, &str)] = &[
    ("Connection", "keep-alive, x-only-here"),
    ("x-only-here", "1"),
    ("Keep-Alive", "timeout=5"),
    ("TE", "trailers"),
    ("Proxy-Authorization", "Basic c2VjcmV0"),
    ("x-tollgate-key", KEY),
];

/// A body with everything that a re-encoder would change: blanks, order, escapes, numbers, unknown fields.
fn odd_body(model: &str) -> String {
    let filler = "Pójdź, kińże tę chmurność w głąb flaszy 😀\\u00e9\\/ ".repeat(2_000);
    format!(
        "{{ \"zeta\" : 1.50e+01,\t\"model\":\"{model}\" ,\r\n \"stream\":false, \"max_tokens\":32,\
         \"messages\":[{{\"role\":\"user\",\"content\":\"{filler}\"}}, \
         {{\"role\":\"system\",\"content\":\"s\"}}],\
         \"inner\":{{\"model\":\"claude-untouched\"}}, \"a\\\\b\":[ ], \"big\":12345678901234567890 }} \n"
    )
}

fn only(seen: Vec<Seen>) -> Seen {
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.into_iter().next().expect("there is one")
}

#[test]
fn a_request_arrives_byte_for_byte() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let headers: Vec<_> = PASSING.iter().chain(STAYING).copied().collect();
        let body = odd_body("claude-any");
        let target = "/v1/messages?beta=true&x=%7E%2f&&y";
        let reply = once(gateway.addr(), &post(target, KEY, &headers, body.as_bytes()));
        assert_eq!(reply.head.status, 200, "{reply:?}");
        let seen = only(upstream.seen());
        assert_eq!(seen.target, target);
        assert!(seen.body == body.as_bytes(), "the body was changed on its way");
        assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
        let kept: Vec<_> = PASSING.iter().map(|(name, _)| seen.header(name)).collect();
        assert_eq!(kept, PASSING.iter().map(|(_, value)| Some(*value)).collect::<Vec<_>>());
        let places: Vec<_> = PASSING
            .iter()
            .map(|(name, _)| seen.headers.iter().position(|(given, _)| given.eq_ignore_ascii_case(name)))
            .collect();
        assert!(places.is_sorted(), "the order of headers changed: {:?}", seen.headers);
        for (name, _) in STAYING.iter().filter(|(name, _)| *name != "Connection") {
            assert_eq!(seen.header(name), None, "{name} is nobody else's business");
        }
        assert!(
            !format!("{:?}", seen.headers).contains(KEY),
            "the caller's key stays here: {:?}",
            seen.headers
        );
        assert_eq!(seen.header("x-api-key"), Some(UPSTREAM_KEY));
        assert_eq!(seen.header("host"), Some(&*upstream.addr().to_string()));
    });
}

#[test]
fn a_renamed_model_changes_the_model_and_nothing_else() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let body = odd_body("claude-renamed");
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        assert_eq!(reply.head.status, 200, "{reply:?}");
        assert!(
            only(upstream.seen()).body == odd_body("claude-inner").as_bytes(),
            "more than the model changed"
        );
    });
}

#[test]
fn the_last_of_repeated_models_cannot_slip_by() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let body =
            r#"{"model":"claude-allowed-1","max_tokens":1,"messages":[],"mod\u0065l":"claude-forbidden"}"#;
        let reply =
            once(gateway.addr(), &post("/v1/messages", crate::gateway::NARROW_KEY, &[], body.as_bytes()));
        assert!([400, 403].contains(&reply.head.status), "{reply:?}");
        assert!(upstream.seen().is_empty());
    });
}

/// A stream with everything that a parser would tidy up.
fn odd_stream() -> String {
    String::from(": a comment first\n\n")
        + &sse::message_start("claude-any")
        + "event: from_the_future\ndata: {\"type\":\"from_the_future\" , \"x\":[ ]}\n\n"
        + ": ping of somebody\n\n"
        + &sse::text_start()
        + "id: 7\nretry: 10\nevent: content_block_delta\n\
           data: {\"type\":\"content_block_delta\",\"index\":0,\n\
           data:  \"delta\":{\"type\":\"text_delta\",\"text\":\"é😀\"}}\n\n"
        + "event:ping\r\ndata:{}\r\n\r\n"
        + &sse::message_end("end_turn")
        + "data: [DONE]\n\n"
}

fn streamed(gateway: &Gateway) -> Reply {
    once(gateway.addr(), &messages(KEY, "claude-any", true))
}

#[test]
fn a_stream_arrives_byte_for_byte_however_it_is_cut() {
    for_each_engine(|engine| {
        for chunk in [1, 7, 100_000] {
            let upstream = sends_one_byte_at_a_time::start(&odd_stream(), chunk);
            let gateway = Gateway::start(engine, &upstream.url());
            let reply = streamed(&gateway);
            assert_eq!(String::from_utf8_lossy(&reply.body), odd_stream(), "in chunks of {chunk}");
            assert_eq!(reply.header("content-type"), Some("text/event-stream"));
            assert_eq!(reply.header("request-id"), Some("req_upstream_1"));
            assert!(reply.header("x-tollgate-request-id").is_some_and(|id| id.starts_with("req_")));
            assert_eq!(reply.header("trailer"), None);
            let call = gateway.log().calls(1).remove(0);
            assert_eq!(call["stop_reason"], "end_turn", "{call}");
            assert_eq!(call["input_tokens"], 11, "{call}");
            assert_eq!(call["output_tokens"], 5, "{call}");
            assert_eq!(call["cache_read_tokens"], 7, "{call}");
            assert_eq!(call["upstream_request_id"], "req_upstream_1", "{call}");
            assert_eq!(call["outcome"], "done", "{call}");
        }
    });
}

#[test]
fn each_event_is_passed_on_as_it_comes() {
    const PAUSE: Duration = Duration::from_millis(400);
    for_each_engine(|engine| {
        let first = sse::message_start("claude-any") + &sse::text_start();
        let upstream = pauses_between_pieces::start(&[
            (Duration::ZERO, first),
            (PAUSE, sse::text_delta("early")),
            (PAUSE * 5, sse::message_end("end_turn")),
        ]);
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        let head = client.head();
        let so_far = client.read_until("early");
        let so_far = String::from_utf8_lossy(&so_far);
        assert!(!so_far.contains("message_stop"), "the event was held back until the end: {so_far}");
        let rest = client.finish(head);
        assert!(String::from_utf8_lossy(&rest.body).contains("message_stop"));
    });
}

#[test]
fn whole_answers_and_their_headers_arrive_untouched() {
    const BODY: &str =
        "{ \"type\" : \"message\",\n\t\"usage\":{\"input_tokens\":3,\"output_tokens\":2 }, \"x\":1e2 }\r\n";
    for_each_engine(|engine| {
        let upstream = answers_status::start(
            200,
            &[
                ("Content-Type", "application/json; charset=utf-8"),
                ("request-id", "req_upstream_1"),
                ("X-From-The-Future", "kept"),
                ("Vary", "a"),
                ("Vary", "b"),
                ("Set-Cookie", "org=1"),
                ("Strict-Transport-Security", "max-age=1"),
                ("anthropic-organization-id", "org"),
                ("anthropic-ratelimit-requests-remaining", "7"),
                ("Anthropic-RateLimit-Unified-Status", "allowed"),
                ("Connection", "x-only-there"),
                ("X-Only-There", "1"),
            ],
            BODY,
        );
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", false));
        assert_eq!(String::from_utf8_lossy(&reply.body), BODY);
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(reply.header("x-from-the-future"), Some("kept"));
        let repeated = reply.head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("vary"));
        assert_eq!(repeated.count(), 2);
        for name in ["set-cookie", "strict-transport-security"] {
            assert_eq!(reply.header(name), None, "{name} speaks for the upstream's host, not for ours");
        }
        let limits = |name: &str| name.to_ascii_lowercase().starts_with("anthropic-ratelimit");
        assert!(!reply.head.headers.iter().any(|(name, _)| limits(name)), "{:?}", reply.head);
        assert_eq!(reply.header("anthropic-organization-id"), None, "whose account it is stays inside");
        assert_eq!(reply.header("x-only-there"), None);
        let call = gateway.log().calls(1).remove(0);
        assert_eq!((&call["input_tokens"], &call["output_tokens"]), (&json!(3), &json!(2)), "{call}");
    });
}

#[test]
fn one_upstream_connection_carries_call_after_call() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        for round in 0..20 {
            let reply = client.exchange(&messages(KEY, "claude-any", round % 2 == 0));
            assert_eq!(reply.head.status, 200, "{reply:?}");
        }
        // Another caller may use it as well.
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        assert_eq!(upstream.connections(), 1);
    });
}

#[test]
fn a_large_request_arrives_whole() {
    for_each_engine(|engine| {
        let upstream = answers_status::start(200, &[("Content-Type", "application/json")], "{}");
        let gateway = Gateway::start(engine, &upstream.url());
        let filler = "x".repeat(20 * 1024 * 1024);
        let body = messages_body("claude-renamed", false).replace("hi", &filler);
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        assert_eq!(reply.head.status, 200, "{reply:?}");
        let expected = body.replace("claude-renamed", "claude-inner");
        assert!(only(upstream.seen()).body == expected.as_bytes(), "20 MiB were changed on their way");
    });
}

#[test]
fn a_large_request_in_small_chunks_costs_no_more_than_its_size() {
    const PIECES: usize = 28 * 1024;
    for_each_engine(|engine| {
        let upstream = answers_status::start(200, &[("Content-Type", "application/json")], "{}");
        let gateway = Gateway::start(engine, &upstream.url());
        let body = messages_body("claude-any", false);
        let (front, back) = body.split_once("hi").expect("that is the content");
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let head = format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n");
        let mut client = Client::connect(gateway.addr());
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk(front)).as_bytes());
        let packet = chunk(&"x".repeat(1024)).repeat(16);
        for _ in 0..PIECES / 16 {
            client.send(packet.as_bytes());
        }
        client.send(format!("{}0\r\n\r\n", chunk(back)).as_bytes());
        assert_eq!(client.reply().head.status, 200);
        let used = gateway.cpu_time();
        assert_eq!(only(upstream.seen()).body.len(), body.len() - 2 + PIECES * 1024);
        eprintln!("28 MiB in chunks of 1 KiB took {used:?} of CPU");
        assert!(used < Duration::from_secs(2), "28 MiB in chunks of 1 KiB took {used:?} of CPU");
    });
}

#[test]
fn an_answer_may_begin_before_the_request_has_left() {
    for_each_engine(|engine| {
        let (upstream, received) = answers_before_it_reads::start(b"{\"type\":\"message\"}");
        let gateway = Gateway::start(engine, &format!("http://{upstream}"));
        let body = messages_body("claude-any", false).replace("hi", &"x".repeat(8 * 1024 * 1024));
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        assert_eq!(reply.head.status, 200, "{reply:?}");
        assert_eq!(String::from_utf8_lossy(&reply.body), "{\"type\":\"message\"}");
        let received = received.recv_timeout(Duration::from_secs(20)).expect("the upstream got all of it");
        assert!(received == body.as_bytes(), "8 MiB were changed on their way");
    });
}

#[test]
fn every_answer_is_dated_once_and_the_date_of_the_upstream_stays() {
    for_each_engine(|engine| {
        let dated = answers_status::start(200, &[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], "{}");
        let undated = answers_status::start(200, &[], "{}");
        for (upstream, expected) in [(&dated, Some("Sun, 06 Nov 1994 08:49:37 GMT")), (&undated, None)] {
            let gateway = Gateway::start(engine, &upstream.url());
            let mut own = vec![
                once(gateway.addr(), &get("GET", "/healthz", &[])),
                once(gateway.addr(), &messages("tg_nobody", "claude-any", true)),
                once(gateway.addr(), b"nonsense\r\n\r\n"),
            ];
            let relayed = once(gateway.addr(), &messages(KEY, "claude-any", true));
            match expected {
                Some(expected) => assert_eq!(dates(&relayed), [expected], "{relayed:?}"),
                None => own.push(relayed),
            }
            let now = SystemTime::now();
            let near = |back| imf_fixdate(tollgate::clock::unix_s(now - Duration::from_secs(back)));
            let near: Vec<String> = (0..10).map(near).collect();
            for reply in own {
                let right = matches!(&dates(&reply)[..], [date] if near.iter().any(|near| near == date));
                assert!(right, "{reply:?} around {near:?}");
            }
        }
    });
}

/// The values of all `date` headers.
fn dates(reply: &Reply) -> Vec<&str> {
    let headers = reply.head.headers.iter();
    headers.filter(|(name, _)| name.eq_ignore_ascii_case("date")).map(|(_, value)| value.as_str()).collect()
}

/// The date that the library writes, whose text a table of its own has checked.
fn imf_fixdate(second: u64) -> String {
    String::from_utf8_lossy(&tollgate::http::date::imf_fixdate(second)).into_owned()
}
