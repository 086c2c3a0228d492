//! Several targets for one model: who is asked first, who next, and what the caller and the ledger are told.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Client, Reply, get, messages, messages_body, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine, tollgate};
use crate::ledger::{entries, entries_of};
use crate::peer::{After, Peer, answers_status, closes_mid_stream, scripted_upstream};
use crate::sse;

/// A gateway with the providers `one` and `two`; `more` has `models:` and what else is needed.
fn gateway(engine: Engine, one: &Peer, two: &Peer, more: &str) -> Gateway {
    let text = format!(
        "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\nproviders:\n  \
         one: {{ dialect: anthropic, base_url: \"{}\", \
         keys: [first-key-0123456789, other-key-0123456789] }}\n  \
         two: {{ dialect: anthropic, base_url: \"{}\" }}\n\
         keys: [{{ name: main, secret: {KEY} }}]\n{more}\n",
        engine.name(),
        one.url(),
        two.url()
    );
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text);
    Gateway::run(&mut tollgate(folder.path()), folder)
}

const IN_ORDER: &str = "models: { \"claude-*\": [one, { provider: two, model: claude-two }] }";

fn ask(gateway: &Gateway) -> Reply {
    once(gateway.addr(), &messages(KEY, "claude-any", true))
}

fn text_of(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// An upstream that opens a stream, says this, and closes it properly.
fn says(events: &str) -> Peer {
    let events = events.to_owned();
    Peer::start(move |_, exchange| {
        scripted_upstream::stream_events(&events, exchange)?;
        Ok(After::KeepOpen)
    })
}

const ERROR_EVENT: &str = "event: error\ndata: {\"type\":\"error\",\"error\":\
                           {\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

#[test]
fn what_fails_before_its_first_content_is_followed_by_the_next() {
    let html: &[(&str, &str)] = &[("Content-Type", "text/html")];
    let start = sse::message_start("m");
    for_each_engine(|engine| {
        let cases: Vec<(Peer, &str, usize)> = vec![
            (answers_status::start(429, &[("retry-after", "30")], "{}"), "limited", 2),
            (answers_status::start(429, &[], "{}"), "limited", 2),
            (answers_status::start(401, &[], "{}"), "credential", 2),
            (answers_status::start(529, &[], "{}"), "overloaded", 1),
            (answers_status::start(502, html, "<html>bad gateway</html>"), "failing", 1),
            (answers_status::start(200, html, "<html>sign in</html>"), "failing", 1),
            (answers_status::start(200, &[("Content-Type", "application/json")], "{\"oops"), "failing", 1),
            (answers_status::start(200, &[("Content-Type", "text/plain")], &start), "failing", 1),
            (answers_status::start(200, &[("Content-Type", "application/json")], &start), "failing", 1),
            (answers_status::start(200, &[("Content-Type", "text/event-stream")], "{}"), "failing", 1),
            (answers_status::start(200, &[], ""), "failing", 1),
            (answers_status::start(404, &[], "{}"), "missing", 1),
            (closes_mid_stream::before_the_answer(), "closed", 1),
            (closes_mid_stream::start(""), "failing", 1),
            (closes_mid_stream::start(&start), "failing", 1),
            (closes_mid_stream::start(start.trim_end_matches(['\n', '}'])), "failing", 1),
            (says(ERROR_EVENT), "overloaded", 1),
            (says(&format!("{start}: comment\n\nevent: ping\ndata: {{}}\n\n{ERROR_EVENT}")), "overloaded", 1),
            (says(&start), "failing", 1),
        ];
        for (case, (one, kind, times)) in cases.into_iter().enumerate() {
            let two = scripted_upstream::plain();
            let gateway = gateway(engine, &one, &two, IN_ORDER);
            let reply = ask(&gateway);
            assert_eq!(reply.head.status, 200, "{case} {kind}: {reply:?}");
            let text = text_of(&reply);
            assert_eq!(text.matches("message_start").count(), 2, "one start, its name twice: {case} {text}");
            assert!(text.contains("lo") && text.contains("message_stop"), "{case} {text}");
            let (first, second) = (one.seen(), two.seen());
            assert_eq!((first.len(), second.len()), (times, 1), "{case} {kind}");
            assert_eq!(first[0].body, messages_body("claude-any", true).into_bytes());
            assert_eq!(second[0].body, messages_body("claude-two", true).into_bytes());
            assert_eq!(second[0].header("x-api-key"), None, "a key is for its provider");
            let entries = entries_of(gateway);
            let entry =
                entries.iter().find(|entry| entry["kind"] == "model_call").expect("the call is recorded");
            assert_eq!((&entry["provider"], &entry["status"]), (&"two".into(), &200.into()), "{entry}");
            let marks = entry["marks"].as_str().expect("marks are a text");
            assert_eq!(marks.matches(&format!("tried one: {kind}")).count(), times, "{case} {marks}");
        }
    });
}

#[test]
fn what_a_target_may_charge_that_broke_off_is_paid_beside_the_answer() {
    let money = format!("{IN_ORDER}\nprices: {{ models: {{ \"*\": {{ input: 5, output: 25 }} }} }}");
    // A quarter of the bytes are tokens, at 5 dollars for a million.
    let read_pico = messages_body("claude-any", true).len() as u64 / 4 * 5_000_000;
    let html: &[(&str, &str)] = &[("Content-Type", "text/html")];
    let cases: [(Peer, u64); 3] = [
        (closes_mid_stream::start(&sse::message_start("m")), read_pico),
        (closes_mid_stream::before_the_answer(), read_pico),
        (answers_status::start(200, html, "<html>sign in</html>"), 0),
    ];
    for (case, (one, sunk_pico)) in cases.into_iter().enumerate() {
        let two = scripted_upstream::plain();
        let gateway = gateway(Engine::Epoll, &one, &two, &money);
        assert_eq!(ask(&gateway).head.status, 200, "{case}");
        let entries = entries_of(gateway);
        let entry = entries.iter().find(|entry| entry["kind"] == "model_call").expect("it is recorded");
        let usage = |name: &str| entry["tokens"][name].as_u64().unwrap_or(0);
        // What comes from a cache costs a tenth.
        let own_pico =
            usage("input") * 5_000_000 + usage("output") * 25_000_000 + usage("cache_read") * 500_000;
        assert!(own_pico > 0, "{entry}");
        assert_eq!(entry["cost_pico"].as_u64(), Some(own_pico + sunk_pico), "{case} {entry}");
        assert_eq!(entry["priced"] == "estimate", sunk_pico > 0, "{case} {entry}");
        let marked = entry["marks"].as_str().unwrap_or_default().contains("estimate for one: ");
        assert_eq!(marked, sunk_pico > 0, "{case} {entry}");
    }
}

#[test]
fn people_are_told_of_targets_that_are_left_alone_and_of_models_that_nobody_serves() {
    let one = answers_status::start(500, &[], "{}");
    let two = answers_status::start(500, &[], "{}");
    let gateway = gateway(Engine::Epoll, &one, &two, IN_ORDER);
    for _ in 0..8 {
        assert!(ask(&gateway).head.status >= 500);
    }
    let entries = entries_of(gateway);
    let alarms: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "alarm").collect();
    let about = |provider: &str, model: &str| {
        let fits = |entry: &&&Value| {
            entry["provider"].as_str().unwrap_or_default() == provider && entry["model"] == model
        };
        alarms.iter().filter(fits).map(|entry| entry["error"].to_string()).collect::<Vec<String>>()
    };
    for (provider, model) in [("one", "claude-any"), ("two", "claude-two")] {
        let told = about(provider, model);
        let text = format!("provider {provider} fails for {model}: left alone for ");
        assert!(told.len() == 1 && told[0].contains(&text), "{alarms:?}");
    }
    // The first at once, and at the end of the process how many more there were.
    let unserved = about("", "claude-any");
    assert_eq!(unserved.len(), 2, "{alarms:?}");
    assert!(unserved.iter().any(|text| text.contains("(and 6 such changes before)")), "{unserved:?}");
}

#[test]
fn a_limit_holds_for_its_key_and_for_as_long_as_it_was_told() {
    for_each_engine(|engine| {
        let one = Peer::start(|seen, exchange| {
            if seen.header("x-api-key") == Some("first-key-0123456789") {
                exchange.answer(429, &[("retry-after", "600")], b"{}")?;
                return Ok(After::KeepOpen);
            }
            scripted_upstream::stream_events(&sse::text_message("m", &["a"]), exchange)?;
            Ok(After::KeepOpen)
        });
        let two = scripted_upstream::plain();
        let gateway = gateway(engine, &one, &two, IN_ORDER);
        for _ in 0..12 {
            assert_eq!(ask(&gateway).head.status, 200);
        }
        let refused =
            one.seen().iter().filter(|seen| seen.header("x-api-key") == Some("first-key-0123456789")).count();
        assert_eq!((refused, one.seen().len() - refused, two.seen().len()), (1, 12, 0));
    });
}

#[test]
fn the_failure_that_says_most_is_told_as_it_came_and_then_all_rest() {
    for_each_engine(|engine| {
        let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slowly, please"}}"#;
        let one = answers_status::start(429, &[("retry-after", "30"), ("request-id", "req_one")], body);
        let two = answers_status::start(429, &[("retry-after", "40")], "{}");
        let failing = answers_status::start(500, &[], "{}");
        let mixed = gateway(engine, &one, &failing, IN_ORDER);
        let reply = ask(&mixed);
        assert_eq!((reply.head.status, text_of(&reply).as_str()), (429, body), "a limit before a breakdown");
        assert_eq!((reply.header("retry-after"), reply.header("request-id")), (Some("30"), Some("req_one")));
        assert_eq!(failing.seen().len(), 1);
        let entry =
            entries(&mixed).into_iter().find(|entry| entry["kind"] == "model_call").expect("it is recorded");
        assert_eq!((&entry["provider"], &entry["status"]), (&"one".into(), &429.into()), "{entry}");
        assert_eq!(entry["cost_pico"].as_u64().unwrap_or(0), 0, "{entry}");

        let limited = gateway(engine, &one, &two, IN_ORDER);
        let reply = ask(&limited);
        assert_eq!(
            (reply.head.status, reply.header("retry-after")),
            (429, Some("40")),
            "of equal ones the last"
        );
        let asked = (one.seen().len(), two.seen().len());
        let reply = ask(&limited);
        let message = reply.refusal(503, "overloaded_error");
        assert!(message.contains("rests after failures or limits"), "{message}");
        let seconds: u64 =
            reply.header("retry-after").and_then(|text| text.parse().ok()).expect("it says when");
        assert!((1..=30).contains(&seconds), "{seconds}");
        assert_eq!((one.seen().len(), two.seen().len()), asked, "nobody was asked");
    });
}

#[test]
fn what_the_caller_has_to_mend_is_for_the_caller() {
    for_each_engine(|engine| {
        let two = scripted_upstream::plain();
        for status in [400, 413, 422] {
            let body = "{\"error\":{\"message\":\"messages.0.role: no\"}}";
            let one = answers_status::start(status, &[], body);
            let gateway = gateway(engine, &one, &two, IN_ORDER);
            let reply = ask(&gateway);
            assert_eq!((reply.head.status, text_of(&reply).as_str()), (status, body));
            assert_eq!(one.seen().len(), 1);
        }
        // A prompt that is too long goes only where there is known to be more room.
        let long = answers_status::start(400, &[], "prompt is too long: 9 tokens > 5 maximum");
        let same = gateway(engine, &long, &two, IN_ORDER);
        assert_eq!(ask(&same).head.status, 400);
        assert!(two.seen().is_empty());
        let larger = "models: { \"claude-*\": [one, { provider: two, context: 100000 }] }";
        assert_eq!(ask(&gateway(engine, &long, &two, larger)).head.status, 200);
        assert_eq!(two.seen().len(), 1);
    });
}

#[test]
fn what_breaks_off_after_its_first_content_is_not_begun_again() {
    for_each_engine(|engine| {
        let begun = sse::message_start("m") + &sse::text_start() + &sse::text_delta("half");
        let (one, two) = (closes_mid_stream::start(&begun), scripted_upstream::plain());
        let gateway = gateway(engine, &one, &two, IN_ORDER);
        let reply = ask(&gateway);
        let text = text_of(&reply);
        assert!(text.starts_with(&begun) && text.contains("event: error"), "{text}");
        assert!(two.seen().is_empty());
    });
}

#[test]
fn a_head_is_held_back_for_so_long_and_then_goes_out() {
    for_each_engine(|engine| {
        let (go, gone) = channel::<()>();
        let gone = Mutex::new(gone);
        let one = Peer::start(move |_, exchange| {
            exchange.start_events()?;
            exchange.chunk(sse::message_start("m").as_bytes())?;
            // Until the test has read the beginning.
            gone.lock().expect("nobody has panicked").recv_timeout(Duration::from_secs(60)).ok();
            let rest = sse::text_start() + &sse::text_delta("late") + &sse::message_end("end_turn");
            exchange.chunk(rest.as_bytes())?;
            exchange.end_chunks()?;
            Ok(After::KeepOpen)
        });
        let two = scripted_upstream::plain();
        let gateway = gateway(engine, &one, &two, &format!("{IN_ORDER}\nfailover: {{ hold_ms: 50 }}"));
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        assert_eq!(client.head().status, 200);
        let mut text = client.read_until("message_start\"");
        go.send(()).expect("the upstream waits");
        text.extend(client.read_until("message_stop\""));
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("late") && !text.contains("event: error"), "{text}");
        assert!(two.seen().is_empty());
    });
}

#[test]
fn a_session_keeps_its_target() {
    for_each_engine(|engine| {
        let (one, two) = (scripted_upstream::plain(), scripted_upstream::plain());
        let more = "models: { \"claude-*\": [{ provider: one, weight: 1 }, two] }";
        let gateway = gateway(engine, &one, &two, more);
        for number in 0..12 {
            let name = format!("session-{number}");
            let before = (one.seen().len(), two.seen().len());
            for _ in 0..3 {
                let headers = [("X-Claude-Code-Session-Id", name.as_str())];
                let body = messages_body("claude-any", true);
                let request = post("/v1/messages", KEY, &headers, body.as_bytes());
                assert_eq!(once(gateway.addr(), &request).head.status, 200);
            }
            let came = (one.seen().len() - before.0, two.seen().len() - before.1);
            assert!(came == (3, 0) || came == (0, 3), "{came:?}");
        }
    });
}

#[test]
fn rules_tiers_and_limits_of_targets_hold() {
    for_each_engine(|engine| {
        let (one, two) = (scripted_upstream::plain(), scripted_upstream::plain());
        let more = "models: { \"claude-*\": [{ provider: one, context: 1000, images: false }] }\n\
                    tiers: { opus: [{ provider: two, model: gpt-6 }] }\n\
                    routes: [{ when: { class: background, models: \"claude-haiku-*\" }, use: [two] }]";
        let gateway = gateway(engine, &one, &two, more);
        let models = once(gateway.addr(), &get("GET", "/v1/models", &[("x-api-key", KEY)])).json();
        let listed: Vec<&str> = models["data"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|model| model["id"].as_str())
            .collect();
        assert!(listed.contains(&"claude-opus-via-gpt-6"), "{listed:?}");
        for (model, sent) in [
            ("claude-opus-via-gpt-6", "gpt-6"),
            ("claude-opus-5", "gpt-6"),
            ("claude-haiku-5", "claude-haiku-5"),
        ] {
            let before = two.seen().len();
            assert_eq!(once(gateway.addr(), &messages(KEY, model, false)).head.status, 200);
            assert_eq!(two.seen()[before].body, messages_body(sent, false).into_bytes(), "{model}");
        }
        let entries = entries(&gateway);
        let marks: Vec<&str> = entries.iter().filter_map(|entry| entry["marks"].as_str()).collect();
        assert!(marks.iter().any(|mark| mark.contains("routes 1")), "{marks:?}");
        let asked = |content: &Value| {
            let body = serde_json::json!({ "model": "claude-any", "max_tokens": 10,
                "messages": [{ "role": "user", "content": content }] });
            once(gateway.addr(), &post("/v1/messages", KEY, &[], body.to_string().as_bytes()))
        };
        assert_eq!(asked(&"a".repeat(3_000).into()).head.status, 200);
        let message = asked(&"a".repeat(5_000).into()).refusal(400, "invalid_request_error");
        assert!(
            message.starts_with("prompt is too long: ") && message.ends_with(" > 1000 maximum"),
            "{message}"
        );
        let image = serde_json::json!([{ "type": "image", "source": { "type": "base64", "data": "" } }]);
        let message = asked(&image).refusal(403, "permission_error");
        assert!(message.contains("images: false"), "{message}");
    });
}
