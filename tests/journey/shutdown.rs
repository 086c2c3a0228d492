//! SIGTERM: nothing new is begun, what runs may end, and what does not end in time is told so.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::broken_streams::last_error;
use crate::client::{Client, get, messages};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::{pauses_between_pieces, scripted_upstream, stalls_after_headers};
use crate::program::eventually;
use crate::sse;

const SOON: Duration = Duration::from_secs(15);

#[test]
fn an_idle_gateway_ends_at_once() {
    for_each_engine(|engine| {
        for signal in ["TERM", "INT"] {
            let upstream = scripted_upstream::plain();
            let mut gateway = Gateway::start(engine, &upstream.url());
            let mut kept = Client::connect(gateway.addr());
            kept.exchange(&get("GET", "/healthz", &[]));
            kept.exchange(&messages(KEY, "claude-any", true));
            let started = Instant::now();
            gateway.signal(signal);
            let status = gateway.wait(SOON);
            assert_eq!(status.code(), Some(0), "{status}");
            eprintln!("SIG{signal}: ended after {:?}", started.elapsed());
        }
    });
}

#[test]
fn a_stream_may_end_within_the_time_to_drain() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any") + &sse::text_start();
        let end = sse::text_delta("late") + &sse::message_end("end_turn");
        let upstream = pauses_between_pieces::start(&[
            (Duration::ZERO, beginning.clone()),
            (Duration::from_millis(3_000), end.clone()),
        ]);
        let mut gateway = Gateway::with(engine, &upstream.url(), "drain_s: 20");
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        let head = client.head();
        let mut body = client.read_until("content_block_start");
        let started = Instant::now();
        gateway.signal("TERM");
        eventually("new connections are refused", SOON, || TcpStream::connect(gateway.addr()).is_err());
        assert!(started.elapsed() < Duration::from_millis(2_900), "the listener stayed open");
        body.extend_from_slice(&client.finish(head).body);
        assert_eq!(String::from_utf8_lossy(&body), format!("{beginning}{end}"));
        let status = gateway.wait(SOON);
        assert_eq!(status.code(), Some(0), "{status}");
        assert_eq!(gateway.log().calls(1)[0]["outcome"], "done");
    });
}

#[test]
fn a_stream_that_does_not_end_is_cut_with_an_error_event() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any") + &sse::text_start() + &sse::text_delta("so far");
        let (upstream, left) = stalls_after_headers::start(&beginning);
        let mut gateway = Gateway::with(engine, &upstream.url(), "drain_s: 1");
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        let head = client.head();
        let mut body = client.read_until("so far");
        let started = Instant::now();
        gateway.signal("TERM");
        body.extend_from_slice(&client.finish(head).body);
        let took = started.elapsed();
        assert!(took > Duration::from_millis(800), "it was cut after {took:?}, before its time");
        assert!(body.starts_with(beginning.as_bytes()));
        last_error(&body);
        let status = gateway.wait(SOON);
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(left.recv_timeout(SOON).is_ok(), "the upstream is let go");
        assert_eq!(gateway.log().calls(1)[0]["outcome"], "drained");
    });
}

#[test]
fn a_request_on_a_kept_connection_is_not_lost() {
    for_each_engine(|engine| {
        let (upstream, _left) = stalls_after_headers::start(&sse::message_start("claude-any"));
        let mut gateway = Gateway::with(engine, &upstream.url(), "drain_s: 1");
        let mut holding = Client::connect(gateway.addr());
        holding.send(&messages(KEY, "claude-any", true));
        holding.head();
        let mut kept = Client::connect(gateway.addr());
        kept.exchange(&get("GET", "/healthz", &[]));
        gateway.signal("TERM");
        eventually("new connections are refused", SOON, || TcpStream::connect(gateway.addr()).is_err());
        // Closed in time, or answered that another gateway should be asked; never left hanging.
        if kept.try_send(&messages(KEY, "claude-any", true)).is_ok()
            && let Ok(head) = kept.try_head()
        {
            kept.finish(head).refusal(503, "overloaded_error");
        }
        assert_eq!(gateway.wait(SOON).code(), Some(0));
    });
}

#[test]
fn a_signal_at_the_very_start_is_heard() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        for _ in 0..10 {
            let mut gateway = Gateway::start(engine, &upstream.url());
            gateway.signal("HUP");
            gateway.signal("TERM");
            let status = gateway.wait(SOON);
            assert_eq!(status.code(), Some(0), "whoever listens must heed signals: {status}");
        }
    });
}

#[test]
fn a_call_whose_answer_has_not_begun_is_sent_elsewhere() {
    for_each_engine(|engine| {
        let (upstream, left) = stalls_after_headers::before_headers();
        let mut gateway = Gateway::with(engine, &upstream.url(), "drain_s: 1");
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        eventually("the provider has the request", SOON, || !upstream.seen().is_empty());
        gateway.signal("TERM");
        // The provider is not to blame: what the caller should do is ask the next gateway, soon.
        let reply = client.reply();
        reply.refusal(503, "overloaded_error");
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
        assert_eq!(gateway.wait(SOON).code(), Some(0));
        assert!(left.recv_timeout(SOON).is_ok(), "the upstream is let go");
    });
}
