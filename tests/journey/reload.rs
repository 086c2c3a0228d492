//! A changed config: all of it or nothing, without touching what runs.

use std::fs::File;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use tollgate::limits;

use crate::client::{Client, get, messages, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::peer::{Peer, answers_status, pauses_between_pieces, scripted_upstream};
use crate::program::eventually;
use crate::sse;

const SOON: Duration = Duration::from_secs(15);
const LATER_KEY: &str = "tg_later_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH";

fn with_later_key(engine: Engine, upstream: &Peer) -> String {
    config(engine, &upstream.url(), "").replace(
        "keys:\n",
        &format!("keys:\n  - {{ name: later, secret: {LATER_KEY}, models: [\"claude-*\"] }}\n"),
    )
}

fn status(gateway: &Gateway, key: &str) -> u16 {
    once(gateway.addr(), &messages(key, "claude-any", false)).head.status
}

#[test]
fn a_changed_file_is_seen() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        assert_eq!(status(&gateway, LATER_KEY), 401);
        gateway.folder().write("tollgate.yaml", &with_later_key(engine, &upstream));
        eventually("the new key is taken", SOON, || status(&gateway, LATER_KEY) == 200);
        gateway.folder().write("tollgate.yaml", &config(engine, &upstream.url(), ""));
        eventually("the removed key is refused", SOON, || status(&gateway, LATER_KEY) == 401);
        assert_eq!(status(&gateway, KEY), 200);
    });
}

#[test]
fn sighup_reads_the_file_again() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        gateway.folder().write("tollgate.yaml", &with_later_key(engine, &upstream));
        gateway.signal("HUP");
        eventually("the new key is taken", SOON, || status(&gateway, LATER_KEY) == 200);
    });
}

#[test]
fn a_broken_file_changes_nothing_and_is_told() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let broken = with_later_key(engine, &upstream) + "provders: {}\n";
        gateway.folder().write("tollgate.yaml", &broken);
        gateway.signal("HUP");
        let told = || gateway.log().text().contains("provders");
        eventually("the fault is in the log", SOON, told);
        assert!(gateway.log().text().contains("tollgate.yaml:"), "with its place");
        assert_eq!(status(&gateway, LATER_KEY), 401, "half of a broken file must not hold");
        assert_eq!(status(&gateway, KEY), 200);
        gateway.folder().write("tollgate.yaml", &with_later_key(engine, &upstream));
        eventually("a mended file is taken", SOON, || status(&gateway, LATER_KEY) == 200);
    });
}

#[test]
fn open_streams_and_connections_go_on() {
    for_each_engine(|engine| {
        let beginning = sse::message_start("claude-any") + &sse::text_start();
        let end = sse::text_delta("late") + &sse::message_end("end_turn");
        let old = pauses_between_pieces::start(&[
            (Duration::ZERO, beginning.clone()),
            (Duration::from_millis(2_500), end.clone()),
        ]);
        let new = answers_status::start(200, &[("Content-Type", "application/json")], "{\"from\":\"new\"}");
        let gateway = Gateway::start(engine, &old.url());
        let mut kept = Client::connect(gateway.addr());
        kept.exchange(&get("GET", "/healthz", &[]));
        let mut client = Client::connect(gateway.addr());
        client.send(&messages(KEY, "claude-any", true));
        let head = client.head();
        let mut body = client.read_until("content_block_start");

        gateway.folder().write("tollgate.yaml", &config(engine, &new.url(), ""));
        gateway.signal("HUP");
        eventually("the config is taken", SOON, || gateway.log().find("reloaded").is_some());
        let reply = kept.exchange(&messages(KEY, "claude-any", false));
        assert_eq!(
            String::from_utf8_lossy(&reply.body),
            "{\"from\":\"new\"}",
            "the next request goes by the new"
        );
        body.extend_from_slice(&client.finish(head).body);
        assert_eq!(String::from_utf8_lossy(&body), format!("{beginning}{end}"), "the open one by the old");
    });
}

#[test]
fn what_reads_as_before_is_no_reload_unless_it_is_ordered() {
    for_each_engine(|engine| {
        // Without keys: the first one is made while the config is read.
        let folder = Folder::new();
        let text = format!("listen: 127.0.0.1:0\nengine: {}\n", engine.name());
        folder.write("tollgate.yaml", &text);
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        thread::sleep(Duration::from_millis(800));
        gateway.folder().write("tollgate.yaml", &(text + "# a remark\n"));
        thread::sleep(Duration::from_millis(1_200));
        assert!(gateway.log().find("reloaded").is_none(), "{}", gateway.log().text());
        gateway.signal("HUP");
        eventually("the order is carried out", SOON, || gateway.log().find("reloaded").is_some());
        assert_eq!(gateway.log().all("reloaded").len(), 1, "{}", gateway.log().text());
    });
}

#[test]
fn a_file_that_is_being_written_is_not_believed() {
    const ROUNDS: u32 = 12;
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        // The first half is a good config without the main key: those of the teams come first, its own last.
        let text = with_later_key(engine, &upstream);
        let (front, rest) = text.split_once("keys:\n").expect("the config has keys");
        let (keys, teams) = rest.split_once("teams:\n").expect("the config has teams");
        let (main, others): (Vec<_>, Vec<_>) = keys.lines().partition(|line| line.contains(KEY));
        let first = format!("{front}teams:\n{teams}keys:\n{}\n", others.join("\n"));
        let second = format!("{}\n", main.join("\n"));
        for round in 0..ROUNDS {
            let mut file = File::create(gateway.folder().join("tollgate.yaml")).expect("it can be written");
            let begun = Instant::now();
            file.write_all(first.as_bytes()).expect("it can be written");
            thread::sleep(Duration::from_millis(100));
            file.write_all(second.as_bytes()).expect("it can be written");
            if begun.elapsed() >= limits::RELOAD_POLL {
                // On a machine this slow the half has rested, and may be taken for the whole.
                eventually("the main key is back", SOON, || status(&gateway, KEY) == 200);
            }
            while begun.elapsed() < Duration::from_millis(350) {
                assert_eq!(status(&gateway, KEY), 200, "round {round}: half of the file holds");
            }
        }
        eventually("the whole file is taken", SOON, || status(&gateway, LATER_KEY) == 200);
        assert_eq!(status(&gateway, KEY), 200);
    });
}
