//! What is read of messages, and which are refused.

use std::ops::Range;

use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use crate::corpus;
use crate::json;
use crate::limits;
use crate::mcp::fault::Fault;
use crate::mcp::message::{Message, batch, fuzz, meta_at, params, pick, read, read_error, response_id, text};
use crate::mcp::method::Method;

fn part<'a, 's>(doc: &'a str, span: impl IntoIterator<Item = &'s Range<usize>>) -> &'a str {
    span.into_iter().next().map_or("-", |span| doc.get(span.clone()).unwrap())
}

/// Kind, id, method, params, result and error of a message, or what is wrong with it.
fn shown(doc: &str) -> String {
    match read(doc.as_bytes()) {
        Err(fault) => fault.to_string(),
        Ok(Message { kind, id, method, method_span: _, params, result, error }) => {
            let [id, params] = [part(doc, &id), part(doc, &params)];
            let [result, error] = [part(doc, &result), part(doc, &error)];
            format!("{kind:?} {id} {method:?} {params} {result} {error}")
        }
    }
}

#[test]
fn messages_of_all_kinds() {
    let table = [
        (r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#, "Request 0 Ping - - -"),
        (
            r#" { "method" : "tools\/call" , "params" : { } , "jsonrpc" : "2.0" , "id" : "0" } "#,
            r#"Request "0" ToolsCall { } - -"#,
        ),
        (r#"{"jsonrpc":"2.0","id":3.0,"method":"a/b","params":null}"#, "Request 3.0 Other - - -"),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "Notification - Initialized - - -"),
        (r#"{"result":{"id":1},"id":-1e2,"jsonrpc":"2.0"}"#, r#"Result -1e2 Other - {"id":1} -"#),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, r#"Error - Other - - {"code":1}"#),
        (r#"{"jsonrpc":"2.0","error":{"code":1}}"#, r#"Error - Other - - {"code":1}"#),
        (r#"{"jsonrpc":"2.0","id":"a\"b","error":0}"#, r#"Error "a\"b" Other - - 0"#),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","Other":1,"Other":2}"#, "Request 1 Ping - - -"),
    ];
    for (doc, expected) in table {
        assert_eq!(shown(doc), expected, "{doc}");
    }
}

#[test]
fn messages_that_are_none() {
    let id = "`id` must be a string of at most 512 bytes or a number";
    let table = [
        ("", "a message must be a JSON object"),
        ("[]", "a message must be a JSON object"),
        ("null", "a message must be a JSON object"),
        (r#"{"id":1,"method":"ping"}"#, r#"`jsonrpc` must be "2.0""#),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, r#"`jsonrpc` must be "2.0""#),
        (r#"{"jsonrpc":"2.0","id":1}"#, "a message has `method`, `result` or `error`"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            "a message has one of `method`, `result` and `error`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{},"result":{}}"#,
            "a message has one of `method`, `result` and `error`",
        ),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, id),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, id),
        (r#"{"jsonrpc":"2.0","result":{}}"#, id),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, id),
        (r#"{"jsonrpc":"2.0","id":[1],"error":{}}"#, id),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "`method` at byte 33 is of the wrong kind"),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, "`method` at byte 33 is of the wrong kind"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"\x"}"#, "`method` at byte 33 is of the wrong kind"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            "`params` at byte 49 is of the wrong kind",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#,
            "`id` is given more than once, again at byte 25",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","meth\u006fd":"x"}"#,
            "the name at byte 41 can be mistaken for `method`",
        ),
        (r#"{"jsonrpc":"2.0","ID":1,"method":"ping"}"#, "the name at byte 18 can be mistaken for `id`"),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"param\u{17f}\":{}}",
            "the name at byte 41 can be mistaken for `params`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","\q":{}}"#,
            "the message is not valid JSON: the escape at byte 41 is not valid",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\nng\"}",
            "the message is not valid JSON: the character at byte 36 is not allowed there",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{}"#,
            "the message is not valid JSON: there is more after the end, at byte 40",
        ),
    ];
    for (doc, expected) in table {
        assert_eq!(shown(doc), expected, "{doc}");
    }
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(matches!(read(deep.as_bytes()), Err(Fault::NotJson(json::Fault::Depth { .. }))));
    for (len, good) in [(limits::MCP_ID_BYTES_MAX - 2, true), (limits::MCP_ID_BYTES_MAX - 1, false)] {
        let doc = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(len));
        assert_eq!(read(doc.as_bytes()).is_ok(), good);
        assert_eq!(response_id(doc.as_bytes()).is_some(), good);
    }
}

#[test]
fn params_and_meta_of_a_call() {
    let doc = r#"{"method":"tools/call","params":{"name":"a","arguments":{"name":1,"name":2,"_meta":3},
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/clientCapabilities":{},
        "io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/subscriptionId":"s",
        "claudecode/toolUseId":"toolu_1","traceparent":"00-1","progressToken":0}},"jsonrpc":"2.0","id":0}"#;
    let message = read(doc.as_bytes()).unwrap();
    let found = params(doc.as_bytes(), &message).unwrap();
    assert_eq!(part(doc, &found.name), r#""a""#);
    assert_eq!(part(doc, &found.arguments), r#"{"name":1,"name":2,"_meta":3}"#);
    let meta = found.meta.unwrap();
    assert_eq!(part(doc, &meta.protocol_version), r#""2026-07-28""#);
    assert_eq!(part(doc, &meta.client_info), r#"{"name":"c"}"#);
    assert_eq!(part(doc, &meta.client_capabilities), "{}");
    assert_eq!(part(doc, &meta.log_level), r#""info""#);
    assert_eq!(part(doc, &meta.subscription_id), r#""s""#);
    assert_eq!(part(doc, &meta.tool_use_id), r#""toolu_1""#);
    assert_eq!(part(doc, &meta.traceparent), r#""00-1""#);
    assert_eq!(part(doc, &meta.progress_token), "0");
    assert!(part(doc, [&meta.span]).starts_with("{\"io."));
    assert_eq!(meta_at(doc.as_bytes(), meta.span.clone()), Ok(meta));
}

#[test]
fn every_member_of_params_has_its_field() {
    let doc = r#"{"jsonrpc":"2.0","method":"x","params":{"uri":"1","taskId":"2","cursor":"",
        "inputResponses":{"a":4},"requestState":"5","task":{"a":6},"ref":{"a":7},"argument":{"a":8},
        "level":"9","progressToken":"10","progress":11.5,"requestId":12,"notifications":{"a":13},
        "protocolVersion":"14","capabilities":{"a":15},"clientInfo":{"a":16},"name":null}}"#;
    let found = params(doc.as_bytes(), &read(doc.as_bytes()).unwrap()).unwrap();
    assert_eq!(part(doc, &found.uri), r#""1""#);
    assert_eq!(part(doc, &found.task_id), r#""2""#);
    assert_eq!(part(doc, &found.cursor), r#""""#);
    assert_eq!(part(doc, &found.input_responses), r#"{"a":4}"#);
    assert_eq!(part(doc, &found.request_state), r#""5""#);
    assert_eq!(part(doc, &found.task), r#"{"a":6}"#);
    assert_eq!(part(doc, &found.reference), r#"{"a":7}"#);
    assert_eq!(part(doc, &found.argument), r#"{"a":8}"#);
    assert_eq!(part(doc, &found.level), r#""9""#);
    assert_eq!(part(doc, &found.progress_token), r#""10""#);
    assert_eq!(part(doc, &found.progress), "11.5");
    assert_eq!(part(doc, &found.request_id), "12");
    assert_eq!(part(doc, &found.notifications), r#"{"a":13}"#);
    assert_eq!(part(doc, &found.protocol_version), r#""14""#);
    assert_eq!(part(doc, &found.capabilities), r#"{"a":15}"#);
    assert_eq!(part(doc, &found.client_info), r#"{"a":16}"#);
    assert_eq!((found.name, found.meta), (None, None));
}

#[test]
fn params_that_are_refused() {
    let table = [
        (r#"{"name":"a","name":"b"}"#, "`name` is given more than once, again at byte 52"),
        (r#"{"name":"a","n\u0061me":"b"}"#, "the name at byte 52 can be mistaken for `name`"),
        (r#"{"name":"a","Name":"b"}"#, "the name at byte 52 can be mistaken for `name`"),
        (r#"{"name":7}"#, "`name` at byte 47 is of the wrong kind"),
        (r#"{"arguments":[]}"#, "`arguments` at byte 52 is of the wrong kind"),
        (r#"{"progressToken":{}}"#, "`progressToken` at byte 56 is of the wrong kind"),
        (r#"{"progress":"1"}"#, "`progress` at byte 51 is of the wrong kind"),
        (r#"{"_meta":1}"#, "`_meta` at byte 48 is of the wrong kind"),
        (
            r#"{"_meta":{"progressToken":1,"progressToken":1}}"#,
            "`progressToken` is given more than once, again at byte 68",
        ),
        (
            r#"{"_meta":{"io.modelcontextprotocol\/protocolVersion":"x"}}"#,
            "the name at byte 50 can be mistaken for `io.modelcontextprotocol/protocolVersion`",
        ),
    ];
    for (object, expected) in table {
        let doc = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{object}}}"#);
        let message = read(doc.as_bytes()).unwrap();
        assert_eq!(params(doc.as_bytes(), &message).unwrap_err().to_string(), expected, "{object}");
    }
}

#[test]
fn what_senders_are_told_of_their_faults() {
    let code = |doc: &str| read(doc.as_bytes()).unwrap_err().rpc().code;
    assert_eq!(code("{"), -32700);
    assert_eq!(code("[]"), -32600);
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#), -32602);
    assert_eq!(Fault::Overlap { at: 1 }.rpc().code, -32603);
}

#[test]
fn errors_as_servers_write_them() {
    let check = |error: &str, code: i64, message: &str, data: &str| {
        let body = read_error(error.as_bytes(), 0..error.len()).unwrap();
        assert_eq!((body.code, part(error, &body.message), part(error, &body.data)), (code, message, data));
    };
    check(
        r#"{"code":-32042,"message":"m","data":{"elicitations":[]}}"#,
        -32042,
        r#""m""#,
        r#"{"elicitations":[]}"#,
    );
    check(r#"{"code":"x","message":null}"#, 0, "-", "-");
    check(r#"{"code":1e3}"#, 0, "-", "-");
    assert!(read_error(b"[]", 0..2).is_err());
    assert!(read_error(br#"{"code":1,"code":2}"#, 0..19).is_err());
}

#[test]
fn texts_are_decoded() {
    let doc = br#"["plain","\u00e9\n",7,"\x"]"#;
    assert_eq!(text(doc, 1..8).as_deref(), Some("plain"));
    assert_eq!(text(doc, 9..19).as_deref(), Some("\u{e9}\n"));
    for wrong in [20..21, 22..26, 0..0, 5..900, 1..2] {
        assert_eq!(text(doc, wrong.clone()), None, "{wrong:?}");
    }
}

#[test]
fn members_by_name() {
    let doc = br#"x{"b":null,"c":[1],"a":2}"#;
    let [a, z, b] = pick(doc, 1..doc.len(), &["a", "z", "b"]).unwrap();
    assert_eq!((a.unwrap().span, z, b.unwrap().kind), (23..24, None, json::Kind::Null));
    assert!(pick(doc, 0..3, &["a"]).is_err());
}

#[test]
fn batches() {
    let doc = br#" [ {"a":1} , 2 ] "#;
    assert_eq!(batch(doc).unwrap().unwrap(), [3..10, 13..14]);
    assert_eq!(batch(b"{}"), None);
    assert_eq!(batch(b""), None);
    assert!(matches!(batch(b"[]"), Some(Err(Fault::BatchSize { .. }))));
    assert!(matches!(batch(b"[1"), Some(Err(Fault::NotJson(_)))));
    let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert_eq!(batch(many(limits::MCP_BATCH_MAX).as_bytes()).unwrap().unwrap().len(), limits::MCP_BATCH_MAX);
    assert!(matches!(batch(many(limits::MCP_BATCH_MAX + 1).as_bytes()), Some(Err(Fault::BatchSize { .. }))));
}

#[test]
fn ids_at_both_ends_and_between() {
    let table = [
        (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, "7"),
        (r#"{ "id" : "a" , "result":{},"jsonrpc":"2.0"}"#, r#""a""#),
        (r#"{"result":{},"jsonrpc":"2.0","id":7}"#, "7"),
        (r#"{"result":{},"jsonrpc":"2.0","id" : "a\"b"} "#, r#""a\"b""#),
        (r#"{"result":{},"jsonrpc":"2.0","id":"\",\"id\":\"b"}"#, r#""\",\"id\":\"b""#),
        (r#"{"result":{},"jsonrpc":"2.0","id":"x\\"}"#, r#""x\\""#),
        (r#"{"result":{},"id":"m","jsonrpc":"2.0"}"#, r#""m""#),
        (r#"{"result":{"id":9},"id":8,"jsonrpc":"2.0"}"#, "8"),
        (r#"{"jsonrpc":"2.0","id":8,"result":{"id":9}}"#, "8"),
        (r#"{"jsonrpc":"2.0","error":{},"id":null}"#, "-"),
        (r#"{"id":null,"jsonrpc":"2.0","error":{}}"#, "-"),
        (r#"{"jsonrpc":"2.0","error":{"id":3}}"#, "-"),
        (r#"{"id":5,"jsonrpc":"2.0","error":{},"x,\"id":4}"#, "5"),
        (r#"{"jsonrpc":"2.0","error":{},"x,\"id":4}"#, "-"),
        (r#"{"jsonrpc":"2.0","error":{},"x":"{,\"id\":4"}"#, "-"),
        (r#"{"jsonrpc":"2.0","error":{},"x":",\"id\":\"4"}"#, "-"),
        (r#"{"result":{},"id" : 8 , "jsonrpc" : "2.0" }"#, "8"),
        (r#"{"jsonrpc":"2.0","error":{},"x":",\"id\":4,\"jsonrpc\":\"2.0"}"#, "-"),
        (r#"{"id":5,"error":{},"x,\"id":4,"jsonrpc":"2.0"}"#, "5"),
    ];
    for (doc, expected) in table {
        assert_eq!(part(doc, &response_id(doc.as_bytes())), expected, "{doc}");
        assert_eq!(response_id(doc.as_bytes()), read(doc.as_bytes()).unwrap().id, "{doc}");
    }
    assert_eq!(response_id(b""), None);
    assert_eq!(response_id(b"}"), None);
    assert_eq!(response_id(b"7}"), None);
}

#[test]
fn the_corpus_holds() {
    corpus::replay("mcp_message", 8, fuzz::fuzz_message);
}

/// Strings that look like the syntax around an id.
fn hostile() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("\"id\":"),
        Just(","),
        Just("{"),
        Just("}"),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("id"),
        Just("7"),
        Just("\"a\""),
        Just(" "),
        Just("\n"),
        Just("é"),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

fn any_id() -> impl Strategy<Value = Tree> {
    prop_oneof![
        hostile().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<f32>().prop_map(|n| json!(n))
    ]
}

/// A message with its members in any order, some of them unknown, with white space in between.
fn any_message() -> impl Strategy<Value = String> {
    let body = prop_oneof![
        hostile().prop_map(|text| ("result", json!({"id": text, text: {"id": 1}}))),
        hostile().prop_map(|text| ("error", json!({"code": 1, "message": text}))),
        hostile().prop_map(|text| ("method", json!(text))),
    ];
    let members = (any_id(), body, hostile(), hostile(), prop::bool::ANY);
    let members = members.prop_map(|(id, (name, value), key, text, has_id)| {
        let mut members = vec![("jsonrpc".to_owned(), json!("2.0")), (name.to_owned(), value)];
        members.push((format!("x{key}"), json!(text)));
        if has_id || name == "result" {
            members.push(("id".to_owned(), id));
        }
        members
    });
    let spaces = prop::sample::select(vec!["", " ", "\n\t"]);
    (members.prop_shuffle(), spaces).prop_map(|(members, space)| {
        let members: Vec<_> = members
            .into_iter()
            .map(|(key, value)| format!("{space}{}{space}:{space}{value}{space}", Tree::from(key)))
            .collect();
        format!("{space}{{{}}}{space}", members.join(","))
    })
}

proptest! {
    #[test]
    fn an_id_is_the_same_from_either_end(doc in any_message()) {
        let message = read(doc.as_bytes());
        // An id that became null, as a number that is none does, makes no good request.
        prop_assume!(message.is_ok());
        let message = message.unwrap();
        prop_assert_eq!(&response_id(doc.as_bytes()), &message.id);
        let tree: Tree = serde_json::from_str(&doc).unwrap();
        let id = message.id.map(|span| serde_json::from_str::<Tree>(part(&doc, [&span])).unwrap());
        prop_assert_eq!(id.as_ref(), tree.get("id").filter(|id| !id.is_null()));
        fuzz::fuzz_message(doc.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(doc in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz::fuzz_message(&doc);
    }

    #[test]
    fn methods_are_found_by_what_their_names_mean(index in 0..Method::ALL.len(), escaped in any::<u64>()) {
        let method = Method::ALL[index];
        let letters = method.name().chars().enumerate().map(|(at, letter)| match escaped >> (at % 64) & 1 {
            1 => format!("\\u{:04X}", u32::from(letter)),
            _ => letter.to_string(),
        });
        let doc = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, letters.collect::<String>());
        prop_assert_eq!(read(doc.as_bytes()).unwrap().method, method);
    }
}
