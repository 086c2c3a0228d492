//! Rules about inputs of tools and looking for what must not be said, from the wire and with Claude Code.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::claude_code::{claude, result};
use crate::client::{once, post};
use crate::gateway::{Folder, Gateway, KEY, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::peer::scripted_turns;
use crate::peer::speaks_mcp::{self, Era, document};
use crate::peer::{After, Exchange, Peer, Seen, scripted_upstream};
use crate::{program, sse};

/// One run takes 1 to 3 s on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A rule in a config, for everyone.
const RULE: &str = "tool_inputs: ['deny Bash,mcp__* matching \"forbidden\"']\n";

/// What the rule denies, in a way that its word is not to be seen.
const EVADING: &str = "touch for''bidden.txt";

const PLAIN: &str = "touch allowed.txt";

/// A message that calls `Bash` with these lines, each of which the safeguards give an outcome.
fn safeguarded(lines: &[(&str, &str)]) -> String {
    let inputs: Vec<Value> =
        lines.iter().map(|(line, _)| json!({ "command": line, "description": "touch" })).collect();
    let ids: Vec<String> = (0..lines.len()).map(|number| format!("toolu_{number}")).collect();
    let calls: Vec<(&str, &str, &Value)> =
        ids.iter().zip(&inputs).map(|(id, input)| (id.as_str(), "Bash", input)).collect();
    let verdicts = ids
        .iter()
        .zip(lines)
        .map(|(id, (_, outcome))| (id.clone(), json!({ "type": "evaluated", "outcome": outcome })));
    let uses: serde_json::Map<String, Value> = verdicts.collect();
    let status = json!({ "type": "available", "tool_uses": uses });
    let results = json!([{ "type": "dangerous_tool_use", "status": status }]);
    sse::tools_message("claude-any", &calls).replace(
        "\"stop_reason\":\"tool_use\"",
        &format!("\"stop_reason\":\"tool_use\",\"safeguard_results\":{results}"),
    )
}

/// A request in auto mode.
fn asking(stream: bool) -> String {
    let context = json!({ "v": 1, "permission_mode": "auto", "live_cwd": "/srv/app", "home_dir": "/root" });
    json!({
        "model": "claude-any",
        "max_tokens": 32,
        "stream": stream,
        "messages": [{ "role": "user", "content": "hi" }],
        "safeguards": [{ "type": "dangerous_tool_use", "classifier_context": context }],
    })
    .to_string()
}

/// An upstream that streams these bytes in pieces of a size.
fn streams(text: String, size: usize) -> Peer {
    Peer::start(move |_, exchange| {
        exchange.start_events()?;
        for piece in text.as_bytes().chunks(size) {
            exchange.chunk(piece)?;
        }
        exchange.end_chunks()?;
        Ok(After::KeepOpen)
    })
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

#[test]
fn safeguards_pass_untouched_in_both_directions() {
    for_each_engine(|engine| {
        let sent = safeguarded(&[(PLAIN, "not_flagged"), (EVADING, "flagged")]);
        for rules in ["", RULE] {
            for size in [7, 100_000] {
                let upstream = streams(sent.clone(), size);
                let gateway = Gateway::with(engine, &upstream.url(), rules);
                let beta = [("anthropic-beta", "dangerous-tool-use-2026-09-03,afk-mode-2026-01-31")];
                let body = asking(true);
                let reply = once(gateway.addr(), &post("/v1/messages", KEY, &beta, body.as_bytes()));
                assert_eq!(hash(&reply.body), hash(sent.as_bytes()), "{rules}");
                let seen = upstream.seen_at("/v1/messages");
                assert_eq!(hash(&seen[0].body), hash(body.as_bytes()));
                assert_eq!(seen[0].header("anthropic-beta"), Some(beta[0].1));
                let entries = entries_of(gateway);
                let marks = if rules.is_empty() { "" } else { "denied-input Bash rule 1" };
                assert_eq!(entries[0]["marks"].as_str().unwrap_or_default(), marks, "{entries:?}");
            }
        }
    });
}

#[test]
fn a_denied_use_becomes_flagged_and_nothing_else_changes() {
    for_each_engine(|engine| {
        let sent = safeguarded(&[(PLAIN, "not_flagged"), (EVADING, "not_flagged")]);
        let (first, second) = sent.split_at(sent.find("\"toolu_1\":").expect("it is there"));
        let expected = format!("{first}{}", second.replacen("\"not_flagged\"", "\"flagged\"    ", 1));
        for size in [1, 7, 61, 100_000] {
            let upstream = streams(sent.clone(), size);
            let gateway = Gateway::with(engine, &upstream.url(), RULE);
            let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], asking(true).as_bytes()));
            assert_eq!(String::from_utf8_lossy(&reply.body), expected, "in pieces of {size}");
            // Without safeguards the client asks its person, or its own rules: nothing may be changed.
            let plain = asking(true).replace("\"safeguards\"", "\"other\"");
            let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], plain.as_bytes()));
            assert_eq!(hash(&reply.body), hash(sent.as_bytes()));
            let entries = entries_of(gateway);
            let marks: Vec<&str> = entries.iter().filter_map(|entry| entry["marks"].as_str()).collect();
            assert_eq!(marks, ["flagged Bash rule 1", "denied-input Bash rule 1"], "{entries:?}");
        }
    });
}

#[test]
fn an_answer_that_breaks_off_lets_nothing_out() {
    for_each_engine(|engine| {
        let sent = safeguarded(&[(EVADING, "not_flagged")]);
        let from = sent.find("event: message_delta").expect("it is there");
        for cut in
            [from + 3, from + 60, sent.find("\"not_flagged\"").expect("it is there") + 14, sent.len() - 60]
        {
            let part = sent.get(..cut).expect("all is ASCII").to_owned();
            let upstream = Peer::start(move |_, exchange| {
                exchange.start_events()?;
                exchange.chunk(part.as_bytes())?;
                Ok(After::Close)
            });
            let gateway = Gateway::with(engine, &upstream.url(), RULE);
            let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], asking(true).as_bytes()));
            let body = String::from_utf8_lossy(&reply.body);
            assert!(!body.contains("not_flagged"), "cut at {cut}: {body}");
            assert!(body.contains("event: error\n"), "{body}");
        }
    });
}

#[test]
fn a_whole_message_is_held_and_changed_in_place() {
    let uses = json!({ "t1": { "type": "evaluated", "outcome": "not_flagged" } });
    let results =
        json!([{ "type": "dangerous_tool_use", "status": { "type": "available", "tool_uses": uses } }]);
    let content =
        json!([{ "type": "tool_use", "id": "t1", "name": "Bash", "input": { "command": EVADING } }]);
    let sent = format!("{{\"safeguard_results\": {results}, \"model\":\"m\",\n \"content\": {content} }}\n");
    let expected = sent.replace("\"not_flagged\"", "\"flagged\"    ");
    for_each_engine(|engine| {
        for framing in ["length", "chunked", "close"] {
            let text = sent.clone();
            let upstream = Peer::start(move |_, exchange| {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
                match framing {
                    "length" => {
                        exchange.raw(format!("{head}Content-Length: {}\r\n\r\n", text.len()).as_bytes())?;
                        for piece in text.as_bytes().chunks(50) {
                            exchange.raw(piece)?;
                        }
                        Ok(After::KeepOpen)
                    }
                    "chunked" => {
                        exchange.raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
                        for piece in text.as_bytes().chunks(50) {
                            exchange.chunk(piece)?;
                        }
                        exchange.end_chunks()?;
                        Ok(After::KeepOpen)
                    }
                    _ => {
                        exchange.raw(format!("{head}Connection: close\r\n\r\n{text}").as_bytes())?;
                        Ok(After::Close)
                    }
                }
            });
            let gateway = Gateway::with(engine, &upstream.url(), RULE);
            let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], asking(false).as_bytes()));
            assert_eq!(String::from_utf8_lossy(&reply.body), expected, "{framing}");
            let length = reply.head.header("content-length").map(str::to_owned);
            assert_eq!(length, (framing == "length").then(|| sent.len().to_string()), "{framing}");
        }
    });
}

#[test]
fn every_answer_that_succeeds_is_held_to_the_rules() {
    let sent = safeguarded(&[(PLAIN, "not_flagged"), (EVADING, "not_flagged")]);
    let (first, second) = sent.split_at(sent.find("\"toolu_1\":").expect("it is there"));
    let flagged = format!("{first}{}", second.replacen("\"not_flagged\"", "\"flagged\"    ", 1));
    for_each_engine(|engine| {
        for (status, expected) in [(201, &flagged), (203, &flagged), (206, &flagged), (404, &sent)] {
            let text = sent.clone();
            let upstream = Peer::start(move |_, exchange| {
                exchange.answer(status, &[("Content-Type", "text/event-stream")], text.as_bytes())?;
                Ok(After::KeepOpen)
            });
            let gateway = Gateway::with(engine, &upstream.url(), RULE);
            let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], asking(true).as_bytes()));
            assert_eq!(reply.head.status, status);
            assert_eq!(String::from_utf8_lossy(&reply.body), *expected, "{status}");
        }
        // What has no body denies nothing.
        let upstream = Peer::start(|_, exchange| {
            exchange.raw(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            Ok(After::KeepOpen)
        });
        let gateway = Gateway::with(engine, &upstream.url(), RULE);
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], asking(true).as_bytes()));
        assert_eq!(reply.head.status, 204);
    });
}

/// A model that touches two files with Bash, which its own safeguards find harmless, and then says something.
fn touching() -> (Peer, Arc<Mutex<Vec<String>>>) {
    let streams = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&streams);
    let answer = move |seen: &Seen, exchange: &mut Exchange| -> io::Result<After> {
        if (seen.method.as_str(), seen.path()) != ("POST", "/v1/messages") {
            return scripted_upstream::beside(seen, exchange);
        }
        let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
        let text = match scripted_turns::result(&body, "toolu_0") {
            Some(_) => sse::text_message("claude-any", &["Both were tried."]),
            None => safeguarded(&[(PLAIN, "not_flagged"), (EVADING, "not_flagged")]),
        };
        kept.lock().expect("no holder panics").push(text.clone());
        scripted_upstream::stream_events(&text, exchange)?;
        Ok(After::KeepOpen)
    };
    (Peer::start(answer), streams)
}

#[test]
fn claude_code_in_auto_mode_does_not_run_what_is_flagged() {
    for_each_engine(|engine| {
        for rules in ["", RULE] {
            let (upstream, _) = touching();
            let gateway = Gateway::with(engine, &upstream.url(), rules);
            let home = Folder::new();
            let mut command = claude(home.path(), &gateway.url(), KEY);
            let outcome = program::run(command.args(["--permission-mode", "auto", "--", "Touch."]), DEADLINE)
                .succeeded();
            let result = result(&outcome.stdout);
            assert_eq!(result["result"], "Both were tried.", "{result}");
            let asked = upstream.seen_at("/v1/messages");
            let first: Value = serde_json::from_slice(&asked[0].body).expect("it is JSON");
            assert_eq!(first["safeguards"][0]["type"], "dangerous_tool_use", "the client is in auto mode");
            assert!(home.join("allowed.txt").exists(), "what is not flagged runs");
            assert_eq!(home.join("forbidden.txt").exists(), rules.is_empty(), "{rules}");
            let last: Value = serde_json::from_slice(&asked[asked.len() - 1].body).expect("it is JSON");
            let denied = scripted_turns::result(&last, "toolu_1").expect("it is told");
            assert_eq!(denied["is_error"] == true, !rules.is_empty(), "{denied}");
            let entries = entries_of(gateway);
            let calls = entries.iter().filter(|entry| entry["kind"] == "model_call");
            let marks: Vec<&str> = calls.filter_map(|entry| entry["marks"].as_str()).collect();
            let flagged = marks.iter().filter(|mark| mark.starts_with("flagged Bash rule 1")).count();
            assert_eq!(flagged, usize::from(!rules.is_empty()), "{entries:?}");
        }
    });
}

#[test]
fn claude_code_reads_why_a_call_of_a_server_is_refused() {
    for_each_engine(|engine| {
        let server = speaks_mcp::start(Era::Modern, |_, _| Ok(None));
        let turns = vec![vec![
            ("toolu_bad", "mcp__tollgate__echo", json!({ "text": "forbidden" })),
            ("toolu_good", "mcp__tollgate__echo", json!({ "text": "fine" })),
        ]];
        let model = scripted_turns::start(turns);
        let more = format!(
            "{}tool_inputs: ['deny s.ec* matching \"forbidden\"']\n",
            one_server("s", &server.url(), Era::Modern, "")
        );
        let gateway = Gateway::with(engine, &model.url(), &more);
        let headers = json!({ "Authorization": format!("Bearer {KEY}") });
        let ours = json!({ "type": "http", "url": format!("{}/mcp", gateway.url()), "headers": headers });
        let mcp = json!({ "mcpServers": { "tollgate": ours } }).to_string();
        let home = Folder::new();
        let mut command = claude(home.path(), &gateway.url(), KEY);
        command.env("ENABLE_TOOL_SEARCH", "false").args(["--mcp-config", &mcp]);
        program::run(command.args(["--allowedTools", "mcp__tollgate", "--", "Echo."]), DEADLINE).succeeded();
        let seen = model.seen_at("/v1/messages");
        let last: Value = serde_json::from_slice(&seen[seen.len() - 1].body).expect("it is JSON");
        let bad = scripted_turns::result(&last, "toolu_bad").expect("it is told").to_string();
        assert!(bad.contains("tool_inputs rule 1"), "{bad}");
        let good = scripted_turns::result(&last, "toolu_good").expect("it is told");
        assert!(good["is_error"] != true, "{good}");
        let called: Vec<_> = server
            .seen()
            .into_iter()
            .filter(|seen| seen.header("mcp-method") == Some("tools/call"))
            .collect();
        assert_eq!(called.len(), 1, "only one call has reached the server");
        let entries = entries_of(gateway);
        let marks: Vec<&str> = entries.iter().filter_map(|entry| entry["marks"].as_str()).collect();
        // The model's answer has the use, and the call comes to nothing.
        assert_eq!(marks.iter().filter(|mark| mark.starts_with("denied-input")).count(), 2, "{marks:?}");
    });
}

/// A server whose one tool says what it was told, and something about a person.
fn telling(era: Era) -> Peer {
    speaks_mcp::start(era, |asked, exchange| match asked.method.as_str() {
        "tools/call" => {
            let told = asked.argument("text").replace('"', "'");
            let text = format!("\"{told} of \\u0061da@lovelace.dev\\n\"");
            let result = format!(
                "{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}],\
                 \"structuredContent\":{{\"said\":{text}}},\
                 \"resultType\":\"complete\"}}"
            );
            document(exchange, 200, &asked.response(&result))
        }
        _ => Ok(None),
    })
}

const SECRET: &str = "ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5";

#[test]
fn what_must_not_be_said_to_a_server_or_by_it() {
    for_each_engine(|engine| {
        for (era, caller_era) in [
            (Era::Modern, Era::Modern),
            (Era::Modern, Era::Legacy),
            (Era::Legacy, Era::Modern),
            (Era::Legacy, Era::Legacy),
        ] {
            for act in ["off", "count", "mask", "refuse"] {
                let server = telling(era);
                let scan = format!("scan: {{ requests: count, arguments: {act}, results: {act} }}\n");
                let gateway = gateway(engine, &(one_server("s", &server.url(), era, "") + &scan));
                let mut caller = Caller::new(&gateway, caller_era, "/mcp");
                let plain = caller.call("1", "echo", "{\"text\":\"fine\"}");
                let with = format!("{{\"text\":\"t \\\"{SECRET}\\\"\",\"n\":1.50}}");
                let told = caller.call("2", "echo", &with);
                let calls: Vec<String> = server
                    .seen()
                    .iter()
                    .map(|seen| String::from_utf8_lossy(&seen.body).into_owned())
                    .filter(|body| body.contains("tools/call"))
                    .collect();
                let masked = with.replace(SECRET, "[masked:secret]");
                match act {
                    "refuse" => {
                        assert_eq!(plain.result()["isError"], true);
                        let text = plain.result()["content"][0]["text"].to_string();
                        assert!(text.contains("mail 2") && !text.contains("lovelace"), "{text}");
                        assert!(told.error().contains("secret 1"), "{}", told.error());
                        assert_eq!(calls.len(), 1);
                    }
                    _ => {
                        assert_eq!(calls.len(), 2);
                        let passed = if act == "mask" { &masked } else { &with };
                        assert!(calls[1].contains(passed.as_str()), "{} has not {passed}", calls[1]);
                        let mail = if act == "mask" { "[masked:mail]" } else { "ada@lovelace.dev" };
                        let said = format!("fine of {mail}\n");
                        let result = plain.result();
                        assert_eq!(result["content"][0]["text"], said, "{result}");
                        assert_eq!(result["structuredContent"]["said"], said, "{result}");
                    }
                }
                let entries = entries_of(gateway);
                let marks: Vec<&str> = entries
                    .iter()
                    .filter(|entry| entry["method"] == "tools/call")
                    .map(|entry| entry["marks"].as_str().unwrap_or_default())
                    .collect();
                let expected = match act {
                    "off" => ["", ""],
                    "count" => [
                        "found mail 2 in the result",
                        "found secret 1 in the arguments; found secret 2, mail 2 in the result",
                    ],
                    "mask" => [
                        "masked mail 2 in the result",
                        "masked secret 1 in the arguments; masked mail 2 in the result",
                    ],
                    _ => ["refused mail 2 in the result", "refused secret 1 in the arguments"],
                };
                assert_eq!(marks, expected, "{era:?} {caller_era:?} {act}");
            }
        }
    });
}

#[test]
fn a_rule_holds_for_calls_of_servers_in_both_eras() {
    for_each_engine(|engine| {
        for (era, caller_era) in [
            (Era::Modern, Era::Modern),
            (Era::Modern, Era::Legacy),
            (Era::Legacy, Era::Modern),
            (Era::Legacy, Era::Legacy),
        ] {
            for rule in ["s.echo", "mcp__s__echo", "mcp__tollgate__*", "MCP__*__ECHO"] {
                let server = telling(era);
                let rule = format!("tool_inputs: ['deny {rule} matching \"forbidden\"']\n");
                let gateway = gateway(engine, &(one_server("s", &server.url(), era, "") + &rule));
                let mut caller = Caller::new(&gateway, caller_era, "/mcp");
                assert!(caller.call("1", "echo", "{\"text\":\"fine\"}").result()["content"].is_array());
                let told = caller.call("2", "echo", "{\"text\":\"f\\u006frbidden\"}");
                assert!(told.error().contains("tool_inputs rule 1"), "{}", told.error());
                let calls = server.seen().into_iter();
                let calls = calls.filter(|seen| String::from_utf8_lossy(&seen.body).contains("tools/call"));
                assert_eq!(calls.count(), 1);
                let entries = entries_of(gateway);
                let marks: Vec<&str> = entries.iter().filter_map(|entry| entry["marks"].as_str()).collect();
                assert_eq!(marks, ["denied-input s.echo rule 1"], "{entries:?}");
            }
        }
    });
}

#[test]
fn what_must_not_be_said_to_a_model() {
    for_each_engine(|engine| {
        let body = asking(false).replace("\"hi\"", &format!("\"mail ada@lovelace.dev {SECRET}\""));
        let upstream = scripted_upstream::plain();
        let gateway =
            Gateway::with(engine, &upstream.url(), "scan: { requests: refuse, kinds: [secrets] }\n");
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        let text = reply.refusal(403, "permission_error");
        assert!(text.contains("the messages hold") && text.contains("secret 1"), "{text}");
        assert!(!text.contains("ghp_"), "{text}");
        let counted = post("/v1/messages/count_tokens", KEY, &[], body.as_bytes());
        assert_eq!(once(gateway.addr(), &counted).head.status, 403);
        assert!(upstream.seen().is_empty(), "nothing has left");
        let marks: Vec<Value> = entries_of(gateway).iter().map(|entry| entry["marks"].clone()).collect();
        assert_eq!(marks, vec![json!("refused secret 1 in the messages"); 2]);

        let gateway = Gateway::with(engine, &upstream.url(), "scan: { requests: count }\n");
        let reply = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        assert_eq!(reply.head.status, 200);
        assert_eq!(hash(&upstream.seen_at("/v1/messages")[0].body), hash(body.as_bytes()));
        let marks: Vec<Value> = entries_of(gateway).iter().map(|entry| entry["marks"].clone()).collect();
        assert_eq!(marks, [json!("found secret 1, mail 1 in the messages")]);
    });
}
