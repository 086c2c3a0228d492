//! The state file of pins, and what a config says about pinning.

use std::sync::Arc;

use crate::config::load::Keys;
use crate::config::pin_file::{LivePins, PinFile, PinFileFault};
use crate::config::tests::{Folder, good, load_text};
use crate::ids::ServerName;
use crate::mcp::pin::judge::{Rule, Sight, Standing};
use crate::mcp::pin::{Decision, FirstSight, PinFault, Pins, State};

fn raw(words: &str) -> String {
    format!(r#"{{"name":"note","description":"{words}","inputSchema":{{"type":"object"}}}}"#)
}

/// Shows a tool of server `s` to the pins.
fn show(pins: &mut Pins, name: &str, raw: &str) -> Standing {
    let rule = Rule { server: "s", first_sight: FirstSight::Trust, lock: None, now_ms: 1 };
    pins.judge(&rule, &[Sight { name, raw, believed: false }]).remove(0)
}

const fn note(tool: &str) -> Decision<'_> {
    Decision { server: "s", tool, expected: None, by: "a test" }
}

#[test]
fn a_running_gateway_and_the_command_line_share_a_file() {
    let folder = Folder::new();
    let file = PinFile::of(folder.path());
    assert_eq!(file.read().unwrap(), Pins::default());
    assert!(matches!(file.approve(note("note")), Err(PinFileFault::Decision(PinFault::Unknown(_)))));
    assert!(!file.path().exists(), "nothing was changed, so nothing was written");
    let mut live = LivePins::open(folder.path()).unwrap();
    live.change(|pins| show(pins, "note", &raw("one"))).unwrap();
    live.change(|pins| show(pins, "note", &raw("two"))).unwrap();
    let generation = live.generation();
    file.approve(note("note")).unwrap();
    // It is seen at the next look, or by the next change, whichever is first.
    let standing = live.change(|pins| show(pins, "note", &raw("two"))).unwrap();
    assert_eq!((standing, live.generation()), (Standing::AsListed, generation + 1));
    assert!(!live.follow().unwrap(), "its own changes are no news");
    let mut other = LivePins::open(folder.path()).unwrap();
    assert_eq!(other.pins(), live.pins());
    other.change(|pins| pins.recorded(u64::MAX)).unwrap();
    assert!(live.follow().unwrap());
    assert!(live.pins().events.is_empty());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn writers_at_once_lose_nothing() {
    let folder = Folder::new();
    let path = Arc::new(folder.path().to_owned());
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let path = Arc::clone(&path);
            std::thread::spawn(move || {
                let mut live = LivePins::open(&path).unwrap();
                for n in 0..5 {
                    let name = format!("w{writer}n{n}");
                    live.change(|pins| show(pins, &name, &raw(&name).replace("note", &name))).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let pins = PinFile::of(&path).read().unwrap();
    assert_eq!((pins.servers["s"].len(), pins.events.len()), (40, 40));
    let numbers: std::collections::HashSet<u64> = pins.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers.len(), 40, "no two events have one number");
}

#[test]
fn damage_is_refused_and_stays() {
    let folder = Folder::new();
    let file = PinFile::of(folder.path());
    file.change(|pins| Ok(show(pins, "note", &raw("one")))).unwrap();
    let whole = std::fs::read_to_string(file.path()).unwrap();
    let mut live = LivePins::open(folder.path()).unwrap();
    for bad in [
        String::new(),
        whole.chars().take(whole.len() / 2).collect(),
        whole.replace("\"version\":1", "\"version\":2"),
        whole.replace("one", "two"),
        whole.replace("\"pinned\"", "\"pined\""),
        whole.replace("first_sight", "last_sight"),
    ] {
        assert_ne!(bad, whole);
        std::fs::write(file.path(), &bad).unwrap();
        assert!(matches!(file.read(), Err(PinFileFault::Damaged { .. })), "{bad}");
        assert!(file.change(|pins| Ok(show(pins, "other", &raw("x")))).is_err());
        assert!(live.change(|pins| show(pins, "note", &raw("two"))).is_err(), "{bad}");
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), bad);
        assert_eq!(live.pins().known("s", "note").map(|known| known.state()), Some(State::Pinned));
    }
    std::fs::write(file.path(), &whole).unwrap();
    live.change(|pins| show(pins, "note", &raw("two"))).unwrap();
    assert_eq!(file.read().unwrap().known("s", "note").unwrap().state(), State::Held);
}

#[test]
fn what_was_trusted_is_not_trusted_anew_when_the_file_is_gone() {
    let folder = Folder::new();
    let mut live = LivePins::open(folder.path()).unwrap();
    assert!(!live.follow().unwrap(), "a file that was never there is not missed");
    live.change(|pins| show(pins, "note", &raw("one"))).unwrap();
    let path = PinFile::of(folder.path()).path().to_owned();
    let whole = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for _ in 0..2 {
        assert!(matches!(live.follow(), Err(PinFileFault::Gone { .. })));
        let changed = live.change(|pins| show(pins, "note", &raw("two")));
        assert!(matches!(changed, Err(PinFileFault::Gone { .. })), "{changed:?}");
        assert!(!path.exists(), "nothing is written over what may come back");
    }
    assert_eq!(live.pins().known("s", "note").map(|known| known.state()), Some(State::Pinned));
    std::fs::write(&path, whole).unwrap();
    let standing = live.change(|pins| show(pins, "note", &raw("two"))).unwrap();
    assert!(matches!(standing, Standing::Held(..)), "{standing:?}");
}

#[test]
fn a_config_says_what_is_pinned() {
    let text = "pinning: { first_sight: approve }\n\
                mcp_servers: { a: { command: x }, b: { command: x, pin: off } }";
    let loaded = good(text, &[]);
    let pinning = &loaded.snapshot.mcp.pinning;
    assert_eq!(pinning.of(&ServerName::new("a")), FirstSight::Approve);
    assert_eq!(pinning.of(&ServerName::new("b")), FirstSight::Off);
    let shown = loaded.shown.to_string();
    assert!(shown.contains("pinning: { first_sight: approve }"), "{shown}");
    assert!(shown.contains(", pin: approve }") && shown.contains(", pin: off }"), "{shown}");
    assert_eq!(good("drain_s: 1", &[]).snapshot.mcp.pinning.first_sight, FirstSight::Trust);
    for (bad, fault) in [
        ("pinning: { first_sight: maybe }", "expected one of trust_on_first_use, approve, off"),
        ("pinning: { first: approve }", "unknown key \"first\""),
        ("pinning: { lock: nowhere.lock }", "make it with `tollgate tools lock --output FILE`"),
        ("mcp_servers: { a: { command: x, pin: no } }", "mcp_servers.a.pin: expected one of"),
    ] {
        let faults = load_text(&Folder::new(), bad, &[], &Keys::Read).unwrap_err().to_string();
        assert!(faults.contains(fault), "{bad}: {faults}");
    }
}
