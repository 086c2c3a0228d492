//! An HTTP API with an OpenAPI document in the place of an MCP server, as callers of both eras see it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Reply, get, once, post};
use crate::gateway::{Engine, Gateway, KEY, NARROW_KEY, for_each_engine};
use crate::peer::{After, Peer};
use crate::program::eventually;

/// What the API wants to see with every call.
const SECRET: &str = "api-secret-0123456789";

const SOON: Duration = Duration::from_secs(10);

/// Answers of the API that are longer than what a model is shown.
const HUGE: usize = 4 * 1024 * 1024;

fn document() -> Value {
    let id = json!({"name": "petId", "in": "path", "required": true, "schema": {"type": "integer"}});
    let tags =
        json!({"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}});
    let pet = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "1"},
        "paths": {
            "/pets": {
                "post": {
                    "operationId": "addPet",
                    "summary": "Adds a pet.",
                    "requestBody": {"required": true, "content": {"application/json": {"schema": pet}}},
                },
            },
            "/pets/{petId}": {
                "get": {"operationId": "getPet", "summary": "Reads a pet.", "parameters": [id, tags]},
                "delete": {"operationId": "deletePet", "parameters": [id]},
            },
            "/huge": {"get": {"operationId": "getAll"}},
            "/slow": {"get": {"operationId": "waitForPets"}},
        },
    })
}

/// An API that remembers what it saw, and gives out `document` at `/spec`.
fn api(document: &Arc<Mutex<String>>, left: &Arc<Mutex<Option<Duration>>>) -> Peer {
    let (document, left) = (Arc::clone(document), Arc::clone(left));
    Peer::start(move |seen, exchange| {
        let json = [("Content-Type", "application/json")];
        match (seen.method.as_str(), seen.path()) {
            ("GET", "/spec") => {
                let text = document.lock().expect("no holder panics").clone();
                exchange.answer(if text.is_empty() { 503 } else { 200 }, &json, text.as_bytes())?;
            }
            ("GET", "/v1/pets/7") => exchange.answer(200, &json, b"{\"id\": 7,\n \"name\": \"Rex\"}")?,
            ("POST", "/v1/pets") => exchange.answer(201, &json, &seen.body)?,
            ("GET", "/v1/huge") => {
                exchange.answer(200, &[("Content-Type", "text/plain")], "x".repeat(HUGE).as_bytes())?;
            }
            ("GET", "/v1/slow") => {
                *left.lock().expect("no holder panics") = exchange.wait_for_close(SOON);
                return Ok(After::Close);
            }
            _ => exchange.answer(404, &json, b"{\"error\":\"no such pet\"}")?,
        }
        Ok(After::KeepOpen)
    })
}

struct Scene {
    api: Peer,
    gateway: Gateway,
    /// What stands at `/spec`; nothing is answered with 503.
    document: Arc<Mutex<String>>,
    /// How long a call of `/slow` waited for its caller to leave.
    left: Arc<Mutex<Option<Duration>>>,
}

/// The API behind a gateway whose second key may only read; `openapi` is where the document is.
fn scene(engine: Engine, remote: bool) -> Scene {
    let (document, left) = (Arc::new(Mutex::new(document().to_string())), Arc::default());
    let api = api(&document, &left);
    let folder = crate::gateway::Folder::new();
    let place = if remote { format!("{}/spec", api.url()) } else { "pets.json".to_owned() };
    folder.write("pets.json", &document.lock().expect("no holder panics"));
    let config = format!(
        "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\n\
         keys:\n  - {{ name: main, secret: {KEY} }}\n  \
         - {{ name: narrow, secret: {NARROW_KEY}, team: narrow }}\n\
         teams:\n  narrow: {{ servers: {{ pets: [\"get*\"] }} }}\n\
         mcp: {{ allowed_hosts: [gate.test] }}\n\
         mcp_servers:\n  pets: {{ openapi: \"{place}\", base_url: \"{}/v1\", \
         headers: {{ X-Api-Key: {SECRET} }} }}\n",
        engine.name(),
        api.url(),
    );
    folder.write("tollgate.yaml", &config);
    let path = folder.path().to_owned();
    let gateway = Gateway::run(&mut crate::gateway::tollgate(&path), folder);
    Scene { api, gateway, document, left }
}

/// A request of a modern caller.
fn request(key: &str, method: &str, params: &Value) -> Vec<u8> {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let mut lines = vec![
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
    ];
    if !name.is_empty() {
        lines.push(("Mcp-Name", &name));
    }
    post("/mcp", key, &lines, body.as_bytes())
}

impl Scene {
    fn ask(&self, key: &str, method: &str, params: &Value) -> Value {
        let reply = once(self.gateway.addr(), &request(key, method, params));
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains(SECRET), "{text}");
        message(&reply)
    }

    fn call(&self, tool: &str, arguments: &Value) -> Value {
        self.ask(KEY, "tools/call", &json!({"name": tool, "arguments": arguments}))["result"].clone()
    }

    fn listed(&self, key: &str) -> Vec<String> {
        let answer = self.ask(key, "tools/list", &json!({}));
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// The last message of an answer, whichever form it has.
fn message(reply: &Reply) -> Value {
    let events = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !events {
        return reply.json();
    }
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let last = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back();
    serde_json::from_str(last.unwrap_or_else(|| panic!("no event: {text}"))).expect("an event is JSON")
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

#[test]
fn operations_are_tools() {
    for_each_engine(|engine| {
        let scene = scene(engine, false);
        assert_eq!(scene.listed(KEY), ["addPet", "deletePet", "getAll", "getPet", "waitForPets"]);
        let discovered = scene.ask(KEY, "server/discover", &json!({}));
        assert!(discovered["result"]["capabilities"]["tools"].is_object(), "{discovered}");

        let read = scene.call("getPet", &json!({"petId": 7, "tags": ["a b", "c"]}));
        assert_eq!(read["structuredContent"], json!({"id": 7, "name": "Rex"}), "{read}");
        assert_eq!((&read["resultType"], read.get("isError")), (&json!("complete"), None));
        let added = scene.call("addPet", &json!({"body": {"name": "Mia"}}));
        assert_eq!(added["structuredContent"], json!({"name": "Mia"}), "{added}");
        let missing = scene.call("deletePet", &json!({"petId": 8}));
        assert_eq!(missing["isError"], true, "{missing}");
        assert!(text(&missing).contains("status 404") && text(&missing).contains("no such pet"), "{missing}");
        let huge = scene.call("getAll", &json!({}));
        assert!(text(&huge).ends_with("[cut here: the answer goes on]"));
        assert!(text(&huge).len() < HUGE / 2);

        let seen = scene.api.seen();
        let [read, added, missing, huge] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!(read.target, "/v1/pets/7?tags=a%20b&tags=c");
        assert_eq!(
            (added.method.as_str(), added.body.as_slice()),
            ("POST", b"{\"name\":\"Mia\"}".as_slice())
        );
        assert_eq!(added.header("content-type"), Some("application/json"));
        assert_eq!((missing.method.as_str(), missing.target.as_str()), ("DELETE", "/v1/pets/8"));
        for seen in [read, added, missing, huge] {
            assert_eq!(seen.header("x-api-key"), Some(SECRET));
            assert_eq!(seen.header("authorization"), None, "the caller's key goes no further");
        }
        let metrics = once(scene.gateway.addr(), &get("GET", "/metrics", &[("x-tollgate-key", KEY)]));
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        assert!(metrics.contains("server=\"pets\""), "{metrics}");
        assert!(!format!("{metrics}{}", scene.gateway.log().text()).contains(SECRET));
    });
}

#[test]
fn what_is_wrong_with_a_call_is_told_and_not_sent() {
    for_each_engine(|engine| {
        let scene = scene(engine, false);
        for (arguments, why) in [
            (json!({}), "`petId` is required"),
            (json!({"petId": "../admin"}), "must not be a step"),
            (json!({"petId": 7, "x-api-key": "mine"}), "no argument `x-api-key`"),
        ] {
            let refused = scene.call("getPet", &arguments);
            assert_eq!(refused["isError"], true, "{refused}");
            assert!(text(&refused).contains(why), "{refused}");
        }
        let unknown = scene.ask(KEY, "tools/call", &json!({"name": "dropPets", "arguments": {}}));
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
        assert!(scene.api.seen().is_empty());
    });
}

#[test]
fn rules_hold_for_operations_as_for_tools() {
    for_each_engine(|engine| {
        let scene = scene(engine, false);
        assert_eq!(scene.listed(NARROW_KEY), ["getAll", "getPet"]);
        let read = scene.ask(NARROW_KEY, "tools/call", &json!({"name": "getPet", "arguments": {"petId": 7}}));
        assert_eq!(read["result"]["structuredContent"]["name"], "Rex", "{read}");
        let added = json!({"name": "addPet", "arguments": {"body": {"name": "Mia"}}});
        let refused = scene.ask(NARROW_KEY, "tools/call", &added);
        assert!(refused["error"]["code"].is_i64(), "{refused}");
        assert_eq!(scene.api.seen().len(), 1, "what is not allowed does not leave");
    });
}

#[test]
fn a_legacy_caller_calls_an_operation() {
    for_each_engine(|engine| {
        let scene = scene(engine, false);
        let send = |lines: &[(&str, &str)], body: Value| {
            let lines = [&[("Accept", "application/json, text/event-stream")], lines].concat();
            once(scene.gateway.addr(), &post("/mcp/pets", KEY, &lines, body.to_string().as_bytes()))
        };
        let opening = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        });
        let opened = send(&[], json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening}));
        assert!(message(&opened)["result"]["capabilities"]["tools"].is_object(), "{opened:?}");
        let session = opened.header("mcp-session-id").expect("a session has an id").to_owned();
        let params = json!({"name": "getPet", "arguments": {"petId": 7}});
        let lines = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-06-18")];
        let called =
            send(&lines, json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}));
        let result = &message(&called)["result"];
        assert_eq!(result["structuredContent"]["name"], "Rex", "{result}");
        assert_eq!(result.get("resultType"), None, "{result}");
    });
}

#[test]
fn a_caller_who_hangs_up_cancels_the_request() {
    for_each_engine(|engine| {
        let scene = scene(engine, false);
        scene.listed(KEY);
        let mut client = Client::connect(scene.gateway.addr());
        client.send(&request(KEY, "tools/call", &json!({"name": "waitForPets", "arguments": {}})));
        eventually("the API is asked", SOON, || scene.api.seen().len() == 1);
        drop(client);
        eventually("the API is left", SOON, || scene.left.lock().expect("no holder panics").is_some());
    });
}

#[test]
fn a_document_is_fetched_and_fetched_again_until_it_can_be_had() {
    for_each_engine(|engine| {
        let scene = scene(engine, true);
        assert_eq!(scene.listed(KEY).len(), 5);
        let read = scene.call("getPet", &json!({"petId": 7}));
        assert_eq!(read["structuredContent"]["name"], "Rex", "{read}");
        assert_eq!(scene.api.seen()[0].target, "/spec");
        assert_eq!(scene.api.seen()[0].header("x-api-key").filter(|key| *key != SECRET), None);
    });
    let (document, left) = (Arc::new(Mutex::new(String::new())), Arc::default());
    let api = api(&document, &left);
    let more = format!(
        "mcp: {{ allowed_hosts: [gate.test] }}\nmcp_servers:\n  \
         pets: {{ openapi: \"{0}/spec\", base_url: \"{0}/v1\" }}",
        api.url()
    );
    let gateway = Gateway::with(Engine::Epoll, &api.url(), &more);
    eventually("the failure is told", SOON, || {
        gateway.log().find("the lists of an MCP server are not fresh").is_some()
    });
    let scene = Scene { api, gateway, document, left };
    assert_eq!(scene.listed(KEY), Vec::<String>::new(), "one that is broken breaks nothing");
    *scene.document.lock().expect("no holder panics") = self::document().to_string();
    eventually("it is asked again", SOON, || scene.listed(KEY).len() == 5);
    let asked = scene.api.seen().iter().filter(|seen| seen.target == "/spec").count();
    assert!(asked < 20, "with pauses: {asked}");
}
