//! What is let through and what is held, and what becomes of a pin.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::change::{Aspect, compare};
use super::fingerprint::{Fingerprint, Hash};
use super::judge::{Rule, Sight, Standing};
use super::lock::{self, Lock};
use super::{Decision, FirstSight, How, Known, PinFault, Pins, State, Version, What};
use crate::limits;

fn tool() -> Value {
    json!({
        "name": "create_issue",
        "title": "Create",
        "description": "Creates an issue.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "title": { "type": "string", "description": "Its title." },
                "labels": { "type": "array", "items": { "type": "object", "properties": {} } },
                "state": { "enum": ["open", "closed"] },
            },
            "required": ["title"],
        },
        "annotations": { "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true },
        "outputSchema": { "type": "object" },
        "_meta": { "v": 1 },
    })
}

/// The tool with a value in another place; a path ends with the new member.
fn with(pointer: &str, value: Value) -> Value {
    let mut tool = tool();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = tool.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        _ => parent[name.parse::<usize>().unwrap()] = value,
    }
    tool
}

fn without(pointer: &str) -> Value {
    let mut tool = tool();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    tool.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    tool
}

fn aspects(old: &Value, new: &Value) -> Vec<Aspect> {
    let change = compare(old.to_string().as_bytes(), new.to_string().as_bytes());
    change.aspects.into_iter().collect()
}

#[test]
fn only_what_says_nothing_passes() {
    use Aspect::{
        Description, Narrowed, OptionalParameter, Other, OutputSchema, ParameterAdded, ParameterRemoved,
        ParameterText, Required, Title, Type, Widened,
    };
    let at = |name: &str| format!("/inputSchema/properties/{name}");
    let cases: Vec<(Value, &[Aspect])> = vec![
        (tool(), &[]),
        // A new optional parameter without words.
        (with(&at("page"), json!({ "type": "integer", "minimum": 1, "default": 1 })), &[OptionalParameter]),
        (with(&at("when"), json!({ "type": ["string", "null"], "format": "date" })), &[OptionalParameter]),
        (with(&at("ids"), json!({ "type": "array", "items": { "type": "string" } })), &[OptionalParameter]),
        (with(&at("labels/items/properties/x"), json!({ "type": "string" })), &[OptionalParameter]),
        (with(&at("any"), json!({})), &[OptionalParameter]),
        (
            with(
                &at("nested"),
                json!({ "type": "object", "properties": { "a": { "type": "string" } },
            "required": ["a"], "additionalProperties": false }),
            ),
            &[OptionalParameter],
        ),
        // One with words.
        (with(&at("page"), json!({ "type": "integer", "description": "The page." })), &[ParameterAdded]),
        (with(&at("page"), json!({ "type": "string", "default": "words" })), &[ParameterAdded]),
        (with(&at("page"), json!({ "enum": ["words"] })), &[ParameterAdded]),
        (with(&at("page"), json!({ "title": "Words" })), &[ParameterAdded]),
        (with(&at("page"), json!({ "examples": ["words"] })), &[ParameterAdded]),
        (with(&at("page"), json!({ "type": "words" })), &[ParameterAdded]),
        (with(&at("page"), json!({ "format": "send it to me" })), &[ParameterAdded]),
        (with(&at("page"), json!({ "pattern": "words" })), &[ParameterAdded]),
        (with(&at("page"), json!({ "x-words": "words" })), &[ParameterAdded]),
        (with(&at("page"), json!({ "required": ["read this first"] })), &[ParameterAdded]),
        (
            with(&at("page"), json!({ "anyOf": [{ "type": "null" }, { "const": "words" }] })),
            &[ParameterAdded],
        ),
        (with(&at("page"), json!({ "properties": { "do this at once": {} } })), &[ParameterAdded]),
        (with(&at("read the file first"), json!({ "type": "string" })), &[ParameterAdded]),
        // Everything else of what a model sees.
        (with("/description", json!("Creates an issue")), &[Description]),
        (without("/description"), &[Description]),
        (with(&at("title/description"), json!("Its title")), &[ParameterText]),
        (with(&at("title/type"), json!("number")), &[Type]),
        (with(&at("state/enum"), json!(["open"])), &[Type]),
        (with(&at("state/default"), json!("open")), &[Type]),
        (with(&at("labels/items"), json!(true)), &[Type]),
        (without(&at("state")), &[ParameterRemoved]),
        (with("/inputSchema/required", json!(["title", "state"])), &[Required]),
        (with("/inputSchema/required", json!([])), &[Required]),
        (with("/inputSchema/additionalProperties", json!(false)), &[Type]),
        (with("/inputSchema/$defs", json!({})), &[Type]),
        // What no model sees.
        (with("/title", json!("Make")), &[Title]),
        (with("/annotations/title", json!("Make")), &[Title]),
        (with("/annotations/readOnlyHint", json!(false)), &[Widened]),
        (without("/annotations/readOnlyHint"), &[Widened]),
        (with("/annotations/destructiveHint", json!(true)), &[Widened]),
        (without("/annotations/destructiveHint"), &[Widened]),
        (without("/annotations/idempotentHint"), &[Widened]),
        (with("/annotations/openWorldHint", json!(false)), &[Narrowed]),
        (with("/annotations/openWorldHint", json!(true)), &[Narrowed]),
        (with("/annotations/newHint", json!(true)), &[Other]),
        (with("/annotations", json!("none")), &[Other]),
        (with("/outputSchema", json!({ "type": "array" })), &[OutputSchema]),
        (with("/_meta", json!({ "v": 2 })), &[Other]),
        (with("/icons", json!([])), &[Other]),
        (with("/execution", json!({ "taskSupport": "optional" })), &[Other]),
    ];
    for (new, expected) in cases {
        assert_eq!(aspects(&tool(), &new), expected, "{new}");
    }
}

#[test]
fn what_comes_together_is_told_together() {
    // A new parameter that has to be given.
    let mut required = with("/inputSchema/required", json!(["title", "page"]));
    required["inputSchema"]["properties"]["page"] = json!({ "type": "integer" });
    assert_eq!(aspects(&tool(), &required), [Aspect::Required, Aspect::ParameterAdded]);
    assert_eq!(aspects(&without("/annotations/readOnlyHint"), &tool()), [Aspect::Narrowed]);
}

#[test]
fn the_two_hashes_are_of_two_halves() {
    let print = |tool: &Value| Fingerprint::of(tool.to_string().as_bytes()).unwrap();
    let old = print(&tool());
    for (new, model, rest) in [
        (with("/description", json!("x")), true, false),
        (with("/inputSchema/x", json!(1)), true, false),
        (with("/title", json!("x")), false, true),
        (with("/_meta", json!(null)), false, true),
        (with("/annotations/x", json!(1)), false, true),
    ] {
        let new = print(&new);
        assert_eq!((new.model != old.model, new.rest != old.rest), (model, rest));
        assert_ne!(new.id(), old.id());
    }
    // The same as another program makes it: `jq -cSj '{name,description,inputSchema}' | sha256sum`.
    let plain = br#"{"name":"a","inputSchema":{"type":"object"},"description":"b"}"#;
    let expected = Hash::of(br#"{"description":"b","inputSchema":{"type":"object"},"name":"a"}"#);
    assert_eq!(Fingerprint::of(plain).unwrap().model, expected);
    assert_eq!(Hash::from_hex(&expected.to_string()), Some(expected));
    for bad in ["", "0", "zz", &"é".repeat(32), &"+0".repeat(32), &"0".repeat(66)] {
        assert_eq!(Hash::from_hex(bad), None, "{bad}");
    }
    assert!(Fingerprint::of(br#"{"name":"a","n\u0061me":"b"}"#).is_err());
    assert!(Fingerprint::of(b"[]").is_err());
}

fn rule<'a>(first_sight: FirstSight, lock: Option<&'a Lock>, now_ms: u64) -> Rule<'a> {
    Rule { server: "github", first_sight, lock, now_ms }
}

/// Shows the pins one tool, and gives its standing and what happened.
fn show(pins: &mut Pins, rule: &Rule<'_>, raw: &str) -> (Standing, Vec<What>) {
    let before = pins.next_event;
    let standing = pins.judge(rule, &[Sight { name: "create_issue", raw, believed: false }]).remove(0);
    let happened = pins.events.iter().filter(|event| event.number >= before);
    (standing, happened.map(|event| event.what).collect())
}

fn state(pins: &Pins) -> State {
    pins.known("github", "create_issue").unwrap().state()
}

fn decision(expected: Option<&str>) -> Decision<'_> {
    Decision { server: "github", tool: "create_issue", expected, by: "a test" }
}

#[test]
fn a_rug_that_is_pulled_is_held_until_somebody_decides() {
    let trust = rule(FirstSight::Trust, None, 1);
    let (old, new) = (tool().to_string(), with("/description", json!("Gives me your keys.")).to_string());
    let mut pins = Pins::default();
    assert_eq!(show(&mut pins, &trust, &old), (Standing::AsListed, vec![What::FirstSight]));
    assert_eq!(show(&mut pins, &trust, &old), (Standing::AsListed, vec![]));
    // Another notation keeps the bytes that are listed.
    let spaced = format!(" {}", old.replace("\"name\"", "\"n\\u0061me\""));
    assert_eq!(show(&mut pins, &trust, &spaced), (Standing::Pinned(old.clone()), vec![]));
    let (standing, happened) = show(&mut pins, &trust, &new);
    let Standing::Held(listed, why) = standing else { panic!("{standing:?}") };
    assert_eq!((listed, happened), (old.clone(), vec![What::Held]));
    assert!(why.contains("`create_issue`") && why.contains("(description)"), "{why}");
    assert!(why.contains("tollgate tools diff github.create_issue"), "{why}");
    assert_eq!(state(&pins), State::Held);
    let settled = |pins: &Pins, raw: &str| {
        pins.is_settled(&trust, &[Sight { name: "create_issue", raw, believed: false }])
    };
    assert!(!settled(&pins, &old) && !settled(&pins, &new));
    let kept = pins.clone();
    assert_eq!(show(&mut pins, &trust, &new).1, []);
    assert_eq!(pins, kept, "what is known already touches no disk");
    // Back again, and away.
    assert_eq!(show(&mut pins, &trust, &old), (Standing::AsListed, vec![What::Returned]));
    assert!(settled(&pins, &old) && !settled(&pins, &new) && !settled(&pins, &spaced));
    let none = Lock::default();
    let locked = rule(FirstSight::Trust, Some(&none), 1);
    assert!(!pins.is_settled(&locked, &[Sight { name: "create_issue", raw: &old, believed: false }]));
    assert_eq!(show(&mut pins, &trust, &new).1, [What::Held]);
    // Rejected: not asked again, still not called.
    let id = Fingerprint::of(new.as_bytes()).unwrap().id();
    assert_eq!(pins.reject(decision(Some(&id.short())), 2), Ok(id));
    assert_eq!(state(&pins), State::Rejected);
    assert!(matches!(pins.reject(decision(None), 2), Err(PinFault::Rejected(_))));
    assert!(matches!(show(&mut pins, &trust, &new), (Standing::Held(..), happened) if happened.is_empty()));
    // Another one is asked about.
    let third = with("/description", json!("Third.")).to_string();
    assert_eq!(show(&mut pins, &trust, &third).1, [What::Held]);
    assert_eq!(state(&pins), State::Held);
    // One approves what one has seen.
    let seen = pins.approve(decision(Some(&id.to_string())), 3);
    assert!(matches!(seen, Err(PinFault::Changed { .. })), "{seen:?}");
    assert!(matches!(pins.approve(decision(Some("")), 3), Err(PinFault::Changed { .. })));
    let now = Fingerprint::of(third.as_bytes()).unwrap().id();
    assert_eq!(pins.approve(decision(Some(&now.short())), 4), Ok(now));
    assert_eq!(show(&mut pins, &trust, &third), (Standing::AsListed, vec![]));
    assert!(matches!(show(&mut pins, &trust, &old).0, Standing::Held(..)), "the old one is another now");
    let last = pins.events.last().unwrap();
    assert!(last.decision().starts_with("pin change held: "), "{}", last.decision());
    let last = pins.events.last().unwrap().number;
    pins.recorded(last + 1);
    assert_eq!(pins.events, []);
}

#[test]
fn what_is_let_through_becomes_what_is_pinned() {
    let trust = rule(FirstSight::Trust, None, 1);
    let more = with("/inputSchema/properties/page", json!({ "type": "integer" })).to_string();
    let less = without("/annotations/idempotentHint").to_string();
    let mut pins = Pins::default();
    show(&mut pins, &trust, &less);
    assert_eq!(show(&mut pins, &trust, &tool().to_string()), (Standing::AsListed, vec![What::Accepted]));
    assert_eq!(show(&mut pins, &trust, &more), (Standing::AsListed, vec![What::Accepted]));
    let told = pins.events.last().unwrap().decision();
    assert!(told.ends_with("an optional parameter is new / inputSchema.properties.page"), "{told}");
    assert!(
        matches!(show(&mut pins, &trust, &tool().to_string()).0, Standing::Held(listed, _) if listed == more)
    );
}

#[test]
fn many_are_held_at_once_and_what_is_gone_is_remembered() {
    let trust = rule(FirstSight::Trust, None, 1);
    let raw = |n: usize, words: &str| {
        json!({ "name": format!("t{n}"), "description": words, "inputSchema": { "type": "object" } })
            .to_string()
    };
    let names: Vec<String> = (0..500).map(|n| format!("t{n}")).collect();
    let judge = |pins: &mut Pins, words: &str, from: usize| {
        let raws: Vec<String> = (from..500).map(|n| raw(n, words)).collect();
        let sights = names.iter().skip(from).zip(&raws);
        let sights: Vec<Sight<'_>> = sights.map(|(name, raw)| Sight { name, raw, believed: false }).collect();
        pins.judge(&trust, &sights)
    };
    let mut pins = Pins::default();
    assert!(judge(&mut pins, "a", 0).iter().all(|standing| *standing == Standing::AsListed));
    assert_eq!(judge(&mut pins, "a", 400).len(), 100);
    let held = judge(&mut pins, "b", 0);
    assert!(held.iter().all(|standing| matches!(standing, Standing::Held(..))));
    assert_eq!(pins.events.len(), 1_000);
}

/// A definition of so many bytes.
fn sized(name: &str, bytes: usize) -> String {
    let schema = r#""inputSchema":{"type":"object"}"#;
    format!(r#"{{"name":"{name}","description":"{}",{schema}}}"#, "a".repeat(bytes))
}

/// Lists tools of a server, each of so many bytes, at a time.
fn list(pins: &mut Pins, server: &str, names: &[String], (bytes, now_ms): (usize, u64)) -> Vec<Standing> {
    let raws: Vec<String> = names.iter().map(|name| sized(name, bytes)).collect();
    let sights = names.iter().zip(&raws).map(|(name, raw)| Sight { name, raw, believed: false });
    let rule = Rule { server, ..rule(FirstSight::Trust, None, now_ms) };
    pins.judge(&rule, &sights.collect::<Vec<_>>())
}

/// Puts tools among those of a server as if they had been listed once and not any more.
fn put_gone(pins: &mut Pins, names: &[String], gone_ms: u64) {
    let definition = sized("old", 9);
    let print = Fingerprint::of(definition.as_bytes()).unwrap();
    let pinned = Version { definition, print, at_ms: 1, how: How::FirstSight };
    let known = Known { pinned: Some(pinned), gone_ms: Some(gone_ms), ..Known::default() };
    let tools = pins.servers.entry("s".to_owned()).or_default();
    tools.extend(names.iter().map(|name| (name.clone(), known.clone())));
}

#[test]
fn what_has_been_gone_longest_makes_room_and_never_in_silence() {
    let names = |head: &str, count: usize| (0..count).map(|n| format!("{head}{n}")).collect::<Vec<_>>();
    let mut pins = Pins::default();
    list(&mut pins, "other", &names("x", 3), (9, 1));
    let other = pins.servers["other"].clone();
    // One was changed and is held, one was approved; both are gone longer than anything else.
    let decided = names("decided", 2);
    list(&mut pins, "s", &decided, (9, 1));
    list(&mut pins, "s", &decided, (10, 2));
    pins.approve(Decision { server: "s", tool: "decided1", expected: None, by: "a test" }, 3).unwrap();
    list(&mut pins, "s", &[], (9, 2_000));
    put_gone(&mut pins, &names("old", 2), 3_000);
    put_gone(&mut pins, &names("newer", limits::PIN_TOOLS_OF_SERVER_MAX - 4), 4_000);
    let before = pins.next_event;
    let flood = names("flood", 5);
    let seen = list(&mut pins, "s", &flood, (9, 14_000));
    assert!(seen.iter().all(|standing| matches!(standing, Standing::Unlisted(why) if why.contains("waits"))));
    assert_eq!(pins.servers["s"].len(), limits::PIN_TOOLS_OF_SERVER_MAX);
    assert_eq!(pins.servers["other"], other, "another server is not touched");
    let told = pins.events.iter().filter(|event| event.number >= before && event.what == What::Forgotten);
    let told: Vec<(&str, String)> = told.map(|event| (event.tool.as_str(), event.decision())).collect();
    let gone: Vec<&str> = told.iter().map(|(tool, _)| *tool).collect();
    assert_eq!(gone, ["decided0", "decided1", "old0", "old1", "newer0"]);
    for (at, words) in [
        (0, "was held; its server had not listed it for 12 s"),
        (1, "was pinned, approved by an administrator; its server"),
        (2, "was pinned; its server had not listed it for 11 s"),
    ] {
        let (_, decision) = &told[at];
        assert!(decision.starts_with("pin forgotten: ") && decision.contains(words), "{decision}");
    }
    // What comes back is not trusted anew, and others are trusted as ever.
    let back = list(&mut pins, "s", &["old1".to_owned()], (11, 15_000));
    assert!(matches!(&back[0], Standing::Unlisted(why) if why.contains("waits for approval")), "{back:?}");
    assert_eq!(list(&mut pins, "other", &names("x", 4), (9, 15_000)), vec![Standing::AsListed; 4]);
}

#[test]
fn a_server_has_so_many_bytes() {
    let bytes = limits::MCP_DEFINITION_BYTES_MAX - 200;
    let fit = limits::PIN_BYTES_OF_SERVER_MAX / limits::MCP_DEFINITION_BYTES_MAX;
    let names: Vec<String> = (0..=fit).map(|n| format!("t{n:03}")).collect();
    let mut pins = Pins::default();
    let seen = list(&mut pins, "s", &names, (bytes, 1));
    assert!(seen.iter().take(fit).all(|standing| *standing == Standing::AsListed));
    assert!(
        matches!(&seen[fit], Standing::Unlisted(why) if why.contains("cannot be pinned")),
        "{}",
        seen.len()
    );
    // All of them are listed, so none makes room: what has changed is held without being kept.
    let changed = list(&mut pins, "s", &names[..1], (bytes - 1, 2));
    assert!(matches!(&changed[0], Standing::Held(..)), "there is room by what is gone");
    assert!(pins.crowded.contains("s"));
    let all: usize = pins.servers["s"].values().map(super::room::weight).sum();
    assert!(all <= limits::PIN_BYTES_OF_SERVER_MAX, "{all}");
}

#[test]
fn a_server_that_is_believed_changes_no_class_unasked() {
    let with = |annotations: Value| {
        json!({ "name": "create_issue", "inputSchema": { "type": "object" }, "annotations": annotations })
            .to_string()
    };
    let destructive = with(json!({ "destructiveHint": true }));
    let write = with(json!({ "readOnlyHint": false, "destructiveHint": false }));
    let (read, none) = (with(json!({ "readOnlyHint": true, "destructiveHint": false })), with(json!({})));
    let calm = with(json!({ "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true }));
    let trust = rule(FirstSight::Trust, None, 1);
    for (before, after, believed, held) in [
        (&destructive, &write, true, true),
        (&destructive, &read, true, true),
        (&write, &read, true, true),
        (&none, &read, true, true),
        (&none, &write, true, true),
        (&read, &calm, true, false),
        (&destructive, &write, false, false),
        (&write, &read, false, false),
        (&read, &write, false, true),
    ] {
        let mut pins = Pins::default();
        let mut show =
            |raw: &str| pins.judge(&trust, &[Sight { name: "create_issue", raw, believed }]).remove(0);
        assert_eq!(show(before), Standing::AsListed);
        let standing = show(after);
        assert_eq!(matches!(standing, Standing::Held(..)), held, "{before} {after} {believed}: {standing:?}");
    }
}

#[test]
fn what_has_to_be_approved_is_not_there_before() {
    let approve = rule(FirstSight::Approve, None, 1);
    let raw = tool().to_string();
    let mut pins = Pins::default();
    let (standing, happened) = show(&mut pins, &approve, &raw);
    assert!(
        matches!(&standing, Standing::Unlisted(why) if why.contains("waits for approval")),
        "{standing:?}"
    );
    assert_eq!((happened, state(&pins)), (vec![What::Waiting], State::Waiting));
    assert_eq!(show(&mut pins, &approve, &raw).1, []);
    pins.approve(decision(None), 2).unwrap();
    assert_eq!(show(&mut pins, &approve, &raw), (Standing::AsListed, vec![]));
    let unknown = Decision { tool: "other", ..decision(None) };
    assert!(matches!(pins.approve(unknown, 2), Err(PinFault::Unknown(_))));
    assert!(matches!(pins.approve(decision(None), 2), Err(PinFault::Settled(_))));
    // What was rejected at first sight does not come in by a softer rule.
    let mut pins = Pins::default();
    show(&mut pins, &approve, &raw);
    pins.reject(decision(None), 2).unwrap();
    assert!(matches!(show(&mut pins, &rule(FirstSight::Trust, None, 1), &raw).0, Standing::Unlisted(_)));
}

#[test]
fn a_lock_has_the_only_word() {
    let (old, new) = (tool().to_string(), with("/inputSchema/properties/p", json!({})).to_string());
    let mut elsewhere = Pins::default();
    show(&mut elsewhere, &rule(FirstSight::Trust, None, 1), &old);
    let text = lock::write(&elsewhere);
    let lock = Lock::parse("tools.lock", &text).unwrap();
    assert_eq!(lock.len(), 1);
    let locked = rule(FirstSight::Approve, Some(&lock), 1);
    let mut pins = Pins::default();
    assert!(matches!(show(&mut pins, &locked, &new).0, Standing::Unlisted(_)), "not even a harmless change");
    assert_eq!(show(&mut pins, &locked, &old), (Standing::AsListed, vec![What::FirstSight]));
    let (standing, happened) = show(&mut pins, &locked, &new);
    assert!(matches!(&standing, Standing::Held(listed, why) if *listed == old && why.contains("tools.lock")));
    assert_eq!(happened, [What::LockMismatch]);
    assert_eq!(lock::write(&elsewhere), text, "equal pins, equal bytes");
    let empty = Lock::parse("tools.lock", "# none\n\n").unwrap();
    assert!(empty.is_empty());
    let nothing = rule(FirstSight::Trust, Some(&empty), 1);
    assert!(matches!(show(&mut Pins::default(), &nothing, &old).0, Standing::Unlisted(_)));
    for (bad, line) in [
        ("github", 1),
        ("# ok\ngithub create_issue model:00 rest:00", 2),
        (&format!("{text}{text}"), 4),
        (&text.replace(" model:", " model:0"), 2),
    ] {
        assert_eq!(Lock::parse("x", bad).unwrap_err().line, line, "{bad}");
    }
}

#[test]
fn names_of_any_kind_survive_a_lock() {
    let name = "a \"b\" model:0 rest:1\nc";
    let raw = json!({ "name": name, "inputSchema": { "type": "object" } }).to_string();
    let mut pins = Pins::default();
    pins.judge(&rule(FirstSight::Trust, None, 1), &[Sight { name, raw: &raw, believed: false }]);
    let lock = Lock::parse("x", &lock::write(&pins)).unwrap();
    assert_eq!(lock.get("github", name), Some(Fingerprint::of(raw.as_bytes()).unwrap()));
}

/// A JSON value of a few words, small enough to meet itself.
fn value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![Just("a"), Just("type"), Just("required"), Just("string"), Just("description")];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_u32).prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let keys = prop_oneof![
            Just("type"),
            Just("properties"),
            Just("required"),
            Just("items"),
            Just("description"),
            Just("a"),
            Just("b"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(keys.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Drops what may be new of a schema without words: the only thing that may pass unasked.
fn pruned(old: &Value, new: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return new.clone() };
    let mut out = after.clone();
    for (name, inner) in after {
        let was = before.get(name);
        if name == "properties" && inner.is_object() {
            let empty = json!({});
            let was_all = was.unwrap_or(&empty);
            let kept = inner.as_object().unwrap().iter().filter(|(name, _)| was_all.get(*name).is_some());
            let kept = kept.map(|(name, one)| (name.clone(), pruned(&was_all[name], one))).collect();
            out.insert(name.clone(), Value::Object(kept));
            if was.is_none() && out[name] == empty {
                out.remove(name);
            }
        } else if name == "items"
            && let Some(was) = was
        {
            out.insert(name.clone(), pruned(was, inner));
        }
    }
    Value::Object(out)
}

/// Whether a text that a person wrote stands anywhere in a schema.
fn has_words(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, value)| {
            ["description", "title", "examples"].contains(&name.as_str()) || has_words(value)
        }),
        Value::Array(list) => list.iter().any(has_words),
        Value::String(word) => word != "string" && word != "a" && word != "b",
        _ => false,
    }
}

/// All parameters that are new, at any depth.
fn fresh<'v>(old: &'v Value, new: &'v Value, out: &mut Vec<&'v Value>) {
    let none = serde_json::Map::new();
    let of = |schema: &'v Value| schema.get("properties").and_then(Value::as_object);
    let before = of(old);
    for (name, one) in of(new).unwrap_or(&none).clone() {
        let now = &new["properties"][&name];
        match before.and_then(|before| before.get(&name)) {
            Some(was) => fresh(was, now, out),
            None => out.push(now),
        }
        drop(one);
    }
    if let (Some(was), Some(now)) = (old.get("items"), new.get("items")) {
        fresh(was, now, out);
    }
}

proptest! {
    #[test]
    fn notation_is_never_held(schema in value(), spaces in 0..3_usize) {
        let raw = json!({ "name": "t", "description": "d", "inputSchema": schema });
        let plain = raw.to_string();
        let pretty = serde_json::to_string_pretty(&raw).unwrap() + &" ".repeat(spaces);
        let escaped = plain.replace('d', "\\u0064");
        for other in [pretty, escaped] {
            prop_assert!(compare(plain.as_bytes(), other.as_bytes()).aspects.is_empty());
            prop_assert_eq!(
                Fingerprint::of(plain.as_bytes()).unwrap(),
                Fingerprint::of(other.as_bytes()).unwrap()
            );
        }
    }

    #[test]
    fn what_a_model_sees_changes_in_no_other_way_unasked(old in value(), new in value()) {
        let of = |schema: &Value| json!({ "name": "t", "inputSchema": schema }).to_string();
        let change = compare(of(&old).as_bytes(), of(&new).as_bytes());
        let print = |schema: &Value| Fingerprint::of(of(schema).as_bytes()).unwrap();
        let same = print(&old) == print(&new);
        prop_assert_eq!(same, old == new);
        prop_assert_eq!(change.aspects.is_empty(), same, "a change without a name");
        if change.passes() && !same {
            prop_assert_eq!(pruned(&old, &new), old.clone(), "{} -> {}", old, new);
            let mut added = Vec::new();
            fresh(&old, &new, &mut added);
            prop_assert!(!added.is_empty() && !added.iter().any(|one| has_words(one)), "{} -> {}", old, new);
        }
    }

    #[test]
    fn a_tree_is_equal_when_its_canonical_form_is(one in value(), other in value()) {
        let tree = |value: &Value| super::tree::Tree::read(value.to_string().as_bytes()).unwrap();
        prop_assert_eq!(tree(&one) == tree(&other), one == other);
    }
}
