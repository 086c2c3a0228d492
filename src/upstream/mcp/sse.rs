//! HTTP+SSE, the transport of revision 2024-11-05: a stream that says first where to POST, and then carries
//! all that the server says.
//!
//! ```text
//! GET -> event `endpoint`, then event -> Message ..., Failed
//! send: POST to the endpoint -> 202
//! ```

use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::task::spawn_local;

use crate::limits::{self, Timeouts};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::http::answer::{
    ACCEPT_ANY, ACCEPT_EVENTS, Answer, Content, Door, JSON, Request, Silence,
};
use crate::upstream::mcp::http::events::{Event, Events};
use crate::upstream::mcp::http::{is_response, may_run_twice, unbatched};
use crate::upstream::mcp::server::Remote;
use crate::upstream::mcp::{Failure, Incoming, Messages};
use crate::upstream::pool::Pool;
use crate::upstream::site::Origin;

/// The way to a server: what is sent is answered on the stream that was opened with it.
#[derive(Debug)]
pub struct SseSender {
    door: Rc<Door>,
    /// Path and query of the endpoint.
    path: String,
}

/// Opens a stream and waits until the server has said where to send, for `limits::MCP_ENDPOINT_DEADLINE` at
/// most; to be called inside of a `LocalSet`.
///
/// What the server says comes out of the receiver: its `Message`s, a `Failed(TooLarge)` for each that is left
/// out for its size, and in the end one other `Failed`, `Ended` as a rule. The server is read no faster than
/// the messages are taken, and dropping the receiver closes the stream.
///
/// # Errors
/// `Unreachable`, `TimedOut`, `Ended`; `Status` when the server has no such stream; `Garbage` when it opens
/// by anything but an endpoint on its own origin.
pub async fn open(
    pool: Rc<Pool>,
    remote: Remote,
    timeouts: Timeouts,
    permit: &PlacedPermit,
) -> Result<(SseSender, Messages), Failure> {
    let door = Rc::new(Door::new(pool, remote, timeouts));
    let mut silence = Silence::new(Some(limits::MCP_ENDPOINT_DEADLINE));
    let request = Request {
        method: "GET",
        path: &door.remote.path,
        accept: ACCEPT_EVENTS,
        content_type: JSON,
        headers: &[],
        last_event_id: None,
        body: None,
        again: true,
    };
    let mut answer = door.ask(permit, &request, &mut silence).await?;
    if !answer.is_success() {
        let body = answer.read_off(&door.pool).await;
        return Err(answer.as_failure(&body));
    }
    if answer.content != Content::Events {
        return Err(Failure::Garbage(format!("status {} without an event stream", answer.status)));
    }
    let mut events = Events::default();
    let path = loop {
        match events.next() {
            Some(Event::Endpoint(value)) => break endpoint(&door.remote, &value)?,
            Some(Event::Message(_) | Event::TooLarge) => {
                return Err(Failure::Garbage("a message before the endpoint".to_owned()));
            }
            Some(Event::Id(_) | Event::Retry(_)) => {}
            None if answer.has_ended() => return Err(Failure::Ended),
            None => answer.more(&mut silence, |bytes| events.push(bytes)).await?,
        }
    };
    let (tx, messages) = mpsc::channel(limits::MCP_MESSAGES_MAX);
    drop(spawn_local(async move {
        let ended = tokio::select! {
            () = tx.closed() => return,
            ended = relay(answer, events, &tx) => ended,
        };
        // Whoever does not listen any more does not miss it.
        let _unheard = tx.send(Incoming::Failed(ended)).await;
    }));
    Ok((SseSender { door, path }, messages))
}

impl SseSender {
    /// Sends a message and waits until the server has taken it, for `limits::MCP_WRITE_DEADLINE` at most.
    ///
    /// # Errors
    /// Why it has not. An answer that is no success is `Status`.
    pub async fn send(&self, permit: &PlacedPermit, body: Vec<u8>) -> Result<(), Failure> {
        let request = Request {
            method: "POST",
            path: &self.path,
            accept: ACCEPT_ANY,
            content_type: JSON,
            headers: &[],
            last_event_id: None,
            body: Some(&body),
            again: may_run_twice(&body),
        };
        let mut silence = Silence::new(Some(limits::MCP_WRITE_DEADLINE));
        self.door.post(permit, &request, &mut silence).await
    }
}

/// Hands on the stream until it ends, and says how.
async fn relay(mut answer: Answer, mut events: Events, tx: &mpsc::Sender<Incoming>) -> Failure {
    let mut silence = Silence::new(None);
    loop {
        while let Some(event) = events.next() {
            let told = match event {
                Event::Message(data) => tell(data, tx).await,
                Event::TooLarge => tx.send(Incoming::Failed(Failure::TooLarge)).await.map_err(unheard),
                Event::Endpoint(_) | Event::Id(_) | Event::Retry(_) => Ok(()),
            };
            if let Err(failure) = told {
                return failure;
            }
        }
        if answer.has_ended() {
            return Failure::Ended;
        }
        if let Err(failure) = answer.more(&mut silence, |bytes| events.push(bytes)).await {
            return failure;
        }
    }
}

async fn tell(data: Vec<u8>, tx: &mpsc::Sender<Incoming>) -> Result<(), Failure> {
    for message in unbatched(data)? {
        // Which it is does not matter here, but it must be one.
        is_response(&message)?;
        tx.send(Incoming::Message(message)).await.map_err(unheard)?;
    }
    Ok(())
}

/// Nobody is left to be told this.
fn unheard(_message: mpsc::error::SendError<Incoming>) -> Failure {
    Failure::Ended
}

/// Path and query of the endpoint that `value` refers to (RFC 3986 section 5), seen from where the stream is.
///
/// # Errors
/// `Garbage` for what is no reference, and for one that leads away from the server: what we send there holds
/// its credentials.
pub(in crate::upstream::mcp) fn endpoint(remote: &Remote, value: &[u8]) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::Garbage(format!("an endpoint {what}"));
    let text = std::str::from_utf8(value.trim_ascii()).unwrap_or_default();
    if text.is_empty() || text.len() > limits::TARGET_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(wrong("that is no address"));
    }
    let reference = text.split('#').next().unwrap_or_default();
    let (here, _) = remote.path.split_once('?').unwrap_or((&remote.path, ""));
    let target = if let Some((https, rest)) = absolute(reference, remote.site.origin.https) {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let origin = &remote.site.origin;
        if https != Some(origin.https) || !leads_to(origin, authority) {
            return Err(wrong("on another server"));
        }
        if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else if reference.is_empty() || reference.starts_with('?') {
        format!("{here}{reference}")
    } else {
        let (folder, _) = here.rsplit_once('/').unwrap_or_default();
        format!("{folder}/{reference}")
    };
    Ok(without_dots(&target))
}

/// What follows the `//` of a reference with an authority, and whether its scheme is https; neither for a
/// scheme that is not of HTTP.
fn absolute(reference: &str, here: bool) -> Option<(Option<bool>, &str)> {
    if let Some(rest) = reference.strip_prefix("//") {
        return Some((Some(here), rest));
    }
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return None;
    }
    let https = match scheme.to_ascii_lowercase().as_str() {
        "http" => Some(false),
        "https" => Some(true),
        _ => None,
    };
    Some((https.filter(|_| rest.starts_with("//")), rest.trim_start_matches('/')))
}

/// Whether an authority of the same scheme is that of `origin`. One with a user is none of ours.
fn leads_to(origin: &Origin, authority: &str) -> bool {
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, after)) => (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))),
        None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some("") => Some(if origin.https { 443 } else { 80 }),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    port == Some(origin.port) && host.eq_ignore_ascii_case(&origin.host)
}

/// Takes `.` and `..` out of the path of a target (RFC 3986 section 5.2.4).
fn without_dots(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let path = format!("/{}", kept.join("/"));
    query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, proptest};

    use super::{endpoint, open};
    use crate::limits::{self, Timeouts};
    use crate::net::reach::Reach;
    use crate::policy::residency::PlacedPermit;
    use crate::upstream::mcp::scripted::{
        EVENTS, LAST, Seen, Server, Step, all, answer, chunk, failed, on_each, send, short,
    };
    use crate::upstream::mcp::server::Remote;
    use crate::upstream::mcp::{Failure, Messages};
    use crate::upstream::pool::Pool;
    use crate::upstream::site::{Origin, Site};

    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#;
    const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

    async fn opened(pool: &Rc<Pool>, server: &Server) -> Result<(super::SseSender, Messages), Failure> {
        let remote = server.remote("/a/sse?key=1");
        open(Rc::clone(pool), remote, Timeouts::default(), &PlacedPermit::for_tests()).await
    }

    fn event(data: &str) -> String {
        chunk(&format!("event: message\r\ndata: {data}\r\n\r\n"))
    }

    #[test]
    fn what_is_sent_is_answered_on_the_stream() {
        on_each(async |pool| {
            let head = format!("{EVENTS}{}", chunk(": hi\n\nevent: endpoint\ndata: messages?session=5\n\n"));
            let pause = Step::Pause(Duration::from_millis(100));
            let batch = format!("[{RESULT},{RESULT}]");
            let script = vec![
                Step::Read,
                send(head),
                pause,
                Step::Drip(event(RESULT).into_bytes()),
                send(event(&"x".repeat(limits::MCP_MESSAGE_BYTES_MAX + 1))),
                send(event(&batch) + LAST),
            ];
            let posts = vec![Step::Read, answer(202, "", "Accepted"), Step::Read, answer(400, "", "why")];
            let server = Server::start(vec![script, posts]);
            let (sender, messages) = opened(&pool, &server).await.unwrap();
            sender.send(&PlacedPermit::for_tests(), CALL.as_bytes().to_vec()).await.unwrap();
            let failure =
                sender.send(&PlacedPermit::for_tests(), CALL.as_bytes().to_vec()).await.unwrap_err();
            assert_eq!(failed(&failure), "failed: 400 \"why\" None");
            let too_large = "failed: it sent a message that is too large";
            let ended = "failed: it ended before it answered";
            assert_eq!(all(messages).await, [RESULT, too_large, RESULT, RESULT, ended]);
            let request = server.request().await;
            assert!(request.starts_with("GET /a/sse?key=1 HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("accept: text/event-stream\r\n"), "{request}");
            for _ in 0..2 {
                let request = server.request().await;
                assert!(request.starts_with("POST /a/messages?session=5 HTTP/1.1\r\n"), "{request}");
                assert!(request.contains("authorization: Bearer of-config\r\n"), "{request}");
                assert!(request.ends_with(CALL), "{request}");
            }
        });
    }

    #[test]
    fn dropping_the_messages_closes_the_stream() {
        on_each(async |pool| {
            let head = format!("{EVENTS}{}", chunk("event: endpoint\ndata: /m\n\n"));
            let server = Server::start(vec![vec![Step::Read, send(head), send(event(RESULT)), Step::Hang]]);
            let (_sender, mut messages) = opened(&pool, &server).await.unwrap();
            assert_eq!(messages.recv().await.map(short).as_deref(), Some(RESULT));
            drop(messages);
            server.request().await;
            assert_eq!(server.seen().await, Seen::Closed);
        });
    }

    #[test]
    fn what_does_not_open_by_an_endpoint_is_refused() {
        let json = "content-type: application/json\r\n";
        let cases = [
            (answer(405, "", "no"), "failed: 405 \"no\" None"),
            (answer(401, "www-authenticate: Bearer\r\n", ""), "failed: 401 \"\" Some(\"Bearer\")"),
            (answer(200, json, "{}"), "status 200 without an event stream"),
            (send(format!("{EVENTS}{}", event(RESULT))), "a message before the endpoint"),
            (send(format!("{EVENTS}{LAST}")), "failed: it ended before it answered"),
            (send(format!("{EVENTS}{}", chunk("event: endpoint\ndata: //evil/m\n\n"))), "on another server"),
        ];
        for (step, expected) in cases {
            on_each(async |pool| {
                let server = Server::start(vec![vec![Step::Read, step.clone()]]);
                let failure = opened(&pool, &server).await.err().unwrap();
                assert!(failed(&failure).contains(expected), "{}", failed(&failure));
            });
        }
    }

    #[test]
    fn endpoints_are_resolved_and_stay_on_the_server() {
        let server = Server::start(vec![]);
        let remote = server.remote("/a/b/sse?x=1");
        let own = format!("127.0.0.1:{}", server.port);
        let good: &[(&str, &str)] = &[
            ("/messages/?session_id=1", "/messages/?session_id=1"),
            ("messages", "/a/b/messages"),
            ("./m", "/a/b/m"),
            ("../m?p=../x", "/a/m?p=../x"),
            ("../../../../m/.", "/m/"),
            ("..", "/a/"),
            ("?s=1", "/a/b/sse?s=1"),
            ("/m#part", "/m"),
            ("m?to=http://x", "/a/b/m?to=http://x"),
            (&format!("http://{own}/m?s=1"), "/m?s=1"),
            (&format!("HTTP://{own}"), "/"),
            (&format!("http://{own}?s"), "/?s"),
            (&format!("//{own}/m"), "/m"),
        ];
        for (value, expected) in good {
            assert_eq!(endpoint(&remote, value.as_bytes()).unwrap(), *expected, "{value}");
        }
        let port = server.port;
        for value in [
            "",
            "a b",
            "/m\u{e9}",
            "/m\u{0}",
            "http://evil.test/m",
            "//evil.test/m",
            "http:/m",
            "http:m",
            "file:///etc/passwd",
            "javascript:x",
            &format!("https://{own}/m"),
            &format!("http://{own}.evil.test/m"),
            &format!("http://{own}@evil.test/m"),
            &format!("http://user@{own}/m"),
            &format!("http://{own}\\@evil.test/m"),
            &format!("http://127.0.0.1:{port}0/m"),
            &format!("http://127.0.0.1:+{port}/m"),
            "http://127.0.0.1/m",
            &format!("http://[::1]:{port}/m"),
            "http://[::1/m",
            &format!("/{}", "m".repeat(limits::TARGET_BYTES_MAX)),
        ] {
            assert!(endpoint(&remote, value.as_bytes()).is_err(), "{value}");
        }
        let named = |https: bool, host: &str, port: u16| {
            let mut site = remote.site.as_ref().clone();
            (site.origin.https, site.origin.host, site.origin.port) = (https, host.to_owned(), port);
            Remote { site: site.into(), ..remote.clone() }
        };
        let usual = named(true, "mcp.test", 443);
        assert_eq!(endpoint(&usual, b"https://MCP.test/m").unwrap(), "/m");
        assert_eq!(endpoint(&usual, b"https://mcp.test:443/m").unwrap(), "/m");
        assert!(endpoint(&usual, b"http://mcp.test:443/m").is_err());
        assert_eq!(endpoint(&named(false, "::1", 80), b"http://[::1]/m").unwrap(), "/m");
    }

    proptest! {
        #[test]
        fn an_endpoint_is_a_path_or_refused(words in vec(proptest::sample::select(vec![
            "/", "//", "..", ".", "?", "#", ":", "@", "[", "]", "http", "https", "127.0.0.1:80", "a", "%2e",
            " ", "\\", "\u{0}", "\u{e9}", ":80",
        ]), 0..12)) {
            let origin = Origin { https: false, host: "127.0.0.1".to_owned(), port: 80 };
            let host = origin.host_header();
            let reach = Reach::written();
            let site = Site { name: "s".into(), origin, host, tls: None, proxy: None, reach };
            let remote = Remote { site: site.into(), path: "/a/sse".to_owned(), headers: Vec::new() };
            if let Ok(path) = endpoint(&remote, words.concat().as_bytes()) {
                prop_assert!(path.starts_with('/') && !path.contains('#'), "{}", path);
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{}", path);
                let bare = path.split('?').next().unwrap_or_default();
                prop_assert!(!bare.split('/').any(|part| matches!(part, "." | "..")), "{}", path);
            }
        }
    }
}
