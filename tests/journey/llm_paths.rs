//! Where the model side answers, and the ways of HTTP/1.1 in which it can be asked.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, get, messages, messages_body, once, post};
use crate::gateway::{Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::peer::{After, Peer, scripted_upstream, stalls_after_headers};

#[test]
fn every_address_leads_to_the_same_place() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        let bodies = messages_body("claude-allowed-1", false);
        let paths = [
            "/v1/messages",
            "/v1/messages/",
            "/anthropic/v1/messages",
            "/t/narrow/v1/messages",
            "/t/narrow/anthropic/v1/messages",
            "/v1/v1/messages",
            "/anthropic/v1/v1/messages",
        ];
        for path in paths {
            let target = format!("{path}?beta=true");
            let reply = client.exchange(&post(&target, NARROW_KEY, &[], bodies.as_bytes()));
            assert_eq!(reply.head.status, 200, "{path}: {reply:?}");
        }
        let seen = upstream.seen();
        assert_eq!(seen.len(), paths.len());
        assert!(seen.iter().all(|seen| seen.target == "/v1/messages?beta=true"), "{seen:?}");
    });
}

#[test]
fn the_prefix_of_another_team_is_refused() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let body = messages_body("claude-allowed-1", false);
        let reply = once(gateway.addr(), &post("/t/others/v1/messages", NARROW_KEY, &[], body.as_bytes()));
        reply.refusal(403, "permission_error");
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn hello_costs_nothing_and_keeps_the_connection() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        for path in ["/api/hello", "/anthropic/api/hello", "/healthz", "/readyz"] {
            client.send(&get("HEAD", path, &[("User-Agent", "Bun/1.4.4")]));
            let head = client.head_only().expect("HEAD is answered");
            assert_eq!(head.status, 200, "{path}");
        }
        let reply = client.exchange(&messages(KEY, "claude-any", false));
        assert_eq!(reply.head.status, 200, "the connection is good for more: {reply:?}");
        assert_eq!(upstream.seen().len(), 1);
    });
}

#[test]
fn tokens_are_counted_by_the_upstream() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let body = messages_body("claude-renamed", false);
        let request = post("/v1/messages/count_tokens?beta=true", KEY, &[], body.as_bytes());
        let reply = once(gateway.addr(), &request);
        assert_eq!(reply.json()["input_tokens"], 42, "{reply:?}");
        let seen = upstream.seen_at("/v1/messages/count_tokens");
        assert_eq!(seen.len(), 1);
        assert!(String::from_utf8_lossy(&seen[0].body).contains("claude-inner"));
        once(gateway.addr(), &post("/v1/messages/count_tokens", "tg_nobody", &[], body.as_bytes()))
            .refusal(401, "authentication_error");
    });
}

#[test]
fn models_are_listed_as_far_as_the_key_may_name_them() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let list = |key: &str| {
            let reply = once(gateway.addr(), &get("GET", "/v1/models?limit=1000", &[("x-api-key", key)]));
            assert_eq!(reply.head.status, 200, "{reply:?}");
            let json = reply.json();
            let data = json["data"].as_array().expect("a list of models has data").clone();
            assert_eq!(json["has_more"], Value::Bool(false), "{json}");
            data.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let all = list(KEY);
        assert!(all.iter().any(|id| id == "claude-renamed"), "{all:?}");
        assert!(list(NARROW_KEY).iter().all(|id| id.starts_with("claude-allowed")));
    });
}

#[test]
fn metrics_count_what_happened() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        once(gateway.addr(), &messages("tg_nobody", "claude-any", true)).refusal(401, "authentication_error");
        let reply = once(gateway.addr(), &get("GET", "/metrics", &[]));
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        for wanted in [
            "tollgate_requests_total{endpoint=\"messages\",provider=\"up\",code=\"200\"} 1".to_owned(),
            "code=\"401\"} 1".to_owned(),
            "kind=\"input\"} 11".to_owned(),
            "kind=\"cache_read\"} 7".to_owned(),
            "kind=\"output\"} 5".to_owned(),
            "tollgate_time_to_first_byte_seconds_count".to_owned(),
            format!("tollgate_workers{{engine=\"{}\"}} 1", engine.name()),
        ] {
            assert!(text.contains(&wanted), "{wanted} is missing in\n{text}");
        }
        assert!(!text.contains("claude-any"), "names that callers choose make no labels:\n{text}");
    });
}

#[test]
fn a_body_may_come_in_chunks() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let body = messages_body("claude-renamed", false);
        let mut client = Client::connect(gateway.addr());
        client.send(
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\n\
                 transfer-encoding: Chunked\r\n\r\n"
            )
            .as_bytes(),
        );
        for piece in body.as_bytes().chunks(17) {
            let piece = String::from_utf8_lossy(piece);
            client.send(format!("{:X};name=\"va;lue\"\r\n{piece}\r\n", piece.len()).as_bytes());
            thread::sleep(Duration::from_millis(2));
        }
        client.send(b"0\r\nX-Trailer: dropped\r\n\r\n");
        assert_eq!(client.reply().head.status, 200);
        let seen = upstream.seen();
        assert_eq!(String::from_utf8_lossy(&seen[0].body), messages_body("claude-inner", false));
        assert_eq!(seen[0].header("x-trailer"), None);
        let reply = client.exchange(&messages(KEY, "claude-any", false));
        assert_eq!(reply.head.status, 200, "the connection is good for more");
    });
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let body = messages_body("claude-any", false);
        let head = |key: &str| {
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nExpect: 100-Continue\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            )
        };
        let mut client = Client::connect(gateway.addr());
        client.send(head(KEY).as_bytes());
        assert_eq!(client.head().status, 100);
        client.send(body.as_bytes());
        assert_eq!(client.reply().head.status, 200);
        assert_eq!(upstream.seen()[0].header("expect"), None);

        let mut client = Client::connect(gateway.addr());
        client.send(head("tg_nobody").as_bytes());
        client.reply().refusal(401, "authentication_error");
        assert!(client.closes_within(Duration::from_secs(5)), "a body that nobody wants ends the connection");
    });
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut packet = Vec::new();
        for model in ["claude-one", "claude-two", "claude-three"] {
            packet.extend_from_slice(&messages(KEY, model, false));
        }
        packet.extend_from_slice(&get("GET", "/nothing", &[("x-api-key", KEY)]));
        let mut client = Client::connect(gateway.addr());
        client.send(&packet);
        for model in ["claude-one", "claude-two", "claude-three"] {
            assert_eq!(client.reply().json()["model"], model);
        }
        client.reply().refusal(404, "not_found_error");
        assert_eq!(upstream.seen().len(), 3);
    });
}

#[test]
fn a_request_may_trickle_in() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        for byte in messages(KEY, "claude-any", false) {
            client.send(&[byte]);
        }
        assert_eq!(client.reply().head.status, 200);
    });
}

#[test]
fn a_client_may_close_its_side_and_still_read() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        client.send(&get("GET", "/healthz", &[("Connection", "close")]));
        client.finish_sending();
        let reply = client.reply();
        assert_eq!(reply.head.status, 200);
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(client.closes_within(Duration::from_secs(10)));
    });
}

#[test]
fn an_answer_without_any_length_ends_with_its_connection() {
    for_each_engine(|engine| {
        let upstream = Peer::start(|_, exchange| {
            exchange
                .raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"type\":\"message\"}")?;
            Ok(After::Close)
        });
        let gateway = Gateway::start(engine, &upstream.url());
        let mut client = Client::connect(gateway.addr());
        for _ in 0..2 {
            let reply = client.exchange(&messages(KEY, "claude-any", false));
            assert_eq!(String::from_utf8_lossy(&reply.body), "{\"type\":\"message\"}");
        }
    });
}

#[test]
fn providers_that_are_silent_keep_no_list_waiting() {
    for_each_engine(|engine| {
        let silent = [stalls_after_headers::before_headers(), stalls_after_headers::before_headers()];
        let text = config(engine, &silent[0].0.url(), "")
            .replace(
                "models:\n  \"",
                &format!(
                    "  too: {{ dialect: anthropic, base_url: \"{}\" }}\nmodels:\n  \"",
                    silent[1].0.url()
                ),
            )
            .replace("[up]", "[up, too]");
        let folder = Folder::new();
        folder.write("tollgate.yaml", &text);
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        let started = Instant::now();
        let reply = once(gateway.addr(), &get("GET", "/v1/models?limit=1000", &[("x-api-key", KEY)]));
        let took = started.elapsed();
        assert_eq!(
            reply.json()["data"][0]["id"],
            "claude-renamed",
            "what the config says is there: {reply:?}"
        );
        assert!(took < Duration::from_secs(3), "Claude Code waits for 3 s, this took {took:?}");
    });
}
