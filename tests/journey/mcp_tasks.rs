//! Tools of a legacy server that run as tasks, for callers of every kind: who gets a result, who a handle.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, once, post};
use crate::gateway::{Engine, Gateway, KEY, NARROW_KEY, for_each_engine};
use crate::peers;
use crate::program::eventually;

/// An SDK is not needed, but its Python is known to be there.
const PYTHON: &str = "1.30.0";

/// Asks over a slow machine take that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server over HTTP; killed when dropped.
struct OverHttp {
    child: Child,
    url: String,
}

impl OverHttp {
    fn start() -> Self {
        let mut command = Command::new(peers::mcp_python(PYTHON));
        let mut child = command
            .args([script(), "http".into()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut url).expect("it says where it listens");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for OverHttp {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn script() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/mcp_tasks_server.py");
    path.to_str().expect("paths are UTF-8").to_owned()
}

/// Runs a test in front of the server over either transport; the path is that of its own endpoint, or that
/// of all.
fn in_front(test: impl Fn(&Scene)) {
    for_each_engine(|engine| {
        let program = peers::mcp_python(PYTHON);
        let program = program.to_str().expect("paths are UTF-8");
        let pipe = format!("{{ command: \"{program}\", args: [\"{}\", stdio], era: legacy }}", script());
        test(&Scene::start(engine, &pipe, "/mcp/tasks", None));
        let server = OverHttp::start();
        let http = format!("{{ url: \"{}\", era: legacy }}", server.url);
        test(&Scene::start(engine, &http, "/mcp", Some(server)));
    });
}

struct Scene {
    gateway: Gateway,
    path: &'static str,
    _server: Option<OverHttp>,
}

/// The messages of an answer: the events of its stream, or its one document.
fn messages(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(body);
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter(|data| !data.trim().is_empty())
        .map(|data| serde_json::from_str(data).unwrap_or_else(|why| panic!("{why}: {data}")))
        .collect();
    if events.is_empty() && !body.is_empty() {
        return vec![serde_json::from_slice(body).unwrap_or_else(|why| panic!("{why}: {text}"))];
    }
    events
}

/// What a modern caller declares.
const KNOWS_NOTHING: &str = "{}";
const KNOWS_TASKS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"elicitation":{"form":{}}}"#;

impl Scene {
    fn start(engine: Engine, server: &str, path: &'static str, held: Option<OverHttp>) -> Self {
        let more = format!("mcp: {{ allowed_hosts: [gate.test] }}\nmcp_servers:\n  tasks: {server}\n");
        let gateway = Gateway::with(engine, "http://127.0.0.1:9", &more);
        Self { gateway, path, _server: held }
    }

    fn addr(&self) -> SocketAddr {
        self.gateway.addr()
    }

    /// The bytes of a modern request.
    fn modern(&self, key: &str, declares: &str, method: &str, params: &Value) -> Vec<u8> {
        let declared: Value = serde_json::from_str(declares).expect("it is JSON");
        let mut params = params.clone();
        let meta = params["_meta"].take();
        params["_meta"] = if meta.is_null() { json!({}) } else { meta };
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = declared;
        let name = params["name"].as_str().or_else(|| params["taskId"].as_str()).unwrap_or_default();
        let mut headers = vec![
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", method),
        ];
        if !name.is_empty() {
            headers.push(("Mcp-Name", name));
        }
        let body = json!({ "jsonrpc": "2.0", "id": "one", "method": method, "params": params }).to_string();
        post(self.path, key, &headers, body.as_bytes())
    }

    /// Asks as a modern caller; the messages of the answer.
    fn asks(&self, declares: &str, method: &str, params: &Value) -> Vec<Value> {
        messages(&once(self.addr(), &self.modern(KEY, declares, method, params)).body)
    }

    /// The last of them, the response.
    fn answer(&self, declares: &str, method: &str, params: &Value) -> Value {
        self.asks(declares, method, params).pop().expect("there is an answer")
    }

    /// Looks at a task until it stands so.
    fn until(&self, id: &Value, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let task = self.answer(KNOWS_TASKS, "tasks/get", &json!({ "taskId": id }));
            if task["result"]["status"] == status {
                return task;
            }
            assert!(begun.elapsed() < PATIENCE, "{task}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The methods that the server has seen.
    fn seen(&self) -> Vec<String> {
        let said = self.answer(KNOWS_NOTHING, "tools/call", &json!({ "name": "seen", "arguments": {} }));
        let text = said["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{said}"));
        serde_json::from_str(text).expect("it is a list")
    }

    /// Opens a legacy session.
    fn session(&self, capabilities: &Value) -> Legacy<'_> {
        let info = json!({ "name": "test", "version": "1" });
        let params =
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let accept = ("Accept", "application/json, text/event-stream");
        let reply = once(self.addr(), &post(self.path, KEY, &[accept], body.to_string().as_bytes()));
        let id = reply.header("mcp-session-id").expect("it opens a session").to_owned();
        let opened = messages(&reply.body).pop().expect("there is an answer");
        Legacy { scene: self, id, can: opened["result"]["capabilities"].clone() }
    }
}

/// A legacy session.
struct Legacy<'a> {
    scene: &'a Scene,
    id: String,
    /// What the gateway says that it can do.
    can: Value,
}

impl Legacy<'_> {
    fn bytes(&self, message: &Value) -> Vec<u8> {
        let headers = [
            ("Accept", "application/json, text/event-stream"),
            ("Mcp-Session-Id", self.id.as_str()),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        post(self.scene.path, KEY, &headers, message.to_string().as_bytes())
    }

    fn sends(&self, message: &Value) -> Vec<Value> {
        messages(&once(self.scene.addr(), &self.bytes(message)).body)
    }

    fn answer(&self, method: &str, params: &Value) -> Value {
        let message = json!({ "id": 7, "method": method, "params": params });
        self.sends(&message).pop().expect("there is an answer")
    }

    /// Asks, gives the one question that comes meanwhile its answer, and gives question and response.
    fn asked(&self, method: &str, params: &Value, result: &Value) -> (Value, Value) {
        let mut client = Client::connect(self.scene.addr());
        client.send(&self.bytes(&json!({ "id": 8, "method": method, "params": params })));
        let head = client.head();
        let question = client.read_until("\"method\":\"elicitation/create\"");
        let mut bytes = question;
        if !String::from_utf8_lossy(&bytes).ends_with("\n\n") {
            bytes.extend(client.part().expect("the event goes on").unwrap_or_default());
        }
        let question = messages(&bytes).pop().expect("it is a question");
        let sent = self.sends(&json!({ "id": question["id"], "result": result }));
        assert!(sent.is_empty(), "{sent:?}");
        let reply = client.finish(head);
        (question, messages(&reply.body).pop().expect("there is an answer"))
    }
}

fn text(response: &Value) -> &str {
    response["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{response}"))
}

const RELATED: &str = "io.modelcontextprotocol/related-task";

#[test]
fn a_caller_that_knows_no_tasks_gets_the_result() {
    in_front(|scene| {
        let params = json!({ "name": "slow", "arguments": {}, "_meta": { "progressToken": "mine" } });
        let said = scene.asks(KNOWS_NOTHING, "tools/call", &params);
        let last = said.last().expect("there is an answer");
        assert_eq!(text(last), "done as a task");
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("one"), &json!("complete")));
        assert!(last["result"]["_meta"][RELATED].is_null(), "{last}");
        if scene.path == "/mcp/tasks" {
            assert_eq!(said[0]["params"]["progressToken"], "mine", "{said:?}");
        }
        let params = json!({ "name": "either", "arguments": {} });
        assert_eq!(text(&scene.answer(KNOWS_NOTHING, "tools/call", &params)), "done at once");
        let legacy = scene.session(&json!({}));
        let said = legacy.answer("tools/call", &json!({ "name": "slow", "arguments": {} }));
        assert_eq!((text(&said), &said["id"]), ("done as a task", &json!(7)));
        assert!(said["result"]["_meta"][RELATED].is_null(), "{said}");
        let tools = legacy.answer("tools/list", &json!({}));
        assert!(!tools.to_string().contains("\"required\""), "{tools}");
    });
}

#[test]
fn an_error_and_an_early_end_of_a_task_are_told() {
    in_front(|scene| {
        let broken = json!({ "name": "broken", "arguments": {} });
        let of = |said: Value| (said["error"]["code"].clone(), said["error"]["message"].clone());
        // The modern revision keeps the server's own code for itself.
        let said = scene.answer(KNOWS_NOTHING, "tools/call", &broken);
        assert_eq!(of(said), (json!(-32603), json!("it broke")));
        let said = scene.session(&json!({})).answer("tools/call", &broken);
        assert_eq!(of(said), (json!(-32050), json!("it broke")));
        let said = scene.answer(KNOWS_NOTHING, "tools/call", &json!({ "name": "vanish", "arguments": {} }));
        let why = said["error"]["message"].as_str().unwrap_or_default();
        assert!(why.contains("the task of this call has expired"), "{said}");
    });
}

#[test]
fn a_task_is_given_up_with_its_call() {
    in_front(|scene| {
        let params = json!({ "name": "forever", "arguments": {} });
        let mut client = Client::connect(scene.addr());
        client.send(&scene.modern(KEY, KNOWS_NOTHING, "tools/call", &params));
        let looks = || scene.seen().iter().filter(|method| *method == "tasks/get").count();
        eventually("the task is looked at", PATIENCE, || looks() > 0);
        drop(client);
        eventually("it is given up", PATIENCE, || scene.seen().contains(&"tasks/cancel".to_owned()));
        let count = looks();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(looks(), count, "nobody looks any more");
    });
}

#[test]
fn what_a_task_asks_reaches_a_caller_that_knows_no_tasks() {
    in_front(|scene| {
        let call = json!({ "name": "ask", "arguments": {} });
        let declares = r#"{"elicitation":{"form":{}}}"#;
        let first = scene.answer(declares, "tools/call", &call);
        assert_eq!(first["result"]["resultType"], "input_required", "{first}");
        let (key, request) = first["result"]["inputRequests"]
            .as_object()
            .and_then(|requests| requests.iter().next())
            .unwrap_or_else(|| panic!("{first}"));
        assert!(!request.to_string().contains(RELATED), "{request}");
        let mut retry = call;
        retry["requestState"] = first["result"]["requestState"].clone();
        retry["inputResponses"] = json!({ key: { "action": "accept", "content": { "name": "Ada" } } });
        assert_eq!(text(&scene.answer(declares, "tools/call", &retry)), "Hello, Ada, with a note");

        let legacy = scene.session(&json!({ "elicitation": {} }));
        let answer = json!({ "action": "accept", "content": { "name": "Eve" } });
        let (question, said) =
            legacy.asked("tools/call", &json!({ "name": "ask", "arguments": {} }), &answer);
        assert!(!question.to_string().contains(RELATED), "{question}");
        assert_eq!(text(&said), "Hello, Eve, with a note");
    });
}

#[test]
fn a_modern_caller_that_knows_tasks_gets_a_handle() {
    in_front(|scene| {
        for name in ["slow", "either"] {
            let made = scene.answer(KNOWS_TASKS, "tools/call", &json!({ "name": name, "arguments": {} }));
            let made = &made["result"];
            assert_eq!((&made["resultType"], &made["status"]), (&json!("task"), &json!("working")), "{made}");
            assert_eq!(made["pollIntervalMs"], 60, "{made}");
            assert!(made["ttlMs"].is_u64() && made["ttl"].is_null(), "{made}");
            let done = scene.until(&made["taskId"], "completed");
            let result = &done["result"]["result"];
            assert_eq!(result["content"][0]["text"], "done as a task", "{done}");
            assert!(!done.to_string().contains(RELATED), "{done}");
            assert_eq!(
                (&done["result"]["taskId"], &result["resultType"]),
                (&made["taskId"], &json!("complete"))
            );
        }
        let made = scene.answer(KNOWS_TASKS, "tools/call", &json!({ "name": "broken", "arguments": {} }));
        let failed = scene.until(&made["result"]["taskId"], "failed");
        // Whatever it declares now, the task is where it was made.
        let named = json!({ "taskId": made["result"]["taskId"] });
        let found = scene.answer(KNOWS_NOTHING, "tasks/get", &named);
        assert_eq!(found["result"]["status"], "failed", "{found}");
        assert_eq!(failed["result"]["error"]["code"], -32603, "{failed}");
        let said = scene.answer(KNOWS_TASKS, "tools/call", &json!({ "name": "plain", "arguments": {} }));
        assert_eq!(text(&said), "done at once");
    });
}

#[test]
fn a_handle_takes_answers_and_can_be_cancelled_by_its_own_key_alone() {
    in_front(|scene| {
        let made = scene.answer(KNOWS_TASKS, "tools/call", &json!({ "name": "ask", "arguments": {} }));
        let id = &made["result"]["taskId"];
        let asks = scene.until(id, "input_required");
        let requests = asks["result"]["inputRequests"].as_object().expect("there are questions");
        let (key, request) = requests.iter().next().expect("there is a question");
        assert_eq!(request["method"], "elicitation/create", "{asks}");
        assert!(!asks.to_string().contains(RELATED), "{asks}");
        let again = scene.until(id, "input_required");
        assert_eq!(again["result"]["inputRequests"], asks["result"]["inputRequests"], "it stays asked");
        let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
        let update = json!({ "taskId": id, "inputResponses": { key: answer, "other": {} } });
        let taken = scene.answer(KNOWS_TASKS, "tasks/update", &update);
        assert_eq!(taken["result"], json!({ "resultType": "complete" }), "{taken}");
        let done = scene.until(id, "completed");
        assert_eq!(done["result"]["result"]["content"][0]["text"], "Hello, Ada, with a note", "{done}");

        let made = scene.answer(KNOWS_TASKS, "tools/call", &json!({ "name": "forever", "arguments": {} }));
        let named = json!({ "taskId": made["result"]["taskId"] });
        let other = scene.modern(NARROW_KEY, KNOWS_TASKS, "tasks/cancel", &named);
        let refused = messages(&once(scene.addr(), &other).body).pop().expect("there is an answer");
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        for _ in 0..2 {
            let taken = scene.answer(KNOWS_TASKS, "tasks/cancel", &named);
            assert_eq!(taken["result"], json!({ "resultType": "complete" }), "{taken}");
        }
        scene.until(&made["result"]["taskId"], "cancelled");
        let unknown = scene.answer(KNOWS_TASKS, "tasks/get", &json!({ "taskId": "made up" }));
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    });
}

#[test]
fn a_legacy_caller_gets_the_task_that_it_wants() {
    in_front(|scene| {
        let legacy = scene.session(&json!({ "elicitation": {} }));
        let can = json!({ "cancel": {}, "requests": { "tools": { "call": {} } } });
        assert_eq!(legacy.can["tasks"], can, "{}", legacy.can);
        let wish = |name: &str| json!({ "name": name, "arguments": {}, "task": { "ttl": 60000 } });
        let made = legacy.answer("tools/call", &wish("ask"));
        let id = &made["result"]["task"]["taskId"];
        assert_eq!(made["result"]["task"]["ttl"], 60000, "{made}");
        let task = legacy.answer("tasks/get", &json!({ "taskId": id }));
        assert_eq!((&task["result"]["taskId"], &task["result"]["status"]), (id, &json!("input_required")));
        let note = json!({ "taskId": id });
        let answer = json!({ "action": "accept", "content": { "name": "Eve" }, "_meta": { RELATED: note } });
        let (question, said) = legacy.asked("tasks/result", &json!({ "taskId": id }), &answer);
        assert_eq!(question["params"]["_meta"][RELATED], note, "{question}");
        assert_eq!(text(&said), "Hello, Eve, with a note");
        assert_eq!(said["result"]["_meta"][RELATED], note, "{said}");

        let made = legacy.answer("tools/call", &wish("forever"));
        let id = &made["result"]["task"]["taskId"];
        let gone = legacy.answer("tasks/cancel", &json!({ "taskId": id }));
        assert_eq!((&gone["result"]["taskId"], &gone["result"]["status"]), (id, &json!("cancelled")));
        let refused = legacy.answer("tasks/list", &json!({}));
        assert_eq!(refused["error"]["code"], -32601, "{refused}");
        let unknown = legacy.answer("tasks/get", &json!({ "taskId": "made up" }));
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    });
}
