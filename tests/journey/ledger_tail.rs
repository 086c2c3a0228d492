//! Entries as they come: over HTTP by waiting for the next ones, and on the command line.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, get, messages, once};
use crate::gateway::{Gateway, KEY, for_each_engine, tollgate};
use crate::peer::scripted_upstream;
use crate::program::{self, eventually};

const SOON: Duration = Duration::from_secs(30);

/// Makes a key of an administrator.
fn admin_key(gateway: &Gateway) -> String {
    let mut command = tollgate(gateway.folder().path());
    command.args(["key", "create", "--name", "root", "--admin", "--json"]);
    let made = program::run(&mut command, SOON).succeeded();
    let made: Value = serde_json::from_str(&made.stdout).expect("--json prints JSON");
    let key = made["key"].as_str().expect("the key is shown once").to_owned();
    let ask = || once(gateway.addr(), &get("GET", "/admin/budgets", &[("x-api-key", &key)]));
    eventually("the administrator's key is taken", SOON, || ask().head.status == 200);
    key
}

fn look(gateway: &Gateway, key: &str, query: &str) -> Value {
    let target = format!("/admin/ledger?{query}");
    let reply = once(gateway.addr(), &get("GET", &target, &[("x-api-key", key)]));
    assert_eq!(reply.head.status, 200, "{query}: {reply:?}");
    reply.json()
}

fn entries(told: &Value) -> &[Value] {
    told["entries"].as_array().expect("there are entries")
}

#[test]
fn whoever_waits_is_told_of_the_next_call_and_of_nothing_else() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let key = admin_key(&gateway);
        let end = look(&gateway, &key, "from=end")["next"].as_u64().expect("a position");
        let told = thread::scope(|scope| {
            let waits =
                scope.spawn(|| look(&gateway, &key, &format!("q=kind:model_call&from={end}&wait=50")));
            assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
            waits.join().expect("the one who waits is told")
        });
        assert_eq!(entries(&told).len(), 1, "{told}");
        assert_eq!(entries(&told)[0]["model"], "claude-any");
        // Where nothing comes the time is waited for, also when what is looked at are the looks themselves.
        for query in ["q=kind:model_call&from=end&wait=1", "from=end&wait=1", "from=end&wait=1"] {
            let begun = Instant::now();
            let told = look(&gateway, &key, query);
            assert!(begun.elapsed() >= Duration::from_secs(1), "{query}: {told}");
            assert!(told["next"].as_u64().is_some_and(|next| next > end), "{told}");
            assert!(entries(&told).iter().all(|entry| entry["kind"] == "admin"), "{told}");
        }
        let wrong = get("GET", "/admin/ledger?wait=5", &[("x-api-key", &key)]);
        let message = once(gateway.addr(), &wrong).refusal(400, "invalid_request_error");
        assert!(message.contains("`from=end`"), "{message}");
    });
}

#[test]
fn those_who_wait_are_few_and_keep_nobody_from_stopping() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let mut gateway = Gateway::start(engine, &upstream.url());
        let key = admin_key(&gateway);
        let request = |wait: u64| {
            let target = format!("/admin/ledger?q=kind:model_call&from=end&wait={wait}");
            get("GET", &target, &[("x-api-key", &key)])
        };
        let mut waiting: Vec<Client> = (0..16).map(|_| Client::connect(gateway.addr())).collect();
        waiting.iter_mut().for_each(|client| client.send(&request(50)));
        eventually("all places are taken", SOON, || {
            let reply = once(gateway.addr(), &request(1));
            (reply.head.status == 503)
                .then(|| reply.refusal(503, "overloaded_error"))
                .is_some_and(|message| message.contains("too many wait"))
        });
        // Who leaves makes room.
        drop(waiting.pop());
        eventually("there is a place again", SOON, || once(gateway.addr(), &request(1)).head.status == 200);
        let left = |line: &Value| line["outcome"] == "caller_gone";
        eventually("that somebody left is told", SOON, || gateway.log().all("call").iter().any(left));
        gateway.signal("TERM");
        for client in &mut waiting {
            let reply = client.reply();
            assert_eq!((reply.head.status, entries(&reply.json()).len()), (200, 0));
        }
        let status = gateway.wait(Duration::from_secs(20));
        assert_eq!(status.code(), Some(0), "{status}");
    });
}

/// A command that goes on; killed when dropped.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_command_line_goes_on_with_what_comes_in() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let call = |model: &str| once(gateway.addr(), &messages(KEY, model, false)).head.status;
        assert_eq!(call("claude-before"), 200);
        let mut command = tollgate(gateway.folder().path());
        command.args(["ledger", "search", "--follow", "--json", "kind:model_call -model:claude-other"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut following = Following(command.spawn().expect("it starts"));
        let (sender, lines) = channel();
        let stdout = following.0.stdout.take().expect("stdout is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).expect("a line is JSON");
                // The test may be over.
                drop(sender.send(entry["model"].as_str().unwrap_or_default().to_owned()));
            }
        });
        let next = || lines.recv_timeout(SOON).expect("a line comes");
        assert_eq!(next(), "claude-before");
        for model in ["claude-other", "claude-first", "claude-other", "claude-second"] {
            assert_eq!(call(model), 200);
        }
        assert_eq!([next(), next()], ["claude-first", "claude-second"]);
        let pid = following.0.id().to_string();
        program::run(std::process::Command::new("kill").args(["-INT", &pid]), SOON).succeeded();
        eventually("it ends when it is interrupted", SOON, || {
            following.0.try_wait().expect("a child can be waited for").is_some()
        });
    });
}
