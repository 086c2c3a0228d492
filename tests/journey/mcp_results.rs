//! Results made smaller by order of the config, and the rest of them for who reads on.

use serde_json::{Value, json};

use crate::gateway::{Engine, KEY, NARROW_KEY, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::mcp_sdk::Sdk;
use crate::peer::Peer;
use crate::peer::speaks_mcp::{self, Era};

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// Rows of the whole result.
const ROWS: usize = 100;

/// A server whose tools `list_rows` and `list_plain` give many rows, of which most is noise.
fn server(era: Era) -> Peer {
    let row =
        |number: usize| json!({ "id": number, "name": format!("row {number}"), "noise": "x".repeat(50) });
    let rows: Vec<Value> = (0..ROWS).map(row).collect();
    let whole = json!({ "total": ROWS, "rows": rows });
    let text = serde_json::to_string_pretty(&whole).expect("it can be written");
    let result = json!({
        "content": [{ "type": "text", "text": text }], "structuredContent": whole, "resultType": "complete",
    });
    let noise = json!({ "type": "array", "items": { "type": "object", "required": ["noise"] } });
    let output = json!({ "type": "object", "properties": { "rows": noise }, "required": ["rows", "total"],
                         "additionalProperties": false });
    let tool = |name: &str| {
        json!({ "name": name, "description": "Lists rows.", "inputSchema": { "type": "object" },
                "outputSchema": output })
    };
    let list = json!({ "tools": [tool("list_rows"), tool("list_plain")], "resultType": "complete",
                       "ttlMs": 600_000, "cacheScope": "private" });
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &list.to_string()),
        "tools/call" => asked.answer(exchange, &result.to_string()),
        _ => Ok(None),
    })
}

/// What the config says of the results of `list_rows`.
const RULE: &str = ", tools: { list_rows: { results: { drop: [\"$..noise\"], max_rows: 40 } } }";

/// The rows of a text, which is an array or has one.
#[track_caller]
fn rows_of(text: &str) -> Vec<Value> {
    let read: Value = serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
    let rows = read.as_array().or_else(|| read["rows"].as_array());
    rows.unwrap_or_else(|| panic!("no rows: {read}")).clone()
}

#[test]
fn a_long_result_comes_in_pieces_and_without_what_nobody_wants() {
    for_each_engine(|engine| {
        for (server_era, era) in BOTH.into_iter().flat_map(|one| BOTH.map(|other| (one, other))) {
            let server = server(server_era);
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, RULE));
            let mut caller = Caller::new(&gateway, era, "/mcp");
            let list = caller.ask("1", "tools/list", "").result();
            let of = |name: &str| {
                let tools = list["tools"].as_array().expect("a list");
                tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("{list}")).clone()
            };
            assert_eq!(list["tools"][0]["name"], "read_more");
            // What a client would hold results against is not what they were before.
            assert_eq!(of("list_rows")["outputSchema"], json!({ "type": "object" }));
            assert_eq!(of("list_plain")["outputSchema"]["additionalProperties"], false);

            let said = caller.call("2", "list_rows", "{}").result();
            let text = said["content"][0]["text"].as_str().expect("it is text");
            assert!(!text.contains("noise") && !said["structuredContent"].to_string().contains("noise"));
            let mut rows = rows_of(text);
            assert_eq!(rows.len(), 40, "{said}");
            assert_eq!(said["structuredContent"]["rows"].as_array().map(Vec::len), Some(40));
            let more = &said["structuredContent"]["read_more"];
            assert_eq!((&more["from"], &more["of"]), (&json!(40), &json!(ROWS)), "{said}");
            let note = said["content"][1]["text"].as_str().expect("it says how to go on");
            assert!(note.starts_with("[rows 0 to 40 of 100. For the rest call read_more with {"), "{note}");
            let handle = more["handle"].as_str().expect("it has one");
            assert!(note.contains(handle), "{note}");
            for from in [40, 80] {
                let wanted = format!("{{\"handle\":\"{handle}\",\"from\":{from}}}");
                let said = caller.call("3", "read_more", &wanted).result();
                rows.extend(rows_of(said["content"][0]["text"].as_str().expect("it is text")));
            }
            let ids: Vec<usize> = rows.iter().filter_map(|row| row["id"].as_u64()?.try_into().ok()).collect();
            assert_eq!(ids, (0..ROWS).collect::<Vec<_>>(), "every row has come once");

            let wanted = format!("{{\"handle\":\"{handle}\",\"from\":40}}");
            let mut other = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
            for (caller, wanted) in
                [(&mut other, wanted.as_str()), (&mut caller, "{\"handle\":\"0\",\"from\":0}")]
            {
                let said = caller.call("4", "read_more", wanted).result();
                assert_eq!(said["isError"], true, "a handle is its caller's: {said}");
            }
            let plain = caller.call("5", "list_plain", "{}").result();
            assert!(plain["content"][0]["text"].as_str().is_some_and(|text| text.contains("\n")), "{plain}");
            assert_eq!(plain["structuredContent"]["rows"][0]["noise"], "x".repeat(50));

            let entries = entries_of(gateway);
            let of = |tool: &str| entries.iter().find(|entry| entry["tool"] == tool).expect("it is there");
            let marks = of("list_rows")["marks"].as_str().unwrap_or_default();
            assert!(marks.starts_with("trimmed result to ") && marks.ends_with(" bytes"), "{marks}");
            assert!(of("list_plain")["marks"].is_null());
            let (server, decision) = (&of("read_more")["server"], &of("read_more")["decision"]);
            assert_eq!((server, decision), (&json!("s"), &json!("more of s.list_rows")));
        }
    });
}

#[test]
fn official_clients_take_what_is_left() {
    let server = server(Era::Modern);
    let gateway = gateway(Engine::Epoll, &one_server("s", &server.url(), Era::Modern, RULE));
    for client in ["1.30.0", "2.3.0-modern"] {
        let calls = json!([["list_rows", {}]]);
        let seen = Sdk::Python(client).calls(&format!("{}/mcp", gateway.url()), KEY, &calls);
        let answer = &seen["answers"][0];
        assert_eq!(answer["is_error"], false, "{client}: {seen}");
        assert!(answer["text"].as_str().is_some_and(|text| text.contains("read_more")), "{client}: {seen}");
    }
}
