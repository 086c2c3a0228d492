//! Both engines under the same cases: what a stream promises must not depend on what it runs on.

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::net::buffer::Buffer;
use crate::net::connect::connect;
use crate::net::engine::{Engine, EngineChoice};
use crate::net::listener::{Listener, bind};
use crate::net::outgoing::{Outgoing, Piece};
use crate::net::runtime::Runtime;
use crate::net::stream::Stream;
use crate::net::tls::{ClientTls, ServerTls};

const SOON: Duration = Duration::from_secs(10);

/// Runs a case on every engine that this machine has, each with a connected pair of streams.
fn on_both<F: Future<Output = ()>>(case: impl Fn(Stream, Stream) -> F) {
    let case = &case;
    on_each(|engine| async move {
        let (near, far) = pair(engine).await;
        case(near, far).await;
    });
}

/// Runs a case on every engine that this machine has.
fn on_each<F: Future<Output = ()>>(case: impl Fn(Engine) -> F) {
    for choice in [EngineChoice::Epoll, EngineChoice::IoUring] {
        let runtime = match Runtime::new(choice) {
            Ok((runtime, _)) => runtime,
            Err(fault) => {
                eprintln!("SKIPPED on {choice:?}: {fault}");
                continue;
            }
        };
        let engine = runtime.engine();
        runtime.block_on(async {
            timeout(SOON, case(engine)).await.unwrap_or_else(|_| panic!("{engine}: the case hangs"));
        });
    }
}

async fn pair(engine: Engine) -> (Stream, Stream) {
    let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let listener = Listener::new(socket, engine).unwrap();
    let addresses = [address];
    let (near, far) = tokio::join!(connect(engine, &addresses, SOON), listener.accept());
    (near.unwrap(), far.unwrap())
}

/// A server called gate.test, and a client that trusts it.
fn both_sides() -> (ServerTls, ClientTls) {
    let made = rcgen::generate_simple_self_signed(vec!["gate.test".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let server = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let client = ClientTls::new(Some(chain.as_bytes())).unwrap();
    (server, client)
}

fn sent(bytes: &[u8]) -> Outgoing {
    Outgoing::one(Buffer::from(bytes))
}

#[test]
fn pieces_arrive_in_order() {
    on_both(|mut near, mut far| async move {
        let body = Rc::new(Buffer::from(&vec![b'x'; 300_000][..]));
        let outgoing = Outgoing::new([
            Piece::Owned(Buffer::from(&b"head"[..])),
            Piece::Shared(Rc::clone(&body), 0..100_000),
            Piece::Owned(Buffer::from(&b"model"[..])),
            Piece::Shared(body, 100_000..300_000),
        ]);
        let reader = spawn_local(async move {
            let mut all = Vec::new();
            while far.fill(1).await.unwrap() > 0 {
                all.extend_from_slice(far.input());
                far.consume(far.input().len());
            }
            all
        });
        near.send(outgoing).await.unwrap();
        drop(near);
        let all = reader.await.unwrap();
        assert_eq!(all.len(), 300_009);
        assert_eq!(&all[..5], b"headx");
        assert_eq!(&all[100_004..100_009], b"model");
    });
}

#[test]
fn a_fill_that_is_given_up_loses_nothing() {
    on_both(|mut near, mut far| async move {
        for round in 0..20_u8 {
            assert!(timeout(Duration::from_millis(1), far.fill(1)).await.is_err());
            near.send(sent(&[round])).await.unwrap();
            far.fill(1).await.unwrap();
            assert_eq!(far.input(), [round]);
            far.consume(1);
        }
    });
}

#[test]
fn watching_keeps_the_input_readable() {
    on_both(|mut near, mut far| async move {
        near.send(sent(b"first")).await.unwrap();
        far.fill(1).await.unwrap();
        poll_fn(|cx| {
            assert!(far.poll_watch(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(far.input(), b"first");
        near.send(sent(b"second")).await.unwrap();
        assert_eq!(poll_fn(|cx| far.poll_watch(cx)).await.unwrap(), 6);
        assert_eq!(far.input(), b"firstsecond");
    });
}

#[test]
fn a_dropped_stream_closes_although_a_receive_is_pending() {
    on_both(|mut near, mut far| async move {
        assert!(near.is_quiet());
        drop(near);
        assert_eq!(far.fill(1).await.unwrap(), 0);
    });
}

#[test]
fn an_idle_stream_notices_the_peer_that_left() {
    on_both(|mut near, far| async move {
        assert!(near.is_quiet());
        drop(far);
        // The close has to travel through the kernel and, on a ring, through a completion.
        for _ in 0..100 {
            if !near.is_quiet() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("still taken for good");
    });
}

#[test]
fn a_reader_that_rests_holds_the_sender() {
    on_both(|mut near, mut far| async move {
        let big = Outgoing::one(Buffer::from(&vec![7; 64 << 20][..]));
        near.start_send(big);
        let held = timeout(Duration::from_millis(100), poll_fn(|cx| near.poll_send(cx))).await;
        assert!(held.is_err(), "64 MiB cannot have left");
        let writer = spawn_local(async move { poll_fn(|cx| near.poll_send(cx)).await.unwrap().left() });
        let mut total = 0;
        while total < 64 << 20 {
            total += far.fill(16 * 1024).await.unwrap();
            far.consume(usize::MAX);
        }
        assert_eq!(writer.await.unwrap(), 0);
    });
}

#[test]
fn tls_carries_large_bodies_and_ends_cleanly() {
    let (server, client) = both_sides();
    on_both(|mut near, mut far| {
        let (server, client) = (server.clone(), client.clone());
        async move {
            let accept = server.accept().unwrap();
            let connect = client.connect("gate.test").unwrap();
            let (a, b) = tokio::join!(near.secure(connect), far.secure(accept));
            a.unwrap();
            b.unwrap();
            let writer = spawn_local(async move {
                near.send(Outgoing::one(Buffer::from(&vec![b'y'; 1_000_000][..]))).await.unwrap();
                near.finish().await.unwrap();
                near
            });
            let mut total = 0;
            loop {
                let bytes = far.fill(1).await.unwrap();
                if bytes == 0 {
                    break;
                }
                total += bytes;
                assert!(far.input().iter().all(|&byte| byte == b'y'));
                far.consume(bytes);
            }
            assert_eq!(total, 1_000_000);
            drop(writer.await.unwrap());
        }
    });
}

#[test]
fn tls_refuses_a_certificate_for_somebody_else_and_a_cut() {
    let (server, client) = both_sides();
    on_both(|mut near, mut far| {
        let (server, client) = (server.clone(), client.clone());
        async move {
            let accept = server.accept().unwrap();
            let connect = client.connect("other.test").unwrap();
            let (refused, alerted) = tokio::join!(near.secure(connect), far.secure(accept));
            assert!(refused.is_err());
            assert!(alerted.is_err());
        }
    });
    on_both(|mut near, mut far| {
        let (server, client) = (server.clone(), client.clone());
        async move {
            let accept = server.accept().unwrap();
            let connect = client.connect("gate.test").unwrap();
            let (a, b) = tokio::join!(near.secure(connect), far.secure(accept));
            a.unwrap();
            b.unwrap();
            near.send(sent(b"half an ans")).await.unwrap();
            drop(near);
            far.fill(1).await.unwrap();
            assert!(far.fill(1).await.is_err(), "an end without close_notify is a cut");
        }
    });
}

#[test]
fn certificates_without_keys_are_explained() {
    assert!(ServerTls::from_pem(b"no pem", b"no pem").is_err());
    assert!(ClientTls::new(Some(b"no pem")).is_err());
}

#[test]
fn of_several_addresses_the_first_that_answers_is_taken_in_time() {
    const PATIENCE: Duration = Duration::from_millis(200);
    on_each(|engine| async move {
        let here = || SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = |socket: &socket2::Socket| socket.local_addr().unwrap().as_socket().unwrap();
        // One that refuses, one whose queue is full and who therefore says nothing, one that answers.
        let refuses = address(&bind(here()).unwrap());
        let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&here().into()).unwrap();
        silent.listen(0).unwrap();
        let silent_at = address(&silent);
        let mut queue = Vec::new();
        while let Ok(queued) = connect(engine, &[silent_at], PATIENCE).await {
            queue.push(queued);
        }
        let answers = bind(here()).unwrap();
        let answers_at = address(&answers);
        let listener = Listener::new(answers, engine).unwrap();
        let all = [refuses, silent_at, answers_at];
        let begun = crate::clock::now();
        let (found, accepted) = tokio::join!(connect(engine, &all, PATIENCE), listener.accept());
        assert_eq!(found.unwrap().peer(), Some(answers_at));
        accepted.unwrap();
        let took = begun.elapsed();
        assert!(took >= PATIENCE && took < 10 * PATIENCE, "{took:?}");
        let fault = connect(engine, &[silent_at, refuses], PATIENCE).await.unwrap_err();
        assert_eq!(fault.kind(), std::io::ErrorKind::ConnectionRefused, "the last one's: {fault}");
        assert!(connect(engine, &[], PATIENCE).await.is_err());
    });
}
