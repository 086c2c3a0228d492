//! Tables: what is found, who comes in, which states hold, what is read of bodies, what differs.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admin::api::difference::difference;
use crate::admin::api::document::document;
use crate::admin::api::explain::{About, question};
use crate::admin::api::guard::{Asking, Intrusion, admit};
use crate::admin::api::pace::{Paces, Step};
use crate::admin::api::routes::{Found, NEW_KEY, ROUTES, find};
use crate::admin::api::shape;
use crate::admin::api::tag::{Condition, condition, of};
use crate::http::head::Method;
use crate::limits;
use crate::mcp::origin::Doors;

fn found(method: Method, path: &str) -> String {
    match find(method, path) {
        Found::Route(route, name) => format!("{} {}", route.id, name.unwrap_or("-")),
        Found::Methods(methods) => methods,
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn requests_find_their_row() {
    for (method, path, expected) in [
        (Method::Get, "/admin/keys", "keys -"),
        (Method::Head, "/admin/keys", "keys -"),
        (Method::Post, "/admin/keys", "create_key -"),
        (Method::Delete, "/admin/keys", "GET, HEAD, POST"),
        (Method::Options, "/admin/keys", "GET, HEAD, POST"),
        (Method::Post, "/admin/keys/ana.1/revoke", "revoke_key ana.1"),
        (Method::Get, "/admin/keys/ana/revoke", "POST"),
        (Method::Post, "/admin/keys//revoke", "nothing"),
        (Method::Post, "/admin/keys/a/b/revoke", "nothing"),
        (Method::Post, "/admin/keys/a/revoke/", "nothing"),
        (Method::Post, "/admin/config", "GET, HEAD"),
        (Method::Post, "/admin/config/check", "check_config -"),
        (Method::Get, "/admin/Keys", "nothing"),
        (Method::Get, "/admin/{name}", "nothing"),
    ] {
        assert_eq!(found(method, path), expected, "{method:?} {path}");
    }
}

#[test]
fn the_document_has_every_row_and_no_other() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let mut told: Vec<(String, String)> = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            told.push((path.clone(), method.clone()));
            let wanted = if method == "get" { Method::Get } else { Method::Post };
            let id = operation["operationId"].as_str().unwrap();
            let name = if path.contains("{name}") { "x" } else { "-" };
            assert_eq!(found(wanted, &path.replace("{name}", "x")), format!("{id} {name}"));
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["429"].is_object());
        }
    }
    assert_eq!(told.len(), ROUTES.len());
    for route in ROUTES {
        assert!(!route.id.is_empty() && !route.says.is_empty() && route.path.starts_with("/admin/"));
        let posts = route.method == Method::Post;
        assert_eq!(
            posts,
            route.body.is_some(),
            "{}: what is posted has a body, what is read has none",
            route.id
        );
        assert!(posts || !route.changes(), "{}: a look changes nothing", route.id);
        let example = shape::example(route.body.unwrap_or_default()).to_string();
        assert!(shape::read(example.as_bytes(), route.body.unwrap_or_default()).is_ok(), "{}", route.id);
    }
}

#[test]
fn pages_of_others_stay_out() {
    let gate = Some(&b"gate.example.com"[..]);
    let local = Some(&b"127.0.0.1:4000"[..]);
    let json = Some(&b"application/json; charset=utf-8"[..]);
    let cases: &[(Asking<'_>, bool, bool, Result<(), Intrusion>)] = &[
        (Asking { host: gate, ..Asking::default() }, false, false, Ok(())),
        (Asking { host: gate, ..Asking::default() }, true, false, Err(Intrusion::Form)),
        (Asking { host: gate, content_type: json, ..Asking::default() }, true, false, Ok(())),
        (asked(gate, b"https://gate.example.com"), true, false, Ok(())),
        (asked(gate, b"https://GATE.example.com"), true, false, Ok(())),
        (asked(gate, b"https://gate.example.com:8443"), true, false, Err(Intrusion::Page)),
        (asked(gate, b"https://evil.example.com"), true, false, Err(Intrusion::Page)),
        (asked(gate, b"https://gate.example.com.evil.com"), false, false, Err(Intrusion::Page)),
        (asked(gate, b"null"), false, false, Err(Intrusion::Page)),
        (asked(gate, b""), false, false, Err(Intrusion::Page)),
        (asked(gate, b"file://"), false, false, Err(Intrusion::Page)),
        (asked(None, b"https://gate.example.com"), false, false, Err(Intrusion::Page)),
        (asked(local, b"http://127.0.0.1:4000"), true, true, Ok(())),
        // Another page of this machine is another page.
        (asked(local, b"http://127.0.0.1:3000"), true, true, Err(Intrusion::Page)),
        // DNS rebinding: the browser believes that the page is of the host that it asks.
        (asked(Some(b"evil.test:4000"), b"http://evil.test:4000"), true, true, Err(Intrusion::Page)),
    ];
    for (asking, posts, loopback, expected) in cases {
        // Who may call the MCP side from a page has no business here.
        let origins = [crate::glob::Glob::new("*")];
        let doors = Doors { hosts: &[], origins: &origins, loopback: *loopback };
        assert_eq!(admit(asking, *posts, doors), *expected, "{asking:?}");
    }
    let doors = Doors { hosts: &[], origins: &[], loopback: false };
    for (site, expected) in [
        (&b"same-origin"[..], Ok(())),
        (b"none", Ok(())),
        (b"same-site", Err(Intrusion::Page)),
        (b"cross-site", Err(Intrusion::Page)),
        (b"new-word", Err(Intrusion::Page)),
    ] {
        let asking = Asking { host: gate, site: Some(site), ..Asking::default() };
        assert_eq!(admit(&asking, false, doors), expected);
    }
    for kind in [&b"text/plain"[..], b"application/x-www-form-urlencoded", b"multipart/form-data", b""] {
        let asking = Asking { host: gate, content_type: Some(kind), ..Asking::default() };
        assert_eq!(admit(&asking, true, doors), Err(Intrusion::Form));
    }
}

const fn asked<'a>(host: Option<&'a [u8]>, origin: &'a [u8]) -> Asking<'a> {
    Asking { host, origin: Some(origin), site: None, content_type: Some(b"application/json") }
}

#[test]
fn states_are_told_by_their_tags() {
    let tag = of(b"state");
    assert_eq!(tag, of(b"state"));
    assert_ne!(tag, of(b"other state"));
    assert!(tag.len() == 34 && tag.starts_with('"'));
    let lines = |text: &'static str| text.split('|').filter(|line| !line.is_empty()).map(str::as_bytes);
    for (if_match, if_none_match, expected) in [
        ("", "", None),
        ("\"a\"", "", Some(Condition::Is(vec!["\"a\"".to_owned()]))),
        (
            "\"a\" , \"b\"|\"c\"",
            "",
            Some(Condition::Is(["a", "b", "c"].map(|tag| format!("\"{tag}\"")).into())),
        ),
        ("", "*", Some(Condition::Absent)),
        ("\"a\"", "*", Some(Condition::Is(vec!["\"a\"".to_owned()]))),
        // What names no state says nothing.
        ("*", "", None),
        ("W/\"a\"", "", None),
        ("a", "\"b\"", None),
    ] {
        let read = condition(lines(if_match), lines(if_none_match));
        assert_eq!(read, expected, "{if_match} {if_none_match}");
    }
    let is = Condition::Is(vec!["\"a\"".to_owned()]);
    assert!(is.holds(Some("\"a\"")) && !is.holds(Some("\"b\"")) && !is.holds(None));
    assert!(Condition::Absent.holds(None) && !Condition::Absent.holds(Some("\"a\"")));
}

#[test]
fn bodies_are_what_the_table_says() {
    let read = |body: &str| shape::read(body.as_bytes(), NEW_KEY);
    let good = read(r#"{"name":"a","service":true,"models":["x-*"],"team":null}"#).unwrap();
    assert_eq!(Value::Object(good), json!({ "name": "a", "service": true, "models": ["x-*"] }));
    for (wrong, says) in [
        ("", "\"name\" is missing"),
        ("[]", "no JSON object"),
        ("{\"name\":\"a\"", "no JSON document"),
        ("{\"name\":\"a\"} x", "no JSON document"),
        (r#"{"name":"a","nmae":"b"}"#, "\"nmae\" is not known; known: name, team"),
        (r#"{"name":"a","name":"b"}"#, "twice"),
        (r#"{"name":"a","n\u0061me":"b"}"#, "twice"),
        (r#"{"name":7}"#, "expected a text"),
        (r#"{"name":"a","service":"true"}"#, "expected true or false"),
        (r#"{"name":"a","models":"x"}"#, "expected a list"),
        (r#"{"name":"a","models":[1]}"#, "expected a list"),
    ] {
        let why = read(wrong).unwrap_err();
        assert!(why.contains(says), "{wrong}: {why}");
    }
    let long = format!("{{\"name\":{:?}}}", "x".repeat(65));
    assert!(read(&long).is_err());
    assert!(shape::read(b"", &[]).unwrap().is_empty());
    assert!(shape::read(b"{\"a\":1}", &[]).unwrap_err().contains("known: none"));
}

#[test]
fn keys_keep_their_pace() {
    let (mut paces, key) = (Paces::default(), Arc::<str>::from("a"));
    let burst = |paces: &mut Paces, step, now| {
        (0..1000).find(|_| paces.step(&key, step, now).is_err()).unwrap_or(1000)
    };
    assert_eq!(burst(&mut paces, Step::Change, 5_000), limits::ADMIN_CHANGES_BURST);
    assert_eq!(paces.step(&key, Step::Change, 5_000), Err(1));
    // Looks are counted by themselves, and other keys by theirs.
    assert_eq!(burst(&mut paces, Step::Look, 5_000), limits::ADMIN_READS_PER_S);
    assert_eq!(paces.step(&Arc::from("b"), Step::Change, 5_000), Ok(()));
    // Two a second come back.
    assert_eq!(burst(&mut paces, Step::Change, 6_000), limits::ADMIN_CHANGES_PER_S);
    assert_eq!(burst(&mut paces, Step::Change, 600_000), limits::ADMIN_CHANGES_BURST);
    // Whoever has rested makes room.
    let mut paces = Paces::default();
    for number in 0..limits::ADMIN_PACED_KEYS_MAX {
        assert_eq!(paces.step(&Arc::from(number.to_string()), Step::Look, 0), Ok(()));
    }
    assert_eq!(paces.step(&key, Step::Look, 0), Err(1));
    assert_eq!(paces.step(&key, Step::Look, 1_000), Ok(()));
}

#[test]
fn differences_are_told_by_name() {
    let before = json!({ "a": 1, "list": [{ "name": "x", "v": 1 }, { "name": "y" }], "plain": [1, 2] });
    let after =
        json!({ "a": 1, "list": [{ "name": "y" }, { "name": "x", "v": 2 }, { "name": "z" }], "plain": [2] });
    let (mut told, more) = difference(&before, &after);
    told.sort_by_key(|change| change["path"].to_string());
    let expected = [
        json!({ "path": "list.x.v", "before": 1, "after": 2 }),
        json!({ "path": "list.z", "before": null, "after": { "name": "z" } }),
        json!({ "path": "plain", "before": [1, 2], "after": [2] }),
    ];
    assert_eq!((told, more), (expected.to_vec(), 0));
    let many = |value: u64| {
        let members = (0..limits::ADMIN_DIFFERENCES_MAX + 3).map(|name| (name.to_string(), value.into()));
        Value::Object(members.collect())
    };
    let (told, more) = difference(&many(1), &many(2));
    assert_eq!((told.len(), more), (limits::ADMIN_DIFFERENCES_MAX, 3));
    // The order of models counts, as it does to those who name them.
    let (one, two) = (json!([{ "name": "x" }, { "name": "y" }]), json!([{ "name": "y" }, { "name": "x" }]));
    assert_eq!(difference(&one, &two).0.len(), 1);
}

#[test]
fn questions_about_rules_are_read() {
    let read = |query: &[(&str, &str)]| {
        let query: Vec<(String, String)> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        question(&query).map(|(key, about)| match about {
            About::Model(model) => format!("{key}: {model}"),
            About::Tool(server, tool) => format!("{key}: {server} {tool}"),
        })
    };
    assert_eq!(read(&[("key", "k"), ("model", "m.1")]), Ok("k: m.1".to_owned()));
    assert_eq!(read(&[("call", "s.t.u"), ("key", "k")]), Ok("k: s t.u".to_owned()));
    for wrong in [
        &[("key", "k")][..],
        &[("model", "m")],
        &[("key", "k"), ("call", "s")],
        &[("key", "k"), ("call", ".t")],
        &[("key", "k"), ("call", "s.t"), ("model", "m")],
        &[("key", "k"), ("key", "l"), ("model", "m")],
        &[("key", "k"), ("model", "m"), ("x", "y")],
    ] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
}
