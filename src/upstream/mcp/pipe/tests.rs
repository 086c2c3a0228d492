//! A pipe to a scripted server: everybody gets what is theirs, whatever the others do.

use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::timeout;

use super::{Meaning, PipeLink, PipeSender, apart, meaning};
use crate::limits::{MCP_MESSAGES_MAX, MCP_PIPE_CALLS_MAX};
use crate::net::engine::EngineChoice;
use crate::net::runtime::Runtime;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::server::Program;
use crate::upstream::mcp::stdio::{Patience, open};
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// A server whose methods say how it behaves.
const PEER: &str = r#"
import json, random, sys
held = []
def say(message):
    sys.stdout.write(json.dumps(dict(jsonrpc="2.0", **message)) + "\n")
    sys.stdout.flush()
def progress(token, n):
    say({"method": "notifications/progress", "params": {"progressToken": token, "progress": n}})
def tagged(token, method):
    say({"method": method, "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": token}}})
for line in sys.stdin:
    asked = json.loads(line)
    id, method, n = asked.get("id"), asked["method"], asked.get("n", 0)
    if method == "echo":
        say({"id": id, "result": n})
    elif method == "hold":
        held.append((id, n))
    elif method == "release":
        queues = [[*range(n), None] for _, n in held]
        while any(queues):
            at = random.choice([at for at, queue in enumerate(queues) if queue])
            step = queues[at].pop(0)
            if step is None: say({"id": held[at][0], "result": held[at][1]})
            else: progress(held[at][0], step)
        held = []
    elif method == "flood":
        for step in range(n): progress(id, step)
        say({"id": id, "result": n})
    elif method == "listen":
        for step in range(n): tagged(id, "notifications/tools/list_changed")
    elif method == "large":
        say({"id": id, "padding": "x" * n, "result": n})
    elif method == "others":
        for step in range(n): say({"method": "notifications/message", "params": {"data": step}})
        say({"method": "notifications/tools/list_changed"})
        say({"method": "elicitation/create", "id": id, "params": {"_meta": {"progressToken": id}}})
        say({"id": 999, "result": "of nobody"})
        say({"id": id, "result": n})
    elif method == "die":
        sys.exit(1)
"#;

fn on_epoll<F: Future<Output = ()>>(case: F) {
    let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(60), case).await.expect("the case hangs") });
}

fn peer(call_deadline: Duration) -> Rc<PipeLink> {
    let program = Program {
        command: "python3".to_owned(),
        args: vec!["-c".to_owned(), PEER.to_owned()],
        env: Vec::new(),
        cwd: PathBuf::from("/"),
        confines: crate::net::confine::Confines::default(),
    };
    let (sender, receiver) = open(&program, Patience::default(), |_| {}).unwrap();
    PipeLink::new(PipeSender::Stdio(sender), receiver, call_deadline)
}

const PATIENT: Duration = Duration::from_secs(300);

fn asked(id: u64, method: &str, n: usize) -> Outbound {
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"n\":{n}}}");
    Outbound { id, body: body.into_bytes(), ..Outbound::default() }
}

fn call(link: &Rc<PipeLink>, id: u64, method: &str, n: usize) -> Messages {
    link.call(&PlacedPermit::for_tests(), asked(id, method, n))
}

async fn all(mut messages: Messages) -> Vec<Incoming> {
    let mut all = Vec::new();
    while let Some(incoming) = messages.recv().await {
        all.push(incoming);
    }
    all
}

fn texts(all: &[Incoming]) -> Vec<String> {
    let text = |incoming: &Incoming| match incoming {
        Incoming::Message(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => format!("{other:?}"),
    };
    all.iter().map(text).collect()
}

fn result(id: u64, n: usize) -> String {
    format!("{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"result\": {n}}}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn calls_that_are_answered_in_any_order_get_what_is_theirs(
        progress in proptest::collection::vec(0usize..MCP_MESSAGES_MAX - 1, 1..60),
    ) {
        on_epoll(async {
            let link = peer(PATIENT);
            let calls: Vec<(u64, Messages)> =
                (1..).zip(&progress).map(|(id, &n)| (id, call(&link, id, "hold", n))).collect();
            assert_eq!(link.in_flight(), progress.len());
            let _released = call(&link, 1_000, "release", 0);
            for ((id, messages), n) in calls.into_iter().zip(progress) {
                let texts = texts(&all(messages).await);
                assert_eq!(texts.last(), Some(&result(id, n)));
                assert_eq!(texts.len(), n + 1);
                for (step, text) in texts.iter().take(n).enumerate() {
                    let params = format!("{{\"progressToken\": {id}, \"progress\": {step}}}");
                    assert!(text.contains(&params), "{text} is not {params}");
                }
            }
        });
    }
}

#[test]
fn one_that_does_not_listen_stops_nobody_and_still_gets_its_response() {
    on_epoll(async {
        let link = peer(PATIENT);
        let slow = call(&link, 1, "flood", 10_000);
        let dropped = call(&link, 2, "flood", 10_000);
        drop(dropped);
        assert_eq!(texts(&all(call(&link, 3, "echo", 7)).await), [result(3, 7)]);
        let texts = texts(&all(slow).await);
        assert_eq!(texts.len(), MCP_MESSAGES_MAX);
        assert_eq!(texts.last(), Some(&result(1, 10_000)));
        assert!(link.left_out() >= 9_000);
        assert_eq!(link.in_flight(), 0);
    });
}

#[test]
fn the_end_of_the_pipe_ends_every_call() {
    on_epoll(async {
        let link = peer(PATIENT);
        let mut events = link.events().unwrap();
        assert!(link.events().is_none());
        let (held, dying) = (call(&link, 1, "hold", 0), call(&link, 2, "die", 0));
        for messages in [held, dying] {
            assert!(matches!(all(messages).await[..], [Incoming::Failed(Failure::Ended)]));
        }
        link.closed().await;
        assert!(link.is_closed() && link.in_flight() == 0);
        assert!(matches!(events.recv().await, Some(Incoming::Failed(Failure::Ended))));
        let late = all(call(&link, 3, "echo", 0)).await;
        assert!(matches!(late[..], [Incoming::Failed(Failure::Unreachable(_))]));
        let posted = link.post(&PlacedPermit::for_tests(), asked(0, "echo", 0)).await;
        assert!(matches!(posted, Err(Failure::Unreachable(_))));
    });
}

#[test]
fn silence_is_given_up_but_a_subscription_may_be_silent() {
    on_epoll(async {
        let link = peer(Duration::from_millis(700));
        // Its start may take longer than that.
        for id in 100.. {
            if matches!(all(call(&link, id, "echo", 0)).await[..], [Incoming::Message(_)]) {
                break;
            }
        }
        let mut listening = call(&link, 1, "listen", 2);
        for _ in 0..2 {
            assert!(matches!(listening.recv().await, Some(Incoming::Message(_))));
        }
        let silent = all(call(&link, 2, "hold", 0)).await;
        assert!(matches!(silent[..], [Incoming::Failed(Failure::TimedOut)]));
        assert_eq!(link.in_flight(), 1);
        assert!(listening.try_recv().is_err());
        // One that does not take what it subscribed to has to be told that it missed something.
        let missed = call(&link, 3, "listen", 100);
        assert_eq!(texts(&all(call(&link, 4, "echo", 1)).await), [result(4, 1)]);
        assert!(matches!(all(missed).await.last(), Some(Incoming::Failed(Failure::TimedOut))));
        link.stop().await;
        assert!(matches!(all(listening).await[..], [Incoming::Failed(Failure::Ended)]));
    });
}

#[test]
fn what_belongs_to_no_call_is_an_event() {
    on_epoll(async {
        let link = peer(PATIENT);
        assert_eq!(texts(&all(call(&link, 5, "others", 1_000)).await), [result(5, 1_000)]);
        let mut events = link.events().unwrap();
        link.stop().await;
        let mut seen = Vec::new();
        while let Some(event) = events.recv().await {
            seen.push(event);
        }
        let seen = texts(&seen);
        // A flood of log messages leaves room for what matters.
        assert_eq!(seen.len(), MCP_MESSAGES_MAX / 2 + 3, "{seen:?}");
        assert!(seen[MCP_MESSAGES_MAX / 2].contains("list_changed"), "{seen:?}");
        assert!(seen[MCP_MESSAGES_MAX / 2 + 1].contains("elicitation/create"), "{seen:?}");
    });
}

#[test]
fn a_response_that_is_too_large_fails_its_call() {
    on_epoll(async {
        let link = peer(PATIENT);
        let large = all(call(&link, 1, "large", 9_000_000)).await;
        assert!(matches!(large[..], [Incoming::Failed(Failure::TooLarge)]));
        assert_eq!(texts(&all(call(&link, 2, "echo", 1)).await), [result(2, 1)]);
    });
}

#[test]
fn an_id_that_is_taken_and_one_too_many_are_refused() {
    on_epoll(async {
        let link = peer(PATIENT);
        let _open: Vec<Messages> =
            (1..=MCP_PIPE_CALLS_MAX as u64).map(|id| call(&link, id, "hold", 0)).collect();
        for id in [0, 1, 1_000_000] {
            let refused = all(call(&link, id, "echo", 0)).await;
            assert!(matches!(refused[..], [Incoming::Failed(Failure::Unreachable(_))]), "{id}");
        }
    });
}

#[test]
fn a_message_means_what_it_says() {
    let tag = "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":4}";
    let tagged = format!("{{\"method\":\"notifications/x\",\"params\":{{{tag}}}}}");
    let request = format!("{{\"id\":4,\"method\":\"x\",\"params\":{{{tag}}}}}");
    let cases: &[(&str, Option<Meaning>)] = &[
        (r#"{"result":{},"id":3}"#, Some(Meaning::Response(3))),
        (r#"{"\u0069d":3,"error":{}}"#, Some(Meaning::Response(3))),
        (r#"{"id":"3","result":{}}"#, Some(Meaning::Other)),
        (r#"{"id":null,"error":{}}"#, Some(Meaning::Other)),
        (r#"{"id":3,"method":"ping"}"#, Some(Meaning::Other)),
        (r#"{"method":"notifications/progress","params":{"progressToken":4}}"#, Some(Meaning::Progress(4))),
        (r#"{"method":"notifications/progress","params":{"progressToken":"4"}}"#, Some(Meaning::Other)),
        (r#"{"method":"notifications/progress","params":[4]}"#, Some(Meaning::Other)),
        (r#"{"method":"notifications/message","params":{}}"#, Some(Meaning::Log)),
        (r#"{"method":"notifications/cancelled","params":{"requestId":4}}"#, Some(Meaning::Other)),
        (&tagged, Some(Meaning::Tagged(4))),
        (&request, Some(Meaning::Other)),
        ("{}", Some(Meaning::Other)),
        (r#"{"id":3,}"#, None),
        ("[]", None),
    ];
    for (message, expected) in cases {
        assert_eq!(meaning(message.as_bytes()).ok(), *expected, "{message}");
    }
    assert_eq!(apart(b" [{\"a\":1}, {}]".to_vec()), [b"{\"a\":1}".to_vec(), b"{}".to_vec()]);
    assert_eq!(apart(b"{}".to_vec()), [b"{}".to_vec()]);
}
