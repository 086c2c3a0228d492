//! The herald against servers that take heads, refuse them, or keep it waiting.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::Herald;
use crate::admin::heads_metrics::Destination;
use crate::config::snapshot::{Bucket, HeadTargets, Webhook};
use crate::gateway::log::Sink;
use crate::ledger::heads;
use crate::ledger::record::Head;
use crate::net::reach::Reach;
use crate::secret::Secret;
use crate::upstream::mcp::server::Remote;
use crate::upstream::sigv4::Signer;
use crate::upstream::site::{Origin, Site};

/// Beyond every wait of the herald's, and long enough for a machine that does something else.
const SOON: Duration = Duration::from_secs(60);

/// A server that answers each request with the status of the moment; 0 is no answer at all.
struct Server {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    seen: Receiver<(String, String)>,
}

impl Server {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(status));
        let (said, (sender, seen)) = (Arc::clone(&status), channel());
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.unwrap().parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let status = said.load(Ordering::SeqCst);
                if status == 0 {
                    open.push(stream);
                } else {
                    let body = "<Error><Code>NoSuchBucket</Code></Error>";
                    let length = body.len();
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                // The test may be over.
                drop(sender.send((head, String::from_utf8(body).unwrap())));
            }
        });
        Self { address, status, seen }
    }

    fn next(&self) -> (String, Head) {
        let (head, body) = self.seen.recv_timeout(SOON).expect("a head comes");
        (head, heads::from_line(body.as_bytes()).expect("what comes is a head"))
    }

    fn remote(&self, path: &str) -> Remote {
        let origin = Origin { https: false, host: self.address.ip().to_string(), port: self.address.port() };
        let site = Site {
            name: "x".into(),
            host: origin.host_header(),
            origin,
            tls: None,
            proxy: None,
            reach: Reach::written(),
        };
        Remote { site: Arc::new(site), path: path.to_owned(), headers: Vec::new() }
    }

    fn webhook(&self) -> Arc<HeadTargets> {
        let secret = Some(Secret::new("a-secret"));
        let webhook = Webhook { remote: self.remote("/hook/hidden-word"), secret };
        Arc::new(HeadTargets { webhook: Some(Arc::new(webhook)), bucket: None })
    }

    fn bucket(&self) -> Arc<HeadTargets> {
        let (access_key, secret_key) = (Secret::new("AKID"), Secret::new("hidden-word"));
        let (region, session_token) = ("eu-central-1".to_owned(), None);
        let signer = Signer { access_key, secret_key, session_token, region, service: "s3" };
        let bucket = Bucket { remote: self.remote("/proofs/of/us"), signer };
        Arc::new(HeadTargets { webhook: None, bucket: Some(Arc::new(bucket)) })
    }
}

struct Scene {
    folder: std::path::PathBuf,
    lines: Receiver<String>,
    herald: Herald,
}

impl Scene {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-herald-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(folder.join("ledger")).unwrap();
        Self::in_folder(folder)
    }

    fn in_folder(folder: std::path::PathBuf) -> Self {
        let (log, lines) = Sink::heard();
        Self { herald: Herald::new(folder.clone(), log), folder, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(SOON).expect("a line is written")
    }

    /// Ends the herald; all that it wrote since the last look, and where it was.
    fn end(self, head: Option<Head>, targets: &Arc<HeadTargets>) -> (String, std::path::PathBuf) {
        self.herald.end(head, targets);
        (self.lines.try_iter().collect(), self.folder)
    }
}

fn head(size: u64) -> Head {
    Head { at_ms: 5, size, root: [7; 32], chain: [8; 32], key: [0xab; 8], signature: [9; 64] }
}

#[test]
fn a_head_is_posted_with_a_signature_over_time_and_body() {
    let (server, mut scene) = (Server::start(204), Scene::new("posted"));
    scene.herald.tell(Some(head(3)), &server.webhook());
    let (request, seen) = server.next();
    assert_eq!(seen, head(3));
    assert!(request.starts_with("POST /hook/hidden-word HTTP/1.1\r\n"), "{request}");
    let line = |name: &str| {
        let found = request.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} is missing in {request}")).to_owned()
    };
    let (time, signature) = (line("x-tollgate-timestamp: "), line("x-tollgate-signature: sha256="));
    let said = format!("{time}.{}", heads::line(&head(3)));
    assert_eq!(signature, crate::upstream::sigv4::hmac_hex(b"a-secret", said.as_bytes()));
    scene.herald.tell(Some(head(9)), &server.webhook());
    assert_eq!(server.next().1.size, 9);
    let (lines, folder) = scene.end(Some(head(9)), &server.webhook());
    assert_eq!(lines, "");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn while_nobody_takes_them_only_the_newest_waits_and_one_line_says_so() {
    let (server, mut scene) = (Server::start(503), Scene::new("outage"));
    let targets = server.bucket();
    scene.herald.tell(Some(head(1)), &targets);
    let (request, _) = server.next();
    assert!(request.starts_with("PUT /proofs/of/us/abababababababab/1.json HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("/eu-central-1/s3/aws4_request,SignedHeaders=host;x-amz-"), "{request}");
    let line = scene.line();
    assert!(line.contains("to=s3") && line.contains("it answered 503 NoSuchBucket"), "{line}");
    // It is tried again by itself.
    assert_eq!(server.next().1.size, 1);
    for size in 2..50 {
        scene.herald.tell(Some(head(size)), &targets);
    }
    server.status.store(200, Ordering::SeqCst);
    // An attempt may have been under way.
    let mut seen = server.next().1.size;
    while seen == 1 {
        seen = server.next().1.size;
    }
    assert_eq!(seen, 49, "what is older than the newest is of no use");
    let line = scene.line();
    assert!(line.contains("arrive again") && line.contains("records=49"), "{line}");
    let mut text = String::new();
    scene.herald.counts.render(&[Destination::Bucket], &mut text);
    assert!(text.contains("tollgate_ledger_heads_sent_total{to=\"s3\"} 1\n"), "{text}");
    assert!(!text.contains("tollgate_ledger_heads_failed_total{to=\"s3\"} 0\n"), "{text}");
    let (lines, folder) = scene.end(Some(head(49)), &targets);
    assert_eq!(lines, "");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_has_arrived_is_not_sent_again_after_a_restart_and_what_has_not_is() {
    let (server, mut scene) = (Server::start(200), Scene::new("restart"));
    scene.herald.tell(Some(head(4)), &server.webhook());
    server.next();
    let noted = scene.folder.join("ledger/delivered-webhook.json");
    for _ in 0..12_000 {
        if noted.exists() {
            break;
        }
        // Nothing is said meanwhile; a slow disk has a minute.
        assert!(scene.lines.recv_timeout(Duration::from_millis(5)).is_err());
    }
    let (_, folder) = scene.end(Some(head(4)), &server.webhook());
    let mut scene = Scene::in_folder(folder);
    scene.herald.tell(Some(head(4)), &server.webhook());
    // It would come before the other one.
    server.status.store(500, Ordering::SeqCst);
    scene.herald.tell(Some(head(6)), &server.webhook());
    assert_eq!(server.next().1.size, 6);
    let line = scene.line();
    assert!(line.contains("it answered 500") && !line.contains("hidden-word"), "{line}");
    let (_, folder) = scene.end(Some(head(6)), &server.webhook());
    server.status.store(200, Ordering::SeqCst);
    while server.seen.try_recv().is_ok() {}
    let mut scene = Scene::in_folder(folder);
    scene.herald.tell(Some(head(6)), &server.webhook());
    assert_eq!(server.next().1.size, 6);
    let (lines, folder) = scene.end(Some(head(6)), &server.webhook());
    assert_eq!(lines, "");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_new_place_is_told_at_once_although_the_old_one_keeps_it_waiting() {
    let (silent, server) = (Server::start(0), Server::start(200));
    let mut scene = Scene::new("moved");
    scene.herald.tell(Some(head(4)), &silent.webhook());
    silent.next();
    scene.herald.tell(Some(head(4)), &server.webhook());
    assert_eq!(server.next().1.size, 4);
    let (lines, folder) = scene.end(Some(head(4)), &server.webhook());
    assert_eq!(lines, "");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_last_head_is_sent_at_the_end_and_the_end_does_not_wait_for_long() {
    let (server, mut scene) = (Server::start(200), Scene::new("end"));
    scene.herald.tell(Some(head(4)), &server.webhook());
    server.next();
    let (lines, folder) = scene.end(Some(head(5)), &server.webhook());
    assert_eq!((lines.as_str(), server.next().1.size), ("", 5));
    std::fs::remove_dir_all(folder).unwrap();
    // Of a server that never answers the end is waited for, and not for ever.
    let (silent, mut scene) = (Server::start(0), Scene::new("silent"));
    scene.herald.tell(Some(head(4)), &silent.webhook());
    silent.next();
    let (_, folder) = scene.end(Some(head(5)), &silent.webhook());
    assert_eq!(silent.next().1.size, 5);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_process_that_ends_at_once_sends_its_head_too() {
    let (server, scene) = (Server::start(200), Scene::new("at-once"));
    let (lines, folder) = scene.end(Some(head(2)), &server.webhook());
    assert_eq!((lines.as_str(), server.next().1.size), ("", 2));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn without_a_destination_there_is_no_thread() {
    let mut scene = Scene::new("none");
    scene.herald.tell(Some(head(4)), &Arc::default());
    assert!(scene.herald.thread.is_none());
    let (lines, folder) = scene.end(Some(head(4)), &Arc::default());
    assert_eq!(lines, "");
    std::fs::remove_dir_all(folder).unwrap();
}
