//! A caller of the MCP side, of either era, that writes every byte of its messages itself.

use std::net::SocketAddr;

use serde_json::Value;

use crate::client::{Client, Head, Reply, find};
use crate::gateway::{Engine, Folder, Gateway, KEY};
use crate::peer::speaks_mcp::Era;

/// What comes back: the response and what came before it on its stream.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    /// Every message, the response last, as sent.
    pub(crate) messages: Vec<Vec<u8>>,
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        let events = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let messages = if events { events_of(&reply.body) } else { vec![reply.body.clone()] };
        Self { head: reply.head.clone(), messages }
    }

    /// The response, as sent.
    #[track_caller]
    pub(crate) fn raw(&self) -> &[u8] {
        self.messages.last().unwrap_or_else(|| panic!("nothing came: {:?}", self.head))
    }

    /// The response.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let raw = self.raw();
        serde_json::from_slice(raw)
            .unwrap_or_else(|why| panic!("{why} in {:?} {}", self.head, String::from_utf8_lossy(raw)))
    }

    /// Its result.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        let json = self.json();
        assert!(json["error"].is_null(), "{json}");
        json["result"].clone()
    }

    /// The message of its error.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let json = self.json();
        json["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {json}")).to_owned()
    }

    /// What came before the response.
    pub(crate) fn before(&self) -> Vec<Value> {
        let (_, before) = self.messages.split_last().expect("something came");
        before.iter().map(|raw| serde_json::from_slice(raw).expect("messages are JSON")).collect()
    }
}

/// The data of every event of a stream.
pub(crate) fn events_of(body: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(body).into_owned();
    let data = |event: &str| {
        let lines: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        (!lines.is_empty()).then(|| lines.join("\n").into_bytes())
    };
    text.split("\n\n").filter_map(data).collect()
}

/// One caller with a connection of its own.
pub(crate) struct Caller {
    addr: SocketAddr,
    era: Era,
    client: Client,
    pub(crate) key: String,
    pub(crate) path: String,
    pub(crate) session: Option<String>,
    pub(crate) capabilities: &'static str,
}

impl Caller {
    /// A caller at `/mcp` or below; a legacy one has opened its session.
    #[track_caller]
    pub(crate) fn new(gateway: &Gateway, era: Era, path: &str) -> Self {
        Self::with(gateway, era, path, KEY, "{}")
    }

    /// The same with a key and capabilities.
    #[track_caller]
    pub(crate) fn with(
        gateway: &Gateway,
        era: Era,
        path: &str,
        key: &str,
        capabilities: &'static str,
    ) -> Self {
        Self::at(gateway.addr(), era, path, key, capabilities)
    }

    /// The same at an address.
    #[track_caller]
    pub(crate) fn at(addr: SocketAddr, era: Era, path: &str, key: &str, capabilities: &'static str) -> Self {
        let (key, path) = (key.to_owned(), path.to_owned());
        let client = Client::connect(addr);
        let mut caller = Self { addr, era, client, key, path, session: None, capabilities };
        if era == Era::Legacy {
            caller.initialize("2025-11-25");
        }
        caller
    }

    /// Opens a legacy session.
    #[track_caller]
    pub(crate) fn initialize(&mut self, version: &str) {
        self.session = None;
        let info = "\"clientInfo\":{\"name\":\"journey\",\"version\":\"1\"}";
        let members =
            format!("\"protocolVersion\":\"{version}\",\"capabilities\":{},{info}", self.capabilities);
        let answer = self.ask("0", "initialize", &members);
        assert_eq!(answer.result()["protocolVersion"], version);
        self.session = answer.head.header("mcp-session-id").map(str::to_owned);
        assert!(self.session.is_some(), "{:?}", answer.head);
        self.notify("notifications/initialized", "");
    }

    /// The same caller on a connection of its own.
    pub(crate) fn twin(&self) -> Self {
        Self {
            addr: self.addr,
            era: self.era,
            client: Client::connect(self.addr),
            key: self.key.clone(),
            path: self.path.clone(),
            session: self.session.clone(),
            capabilities: self.capabilities,
        }
    }

    /// An HTTP request with this body; `extra` are header lines.
    pub(crate) fn http(&self, method: &str, extra: &str, body: &[u8]) -> Vec<u8> {
        let mut head = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Accept: application/json, text/event-stream\r\n{extra}",
            self.path, self.addr, self.key
        );
        if let Some(session) = &self.session {
            head += &format!("Mcp-Session-Id: {session}\r\n");
        }
        if method == "POST" {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        let mut request = (head + "\r\n").into_bytes();
        request.extend_from_slice(body);
        request
    }

    /// A request, its `params` given as members without braces, with an addition to its `_meta`.
    pub(crate) fn request(&self, id: &str, method: &str, members: &str, meta: &str) -> Vec<u8> {
        let comma = |text: &str| if text.is_empty() { "" } else { "," };
        let mut all_meta = meta.to_owned();
        let mut extra = String::new();
        if self.era == Era::Modern {
            let p = "io.modelcontextprotocol";
            all_meta = format!(
                "\"{p}/protocolVersion\":\"2026-07-28\",\"{p}/clientCapabilities\":{}{}{meta}",
                self.capabilities,
                comma(meta)
            );
            extra = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
            if let Some(name) = named(members) {
                extra += &format!("Mcp-Name: {name}\r\n");
            }
        }
        if !all_meta.is_empty() {
            all_meta = format!("{}\"_meta\":{{{all_meta}}}", comma(members));
        }
        // The id last, as Claude Code has it.
        let body = format!(
            "{{\"method\":\"{method}\",\"params\":{{{members}{all_meta}}},\"jsonrpc\":\"2.0\",\"id\":{id}}}"
        );
        self.http("POST", &extra, body.as_bytes())
    }

    /// A call of a tool.
    pub(crate) fn call_request(&self, id: &str, tool: &str, arguments: &str, meta: &str) -> Vec<u8> {
        self.request(id, "tools/call", &format!("\"name\":\"{tool}\",\"arguments\":{arguments}"), meta)
    }

    /// Sends a request and reads all that comes.
    #[track_caller]
    pub(crate) fn ask(&mut self, id: &str, method: &str, members: &str) -> Answer {
        let request = self.request(id, method, members, "");
        self.exchange(&request)
    }

    /// Calls a tool and reads all that comes.
    #[track_caller]
    pub(crate) fn call(&mut self, id: &str, tool: &str, arguments: &str) -> Answer {
        let request = self.call_request(id, tool, arguments, "");
        self.exchange(&request)
    }

    /// The names of the tools that it sees.
    #[track_caller]
    pub(crate) fn tools(&mut self) -> Vec<String> {
        let result = self.ask("1", "tools/list", "").result();
        let tools = result["tools"].as_array().unwrap_or_else(|| panic!("no list: {result}"));
        tools.iter().map(|tool| tool["name"].as_str().expect("tools have names").to_owned()).collect()
    }

    /// Sends a notification.
    #[track_caller]
    pub(crate) fn notify(&mut self, method: &str, members: &str) {
        let body = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{{members}}}}}");
        let reply = self.client.exchange(&self.http("POST", "", body.as_bytes()));
        assert_eq!(reply.head.status, 202, "{reply:?}");
    }

    /// Sends any request and reads all that comes.
    #[track_caller]
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Answer {
        Answer::of(&self.client.exchange(request))
    }

    /// The connection, for what is neither.
    pub(crate) const fn client(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// The name that stands in `params`.
fn named(members: &str) -> Option<&str> {
    let rest = members.strip_prefix("\"name\":\"").or_else(|| members.strip_prefix("\"uri\":\""))?;
    rest.split('"').next()
}

/// A gateway with these lines of config and no models.
#[track_caller]
pub(crate) fn gateway(engine: Engine, lines: &str) -> Gateway {
    Gateway::with(engine, "http://127.0.0.1:9", lines)
}

/// `mcp_servers:` with one server behind HTTP.
pub(crate) fn one_server(name: &str, url: &str, era: Era, more: &str) -> String {
    let era = era.name();
    format!("mcp_servers:\n  {name}: {{ url: \"{url}/mcp\", era: {era}{more} }}\n")
}

/// Where the bytes of `member` stand in `doc`, when they are `value`.
#[track_caller]
pub(crate) fn assert_member(doc: &[u8], member: &str, value: &[u8]) {
    let mut wanted = format!("\"{member}\":").into_bytes();
    wanted.extend_from_slice(value);
    let end = find(doc, &wanted).map(|at| at + wanted.len());
    let whole = end.is_some_and(|end| matches!(doc[end], b',' | b'}'));
    let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    assert!(whole, "{member} is not {}\nin {}", shown(value), shown(doc));
}

/// `mcp_servers:` with one server at the end of a pipe, which writes into `folder`.
pub(crate) fn one_pipe(name: &str, folder: &Folder, era: Era, more: &str) -> String {
    format!("mcp_servers:\n{}", pipe_entry(name, folder, era, more))
}

/// The entry of such a server.
pub(crate) fn pipe_entry(name: &str, folder: &Folder, era: Era, more: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/mcp_pipe.py");
    let (folder, era) = (folder.path().display(), era.name());
    format!("  {name}: {{ command: python3, args: [\"{script}\", {era}, \"{folder}\"], era: {era}{more} }}\n")
}
