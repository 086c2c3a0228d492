//! Signed heads leave the house: posted to a webhook, and put into a bucket whose server checks signatures.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::client::{get, messages, once};
use crate::gateway::{Folder, Gateway, KEY, for_each_engine, tollgate};
use crate::peer::{After, Peer, Seen, answers_status, scripted_upstream};
use crate::peers;
use crate::program::{self, eventually};

const SOON: Duration = Duration::from_secs(30);

/// What `heads.jsonl` has, the oldest first.
fn heads(gateway: &Gateway) -> Vec<Value> {
    let text = fs::read_to_string(gateway.folder().join("data/ledger/heads.jsonl")).expect("there are heads");
    text.lines().map(|line| serde_json::from_str(line).expect("a head is JSON")).collect()
}

fn stop(gateway: &mut Gateway) {
    gateway.signal("TERM");
    let status = gateway.wait(SOON);
    assert_eq!(status.code(), Some(0), "{status}");
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).expect("a head is JSON")
}

/// The HMAC by another program than the one that is tested.
fn mac(secret: &str, said: &str) -> String {
    let script =
        "import hmac, sys; print(hmac.new(sys.argv[1].encode(), sys.argv[2].encode(), 'sha256').hexdigest())";
    let told = program::run(Command::new("python3").args(["-c", script, secret, said]), SOON).succeeded();
    told.stdout.trim().to_owned()
}

#[test]
fn the_last_head_is_posted_at_the_stop_and_what_was_missed_at_the_next_start() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let hook = answers_status::start(204, &[], "");
        let more = format!(
            "ledger: {{ heads: {{ webhook: {{ url: \"{}/hook/abc?d=e\", secret: s3cr3t }} }} }}\n",
            hook.url()
        );
        let mut gateway = Gateway::with(engine, &upstream.url(), &more);
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
        stop(&mut gateway);
        let (signed, seen) = (heads(&gateway), hook.seen());
        let last = seen.last().expect("a head was posted");
        assert_eq!((last.method.as_str(), last.target.as_str()), ("POST", "/hook/abc?d=e"));
        assert_eq!(Some(&body(last)), signed.last());
        assert_eq!(last.header("content-type"), Some("application/json"));
        let time = last.header("x-tollgate-timestamp").expect("a time");
        let said = format!("{time}.{}", String::from_utf8_lossy(&last.body));
        let expected = format!("sha256={}", mac("s3cr3t", &said));
        assert_eq!(last.header("x-tollgate-signature"), Some(expected.as_str()));
        // Nobody is there at the second stop: it ends all the same, and the third start sends it.
        drop(hook);
        let mut gateway = gateway.killed_and_started();
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
        stop(&mut gateway);
        let missed = heads(&gateway).pop().expect("another head was signed");
        let told = gateway.log().all("a signed head does not arrive, and is sent again until it does");
        assert_eq!(told.len(), 1, "{}", gateway.log().text());
        assert!(!gateway.log().text().contains("hook/abc"), "{}", gateway.log().text());
        let hook = answers_status::start(200, &[], "{}");
        let config = fs::read_to_string(gateway.folder().join("tollgate.yaml")).expect("a config");
        let old = config
            .split("webhook: { url: \"")
            .nth(1)
            .and_then(|rest| rest.split("/hook").next())
            .expect("a URL");
        gateway.folder().write("tollgate.yaml", &config.replace(old, &hook.url()));
        let gateway = gateway.killed_and_started();
        eventually("the missed head is posted", SOON, || !hook.seen().is_empty());
        assert_eq!(body(&hook.seen()[0]), missed);
        eventually("it is counted", SOON, || {
            let reply = once(gateway.addr(), &get("GET", "/metrics", &[]));
            String::from_utf8_lossy(&reply.body)
                .contains("tollgate_ledger_heads_sent_total{to=\"webhook\"} 1\n")
        });
    });
}

#[test]
fn a_hook_that_keeps_us_waiting_delays_no_call_and_the_stop_only_a_little() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let hook = Peer::start(|_, exchange| {
            exchange.wait_for_close(SOON);
            Ok(After::Close)
        });
        let more = format!("ledger: {{ heads: {{ webhook: {{ url: \"{}/\" }} }} }}\n", hook.url());
        let mut gateway = Gateway::with(engine, &upstream.url(), &more);
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
        stop(&mut gateway);
        let before = hook.seen().len();
        let mut gateway = gateway.killed_and_started();
        eventually("the head of before is being sent", SOON, || hook.seen().len() > before);
        for _ in 0..20 {
            assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        }
        assert_eq!(hook.seen()[0].header("x-tollgate-signature"), None);
        // Well below the time that one head may take.
        stop(&mut gateway);
        assert_eq!(heads(&gateway).len(), 2);
    });
}

/// A server that takes objects as S3 does, where the SDK of AWS comes to the same signature; killed when
/// dropped.
struct S3 {
    child: Child,
    url: String,
    folder: Folder,
}

impl S3 {
    fn start(secret: &str) -> Self {
        let folder = Folder::new();
        let mut child = Command::new(peers::aws_python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/s3_server.py"))
            .arg(folder.path())
            .args(["proofs", "eu-central-1", "AKIDEXAMPLE", secret])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        Self { url: format!("http://127.0.0.1:{}", line.trim()), child, folder }
    }

    /// The object of a key.
    fn object(&self, key: &str) -> PathBuf {
        self.folder.join("proofs").join(key)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_head_becomes_an_object_where_signatures_are_checked() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let s3 = S3::start(secret);
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let more = |secret: &str| {
            format!(
                "ledger:\n  heads:\n    s3: {{ endpoint: \"{}\", bucket: proofs, prefix: of/us, \
                 region: eu-central-1, \
                 access_key: AKIDEXAMPLE, secret_key: {secret} }}\n",
                s3.url
            )
        };
        let mut gateway = Gateway::with(engine, &upstream.url(), &more("wrong"));
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
        stop(&mut gateway);
        let told = gateway.log().all("a signed head does not arrive, and is sent again until it does");
        assert_eq!(told.len(), 1, "{}", gateway.log().text());
        assert_eq!(told[0]["error"], "it answered 403 SignatureDoesNotMatch", "{told:?}");
        let head = heads(&gateway).pop().expect("a head was signed");
        let key = format!("of/us/{}/{}.json", head["key"].as_str().expect("a key"), head["size"]);
        assert!(!s3.object(&key).exists());
        // A better secret is taken up while it runs.
        let gateway = gateway.killed_and_started();
        let config = fs::read_to_string(gateway.folder().join("tollgate.yaml")).expect("a config");
        gateway
            .folder()
            .write("tollgate.yaml", &config.replace("secret_key: wrong", &format!("secret_key: {secret}")));
        eventually("the head is in the bucket", SOON, || s3.object(&key).exists());
        let object = fs::read_to_string(s3.object(&key)).expect("an object can be read");
        assert_eq!(serde_json::from_str::<Value>(&object).expect("it is JSON"), head);
        let shown = program::run(tollgate(gateway.folder().path()).arg("check"), SOON).succeeded();
        assert!(shown.stdout.contains("bucket: proofs, prefix: of/us"), "{}", shown.stdout);
        assert!(!shown.stdout.contains("wJalr") && !shown.stdout.contains("AKID"), "{}", shown.stdout);
    });
}
