//! The choice of the engine, also where the kernel or a container refuses io_uring.

use std::process::Command;
use std::time::Duration;

use crate::client::{messages, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, config, tollgate};
use crate::peer::scripted_upstream;
use crate::program::{self, eventually};

/// The program behind a filter that refuses `io_uring_setup`.
fn without_io_uring(folder: &Folder) -> Command {
    let mut command = Command::new("python3");
    command
        .current_dir(folder.path())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/without_io_uring.py"))
        .arg(env!("CARGO_BIN_EXE_tollgate"));
    command
}

#[test]
fn auto_takes_epoll_where_io_uring_is_refused_and_says_so() {
    let upstream = scripted_upstream::plain();
    let folder = Folder::new();
    let text = config(Engine::Epoll, &upstream.url(), "").replace("engine: epoll", "engine: auto");
    folder.write("tollgate.yaml", &text);
    let gateway = Gateway::run(&mut without_io_uring(&folder), folder);
    let listening = gateway.log().find("listening").expect("it listens");
    assert_eq!(listening["engine"], "epoll", "{listening}");
    assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
    let log = gateway.log().text();
    assert_eq!(log.lines().filter(|line| line.contains("io_uring")).count(), 1, "one line says why:\n{log}");
}

#[test]
fn io_uring_by_name_does_not_start_without_it() {
    let folder = Folder::new();
    folder.write("tollgate.yaml", &config(Engine::IoUring, "http://127.0.0.1:9", ""));
    let outcome = program::run(&mut without_io_uring(&folder), Duration::from_secs(10));
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot start with `engine: io_uring`"), "{outcome:?}");
    assert!(outcome.stderr.contains("write `engine: auto` or `engine: epoll`"), "{outcome:?}");
}

#[test]
fn auto_takes_io_uring_where_it_is_allowed() {
    let allowed = io_uring::IoUring::new(8).is_ok();
    let upstream = scripted_upstream::plain();
    let folder = Folder::new();
    let text = config(Engine::Epoll, &upstream.url(), "").replace("engine: epoll\n", "");
    folder.write("tollgate.yaml", &text);
    let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
    let listening = gateway.log().find("listening").expect("it listens");
    assert_eq!(listening["engine"], if allowed { "io_uring" } else { "epoll" }, "{listening}");
}

#[test]
fn every_core_serves() {
    crate::gateway::for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let folder = Folder::new();
        folder
            .write("tollgate.yaml", &config(engine, &upstream.url(), "").replace("threads: 1", "threads: 3"));
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        for _ in 0..30 {
            assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        }
        let metrics = || once(gateway.addr(), &crate::client::get("GET", "/metrics", &[])).body;
        // A call is counted when its last byte has left, which its caller may know a little earlier.
        eventually("the counters of all cores add up", Duration::from_secs(20), || {
            String::from_utf8_lossy(&metrics()).contains("code=\"200\"} 30")
        });
        let text = String::from_utf8_lossy(&metrics()).into_owned();
        let workers = format!("tollgate_workers{{engine=\"{}\"}} 3", engine.name());
        assert!(text.contains(&workers), "{workers} is missing in\n{text}");
    });
}
