//! The error contract: each answer that costs Claude Code something, row by row.

use std::time::Duration;

use crate::client::{Client, Reply, get, messages, messages_body, once, post};
use crate::gateway::{Gateway, KEY, NARROW_KEY, for_each_engine, tollgate};
use crate::peer::{answers_status, closes_mid_stream, scripted_upstream};
use crate::program::{self, eventually};

#[test]
fn an_unknown_or_missing_key_is_final() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut cases = vec![
            once(gateway.addr(), &messages("tg_nobody", "claude-any", true)),
            once(gateway.addr(), &messages("", "claude-any", true)),
        ];
        let body = messages_body("claude-any", false);
        let bare =
            format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        cases.push(once(gateway.addr(), bare.as_bytes()));
        cases.push(once(gateway.addr(), &get("GET", "/v1/models", &[("x-api-key", "tg_nobody")])));
        for reply in cases {
            reply.refusal(401, "authentication_error");
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{reply:?}");
        }
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn a_key_is_taken_in_each_of_its_three_headers() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let bearer = format!("Bearer {KEY}");
        for (name, value) in [("Authorization", bearer.as_str()), ("x-api-key", KEY), ("X-Tollgate-Key", KEY)]
        {
            let reply = once(gateway.addr(), &get("GET", "/v1/models?limit=1000", &[(name, value)]));
            assert_eq!(reply.head.status, 200, "{name}: {reply:?}");
        }
    });
}

#[test]
fn a_revoked_key_is_refused_while_running() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let folder = gateway.folder().path();
        let second = Duration::from_secs(10);
        let made = program::run(tollgate(folder).args(["key", "create", "--name", "ada", "--json"]), second);
        let made: serde_json::Value =
            serde_json::from_str(&made.succeeded().stdout).expect("--json prints JSON");
        let key = made["key"].as_str().expect("the key is shown once");
        let status = || once(gateway.addr(), &messages(key, "claude-any", false)).head.status;
        eventually("the new key is taken", Duration::from_secs(15), || status() == 200);
        program::run(tollgate(folder).args(["key", "revoke", "ada"]), second).succeeded();
        eventually("the revoked key is refused", Duration::from_secs(15), || status() == 401);
        let reply = once(gateway.addr(), &messages(key, "claude-any", false));
        reply.refusal(401, "authentication_error");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
    });
}

#[test]
fn a_model_that_is_not_allowed_is_a_403_that_names_it() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = once(gateway.addr(), &messages(NARROW_KEY, "claude-forbidden", true));
        let message = reply.refusal(403, "permission_error");
        assert!(message.contains("claude-forbidden"), "{message}");
        assert!(upstream.seen().is_empty());
        let allowed = once(gateway.addr(), &messages(NARROW_KEY, "claude-allowed-1", true));
        assert_eq!(allowed.head.status, 200, "{allowed:?}");
    });
}

#[test]
fn a_model_that_nobody_serves_is_a_404() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = once(gateway.addr(), &messages(KEY, "gpt-nobody", true));
        assert!(reply.refusal(404, "not_found_error").contains("gpt-nobody"), "{reply:?}");
    });
}

#[test]
fn a_body_over_the_limit_is_a_413() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: {}\r\n\r\n",
            32 * 1024 * 1024 + 1
        );
        let mut client = Client::connect(gateway.addr());
        client.send(head.as_bytes());
        client.reply().refusal(413, "request_too_large");

        let mut client = Client::connect(gateway.addr());
        client.send(
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            )
            .as_bytes(),
        );
        let mib = "x".repeat(1024 * 1024);
        for _ in 0..34 {
            // It may refuse and close before the end.
            if client.try_send(format!("100000\r\n{mib}\r\n").as_bytes()).is_err() {
                break;
            }
        }
        client.reply().refusal(413, "request_too_large");
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn bad_json_is_a_400_that_goes_nowhere() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let deep = format!("{{\"model\":\"claude-any\",\"x\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        let cases: [&[u8]; 8] = [
            b"",
            b"{",
            b"[]",
            b"{\"messages\":[]}",
            b"{\"model\":7}",
            b"{\"model\":\"claude-any\"} trailing",
            b"{\"model\":\"claude-\xff\"}",
            deep.as_bytes(),
        ];
        let mut client = Client::connect(gateway.addr());
        for body in cases {
            let reply = client.exchange(&post("/v1/messages", KEY, &[], body));
            reply.refusal(400, "invalid_request_error");
        }
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn unknown_addresses_and_methods_are_said_so() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        for path in
            ["/", "/v1", "/v1/nothing", "/v1/messages/x", "/anthropic", "/t//v1/messages", "/v1/v1/v1/models"]
        {
            let reply = client.exchange(&get("GET", path, &[("x-api-key", KEY)]));
            reply.refusal(404, "not_found_error");
        }
        let reply = client.exchange(&get("GET", "/v1/messages", &[("x-api-key", KEY)]));
        reply.refusal(405, "invalid_request_error");
        assert!(upstream.seen().is_empty());
    });
}

/// What an upstream says of itself, with blanks that an encoder would drop.
const THEIRS: &str =
    "{ \"type\":\"error\",  \"error\":{\"type\":\"t\",\"message\":\"prompt is too long: 2 > 1\"} }\n";

fn relayed(status: u16) -> [(Reply, usize); 2] {
    let both = std::cell::RefCell::new(Vec::new());
    for_each_engine(|engine| {
        let headers = &[
            ("Content-Type", "application/json"),
            ("request-id", "req_theirs"),
            ("retry-after", "17"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
        ];
        let upstream = answers_status::start(status, headers, THEIRS);
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        both.borrow_mut().push((reply, upstream.seen().len()));
    });
    let mut both = both.into_inner();
    let last = both.pop().expect("at least one engine ran");
    [both.pop().unwrap_or_else(|| last.clone()), last]
}

#[test]
fn errors_of_the_upstream_pass_untouched() {
    for status in [400, 403, 404, 413, 422, 429, 500, 502, 503, 529] {
        for (reply, asked) in relayed(status) {
            assert_eq!(reply.head.status, status);
            assert_eq!(String::from_utf8_lossy(&reply.body), THEIRS, "{status}");
            assert_eq!(reply.header("retry-after"), Some("17"), "{status}");
            assert_eq!(reply.header("request-id"), Some("req_theirs"), "{status}");
            assert_eq!(reply.header("content-type"), Some("application/json"), "{status}");
            assert_eq!(reply.header("x-should-retry"), None, "{status}: that is not ours to say");
            assert_eq!(reply.header("anthropic-ratelimit-tokens-remaining"), None, "{status}");
            assert_eq!(asked, 1, "{status}: the client decides on retries");
        }
    }
}

#[test]
fn a_401_of_the_upstream_does_not_cost_eleven_requests() {
    for (reply, _) in relayed(401) {
        assert_eq!(reply.head.status, 401);
        assert_eq!(String::from_utf8_lossy(&reply.body), THEIRS);
        assert_eq!(reply.header("x-should-retry"), Some("false"));
    }
}

#[test]
fn html_of_a_proxy_in_between_passes_too() {
    for_each_engine(|engine| {
        let upstream =
            answers_status::start(502, &[("Content-Type", "text/html")], "<html>bad gateway</html>");
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        assert_eq!((reply.head.status, reply.body.as_slice()), (502, b"<html>bad gateway</html>".as_slice()));
    });
}

#[test]
fn an_upstream_that_is_not_there_is_a_502() {
    for_each_engine(|engine| {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = closed.local_addr().expect("a listener has an address");
        drop(closed);
        let gateway = Gateway::start(engine, &format!("http://{addr}"));
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        let message = reply.refusal(502, "api_error");
        assert!(!message.contains(&addr.to_string()), "addresses of the inside stay inside: {message}");
        assert_ne!(reply.header("x-should-retry"), Some("false"), "trying again may help");
    });
}

#[test]
fn an_upstream_that_closes_without_an_answer_is_a_502() {
    for_each_engine(|engine| {
        let upstream = closes_mid_stream::before_the_answer();
        let gateway = Gateway::start(engine, &upstream.url());
        once(gateway.addr(), &messages(KEY, "claude-any", true)).refusal(502, "api_error");
        assert!(upstream.seen().len() <= 2, "a lost request is not sent again and again");
    });
}

#[test]
fn an_upstream_that_does_not_speak_http_is_a_502() {
    for_each_engine(|engine| {
        let upstream = crate::peer::Peer::start(|_, exchange| {
            exchange.raw(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")?;
            Ok(crate::peer::After::Close)
        });
        let gateway = Gateway::start(engine, &upstream.url());
        once(gateway.addr(), &messages(KEY, "claude-any", true)).refusal(502, "api_error");
    });
}

#[test]
fn a_call_that_was_answered_at_all_is_not_sent_again() {
    for_each_engine(|engine| {
        for begun in ["HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 2"] {
            let first = std::sync::atomic::AtomicBool::new(true);
            let upstream = crate::peer::Peer::start(move |_, exchange| {
                if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                    exchange.answer(200, &[("Content-Type", "application/json")], b"{}")?;
                    return Ok(crate::peer::After::KeepOpen);
                }
                exchange.raw(begun.as_bytes())?;
                Ok(crate::peer::After::Close)
            });
            let gateway = Gateway::start(engine, &upstream.url());
            let mut client = Client::connect(gateway.addr());
            let request = messages(KEY, "claude-any", true);
            assert_eq!(client.exchange(&request).head.status, 200);
            client.exchange(&request).refusal(502, "api_error");
            let connections: Vec<_> = upstream.seen().iter().map(|seen| seen.connection).collect();
            assert_eq!(connections, [0, 0], "{begun:?}: the model would work, and be paid, twice");
        }
    });
}
