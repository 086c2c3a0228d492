//! curl as the client: rates, TLS, chunked uploads, and being killed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{get, messages_body, post};
use crate::gateway::{Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::peer::{answers_status, scripted_upstream, stalls_after_headers};
use crate::program::{self, eventually};
use crate::sse;

const DEADLINE: Duration = Duration::from_secs(60);

/// curl with a request for a model; the URL is still to come.
fn curl(stream: bool) -> Command {
    let mut command = Command::new("curl");
    command
        .args(["--http1.1", "--silent", "--show-error", "--no-buffer", "--noproxy", "*"])
        .args(["--header", &format!("Authorization: Bearer {KEY}")])
        .args(["--header", "Content-Type: application/json"])
        .args(["--data", &messages_body("claude-any", stream)]);
    command
}

#[test]
fn a_slow_reader_gets_a_large_answer_whole() {
    for_each_engine(|engine| {
        let body = format!("{{\"x\":\"{}\"}}", "0123456789abcdef".repeat(24 * 64 * 1024));
        let upstream = answers_status::start(200, &[("Content-Type", "application/json")], &body);
        let gateway = Gateway::start(engine, &upstream.url());
        let url = gateway.url() + "/v1/messages";
        let outcome = program::run(curl(false).args(["--limit-rate", "8M", &url]), DEADLINE).succeeded();
        assert!(outcome.stdout == body, "{} of {} bytes came", outcome.stdout.len(), body.len());
        assert!(outcome.took > Duration::from_secs(1), "24 MiB at 8 MiB/s took {:?}", outcome.took);
    });
}

#[test]
fn uploads_in_chunks_and_after_100_continue_arrive() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let url = gateway.url() + "/v1/messages";
        for header in ["Transfer-Encoding: chunked", "Expect: 100-continue"] {
            let outcome = program::run(curl(true).args(["--header", header, &url]), DEADLINE).succeeded();
            assert!(outcome.stdout.contains("message_stop"), "{header}: {}", outcome.stdout);
        }
        let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies, vec![messages_body("claude-any", true).into_bytes(); 2]);
    });
}

/// Writes a certificate for `localhost` and its key, which is its own authority.
fn certificate(folder: &Folder) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate can be made");
    folder.write("cert.pem", &made.cert.pem());
    folder.write("key.pem", &made.signing_key.serialize_pem());
}

const TLS: &str = "tls: { cert: cert.pem, key: key.pem }";

#[test]
fn tls_is_spoken_and_certificates_are_replaced_while_running() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let folder = Folder::new();
        certificate(&folder);
        folder.write("tollgate.yaml", &config(engine, &upstream.url(), TLS));
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        let port = gateway.addr().port();
        let ask = |ca: &str| {
            program::run(
                curl(true)
                    .current_dir(gateway.folder().path())
                    .args(["--cacert", ca, "--resolve", &format!("localhost:{port}:127.0.0.1")])
                    .arg(format!("https://localhost:{port}/v1/messages")),
                DEADLINE,
            )
        };
        let outcome = ask("cert.pem").succeeded();
        assert!(outcome.stdout.contains("message_stop"), "{}", outcome.stdout);

        gateway.folder().write(
            "old.pem",
            &std::fs::read_to_string(gateway.folder().join("cert.pem")).expect("it is there"),
        );
        certificate(gateway.folder());
        gateway.signal("HUP");
        eventually("the new certificate is shown", Duration::from_secs(20), || {
            ask("cert.pem").status.success()
        });
        let refused = ask("old.pem");
        assert_eq!(refused.status.code(), Some(60), "the old certificate is no longer shown: {refused:?}");
    });
}

#[test]
fn a_plain_request_to_a_tls_listener_harms_nobody() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let folder = Folder::new();
        certificate(&folder);
        folder.write("tollgate.yaml", &config(engine, &upstream.url(), TLS));
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        let mut client = crate::client::Client::connect(gateway.addr());
        client.send(&crate::client::messages(KEY, "claude-any", true));
        assert!(client.closes_within(Duration::from_secs(5)));
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn an_https_upstream_is_verified() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let inner = Folder::new();
        certificate(&inner);
        let trusted = std::fs::read_to_string(inner.join("cert.pem")).expect("it is there");
        inner.write("tollgate.yaml", &config(engine, &upstream.url(), TLS));
        let inner = Gateway::run(&mut tollgate(inner.path()), inner);
        let https = format!("https://localhost:{}", inner.addr().port());

        for (ca_file, status) in [("ca_file: ca.pem", 200), ("", 502)] {
            let outer = Folder::new();
            outer.write("ca.pem", &trusted);
            let text = config(engine, &https, ca_file).replace(crate::gateway::UPSTREAM_KEY, KEY);
            outer.write("tollgate.yaml", &text);
            let outer = Gateway::run(&mut tollgate(outer.path()), outer);
            let request = crate::client::messages(KEY, "claude-any", true);
            for _ in 0..2 {
                let reply = crate::client::once(outer.addr(), &request);
                assert_eq!(reply.head.status, status, "{ca_file:?}: {reply:?}");
            }
        }
    });
}

#[test]
fn a_killed_curl_is_noticed_within_100_ms() {
    for_each_engine(|engine| {
        let (upstream, left) = stalls_after_headers::start(&sse::message_start("claude-any"));
        let gateway = Gateway::start(engine, &upstream.url());
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let mut child = curl(true)
                .arg(gateway.url() + "/v1/messages")
                .stdout(Stdio::piped())
                .spawn()
                .expect("curl can be started");
            let mut first = [0; 16];
            child.stdout.take().expect("stdout is piped").read_exact(&mut first).expect("the stream begins");
            let killed = Instant::now();
            child.kill().expect("curl can be killed");
            let noticed = left.recv_timeout(Duration::from_secs(20)).expect("the upstream is told");
            child.wait().expect("a killed child ends");
            best = best.min(noticed.saturating_duration_since(killed));
            if best < Duration::from_millis(100) {
                break;
            }
        }
        eprintln!("the upstream saw the close {best:?} after curl was killed");
        assert!(best < Duration::from_millis(100), "it took {best:?}");
    });
}

#[test]
fn the_last_answer_on_a_tls_connection_is_followed_by_a_close_notify() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let folder = Folder::new();
        certificate(&folder);
        folder.write("tollgate.yaml", &config(engine, &upstream.url(), TLS));
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        let mut roots = RootCertStore::empty();
        let trusted = CertificateDer::from_pem_file(gateway.folder().join("cert.pem"));
        roots.add(trusted.expect("it is there")).expect("it may be an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the versions exist")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let trust = Arc::new(trust);
        let body = messages_body("claude-any", true);
        let ours = get("GET", "/healthz", &[("Connection", "close")]);
        let relayed = post("/v1/messages", KEY, &[("Connection", "close")], body.as_bytes());
        for request in [ours, relayed] {
            let name = "localhost".try_into().expect("it is a name");
            let session = ClientConnection::new(Arc::clone(&trust), name).expect("the config is whole");
            let stream = TcpStream::connect(gateway.addr()).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has options");
            let mut stream = StreamOwned::new(session, stream);
            stream.write_all(&request).expect("it reads what it is sent");
            let mut answer = Vec::new();
            // Without the notice this is an error: anybody on the way could have cut the answer short.
            stream.read_to_end(&mut answer).expect("the end is announced");
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        }
    });
}
