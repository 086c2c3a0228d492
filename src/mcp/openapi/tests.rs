//! Tests of HTTP APIs as tools: two documents, their plans, and what models may try with them.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::fuzz::{check, fuzz_openapi, places};
use super::request::steps;
use super::{Answer, DocumentFault, Fault, HttpRequest, LeftOut, OpenApi, refused, result};
use crate::corpus::replay;
use crate::limits;

/// A library in the words of 3.0.
fn library() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Library", "version": "1"},
        "servers": [{"url": "https://elsewhere.example"}],
        "paths": {
            "/books": {
                "get": {
                    "operationId": "listBooks",
                    "summary": "Lists books",
                    "description": "The newest first.",
                    "parameters": [
                        {"name": "tag", "in": "query", "description": "Any of these",
                            "schema": {"type": "array", "items": {"type": "string"}}},
                        {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array"}},
                        {"name": "filter", "in": "query", "style": "deepObject",
                            "schema": {"type": "object"}},
                        {"name": "page[size]", "in": "query", "schema": {"type": "integer", "nullable": true,
                            "minimum": 0, "exclusiveMinimum": true, "example": 3}},
                        {"$ref": "#/components/parameters/Trace"},
                        {"name": "Authorization", "in": "header", "required": true, "schema": {}},
                    ],
                },
                "post": {
                    "operationId": "add book!",
                    "requestBody": {"required": true, "description": "The book", "content": {
                        "application/xml": {"schema": {}},
                        "application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Book"}},
                    }},
                },
            },
            "/books/{id}": {
                "parameters": [
                    {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
                    {"name": "body", "in": "query", "schema": {"type": "string"}},
                ],
                "get": {"deprecated": true},
                "put": {
                    "parameters": [{"name": "id", "in": "path", "schema": {"type": "integer"}}],
                    "requestBody": {"content": {
                        "application/merge-patch+json": {"schema": {"type": "object"}}}},
                },
                "delete": {"operationId": "listBooks"},
                "patch": {"requestBody": {"required": true, "content": {"text/csv": {}}}},
            },
        },
        "components": {
            "parameters": {"Trace": {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}},
            "schemas": {
                "Book": {"type": "object", "required": ["title"], "properties": {
                    "title": {"type": "string", "xml": {"name": "t"}, "x-order": 1},
                    "sequel": {"$ref": "#/components/schemas/Book"},
                    "author": {"$ref": "#/components/schemas/Person"},
                    "shelf": {"$ref": "https://elsewhere.example/shelf.json"},
                    "$ref": {"type": "string"},
                }},
                "Person": {"type": "object", "properties": {"name": {"type": "string"}}},
            },
        },
    })
}

/// A message board in the words of 3.1, whose paths bring parameters that nobody declared.
fn board() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Board", "version": "1"},
        "paths": {
            "/b/{board}/threads/{thread}.json": {"get": {}},
            "/search": {"get": {"parameters": [
                {"name": "q", "in": "query", "required": true,
                    "content": {"application/json": {"schema": {"type": ["object", "null"]}}}},
                {"name": "options", "in": "query", "schema": {"type": "object"}},
            ]}},
            "/upload": {"post": {"parameters": [{"name": "sid", "in": "cookie", "required": true}]}},
            "/odd/{a": {"get": {}},
            "/up/../there": {"get": {}},
            "/m/{x}": {"get": {"parameters": [{"name": "x", "in": "path", "style": "matrix"}]}},
            "/n": {"get": {"parameters": [{"name": "x", "in": "path"}]}},
        },
    })
}

fn read(document: &Value) -> OpenApi {
    OpenApi::read(&document.to_string()).unwrap()
}

fn tool(api: &OpenApi, name: &str) -> Value {
    let found = api.operations().iter().find(|operation| operation.name == name);
    serde_json::from_slice(&found.unwrap_or_else(|| panic!("no {name}")).definition).unwrap()
}

fn call(document: &Value, tool: &str, arguments: &Value) -> Result<HttpRequest, Fault> {
    let request = read(document).request(tool, arguments.to_string().as_bytes());
    if let Ok(request) = &request {
        check(request);
    }
    request
}

fn target(document: &Value, tool: &str, arguments: &Value) -> String {
    call(document, tool, arguments).unwrap().path_and_query
}

#[test]
fn every_operation_is_a_tool_with_a_name_of_its_own() {
    let names = |document| -> Vec<String> {
        read(&document).operations().iter().map(|operation| operation.name.clone()).collect()
    };
    assert_eq!(names(library()), ["listBooks", "add_book", "get_books_id", "put_books_id", "listBooks_2"]);
    assert_eq!(names(board()), ["get_b_board_threads_thread_json", "get_search"]);
    let long = json!({"openapi": "3.0.0", "paths": {"/a": {
        "get": {"operationId": "x".repeat(100)}, "put": {"operationId": "x".repeat(80)},
        "post": {"operationId": "::"}, "delete": {"operationId": ""}}}});
    let long = names(long);
    assert_eq!(long[0], "x".repeat(64));
    assert_eq!(long[1], format!("{}_2", "x".repeat(62)));
    assert_eq!(long[2..], ["post_a", "delete_a"]);
}

#[test]
fn what_cannot_be_a_tool_is_left_out_with_a_reason() {
    let left: Vec<_> = read(&board()).left_out().iter().map(|left| left.operation.clone()).collect();
    assert_eq!(left, ["GET /m/{x}", "GET /n", "GET /odd/{a", "GET /up/../there", "POST /upload"]);
    let patch = LeftOut { operation: "PATCH /books/{id}".into(), why: "its body is not JSON" };
    assert_eq!(read(&library()).left_out(), [patch]);
}

#[test]
fn a_tool_says_what_its_operation_does() {
    let api = read(&library());
    let list = tool(&api, "listBooks");
    assert_eq!(list["title"], json!("Lists books"));
    assert_eq!(list["description"], json!("Lists books\n\nThe newest first."));
    assert_eq!(
        list["annotations"],
        json!({"readOnlyHint": true, "idempotentHint": true, "openWorldHint": true})
    );
    assert_eq!(
        list["inputSchema"],
        json!({"type": "object", "additionalProperties": false, "properties": {
            "tag": {"type": "array", "items": {"type": "string"}, "description": "Any of these"},
            "ids": {"type": "array"},
            "filter": {"type": "object"},
            "page_size_": {"type": ["integer", "null"], "minimum": 0},
            "X-Trace": {"type": "string"},
        }})
    );
    assert_eq!(tool(&api, "get_books_id")["description"], json!("(deprecated) GET /books/{id}"));
    let put = tool(&api, "put_books_id");
    assert_eq!(put["inputSchema"]["required"], json!(["id"]));
    assert_eq!(put["inputSchema"]["properties"]["id"], json!({"type": "integer"}), "the operation's counts");
    assert_eq!(put["inputSchema"]["properties"]["body_json"], json!({"type": "object"}));
    for (name, read_only, destructive, idempotent) in [
        ("add_book", false, json!(false), false),
        ("put_books_id", false, json!(false), true),
        ("listBooks_2", false, json!(true), true),
    ] {
        let hints = &tool(&api, name)["annotations"];
        assert_eq!(hints["readOnlyHint"], json!(read_only), "{name}");
        assert_eq!(hints["destructiveHint"], destructive, "{name}");
        assert_eq!(hints["idempotentHint"], json!(idempotent), "{name}");
    }
}

#[test]
fn references_are_followed_inside_of_the_document_only() {
    let body = &tool(&read(&library()), "add_book")["inputSchema"]["properties"]["body"];
    assert_eq!(
        *body,
        json!({"type": "object", "required": ["title"], "description": "The book", "properties": {
            "title": {"type": "string"},
            "sequel": {"description": "(recursive: as the schema around it)"},
            "author": {"type": "object", "properties": {"name": {"type": "string"}}},
            "shelf": {"description": "(defined outside of this document, which is not looked at)"},
            "$ref": {"type": "string"},
        }})
    );
}

#[test]
fn schemas_that_unfold_are_cut() {
    let mut schemas = serde_json::Map::new();
    for level in 0..30 {
        let next = json!({"$ref": format!("#/components/schemas/s{}", level + 1)});
        schemas.insert(format!("s{level}"), json!({"anyOf": vec![next; 20]}));
    }
    let wide: serde_json::Map<_, _> = (0..50_000).map(|n| (format!("p{n}"), json!({}))).collect();
    schemas.insert("wide".into(), json!({"properties": wide, "enum": vec!["x"; 50_000]}));
    for name in ["s0", "wide"] {
        let schema = json!({"$ref": format!("#/components/schemas/{name}")});
        let body = json!({"content": {"application/json": {"schema": schema}}});
        let document = json!({"openapi": "3.1.0", "components": {"schemas": schemas},
            "paths": {"/a": {"post": {"requestBody": body}}}});
        let api = read(&document);
        let bytes = api.operations()[0].definition.len();
        assert!(
            (limits::OPENAPI_SCHEMA_BYTES_MAX / 8..limits::OPENAPI_SCHEMA_BYTES_MAX * 3).contains(&bytes),
            "{name} {bytes}"
        );
    }
}

#[test]
fn documents_that_cannot_be_used_are_refused() {
    let many: serde_json::Map<_, _> =
        (0..=limits::OPENAPI_OPERATIONS_MAX).map(|n| (format!("/{n}"), json!({"get": {}}))).collect();
    for (document, fault) in [
        (json!({"swagger": "2.0", "paths": {}}).to_string(), DocumentFault::Version),
        (json!({"openapi": "4.0.0", "paths": {}}).to_string(), DocumentFault::Version),
        (json!({"openapi": "3.0.1"}).to_string(), DocumentFault::NoPaths),
        ("{\n \"openapi\": x".into(), DocumentFault::NotJson { line: 2, column: 13 }),
        (json!({"openapi": "3.1.0", "paths": many}).to_string(), DocumentFault::TooMany),
    ] {
        assert_eq!(OpenApi::read(&document).err(), Some(fault));
    }
    assert!(OpenApi::read(&json!({"openapi": "3.1", "paths": {}}).to_string()).is_ok());
}

#[test]
fn arguments_go_to_their_places() {
    let document = library();
    for (arguments, expected) in [
        (json!({}), "/books"),
        (json!({"tag": ["a b", "c&d=e"], "ids": [1, "x,y"]}), "/books?tag=a%20b&tag=c%26d%3De&ids=1,x%2Cy"),
        (json!({"tag": "one", "ids": null}), "/books?tag=one"),
        (json!({"filter": {"a]": "é", "b": true}}), "/books?filter%5Ba%5D%5D=%C3%A9&filter%5Bb%5D=true"),
        (json!({"page_size_": 5}), "/books?page%5Bsize%5D=5"),
        (json!({"tag": "?#/../%00"}), "/books?tag=%3F%23%2F..%2F%2500"),
    ] {
        assert_eq!(target(&document, "listBooks", &arguments), expected);
    }
    let traced = call(&document, "listBooks", &json!({"X-Trace": "a: b"})).unwrap();
    assert!(traced.headers.contains(&("x-trace".into(), "a: b".into())));
    assert_eq!((traced.method, traced.body), ("GET", None));
    let raw = br#"{"body": {"title": "x",  "n": 1.0} }"#;
    let added = read(&document).request("add_book", raw).unwrap();
    assert_eq!(added.body.as_deref(), Some(br#"{"title": "x",  "n": 1.0}"#.as_slice()), "as it came");
    let kind = ("content-type".to_owned(), "application/json; charset=utf-8".to_owned());
    assert!(added.method == "POST" && added.headers.contains(&kind));
    let put = json!({"id": 7, "body": "q", "body_json": {}});
    let put = call(&document, "put_books_id", &put).unwrap();
    assert_eq!(
        (put.path_and_query.as_str(), put.body.as_deref()),
        ("/books/7?body=q", Some(b"{}".as_slice()))
    );
    let board = board();
    let threads = json!({"board": "g/h", "thread": "7"});
    assert_eq!(target(&board, "get_b_board_threads_thread_json", &threads), "/b/g%2Fh/threads/7.json");
    let search = json!({"q": {"a": 1}, "options": {"sort": "new"}});
    assert_eq!(target(&board, "get_search", &search), "/search?q=%7B%22a%22%3A1%7D&sort=new");
}

#[test]
fn bad_arguments_are_refused() {
    let library = library();
    let (raw, control) = (library.to_string(), json!({"id": "a\nb"}));
    let api = OpenApi::read(&raw).unwrap();
    let value = |name: &str, why| Fault::Value { name: name.into(), why };
    let step = "must not be a step in the path";
    for (tool, arguments, fault) in [
        ("nothing", json!({}), Fault::NoTool),
        ("get_books_id", json!([]), Fault::Arguments),
        ("get_books_id", json!({}), Fault::Missing("id".into())),
        ("get_books_id", json!({"id": null}), Fault::Missing("id".into())),
        ("add_book", json!({}), Fault::Missing("body".into())),
        ("listBooks", json!({"tags": "x"}), Fault::Unknown("tags".into())),
        ("listBooks", json!({"Authorization": "x"}), Fault::Unknown("Authorization".into())),
        ("get_books_id", json!({"id": ""}), value("id", "must not be empty")),
        ("get_books_id", json!({"id": {}}), value("id", "has more layers than its place can hold")),
        ("get_books_id", json!({"id": [[1]]}), value("id", "has more layers than its place can hold")),
        ("get_books_id", control, value("id", "must not have control characters")),
        ("get_books_id", json!({"id": ".."}), value("id", step)),
        ("get_books_id", json!({"id": "x/../../admin"}), value("id", step)),
        ("get_books_id", json!({"id": "..\\admin"}), value("id", step)),
        ("get_books_id", json!({"id": "%2E%2e%2fadmin"}), value("id", step)),
        ("get_books_id", json!({"id": "%252e%252e/admin"}), value("id", step)),
        ("get_books_id", json!({"id": "..;x"}), value("id", step)),
        (
            "listBooks",
            json!({"X-Trace": "a\r\nhost: b"}),
            value("X-Trace", "must be printable ASCII without spaces around it"),
        ),
        ("listBooks", json!({"tag": "a\u{0}"}), value("tag", "must not have a zero byte")),
        ("get_books_id", json!({"id": "x".repeat(limits::TARGET_BYTES_MAX)}), Fault::TooLong),
        ("listBooks", json!({"X-Trace": "x".repeat(limits::TARGET_BYTES_MAX + 1)}), Fault::TooLong),
    ] {
        assert_eq!(api.request(tool, arguments.to_string().as_bytes()), Err(fault), "{tool} {arguments}");
    }
    for text in ["", "{", "{\"id\":1,\"id\":2}", "{\"id\":01}", "{\"id\":\"\\ud800\"}", "[1] {}"] {
        assert_eq!(api.request("get_books_id", text.as_bytes()), Err(Fault::Arguments), "{text}");
    }
    let shadow = json!({"q": {}, "options": {"q": 1}});
    let why = "has a member with the name of another argument";
    assert_eq!(call(&board(), "get_search", &shadow), Err(value("options", why)));
}

#[test]
fn dots_that_texts_of_the_path_make_with_values_are_seen() {
    let document = json!({"openapi": "3.1.0", "paths": {"/a/.{x}/{y}{z}/c": {"get": {"operationId": "t"}}}});
    assert_eq!(target(&document, "t", &json!({"x": "git", "y": "1", "z": "2"})), "/a/.git/12/c");
    for (x, y, z) in [(".", "1", "2"), ("git", ".", "."), (";git", "1", "2"), ("/git", "1", "2")] {
        let arguments = json!({"x": x, "y": y, "z": z});
        assert!(matches!(call(&document, "t", &arguments), Err(Fault::Value { .. })), "{arguments}");
    }
    for (path, expected) in [
        ("/a/b", false),
        ("/a..b/...", false),
        ("/a/..", true),
        ("/./a", true),
        ("/a/%2E./b", true),
        ("/a/..%5cb", true),
        ("/a/..%3bx/b", true),
        ("/a%2f%252e%252e", true),
    ] {
        assert_eq!(steps(path), expected, "{path}");
    }
}

fn answered(status: u16, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    result(&Answer { status, content_type, body, whole: true })
}

#[test]
fn what_was_not_read_to_its_end_says_so() {
    let body = "x".repeat(limits::OPENAPI_RESULT_BYTES_MAX + 7);
    let cut = Answer { status: 200, content_type: Some("text/plain"), body: body.as_bytes(), whole: false };
    let shown: Value = serde_json::from_slice(&result(&cut)).unwrap();
    let text = shown["content"][0]["text"].as_str().unwrap();
    let kept = text.strip_suffix("\n\n[cut here: the answer goes on]").unwrap();
    assert_eq!(kept.len(), limits::OPENAPI_RESULT_BYTES_MAX);
    let binary = [0xff; 9];
    let shown: Value =
        serde_json::from_slice(&result(&Answer { content_type: None, body: &binary, ..cut })).unwrap();
    let text = shown["content"][0]["text"].as_str().unwrap();
    assert_eq!(text, "The answer has more than 9 bytes of an unnamed type, which are not text.");
}

#[test]
fn a_call_that_is_not_made_tells_the_model_why() {
    let shown: Value = serde_json::from_slice(&refused(&Fault::Missing("petId".to_owned()))).unwrap();
    assert_eq!(shown["isError"], json!(true));
    assert_eq!(shown["content"][0]["text"], "The call was not made: the argument `petId` is required.");
}

#[test]
fn answers_become_results() {
    let shown = |status, kind, body: &[u8]| -> Value {
        serde_json::from_slice(&answered(status, kind, body)).unwrap()
    };
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    let good = shown(200, Some("application/json; charset=utf-8"), b"{\n \"a\": 1.0\n}");
    assert_eq!(good["structuredContent"], json!({"a": 1.0}));
    assert_eq!((text(&good).as_str(), good.get("isError")), ("{\n \"a\": 1.0\n}", None));
    let raw = answered(200, None, b"{\"a\":\r\n1.0}");
    assert!(!raw.contains(&b'\n') && raw.ends_with(b",\"structuredContent\":{\"a\":  1.0}}"));
    for plain in [b"[1]".as_slice(), b"{\"a\":}", b"7", b"{} x"] {
        assert_eq!(shown(200, Some("application/json"), plain).get("structuredContent"), None);
    }
    let bad = shown(404, Some("application/json"), b"{\"error\":\"gone\"}");
    assert_eq!((&bad["isError"], &bad["structuredContent"]["error"]), (&json!(true), &json!("gone")));
    assert_eq!(text(&bad), "The API answered with status 404.\n\n{\"error\":\"gone\"}");
    assert_eq!(shown(302, None, b"")["isError"], json!(true), "redirections are not followed");
    let none = shown(204, None, b"");
    assert_eq!(text(&none), "The API answered with status 204 and nothing else.");
    assert_eq!(none.get("isError"), None);
    let binary = shown(200, Some("application/pdf"), b"%PDF\xff\xfe");
    assert_eq!(text(&binary), "The answer has 6 bytes of application/pdf, which are not text.");
    let image = shown(200, Some("image/png"), b"foob");
    assert_eq!(image["content"][0], json!({"type": "image", "data": "Zm9vYg==", "mimeType": "image/png"}));
}

#[test]
fn long_answers_are_cut_between_characters() {
    let long = format!("x{}", "é".repeat(limits::OPENAPI_RESULT_BYTES_MAX));
    let shown: Value = serde_json::from_slice(&answered(200, Some("text/plain"), long.as_bytes())).unwrap();
    let text = shown["content"][0]["text"].as_str().unwrap();
    let (kept, note) = text.split_once("\n\n[cut here: ").unwrap();
    assert_eq!(kept.len(), limits::OPENAPI_RESULT_BYTES_MAX - 1);
    assert_eq!(note, format!("{} bytes more]", long.len() - kept.len()));
}

proptest! {
    #[test]
    fn no_argument_leaves_its_place(
        p in ".{1,12}", q in "[./%2eEfF5cC;\\\\a]{1,10}", plain in ".{0,12}", key in ".{0,6}"
    ) {
        let document = places();
        let arguments = json!({"p": p, "q": q, "plain": plain, "deep": {key.clone(): plain}, "list": [p, q]});
        let Ok(request) = call(&document, "all", &arguments) else { return Ok(()) };
        let (path, query) = request.path_and_query.split_once('?').unwrap();
        let parts: Vec<_> = path.split('/').collect();
        let ["", "v1", first, second, "end"] = parts[..] else { panic!("{path}") };
        assert_eq!(decoded(first), format!("a{p}b"));
        assert_eq!(decoded(second), q);
        let pairs: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        assert_eq!(pairs.len(), 3, "{query}");
        assert_eq!((decoded(pairs[0].0), decoded(pairs[0].1)), ("plain".into(), plain.clone()));
        assert_eq!((decoded(pairs[1].0), decoded(pairs[1].1)), (format!("deep[{key}]"), plain));
        let items: Vec<_> = pairs[2].1.split(',').map(decoded).collect();
        assert_eq!(items, [p, q]);
    }

    #[test]
    fn any_bytes_may_come(data in vec(any::<u8>(), 0..100)) {
        fuzz_openapi(&data);
    }
}

/// Percent decoding by the letter of RFC 3986, written anew.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("openapi", 3, fuzz_openapi);
}
