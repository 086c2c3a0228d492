//! Streamable HTTP against servers that follow a script, on both engines.

use std::rc::Rc;
use std::time::Duration;

use super::{HttpLink, is_error, is_response, may_run_twice, unbatched};
use crate::limits::{self, Timeouts};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::scripted::{
    EVENTS, LAST, SOON, Seen, Server, Step, all, answer, chunk, failed, on_each, send, short, stream,
};
use crate::upstream::mcp::{Messages, Outbound};
use crate::upstream::pool::Pool;

const RESULT: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;
const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7}}"#;
const ENDED: &str = "failed: it ended before it answered";

fn out() -> Outbound {
    Outbound {
        id: 7,
        body: br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#.to_vec(),
        headers: vec![("mcp-protocol-version".to_owned(), "2025-11-25".to_owned())],
        resumable: true,
    }
}

fn link(pool: &Rc<Pool>, server: &Server, deadline: Duration) -> Rc<HttpLink> {
    HttpLink::new(Rc::clone(pool), server.remote("/mcp?x=1"), Timeouts::default(), deadline)
}

fn call(pool: &Rc<Pool>, server: &Server) -> Messages {
    link(pool, server, SOON).call(&PlacedPermit::for_tests(), out())
}

/// Calls a server that does this on its one connection, and compares what comes.
fn expect(script: &[Step], expected: &[&str]) {
    on_each(async |pool| {
        let server = Server::start(vec![[&[Step::Read], script].concat()]);
        assert_eq!(all(call(&pool, &server)).await, expected, "{script:?}");
    });
}

fn event(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

#[test]
fn a_document_is_the_response() {
    on_each(async |pool| {
        let lines = "content-type: application/json\r\nmcp-session-id: s-1\r\n";
        let script = (0..2).flat_map(|_| [Step::Read, answer(200, lines, RESULT)]);
        let both = script.chain([Step::Hang]).collect();
        let server = Server::start(vec![both]);
        for _ in 0..2 {
            assert_eq!(all(call(&pool, &server)).await, ["200 s-1", RESULT]);
            assert_eq!(pool.idle(), 1, "a connection whose answer is read goes back");
        }
        let request = server.request().await;
        assert!(request.starts_with("POST /mcp?x=1 HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
        for line in [
            "accept: application/json, text/event-stream\r\n",
            "content-type: application/json\r\n",
            "user-agent: tollgate/",
            "authorization: Bearer of-config\r\n",
            "mcp-protocol-version: 2025-11-25\r\n",
            "accept-encoding: identity\r\n",
        ] {
            assert!(request.contains(line), "{line} is not in {request}");
        }
        assert!(request.ends_with("\"params\":{}}"), "{request}");
    });
}

#[test]
fn header_lines_of_a_call_go_before_those_of_the_config_and_never_before_ours() {
    on_each(async |pool| {
        let server =
            Server::start(vec![vec![Step::Read, answer(200, "content-type: application/json\r\n", RESULT)]]);
        let mut out = out();
        let lines = [("Authorization", "Bearer of-user"), ("Host", "evil"), ("user-agent", "me\r\nx: y")];
        out.headers = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        all(link(&pool, &server, SOON).call(&PlacedPermit::for_tests(), out)).await;
        let request = server.request().await;
        assert!(request.contains("Authorization: Bearer of-user\r\n"), "{request}");
        assert!(!request.contains("of-config") && !request.contains("evil"), "{request}");
        assert!(request.contains("user-agent: me  x: y\r\n") && !request.contains("tollgate/"), "{request}");
    });
}

#[test]
fn a_stream_is_notifications_and_the_response() {
    let (progress, result) = (event(PROGRESS), event(RESULT));
    let text = stream(&[": hello\n\n", "id: 1\ndata: \n\n", &progress, &result]);
    expect(&[send(text)], &["200 ", PROGRESS, RESULT]);
}

#[test]
fn a_stream_may_come_byte_by_byte() {
    let text = stream(&[&event(PROGRESS).replace('\n', "\r\n"), &event(RESULT).replace('\n', "\r")]);
    expect(&[Step::Drip(text.into_bytes())], &["200 ", PROGRESS, RESULT]);
}

#[test]
fn nothing_follows_the_response_and_the_connection_is_saved() {
    on_each(async |pool| {
        let head = format!("{EVENTS}{}", chunk(&event(RESULT)));
        let pause = Step::Pause(Duration::from_millis(50));
        let script = vec![Step::Read, send(head), pause, send(chunk(&event(PROGRESS)) + LAST), Step::Hang];
        let server = Server::start(vec![script]);
        assert_eq!(all(call(&pool, &server)).await, ["200 ", RESULT]);
        assert_eq!(pool.idle(), 0, "its end has not come yet");
        for _ in 0..200 {
            if pool.idle() == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the connection was not saved");
    });
}

#[test]
fn several_lines_and_batches_are_taken_apart() {
    let lines = "data: {\"id\":7,\ndata: \"result\":{}}\n\n";
    expect(&[send(stream(&[lines]))], &["200 ", "{\"id\":7,\n\"result\":{}}"]);
    let batch = format!(" [{PROGRESS} , {RESULT}]");
    expect(&[send(stream(&[&event(&batch)]))], &["200 ", PROGRESS, RESULT]);
    expect(&[answer(200, "content-type: application/json\r\n", &batch)], &["200 ", PROGRESS, RESULT]);
}

#[test]
fn what_ends_too_early_has_ended() {
    let progress = chunk(&event(PROGRESS));
    let half = chunk("data: {\"id\":7,\"resu");
    expect(&[send(format!("{EVENTS}{progress}{half}"))], &["200 ", PROGRESS, ENDED]);
    expect(&[send(format!("{EVENTS}{progress}{LAST}"))], &["200 ", PROGRESS, ENDED]);
    expect(&[], &[ENDED]);
    let short = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{}";
    expect(&[send(short)], &["200 ", ENDED]);
    let json = "content-type: application/json\r\n";
    expect(&[answer(200, json, PROGRESS)], &["200 ", PROGRESS, ENDED]);
}

#[test]
fn what_cannot_be_understood_is_said_so() {
    let starts = |script: &[Step], expected: &str| {
        on_each(async |pool| {
            let server = Server::start(vec![[&[Step::Read], script].concat()]);
            let found = all(call(&pool, &server)).await;
            let last = found.last().unwrap();
            assert!(last.contains("cannot be understood") && last.contains(expected), "{found:?}");
        });
    };
    starts(&[answer(200, "content-type: text/html\r\n", "<p>")], "text/html");
    starts(&[answer(202, "", "")], "202 with no content type");
    starts(&[answer(200, "content-type: application/json\r\n", "{\"id\":")], "");
    starts(&[answer(200, "content-type: application/json\r\n", "7")], "");
    starts(&[send(stream(&["data: hello\n\n"]))], "");
    starts(&[send("SSH-2.0-x\r\n\r\n")], "");
    starts(&[send(format!("{EVENTS}zz\r\n"))], "chunk size");
}

#[test]
fn too_much_is_too_large() {
    let large = "x".repeat(10 * 1024 * 1024);
    let too_large = "failed: it sent a message that is too large";
    expect(
        &[send(EVENTS), send(chunk(&event(PROGRESS)) + &chunk("data: ")), send(chunk(&large))],
        &["200 ", PROGRESS, too_large],
    );
    let json = "content-type: application/json\r\n";
    expect(&[answer(200, json, &large)], &["200 ", too_large]);
    let unbounded = format!("HTTP/1.1 200 OK\r\n{json}\r\n{large}");
    expect(&[send(unbounded)], &["200 ", too_large]);
}

#[test]
fn silence_is_given_up() {
    let timed_out = "failed: it did not answer in time";
    let comments: String = (0..200).map(|_| chunk(": still here\n\n")).collect();
    for (script, expected) in [
        (vec![Step::Read, Step::Hang], vec![timed_out]),
        (vec![Step::Read, send(EVENTS), Step::Hang], vec!["200 ", timed_out]),
        (
            vec![Step::Read, send(EVENTS), Step::Drip(comments.into_bytes()), Step::Hang],
            vec!["200 ", timed_out],
        ),
    ] {
        on_each(async |pool| {
            let server = Server::start(vec![script.clone()]);
            let messages =
                link(&pool, &server, Duration::from_millis(600)).call(&PlacedPermit::for_tests(), out());
            assert_eq!(all(messages).await, expected);
            server.request().await;
            assert_eq!(server.seen().await, Seen::Closed);
        });
    }
}

#[test]
fn each_message_breaks_the_silence_and_a_subscription_has_none() {
    on_each(async |pool| {
        let mut script = vec![Step::Read, send(EVENTS)];
        for text in [PROGRESS, PROGRESS, PROGRESS, RESULT] {
            script.extend([Step::Pause(Duration::from_millis(300)), send(chunk(&event(text)))]);
        }
        let server = Server::start(vec![script.clone()]);
        let messages =
            link(&pool, &server, Duration::from_millis(1000)).call(&PlacedPermit::for_tests(), out());
        assert_eq!(all(messages).await, ["200 ", PROGRESS, PROGRESS, PROGRESS, RESULT]);
        let server = Server::start(vec![script]);
        let messages =
            link(&pool, &server, Duration::from_millis(10)).subscribe(&PlacedPermit::for_tests(), out());
        assert_eq!(all(messages).await, ["200 ", PROGRESS, PROGRESS, PROGRESS, RESULT]);
    });
}

#[test]
fn dropping_the_messages_closes_the_connection() {
    for sent in [None, Some(EVENTS.to_owned()), Some(EVENTS.to_owned() + &chunk(&event(PROGRESS)))] {
        on_each(async |pool| {
            let mut script = vec![Step::Read];
            script.extend(sent.clone().map(send));
            script.push(Step::Hang);
            let server = Server::start(vec![script]);
            let mut messages = call(&pool, &server);
            server.request().await;
            if sent.is_some() {
                assert_eq!(messages.recv().await.map(short).unwrap(), "200 ");
            }
            drop(messages);
            assert_eq!(server.seen().await, Seen::Closed);
            assert_eq!(pool.idle(), 0);
        });
    }
}

#[test]
fn messages_that_nobody_takes_hold_the_server() {
    on_each(async |pool| {
        let large = event(&format!("{{\"method\":\"{}\"}}", "m".repeat(1024 * 1024)));
        let mut script = vec![Step::Read, send(EVENTS)];
        // Far more than the channel and the buffers of the kernel take.
        script.extend((0..48).map(|_| send(chunk(&large))));
        script.extend([Step::Note, send(chunk(&event(RESULT)) + LAST)]);
        let server = Server::start(vec![script]);
        let mut messages = call(&pool, &server);
        while messages.len() < limits::MCP_MESSAGES_MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.request().await;
        assert_eq!(server.seen_already(), None, "it cannot have sent everything");
        let mut last = None;
        let mut count = 0;
        while let Some(incoming) = messages.recv().await {
            count += 1;
            last = Some(incoming);
        }
        assert_eq!((count, last.map(short).as_deref()), (50, Some(RESULT)));
    });
}

#[test]
fn refusals_are_errors_or_statuses() {
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"no"}}"#;
    let json = "content-type: application/json\r\n";
    expect(&[answer(400, json, error)], &["400 ", error]);
    expect(&[answer(404, "", error)], &["404 ", error]);
    expect(&[answer(404, "", "no such thing")], &["404 ", "failed: 404 \"no such thing\" None"]);
    expect(&[answer(405, "", "")], &["405 ", "failed: 405 \"\" None"]);
    let challenge = "www-authenticate: Bearer scope=\"a\"\r\n";
    let refused = "failed: 401 \"{\\\"error\\\":\\\"invalid_token\\\"}\" Some(\"Bearer scope=\\\"a\\\"\")";
    expect(&[answer(401, challenge, "{\"error\":\"invalid_token\"}")], &["401 ", refused]);
    let oauth = "failed: 401 \"{\\\"error\\\":\\\"invalid_token\\\"}\" None";
    expect(&[answer(401, json, "{\"error\":\"invalid_token\"}")], &["401 ", oauth]);
    on_each(async |pool| {
        let server = Server::start(vec![vec![Step::Read, answer(403, challenge, error)]]);
        let found = all(call(&pool, &server)).await;
        assert!(found[1].starts_with("failed: 403"), "a challenge goes before the error: {found:?}");
    });
    let moved = "location: http://else.where/\r\n";
    expect(&[answer(307, moved, "")], &["307 ", "failed: 307 \"\" None"]);
    let endless = format!("HTTP/1.1 500 X\r\n\r\n{}", "y".repeat(1024 * 1024));
    let shown = format!("failed: 500 {:?} None", "y".repeat(limits::RECORD_TEXT_BYTES_MAX));
    expect(&[send(endless)], &["500 ", &shown]);
}

#[test]
fn what_cannot_be_reached_was_not_sent() {
    on_each(async |pool| {
        let mut server = Server::start(vec![]);
        // Nobody listens on port 1.
        server.port = 1;
        assert_eq!(all(call(&pool, &server)).await, ["failed: unreachable"]);
    });
}

#[test]
fn a_stream_that_breaks_off_is_taken_up_again() {
    on_each(async |pool| {
        let first = format!("{EVENTS}{}", chunk("id: e-1\nretry: 200\ndata:\n\nid: e-2\ndata: {\"id\""));
        let second = stream(&[&format!("id: e-3\n{}", event(PROGRESS))]);
        let third = stream(&[&event(RESULT)]);
        let server = Server::start(vec![
            vec![Step::Read, send(first)],
            // Closed before an answer: tried again.
            vec![Step::Read],
            vec![Step::Read, send(second), Step::Read, send(third)],
        ]);
        let begun = crate::clock::now();
        assert_eq!(all(call(&pool, &server)).await, ["200 ", PROGRESS, RESULT]);
        assert!(begun.elapsed() >= Duration::from_millis(600), "three times what the server wished for");
        assert!(server.request().await.starts_with("POST"));
        for id in ["e-1", "e-1", "e-3"] {
            let request = server.request().await;
            assert!(request.starts_with("GET /mcp?x=1 "), "{request}");
            assert!(request.contains(&format!("last-event-id: {id}\r\n")), "{request}");
            assert!(request.contains("accept: text/event-stream\r\n"), "{request}");
            assert!(request.contains("mcp-protocol-version: 2025-11-25\r\n"), "{request}");
            assert!(!request.contains("content-"), "{request}");
        }
    });
}

#[test]
fn a_stream_is_not_taken_up_again_for_ever_nor_where_it_may_not() {
    let primed = || send(stream(&["id: 1\nretry: 0\ndata:\n\n"]));
    on_each(async |pool| {
        let refuses = vec![Step::Read, primed(), Step::Read, answer(404, "", ""), Step::Hang];
        let server = Server::start(vec![refuses]);
        assert_eq!(all(call(&pool, &server)).await, ["200 ", ENDED]);
        // Nobody is there any more.
        let server = Server::start(vec![vec![Step::Read, primed()]]);
        assert_eq!(all(call(&pool, &server)).await, ["200 ", ENDED]);
        // Polling goes on for as long as a call may be silent.
        let polls = (0..100).flat_map(|_| [Step::Read, primed()]).collect();
        let server = Server::start(vec![polls]);
        let messages =
            link(&pool, &server, Duration::from_millis(1000)).call(&PlacedPermit::for_tests(), out());
        assert_eq!(all(messages).await, ["200 ", "failed: it did not answer in time"]);
        let server = Server::start(vec![vec![Step::Read, primed(), Step::Hang]]);
        let once = Outbound { resumable: false, ..out() };
        let messages = link(&pool, &server, SOON).call(&PlacedPermit::for_tests(), once);
        assert_eq!(all(messages).await, ["200 ", ENDED]);
    });
}

#[test]
fn a_listener_hears_everything_and_what_it_needs_to_go_on() {
    on_each(async |pool| {
        let script = stream(&["id: 8\nretry: 700\ndata:\n\n", &event(PROGRESS), &event(RESULT), "id\n\n"]);
        let server = Server::start(vec![vec![Step::Read, send(script), Step::Read, answer(405, "", "no")]]);
        let link = link(&pool, &server, Duration::from_millis(1));
        let headers = vec![("mcp-session-id".to_owned(), "s-1".to_owned())];
        let found = all(link.listen(&PlacedPermit::for_tests(), headers, Some("7".to_owned()))).await;
        assert_eq!(found, ["200 ", "id 8", "retry 700", PROGRESS, RESULT, "id ", ENDED]);
        let request = server.request().await;
        assert!(request.starts_with("GET ") && request.contains("last-event-id: 7\r\n"), "{request}");
        assert!(request.contains("mcp-session-id: s-1\r\n"), "{request}");
        let found = all(link.listen(&PlacedPermit::for_tests(), Vec::new(), None)).await;
        assert_eq!(found, ["405 ", "failed: 405 \"no\" None"]);
        assert!(!server.request().await.contains("last-event-id"));
    });
}

#[test]
fn posts_and_ends() {
    on_each(async |pool| {
        let challenge = "www-authenticate: Bearer\r\n";
        let server = Server::start(vec![
            vec![
                Step::Read,
                answer(202, "", ""),
                Step::Read,
                answer(200, "content-type: application/json\r\n", "{}"),
                Step::Read,
                answer(401, challenge, "why"),
                Step::Read,
                answer(200, "", ""),
                Step::Read,
                send(EVENTS),
                Step::Hang,
            ],
            vec![Step::Read, Step::Hang],
        ]);
        let link = link(&pool, &server, SOON);
        let permit = PlacedPermit::for_tests();
        let note = Outbound { body: PROGRESS.as_bytes().to_vec(), ..Outbound::default() };
        let elsewhere = link.post(&PlacedPermit::for_tests_at("another"), note.clone()).await.unwrap_err();
        assert_eq!(failed(&elsewhere), "failed: unreachable");
        link.post(&PlacedPermit::for_tests_at("scripted"), note.clone()).await.unwrap();
        link.post(&permit, note.clone()).await.unwrap();
        let failure = link.post(&permit, note.clone()).await.unwrap_err();
        assert_eq!(failed(&failure), "failed: 401 \"why\" Some(\"Bearer\")");
        link.end(&permit, vec![("mcp-session-id".to_owned(), "s-1".to_owned())]).await;
        for _ in 0..3 {
            assert!(server.request().await.ends_with(PROGRESS));
        }
        let request = server.request().await;
        assert!(request.starts_with("DELETE /mcp?x=1 ") && request.contains("mcp-session-id: s-1\r\n"));
        link.post(&permit, note).await.unwrap();
        server.request().await;
        assert_eq!(
            server.seen().await,
            Seen::Closed,
            "a stream that answers a notification is not listened to"
        );
        let begun = crate::clock::now();
        link.end(&permit, Vec::new()).await;
        assert!(begun.elapsed() < SOON / 2, "a server that does not care is not waited for");
    });
}

#[test]
fn a_tool_is_not_called_twice_where_a_kept_connection_dies() {
    on_each(async |pool| {
        let json = "content-type: application/json\r\n";
        let dies = vec![Step::Read, answer(200, json, RESULT), Step::Read];
        let server = Server::start(vec![dies.clone(), dies, vec![Step::Read, answer(200, json, RESULT)]]);
        assert_eq!(all(call(&pool, &server)).await, ["200 ", RESULT]);
        assert_eq!(all(call(&pool, &server)).await, [ENDED]);
        assert_eq!(all(call(&pool, &server)).await, ["200 ", RESULT]);
        let list = Outbound { body: br#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#.to_vec(), ..out() };
        let found = all(link(&pool, &server, SOON).call(&PlacedPermit::for_tests(), list)).await;
        assert_eq!(found, ["200 ", RESULT], "a list is asked for again");
    });
}

#[test]
fn messages_are_told_apart() {
    let responses = [
        (RESULT, true),
        (PROGRESS, false),
        (r#"{"error":{},"id":null}"#, true),
        (r#"{"r\u0065sult":{}}"#, true),
        (r#"{"result":{},"method":"x"}"#, false),
        (r#"{"params":{"result":1}}"#, false),
        ("{}", false),
    ];
    for (message, expected) in responses {
        assert_eq!(is_response(message.as_bytes()).unwrap(), expected, "{message}");
    }
    for message in ["", "7", "[]", "{\"a\":}", "{} {}"] {
        assert!(is_response(message.as_bytes()).is_err(), "{message}");
    }
    for (body, expected) in [(r#"{"error":{}}"#, true), (r#"{"error":"x"}"#, false), ("x", false)] {
        assert_eq!(is_error(body.as_bytes()), expected, "{body}");
    }
    assert!(unbatched(b"[{},".to_vec()).is_err());
    let batch = |count| format!("[{}]", vec!["{}"; count].join(",")).into_bytes();
    assert_eq!(unbatched(batch(limits::MCP_BATCH_MAX)).unwrap().len(), limits::MCP_BATCH_MAX);
    assert!(unbatched(batch(limits::MCP_BATCH_MAX + 1)).is_err());
    for (message, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, false),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call"}"#, false),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/cancel"}"#, false),
        (r#"{"jsonrpc":"2.0","id":1,"method":"unheard/of"}"#, false),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, true),
        (r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#, true),
        (RESULT, true),
        ("not json", false),
    ] {
        assert_eq!(may_run_twice(message.as_bytes()), expected, "{message}");
    }
}

#[test]
fn a_server_that_has_moved_on_its_own_origin_is_followed_once() {
    on_each(async |pool| {
        let moved = |place: &str| answer(307, &format!("location: {place}\r\n"), "");
        let lines = "content-type: application/json\r\n";
        let script = vec![
            Step::Read,
            moved("/mcp/?x=1"),
            Step::Read,
            answer(200, lines, RESULT),
            Step::Read,
            answer(200, lines, RESULT),
            Step::Hang,
        ];
        let server = Server::start(vec![script]);
        let link = link(&pool, &server, SOON);
        for _ in 0..2 {
            assert_eq!(all(link.call(&PlacedPermit::for_tests(), out())).await, ["200 ", RESULT]);
        }
        for wanted in ["POST /mcp?x=1 ", "POST /mcp/?x=1 ", "POST /mcp/?x=1 "] {
            let request = server.request().await;
            assert!(request.starts_with(wanted) && request.ends_with("\"params\":{}}"), "{request}");
        }
    });
    for place in ["http://elsewhere.example/mcp", "https://127.0.0.1/mcp", "//127.0.0.1:1/mcp"] {
        on_each(async |pool| {
            let lines = format!("location: {place}\r\n");
            let server = Server::start(vec![vec![Step::Read, answer(307, &lines, ""), Step::Hang]]);
            let seen = all(call(&pool, &server)).await;
            assert_eq!(seen, ["307 ", "failed: 307 \"\" None"], "{place}");
        });
    }
}
