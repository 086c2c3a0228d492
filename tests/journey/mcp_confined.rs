//! Servers that we run, and how little they get.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::gateway::{Engine, Folder, Gateway, config, tollgate};
use crate::mcp_caller::Caller;
use crate::peer::speaks_mcp::Era;
use crate::program::{self, eventually};

const SCRIPT: &str = include_str!("confined_server.py");

/// A user that nobody else is, so that its processes are those of the test.
const USER: u32 = 54_321;

fn is_root() -> bool {
    let asked = std::process::Command::new("id").arg("-u").output().expect("id runs");
    asked.stdout.trim_ascii() == b"0"
}

/// A gateway with one server that is confined by `more`.
fn scene(more: &str) -> Gateway {
    let folder = Folder::new();
    folder.write("server.py", SCRIPT);
    let server = format!("mcp_servers:\n  s: {{ command: python3, args: [server.py], era: legacy{more} }}");
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", &server));
    let mut command = tollgate(folder.path());
    Gateway::run(command.env("UNLISTED", "of ours alone"), folder)
}

fn call(gateway: &Gateway, tool: &str) -> Value {
    let result = Caller::new(gateway, Era::Modern, "/mcp").call("1", tool, "{}").result();
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
    serde_json::from_str(text).expect("the server writes JSON")
}

#[test]
fn a_server_has_little_of_ours_without_a_word_about_it() {
    let gateway = scene("");
    let facts = call(&gateway, "facts");
    assert_eq!((&facts["no_new_privs"], &facts["leads"]), (&"1".into(), &true.into()), "{facts}");
    assert_eq!((&facts["limits"]["core"][1], &facts["umask"]), (&0.into(), &0o027.into()), "{facts}");
    let files = facts["limits"]["open_files"][1].as_u64().expect("a number");
    assert!(files <= 16_384, "{facts}");
    // What listdir has open itself is one more.
    let open = facts["descriptors"].as_array().expect("a list");
    assert!(open.len() <= 4, "{facts}");
    let env = facts["env"].as_object().expect("variables");
    // Python sets LC_CTYPE itself where nothing says what the locale is.
    let known = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LC_CTYPE"];
    let leaked: Vec<_> = env.keys().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[test]
fn bounds_hold_against_a_server_that_wants_all() {
    let user = if is_root() { format!(", user: \"{USER}:{USER}\"") } else { String::new() };
    let limits = "memory: 256m, open_files: 64, cpu_s: 600, file_size: 2m";
    let limits = if is_root() { format!("{limits}, processes: 40") } else { limits.to_owned() };
    let gateway = scene(&format!("{user}, limits: {{ {limits} }}"));
    let facts = call(&gateway, "facts");
    for (name, wanted) in
        [("memory", 256 << 20), ("open_files", 64), ("cpu_s", 600), ("file_size", 2 << 20), ("core", 0)]
    {
        assert_eq!(facts["limits"][name], serde_json::json!([wanted, wanted]), "{name}: {facts}");
    }
    let opened = call(&gateway, "opens");
    assert!(opened["made"].as_u64().is_some_and(|made| made < 64), "{opened}");
    assert_eq!(opened["why"], "Too many open files");
    let filled = call(&gateway, "fills");
    assert!(filled["made"].as_u64().is_some_and(|made| made < 256), "{filled}");
    let written = call(&gateway, "writes");
    assert!(written["made"].as_u64().is_some_and(|made| made <= 2 << 20), "{written}");
    assert_eq!(written["why"], "File too large");
    if is_root() {
        assert_eq!((&facts["uid"], &facts["gid"]), (&USER.into(), &USER.into()), "{facts}");
        assert!(
            facts["groups"].as_array().is_some_and(|list| list.iter().all(|one| *one == USER)),
            "{facts}"
        );
        assert_eq!(facts["env"].get("HOME"), None, "what is ours is not that user's: {facts}");
        let forked = call(&gateway, "forks");
        assert!(forked["made"].as_u64().is_some_and(|made| made < 40), "{forked}");
        assert_eq!(forked["why"], "Resource temporarily unavailable");
    }
}

#[test]
fn a_server_ends_with_a_gateway_that_is_killed() {
    let folder = Folder::new();
    let pids = folder.join("pid").display().to_string();
    let script = format!("echo $$ > {pids}; exec sleep 1000");
    let server = format!("mcp_servers: {{ s: {{ command: sh, args: [-c, \"{script}\"] }} }}");
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", &server));
    let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
    let caller = Caller::new(&gateway, Era::Modern, "/mcp");
    let asking = caller.twin();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut asking = asking;
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| asking.tools())));
        });
        let read = || std::fs::read_to_string(&pids).unwrap_or_default().trim().to_owned();
        eventually("the server runs", Duration::from_secs(60), || !read().is_empty());
        let process = format!("/proc/{}", read());
        assert!(Path::new(&process).exists());
        gateway.signal("KILL");
        let gone = || {
            let stat = std::fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        eventually("it ends too", Duration::from_secs(60), gone);
    });
}

#[test]
fn what_cannot_be_is_told_with_its_line() {
    let check = |more: &str| {
        let folder = Folder::new();
        let server = format!("mcp_servers: {{ s: {{ command: x, {more} }} }}");
        folder.write("tollgate.yaml", &server);
        let out = program::run(tollgate(folder.path()).arg("check"), Duration::from_secs(60));
        format!("{}{}", out.stdout, out.stderr)
    };
    for (more, wanted) in [
        ("limits: { memory: 1gb }", "expected a size such as 512m or 2g"),
        ("limits: { memory: 1k }", "at least 16m"),
        ("limits: { open_files: 3 }", "from 16 to"),
        ("limits: { threads: 3 }", "known here: memory, processes, open_files, cpu_s, file_size"),
        ("user: surely-nobody", "there is no user \"surely-nobody\""),
    ] {
        let told = check(more);
        assert!(told.contains("tollgate.yaml:1:") && told.contains(wanted), "{more}: {told}");
    }
    let told = check("limits: { memory: 1g, processes: 9 }");
    assert!(told.contains("limits: { memory: 1073741824, processes: 9 }"), "{told}");
    assert!(told.contains("name a `user`"), "{told}");
}
