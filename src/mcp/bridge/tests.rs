//! Tests of the bridge: what each side must find in what the other one said.

use std::borrow::Cow;

use proptest::collection::{btree_map, vec};
use proptest::prelude::{any, proptest};
use proptest::sample::select;
use serde_json::{Value, json};

use super::capabilities::{
    CapabilitySet, ClientFacts, initialize_params, missing_data, params_for_legacy, params_for_modern,
};
use super::errors::{
    ForModern, error_between_modern, error_code, error_for_legacy, error_for_modern, visit_of,
    visit_tool_error, visits,
};
use super::fuzz::fuzz_bridge;
use super::levels::Level;
use super::members::{Change, Fault, Members};
use super::opening::{
    Keeping, ServerCapabilities, ServerFacts, merge_instructions, read_discover_result, read_initialize,
    read_initialize_result, write_discover_result, write_initialize_result,
};
use super::results::{ResultKind, ResultType, result_for_legacy, result_for_modern, result_type};
use super::rounds::{
    InputMethod, InputRequest, answer, read_input_required, read_retry, request_for_legacy,
    request_for_modern, retry_params, stand_in, write_input_required,
};
use super::tasks::{
    Inside, Status, Task, TaskAt, created_for_modern, created_with_id, legacy_created, open_task,
    params_about, params_as_call, params_as_task, read_task, related_task, seal_task, task_for_modern,
    with_related_task, with_task_id, without_related_task,
};
use crate::corpus::replay;
use crate::limits;
use crate::mcp::sealed::{SealFault, SealingKey};
use crate::mcp::version::Version;

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|why| panic!("{why}: {}", bytes.escape_ascii()))
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[test]
fn members_are_spliced_in_and_values_keep_their_bytes() {
    let cases: [(&str, &[Change<'_>], &str); 8] = [
        ("{}", &[Change::Set("a", b"1")], r#"{"a":1}"#),
        ("{ }", &[Change::Drop("a")], "{ }"),
        ("{ \"b\" : 1.0 }", &[Change::Set("a", b"1")], "{\"a\":1, \"b\" : 1.0 }"),
        (r#"{"a":1,"b":2.50}"#, &[Change::Drop("a")], r#"{"b":2.50}"#),
        (r#"{"a":1,"b":2.50}"#, &[Change::Set("b", b"3")], r#"{"a":1,"b":3}"#),
        (" {\"a\":1, \"b\" : [ 1 ]}", &[Change::Set("a", b"2")], " {\"a\":2, \"b\" : [ 1 ]}"),
        (r#"{"a":1}"#, &[Change::Set("b", b"2"), Change::Drop("a")], r#"{"b":2}"#),
        (r#"{"a":1}"#, &[Change::Drop("a"), Change::Drop("b")], "{}"),
    ];
    for (before, changes, after) in cases {
        let changed = Members::read(before.as_bytes()).unwrap().changed(changes).unwrap().into_owned();
        assert_eq!(String::from_utf8(changed).unwrap(), after, "{before}");
    }
}

#[test]
fn a_name_stands_once() {
    for doc in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#] {
        assert_eq!(Members::read(doc.as_bytes()).err(), Some(Fault::Twice), "{doc}");
    }
    let many: Vec<_> = (0..=limits::MCP_MEMBERS_MAX).map(|n| format!("\"{n}\":0")).collect();
    let many = format!("{{{}}}", many.join(","));
    assert!(matches!(Members::read(many.as_bytes()).err(), Some(Fault::TooMuch(_))));
    for doc in ["[]", "1", "", "{", "{} {}"] {
        assert!(matches!(Members::read(doc.as_bytes()).err(), Some(Fault::Json(_))), "{doc}");
    }
}

#[test]
fn names_that_can_be_mistaken_are_refused() {
    for doc in [r#"{"resulttype":"input_required"}"#, r#"{"TTLMS":0,"resultType":"complete"}"#] {
        let fault = result_for_modern(doc.as_bytes(), ResultKind::Cacheable);
        assert!(matches!(fault, Err(Fault::Edit(_))), "{doc}: {fault:?}");
    }
    assert!(params_for_legacy(Some(br#"{"RequestState":"x"}"#), None).is_err());
}

#[test]
fn modern_results_are_whole() {
    use ResultKind::{Cacheable, Plain};
    let cases = [
        (Plain, r#"{"content":[]}"#, r#"{"resultType":"complete","content":[]}"#),
        (Plain, "{}", r#"{"resultType":"complete"}"#),
        (Plain, r#"{"resultType":"complete"}"#, r#"{"resultType":"complete"}"#),
        (Plain, r#"{"resultType":"input_required","x":1}"#, r#"{"resultType":"complete","x":1}"#),
        (
            Cacheable,
            r#"{"tools":[ ]}"#,
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[ ]}"#,
        ),
        (
            Cacheable,
            r#"{"ttlMs":-1,"cacheScope":"all"}"#,
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
        ),
        (
            Cacheable,
            r#"{"ttlMs":5,"cacheScope":"public","resultType":"complete"}"#,
            r#"{"ttlMs":5,"cacheScope":"public","resultType":"complete"}"#,
        ),
    ];
    for (kind, before, after) in cases {
        let after_bytes = result_for_modern(before.as_bytes(), kind).unwrap();
        assert_eq!(String::from_utf8_lossy(&after_bytes), after);
    }
    for method in ["tools/list", "resources/templates/list", "resources/read", "server/discover"] {
        assert_eq!(ResultKind::of(method), Cacheable, "{method}");
    }
    for method in ["tools/call", "prompts/get", "completion/complete", "tasks/get"] {
        assert_eq!(ResultKind::of(method), Plain, "{method}");
    }
}

#[test]
fn legacy_results_lose_only_what_cannot_be_parsed() {
    for odd in ["[1]", "1", "\"x\"", "null", "true"] {
        let before = format!(r#"{{"content":[],"structuredContent":{odd},"resultType":"complete"}}"#);
        let after = result_for_legacy(before.as_bytes()).unwrap();
        assert_eq!(tree(&after), json!({"content": [], "resultType": "complete"}), "{odd}");
    }
    let good = br#"{"structuredContent":{"a":1.0},"ttlMs":3}"#;
    assert_eq!(result_for_legacy(good).unwrap(), Cow::Borrowed(good.as_slice()));
}

#[test]
fn result_types_are_told_apart() {
    for (result, expected) in [
        ("{}", Ok(ResultType::Complete)),
        (r#"{"resultType":"complete"}"#, Ok(ResultType::Complete)),
        (r#"{"resultType":"input_required"}"#, Ok(ResultType::InputRequired)),
        (r#"{"result\u0054ype":"t\u0061sk"}"#, Ok(ResultType::Task)),
        (r#"{"resultType":"novelty"}"#, Ok(ResultType::Other)),
        (r#"{"resultType":1}"#, Err(Fault::Shape("`resultType`"))),
    ] {
        assert_eq!(result_type(result.as_bytes()), expected, "{result}");
    }
}

#[test]
fn each_era_hears_its_own_codes() {
    // method, code; to modern from legacy, to modern from modern, to legacy from modern.
    let table = [
        ("resources/read", -32002, -32602, -32602, -32002),
        ("tools/call", -32002, -32603, -32603, -32002),
        ("resources/read", -32602, -32602, -32602, -32002),
        ("tools/call", -32602, -32602, -32602, -32602),
        ("tools/call", -32020, -32603, -32603, -32603),
        ("tools/call", -32021, -32603, -32021, -32602),
        ("tools/call", -32022, -32603, -32603, -32603),
        ("tools/call", -32099, -32603, -32603, -32603),
        ("tools/call", -32000, -32000, -32000, -32000),
        ("tools/call", -32601, -32601, -32601, -32601),
        ("tools/call", 7, 7, 7, 7),
    ];
    for (method, code, modern, between, legacy) in table {
        let error = text(&json!({"code": code, "message": "m", "data": {"uri": "a:b"}}));
        let ForModern::Error(out) = error_for_modern(&error, method, true).unwrap() else { panic!() };
        assert_eq!(tree(&out), json!({"code": modern, "message": "m", "data": {"uri": "a:b"}}));
        assert_eq!(
            error_code(&error_between_modern(&error, method).unwrap()),
            Ok(between),
            "{method} {code}"
        );
        assert_eq!(error_code(&error_for_legacy(&error, method).unwrap()), Ok(legacy), "{method} {code}");
    }
    for wrong in ["{}", r#"{"code":"x"}"#, r#"{"code":1.5}"#, r#"{"code":null}"#] {
        assert!(error_for_modern(wrong.as_bytes(), "tools/call", true).is_err(), "{wrong}");
    }
}

fn visit_error() -> Vec<u8> {
    text(&json!({"code": -32042, "message": "visit", "data": {"elicitations": [
        {"mode": "url", "message": "sign\nin", "url": "https://a.example/x", "elicitationId": "e1"},
        {"message": "pay", "url": "https://b.example/", "elicitationId": "e2", "task": {}},
    ]}}))
}

#[test]
fn a_page_to_visit_becomes_a_question() {
    let error = visit_error();
    let ForModern::Visit(found) = error_for_modern(&error, "tools/call", true).unwrap() else { panic!() };
    let params: Vec<_> = found.iter().map(|visit| tree(&visit.params)).collect();
    assert_eq!(
        params,
        [
            json!({"mode": "url", "message": "sign\nin", "url": "https://a.example/x"}),
            json!({"mode": "url", "message": "pay", "url": "https://b.example/"}),
        ]
    );
    assert_eq!(found, visits(&error).unwrap());
    for (method, visits) in [("tools/call", false), ("tools/list", true)] {
        let ForModern::Error(out) = error_for_modern(&error, method, visits).unwrap() else { panic!() };
        let out = tree(&out);
        assert_eq!((&out["code"], out.get("data")), (&json!(-32603), None));
        assert!(out["message"].as_str().unwrap().contains("https://b.example/"));
    }
    let told = tree(&visit_tool_error(&found));
    assert_eq!(told["isError"], json!(true));
    let lines: Vec<_> = told["content"][0]["text"].as_str().unwrap().lines().collect();
    assert_eq!(lines[1..], ["https://a.example/x (sign in)", "https://b.example/ (pay)"]);
    let many: Vec<_> = (0..=limits::MCP_INPUTS_MAX).map(|_| json!({"url": "a:b"})).collect();
    let many = text(&json!({"code": -32042, "data": {"elicitations": many}}));
    assert_eq!(visits(&many), Err(Fault::TooMuch("pages to visit")));
    assert!(visits(br#"{"code":-32042}"#).is_err());
}

#[test]
fn a_page_is_told_from_a_form() {
    let page = br#"{"mode":"url","url":"https://a.example","message":"m","elicitationId":"e"}"#;
    assert_eq!(visit_of(InputMethod::Elicit, page).unwrap().unwrap().url, "https://a.example");
    assert_eq!(visit_of(InputMethod::Sample, page), Ok(None));
    assert_eq!(visit_of(InputMethod::Elicit, br#"{"message":"m"}"#), Ok(None));
    assert!(visit_of(InputMethod::Elicit, br#"{"mode":"url"}"#).is_err());
}

#[test]
fn questions_are_read_and_written() {
    let result = br#"{"resultType":"input_required","inputRequests":{
        "who\n":{"method":"elicitation/create","params":{"message":"?","x":1.0}},
        "roots":{"method":"roots/list"}},"requestState":"a\u0062c"}"#;
    let read = read_input_required(result).unwrap();
    assert_eq!(read.request_state, Some(br#""a\u0062c""#.as_slice()), "as it came");
    assert_eq!(
        read.requests,
        [
            InputRequest {
                key: "who\n".into(),
                method: InputMethod::Elicit,
                params: Some(br#"{"message":"?","x":1.0}"#.into()),
            },
            InputRequest { key: "roots".into(), method: InputMethod::Roots, params: None },
        ]
    );
    let written = write_input_required(&read.requests, Some("state \"1\""));
    let expected = json!({"resultType": "input_required", "requestState": "state \"1\"", "inputRequests": {
        "who\n": {"method": "elicitation/create", "params": {"message": "?", "x": 1.0}},
        "roots": {"method": "roots/list"},
    }});
    assert_eq!(tree(&written), expected);
    assert_eq!(read_input_required(&written).unwrap().requests, read.requests);
    assert_eq!(tree(&write_input_required(&[], Some("s"))).as_object().unwrap().len(), 2);
}

#[test]
fn questions_that_nobody_may_ask_are_refused() {
    for wrong in [
        json!({}),
        json!({"inputRequests": {}}),
        json!({"inputRequests": []}),
        json!({"requestState": 1}),
        json!({"inputRequests": {"a": {"method": "tools/call", "params": {}}}}),
        json!({"inputRequests": {"a": {"method": "elicitation/create"}}}),
        json!({"inputRequests": {"a": {"params": {}}}}),
        json!({"inputRequests": {"a": 1}}),
        json!({"inputRequests": {"a".repeat(limits::MCP_INPUT_KEY_BYTES_MAX + 1): {"method": "roots/list"}}}),
    ] {
        assert!(read_input_required(&text(&wrong)).is_err(), "{wrong}");
    }
    let many: serde_json::Map<_, _> =
        (0..=limits::MCP_INPUTS_MAX).map(|n| (n.to_string(), json!({"method": "roots/list"}))).collect();
    let many = text(&json!({"inputRequests": many}));
    assert_eq!(read_input_required(&many), Err(Fault::TooMuch("questions in one result")));
}

#[test]
fn a_question_crosses_the_eras() {
    let legacy = text(&json!({"mode": "url", "url": "u", "elicitationId": "e", "task": {"ttl": 1},
        "_meta": {"progressToken": 1, "x": 2}}));
    let modern = request_for_modern(&legacy).unwrap();
    assert_eq!(tree(&modern), json!({"mode": "url", "url": "u", "_meta": {"x": 2}}));
    let back = request_for_legacy(InputMethod::Elicit, &modern, "tg-1").unwrap();
    assert_eq!(tree(&back)["elicitationId"], json!("tg-1"));
    let form = br#"{"message":"m","requestedSchema":{}}"#;
    assert_eq!(request_for_modern(form), Ok(Cow::Borrowed(form.as_slice())));
    assert_eq!(request_for_legacy(InputMethod::Elicit, form, "x"), Ok(Cow::Borrowed(form.as_slice())));
}

#[test]
fn answers_are_found_by_key_and_shape() {
    let params = text(&json!({"name": "t", "requestState": "s", "inputResponses": {
        "form": {"action": "accept", "content": {"a": 1}},
        "no": {"action": "decline"},
        "odd": {"action": "perhaps"},
        "list": {"action": "accept", "content": []},
        "words": {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m"},
        "folders": {"roots": []},
        "nothing": null,
        "extra": {"x": 1},
    }}));
    let retry = read_retry(&params).unwrap();
    assert!(!retry.is_first());
    assert_eq!(retry.request_state.as_deref(), Some("s"));
    use InputMethod::{Elicit, Roots, Sample};
    for (key, method, there) in [
        ("form", Elicit, true),
        ("no", Elicit, true),
        ("odd", Elicit, false),
        ("list", Elicit, false),
        ("words", Sample, true),
        ("words", Elicit, false),
        ("folders", Roots, true),
        ("form", Roots, false),
        ("nothing", Elicit, false),
        ("missing", Elicit, false),
    ] {
        assert_eq!(answer(&retry, key, method).is_some(), there, "{key}");
    }
    assert!(read_retry(br#"{"name":"t"}"#).unwrap().is_first());
    assert!(read_retry(br#"{"inputResponses":null,"requestState":null}"#).unwrap().is_first());
    for wrong in [r#"{"inputResponses":[]}"#, r#"{"requestState":1}"#, "[]"] {
        assert!(read_retry(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_call_is_repeated_with_answers() {
    let params = br#"{"name":"t","arguments":{"x": 1.0},"requestState":"old","inputResponses":{}}"#;
    let responses = [("who".into(), Cow::Borrowed(stand_in(InputMethod::Elicit).unwrap()))];
    let retried = retry_params(params, &responses, Some(b"\"n\\u0065w\"")).unwrap();
    let expected = concat!(
        r#"{"name":"t","arguments":{"x": 1.0},"requestState":"n\u0065w","#,
        r#""inputResponses":{"who":{"action":"cancel"}}}"#
    );
    assert_eq!(String::from_utf8(retried).unwrap(), expected);
    let bare = retry_params(params, &[], None).unwrap();
    assert_eq!(tree(&bare), json!({"name": "t", "arguments": {"x": 1.0}}));
    for method in [InputMethod::Elicit, InputMethod::Sample, InputMethod::Roots] {
        assert_eq!(InputMethod::parse(method.as_str()), Some(method));
    }
}

#[test]
fn capabilities_are_what_was_declared() {
    use CapabilitySet as Set;
    let none = Set::default();
    for (declared, expected) in [
        (json!({}), none),
        (json!({"elicitation": {}}), Set::FORM),
        (json!({"elicitation": {"form": {}}}), Set::FORM),
        (json!({"elicitation": {"url": {}}}), Set::URL),
        (json!({"elicitation": {"form": {}, "url": {}}}), Set::FORM.with(Set::URL)),
        (json!({"elicitation": null, "sampling": false, "roots": []}), none),
        (json!({"sampling": {}}), Set::SAMPLING),
        (json!({"sampling": {"tools": {}}}), Set::SAMPLING.with(Set::SAMPLING_TOOLS)),
        (json!({"sampling": {"context": {}}}), Set::SAMPLING.with(Set::SAMPLING_CONTEXT)),
        (json!({"roots": {"listChanged": true}}), Set::ROOTS),
        (json!({"tasks": {"list": {}}}), none),
        (json!({"extensions": {"io.modelcontextprotocol/tasks": {}}}), Set::TASKS),
    ] {
        assert_eq!(Set::read(&text(&declared)), Ok(expected), "{declared}");
        assert_eq!(Set::read(&expected.write()), Ok(expected), "{declared}");
    }
    assert_eq!(Set::TASKS.session(), none);
    assert!(Set::read(b"[]").is_err());
}

#[test]
fn a_question_needs_its_capability() {
    use CapabilitySet as Set;
    use InputMethod::{Elicit, Roots, Sample};
    for (method, params, needed) in [
        (Elicit, json!({}), Set::FORM),
        (Elicit, json!({"mode": "form"}), Set::FORM),
        (Elicit, json!({"mode": "url"}), Set::URL),
        (Sample, json!({}), Set::SAMPLING),
        (Sample, json!({"tools": []}), Set::SAMPLING.with(Set::SAMPLING_TOOLS)),
        (Sample, json!({"toolChoice": {}}), Set::SAMPLING.with(Set::SAMPLING_TOOLS)),
        (Roots, json!({}), Set::ROOTS),
    ] {
        assert_eq!(Set::needed(method, Some(&text(&params))), Ok(needed), "{params}");
    }
    let missing = Set::URL.with(Set::ROOTS).without(Set::ROOTS);
    assert_eq!(tree(&missing_data(missing)), json!({"requiredCapabilities": {"elicitation": {"url": {}}}}));
}

#[test]
fn a_legacy_server_is_offered_words_that_it_knows() {
    let all = CapabilitySet::read(&text(&json!({"elicitation": {"form": {}, "url": {}}, "roots": {},
        "sampling": {"tools": {}, "context": {}}, "extensions": {"io.modelcontextprotocol/tasks": {}}})));
    let all = all.unwrap();
    let new = json!({"elicitation": {"form": {}, "url": {}},
        "sampling": {"tools": {}, "context": {}}, "roots": {}});
    for (version, expected) in [
        (Version::V2025_11_25, new),
        (Version::V2025_06_18, json!({"elicitation": {}, "sampling": {}, "roots": {}})),
        (Version::V2025_03_26, json!({"sampling": {}, "roots": {}})),
        (Version::V2024_11_05, json!({"sampling": {}, "roots": {}})),
    ] {
        let written = all.write_legacy(version);
        assert_eq!(tree(&written), expected, "{version}");
        let params = initialize_params(version, all, br#"{"name":"c","version":"1"}"#);
        let read = read_initialize(&params).unwrap();
        assert_eq!((read.version.as_str(), read.capabilities), (version.as_str(), written.as_slice()));
    }
    assert_eq!(CapabilitySet::URL.write_legacy(Version::V2025_06_18), b"{}");
}

#[test]
fn params_say_who_asks() {
    let facts = ClientFacts {
        version: Version::V2026_07_28,
        capabilities: br#"{"roots":{"listChanged":true},"tasks":{},"x":1.0}"#,
        client_info: Some(br#"{"name":"c"}"#),
        log_level: Some(Level::Notice),
    };
    let given = br#"{"name":"t","task":{},"_meta":{"progressToken":"a","traceparent":"00"}}"#;
    let modern = params_for_modern(Some(given), &facts, Some(7)).unwrap();
    assert_eq!(
        tree(&modern),
        json!({"name": "t", "_meta": {
            "progressToken": 7,
            "traceparent": "00",
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "c"},
            "io.modelcontextprotocol/clientCapabilities": {"roots": {"listChanged": true}, "x": 1.0},
            "io.modelcontextprotocol/logLevel": "notice",
        }})
    );
    let bare = ClientFacts { client_info: None, log_level: None, capabilities: b"{}", ..facts };
    let bare = tree(&params_for_modern(None, &bare, None).unwrap());
    assert_eq!(bare["_meta"].as_object().unwrap().len(), 2);
    let with_state = Members::read(&modern)
        .unwrap()
        .changed(&[Change::Set("requestState", b"\"s\"")])
        .unwrap()
        .into_owned();
    let legacy = params_for_legacy(Some(&with_state), Some(8)).unwrap();
    assert_eq!(tree(&legacy), json!({"name": "t", "_meta": {"progressToken": 8, "traceparent": "00"}}));
    let bare = br#"{"cursor":"c","_meta":{"io.modelcontextprotocol/protocolVersion":"v"}}"#;
    assert_eq!(params_for_legacy(Some(bare), None).unwrap(), br#"{"cursor":"c"}"#);
}

#[test]
fn opening_is_read_with_bounds() {
    let good = br#"{"protocolVersion":"2025-06-18","capabilities":{"x": 1},"clientInfo":{"name":"c"}}"#;
    let read = read_initialize(good).unwrap();
    assert_eq!((read.version.as_str(), read.capabilities), ("2025-06-18", br#"{"x": 1}"#.as_slice()));
    assert_eq!(read.client_info, Some(br#"{"name":"c"}"#.as_slice()));
    let long = "x".repeat(limits::MCP_CLIENT_FACTS_BYTES_MAX);
    for wrong in [
        json!({"capabilities": {}}),
        json!({"protocolVersion": 1, "capabilities": {}}),
        json!({"protocolVersion": "2025-06-18"}),
        json!({"protocolVersion": "2".repeat(65), "capabilities": {}}),
        json!({"protocolVersion": "1", "capabilities": {"x": long}}),
        json!({"protocolVersion": "1", "capabilities": {}, "clientInfo": {"name": long}}),
    ] {
        assert!(read_initialize(&text(&wrong)).is_err(), "{wrong}");
    }
}

fn server(capabilities: &Value) -> ServerFacts {
    let result = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities,
        "serverInfo": {"name": "s"}, "instructions": "be kind"});
    read_initialize_result(&text(&result)).unwrap()
}

#[test]
fn servers_say_what_they_can() {
    let facts = server(&json!({"tools": {"listChanged": true}, "resources": {"subscribe": true},
        "logging": {}, "tasks": {"requests": {"tools": {"call": {}}}},
        "extensions": {"a/b": {"x": 1}, "bad": 1,
            "big": {"x": "y".repeat(limits::MCP_EXTENSION_BYTES_MAX)}}}));
    let expected = ServerCapabilities {
        tools: true,
        tools_changed: true,
        resources: true,
        subscribe: true,
        logging: true,
        legacy_tasks: true,
        extensions: vec![("a/b".into(), b"{\"x\":1}".to_vec())],
        ..ServerCapabilities::default()
    };
    assert_eq!(facts.capabilities, expected);
    assert_eq!(facts.instructions.as_deref(), Some("be kind"));
    assert_eq!(facts.server_info.as_deref(), Some(br#"{"name":"s"}"#.as_slice()));
    let legacy = json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}});
    assert_eq!(tree(&facts.capabilities.write_legacy(Version::V2025_06_18)), legacy);
    let with_tasks = tree(&facts.capabilities.write_legacy(Version::V2025_11_25));
    assert_eq!(with_tasks["tasks"], json!({"cancel": {}, "requests": {"tools": {"call": {}}}}));
    let modern = tree(&facts.capabilities.write_modern());
    assert_eq!(modern["extensions"], json!({"io.modelcontextprotocol/tasks": {}, "a/b": {"x": 1}}));
}

#[test]
fn servers_become_one() {
    let mut all = ServerCapabilities::default();
    all.merge(&server(&json!({"tools": {}, "extensions": {"a/b": {"x": 1}}})).capabilities);
    all.merge(
        &server(&json!({"prompts": {"listChanged": true}, "extensions": {"a/b": {"x": 2}, "c/d": {}}}))
            .capabilities,
    );
    let expected = json!({"tools": {}, "prompts": {"listChanged": true},
        "extensions": {"a/b": {"x": 1}, "c/d": {}}});
    assert_eq!(tree(&all.write_modern()), expected);
    let said = merge_instructions([("git", Some(" use it ")), ("none", None), ("jira", Some("ask"))]);
    assert_eq!(said.as_deref(), Some("git: use it\n\njira: ask"));
    assert_eq!(merge_instructions([("none", None)]), None);
    let long = "é".repeat(limits::MCP_INSTRUCTIONS_BYTES_MAX);
    let said = merge_instructions([("a", Some(long.as_str())), ("b", Some("short")), ("c", Some(&long))]);
    let said = said.unwrap();
    assert!(said.len() <= limits::MCP_INSTRUCTIONS_BYTES_MAX && said.contains("b: short"));
}

#[test]
fn what_is_written_at_the_opening_is_read_again() {
    let facts = server(&json!({"tools": {"listChanged": true}, "completions": {}}));
    let info = br#"{"name":"tollgate","version":"1"}"#;
    let keeping = Keeping { ttl_ms: 60_000, public: false };
    let versions = [Version::V2026_07_28, Version::V2025_11_25];
    let result = write_discover_result(&versions, &facts.capabilities, info, Some("hi"), keeping);
    assert_eq!(
        tree(&result),
        json!({"resultType": "complete", "supportedVersions": versions.map(Version::as_str),
            "instructions": "hi", "capabilities": {"tools": {"listChanged": true}, "completions": {}},
            "ttlMs": 60_000, "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "tollgate", "version": "1"}}})
    );
    let read = read_discover_result(&result).unwrap();
    assert_eq!(
        (&read.versions[..], &read.capabilities),
        (&versions.map(|version| version.to_string())[..], &facts.capabilities)
    );
    assert_eq!(read.server_info.as_deref(), Some(info.as_slice()));
    let result = write_initialize_result(Version::V2025_06_18, &facts.capabilities, info, None);
    let read = read_initialize_result(&result).unwrap();
    assert_eq!((read.versions, read.capabilities), (vec!["2025-06-18".into()], facts.capabilities));
    for wrong in
        [json!({}), json!({"supportedVersions": "x", "capabilities": {}}), json!({"supportedVersions": [1]})]
    {
        assert!(read_discover_result(&text(&wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn levels_are_ordered() {
    let names = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    let levels: Vec<_> = names.iter().map(|name| Level::parse(name).unwrap()).collect();
    assert!(levels.is_sorted() && levels.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(levels.iter().zip(names).all(|(level, name)| level.as_str() == name));
    assert_eq!(Level::parse("Debug"), None);
    assert_eq!(Level::loudest([Level::Error, Level::Info, Level::Alert]), Some(Level::Info));
    assert_eq!(Level::loudest([]), None);
    assert!(Level::Error.reaches(Level::Warning) && !Level::Info.reaches(Level::Warning));
}

#[test]
fn a_task_is_its_servers_and_its_callers() {
    let key = SealingKey::from_bytes(&[1; 32]).unwrap();
    let task = TaskAt { server: "git".into(), id: "a\0b é".into(), session: CapabilitySet::FORM };
    let text = seal_task(&key, b"alice", 10, &task).unwrap();
    assert_eq!(open_task(&key, b"alice", 10, &text), Ok(task.clone()));
    assert_eq!(open_task(&key, b"bob", 10, &text), Err(SealFault::Foreign));
    assert_eq!(open_task(&key, b"alice", 11, &text), Err(SealFault::Expired));
    assert_eq!(open_task(&key, b"alice", 10, "git:1"), Err(SealFault::Malformed));
    let longest = TaskAt { id: "x".repeat(limits::MCP_TASK_ID_BYTES_MAX), ..task };
    assert!(seal_task(&key, b"alice", 10, &longest).is_ok());
}

#[test]
fn legacy_tasks_become_modern_ones() {
    let created = br#"{"task":{"taskId":"1","status":"working","createdAt":"c",
        "lastUpdatedAt":"l","ttl":60000,"pollInterval":5},"_meta":{}}"#;
    let expected = Task { id: "1".into(), status: Status::Working, ttl_ms: Some(60_000), poll_ms: Some(5) };
    assert_eq!(legacy_created(created), Ok(Some(expected.clone())));
    let modern = created_for_modern(created, "ours").unwrap();
    assert_eq!(
        tree(&modern),
        json!({"resultType": "task", "taskId": "ours", "status": "working", "createdAt": "c",
            "lastUpdatedAt": "l", "ttlMs": 60_000, "pollIntervalMs": 5})
    );
    assert_eq!(result_type(&modern), Ok(ResultType::Task));
    assert_eq!(read_task(&modern).unwrap(), Task { id: "ours".into(), ..expected });
    for none in [json!({}), json!({"task": 1}), json!({"task": {"title": "x"}, "content": []})] {
        assert_eq!(legacy_created(&text(&none)), Ok(None), "{none}");
    }
    assert!(legacy_created(br#"{"task":{"taskId":"1","status":"odd"}}"#).is_err());
}

#[test]
fn the_outcome_of_a_task_is_inside() {
    let task = br#"{"taskId":"1","status":"failed","ttl":null}"#;
    let related =
        br#"{"content":[],"isError":true,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"1"}}}"#;
    let ended = tree(&task_for_modern(task, "ours", Some(Inside::Result(related))).unwrap());
    let result = json!({"content": [], "isError": true, "_meta": {}});
    let expected = json!({"resultType": "complete", "taskId": "ours", "status": "completed", "ttlMs": null,
        "result": result});
    assert_eq!(ended, expected);
    let error = Inside::Error(br#"{"code":1,"message":"m"}"#);
    let ended = tree(&task_for_modern(task, "ours", Some(error)).unwrap());
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!(1)));
    let asks = Inside::Requests(br#"{"a":{"method":"roots/list"}}"#);
    let asks = tree(&task_for_modern(task, "ours", Some(asks)).unwrap());
    assert_eq!(asks["status"], json!("input_required"));
    assert_eq!(asks["inputRequests"]["a"]["method"], json!("roots/list"));
    let asking = br#"{"taskId":"1","status":"input_required"}"#;
    let asks = tree(&task_for_modern(asking, "ours", Some(Inside::Nothing)).unwrap());
    assert_eq!((&asks["status"], &asks["inputRequests"]), (&json!("working"), &json!(null)));
    let working = tree(&task_for_modern(br#"{"taskId":"1","status":"working"}"#, "ours", None).unwrap());
    assert_eq!(
        working,
        json!({"resultType": "complete", "taskId": "ours", "status": "working", "ttlMs": null})
    );
    assert!(Status::Cancelled.is_final() && !Status::InputRequired.is_final());
}

#[test]
fn ids_of_tasks_are_exchanged() {
    let result = br#"{"resultType":"task","taskId":"theirs","x": 1.0}"#;
    let ours = with_task_id(result, "o\"urs").unwrap();
    assert_eq!(ours.as_ref(), br#"{"resultType":"task","taskId":"o\"urs","x": 1.0}"#);
    assert!(with_task_id(b"{}", "x").is_err() && with_task_id(br#"{"taskId":1}"#, "x").is_err());
    assert_eq!(
        tree(&params_as_task(br#"{"name":"t"}"#, 5).unwrap()),
        json!({"name": "t", "task": {"ttl": 5}})
    );
    let plain = br#"{"_meta":{"x":1}}"#;
    assert_eq!(without_related_task(plain), Ok(Cow::Borrowed(plain.as_slice())));
    assert_eq!(related_task(plain), Ok(None));
    for before in [br#"{"a":1,"_meta":{"x":1}}"#.as_slice(), br#"{"a":1}"#] {
        let noted = with_related_task(before, "i\"d").unwrap();
        assert_eq!(related_task(&noted), Ok(Some("i\"d".to_owned())));
        let other = with_related_task(&noted, "other").unwrap();
        assert_eq!(related_task(&other), Ok(Some("other".to_owned())));
        assert_eq!(tree(&without_related_task(&other).unwrap())["a"], json!(1));
        assert_eq!(related_task(&without_related_task(&other).unwrap()), Ok(None));
    }
    let created = br#"{"task":{"taskId":"1","status":"working"},"_meta":{}}"#;
    assert_eq!(
        tree(&created_with_id(created, "ours").unwrap()),
        json!({"task": {"taskId": "ours", "status": "working"}, "_meta": {}})
    );
    assert!(created_with_id(b"{}", "ours").is_err());
    assert_eq!(tree(&params_as_call(br#"{"name":"t","task":{}}"#).unwrap()), json!({"name": "t"}));
    assert_eq!(tree(&params_about("i\"d")), json!({"taskId": "i\"d"}));
}

proptest! {
    #[test]
    fn changes_are_those_of_a_map(
        before in btree_map("[a-c]{1,2}", 0..9_u8, 0..6),
        set in select(&["a", "b", "ab", "x"][..]), drop in select(&["c", "bb", "ba", "y"][..])
    ) {
        let doc = text(&json!(before));
        let changed = Members::read(&doc).unwrap().changed(&[Change::Set(set, b"77"), Change::Drop(drop)]);
        let mut after = before;
        after.insert(set.into(), 77);
        after.remove(drop);
        assert_eq!(tree(&changed.unwrap()), json!(after));
    }

    #[test]
    fn any_bytes_may_come(data in vec(any::<u8>(), 0..80)) {
        fuzz_bridge(&data);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("mcp_bridge", 4, fuzz_bridge);
}
