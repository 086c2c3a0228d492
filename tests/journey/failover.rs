//! Providers and addresses that cannot be reached: the next one is asked, and the deadline holds.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::client::{messages, messages_body, once};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::scripted_upstream;

/// An address that answers no connect: its listener accepts nothing and its queue is full.
struct Unanswering {
    _listener: Socket,
    _queued: Vec<Socket>,
    addr: SocketAddr,
}

impl Unanswering {
    fn start() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("loopback has a free port");
        listener.listen(0).expect("a bound socket can listen");
        let addr = listener.local_addr().ok().and_then(|addr| addr.as_socket()).expect("it has an address");
        let mut queued = Vec::new();
        while TcpStream::connect_timeout(&addr, Duration::from_millis(100)).is_ok() {
            let one = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
            one.set_nonblocking(true).expect("a socket has options");
            // It is under way, or waits in the queue.
            drop(one.connect(&addr.into()));
            queued.push(one);
            assert!(queued.len() < 64, "the queue of a listener has an end");
        }
        Self { _listener: listener, _queued: queued, addr }
    }
}

/// An address at which nobody listens.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address")
}

#[test]
fn a_name_with_several_addresses_is_reached_at_the_one_that_answers() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &format!("http://localhost:{}", upstream.addr().port()));
        for _ in 0..2 {
            assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        }
        assert_eq!(upstream.connections(), 1, "the connection is kept under its name");
    });
}

#[test]
fn an_address_that_answers_no_connect_is_a_502_in_time() {
    for_each_engine(|engine| {
        let dead = Unanswering::start();
        let more = "timeouts: { connect_ms: 400 }";
        let gateway = Gateway::with(engine, &format!("http://{}", dead.addr), more);
        let started = Instant::now();
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        let took = started.elapsed();
        let message = reply.refusal(502, "api_error");
        assert!(!message.contains(&dead.addr.to_string()), "{message}");
        assert!(took >= Duration::from_millis(350) && took < Duration::from_secs(5), "it took {took:?}");
    });
}

#[test]
fn a_provider_that_cannot_be_reached_is_followed_by_the_next() {
    for_each_engine(|engine| {
        let (dead, refused, upstream) = (Unanswering::start(), closed(), scripted_upstream::plain());
        let never = scripted_upstream::plain();
        let more = "timeouts: { connect_ms: 300 }";
        let text = crate::gateway::config(engine, &format!("http://{}", dead.addr), more)
            .replace(
                "models:\n",
                &format!(
                    "  shut: {{ dialect: anthropic, base_url: \"http://{refused}\" }}\n  \
                       there: {{ dialect: anthropic, base_url: \"{}\", key: key-of-there-0123456789 }}\n  \
                       last: {{ dialect: anthropic, base_url: \"{}\" }}\nmodels:\n",
                    upstream.url(),
                    never.url()
                ),
            )
            .replace("[up]", "[up, shut, { provider: there, model: claude-there }, last]");
        let folder = crate::gateway::Folder::new();
        folder.write("tollgate.yaml", &text);
        let gateway = Gateway::run(&mut crate::gateway::tollgate(folder.path()), folder);
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        assert_eq!(reply.head.status, 200, "{reply:?}");
        let seen = upstream.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].body, messages_body("claude-there", true).into_bytes());
        assert_eq!(seen[0].header("x-api-key"), Some("key-of-there-0123456789"));
        assert!(!format!("{seen:?}").contains(crate::gateway::UPSTREAM_KEY), "a key is for its provider");
        assert!(never.seen().is_empty(), "nobody else is asked");
        let calls = gateway.log().calls(1);
        assert_eq!((calls.len(), &calls[0]["provider"]), (1, &serde_json::json!("there")), "{calls:?}");
        let failed = gateway.log().all("a provider did not answer");
        let names: Vec<_> = failed.iter().map(|line| line["provider"].as_str()).collect();
        assert_eq!(names, [Some("up"), Some("shut")], "in the order of the config");
    });
}
