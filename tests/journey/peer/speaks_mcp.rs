//! An MCP server of one era: what every server does it does by itself, the rest is its script's.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{After, Exchange, Peer, Seen};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(60);

/// Which revisions are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2025-11-25, with sessions.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// The word of the config.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A message that the server was sent.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) seen: &'a Seen,
    /// The whole message; nothing for GET and DELETE.
    pub(crate) message: Value,
    /// Its method, or the HTTP method where there is no message.
    pub(crate) method: String,
}

impl Asked<'_> {
    /// The message's id, which the gateway has chosen.
    pub(crate) fn id(&self) -> u64 {
        self.message["id"].as_u64().unwrap_or_default()
    }

    /// An argument of the call.
    pub(crate) fn argument(&self, name: &str) -> &str {
        self.message["params"]["arguments"][name].as_str().unwrap_or_default()
    }

    /// The response with this result, byte for byte.
    pub(crate) fn response(&self, result: &str) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", self.id())
    }

    /// Answers with a document.
    pub(crate) fn answer(&self, exchange: &mut Exchange, result: &str) -> io::Result<Option<After>> {
        document(exchange, 200, &self.response(result))
    }

    /// Sends the last event of a stream that has begun.
    pub(crate) fn finish(&self, exchange: &mut Exchange, result: &str) -> io::Result<Option<After>> {
        event(exchange, &self.response(result))?;
        exchange.end_chunks()?;
        Ok(Some(After::KeepOpen))
    }
}

/// Sends a message as an event of a stream that has begun, its lines as lines of data.
pub(crate) fn event(exchange: &mut Exchange, message: &str) -> io::Result<()> {
    let lines: Vec<String> = message.split('\n').map(|line| format!("data: {line}\n")).collect();
    exchange.chunk((lines.concat() + "\n").as_bytes())
}

/// Answers with any JSON document.
pub(crate) fn document(exchange: &mut Exchange, status: u16, body: &str) -> io::Result<Option<After>> {
    exchange.answer(status, &[("Content-Type", "application/json")], body.as_bytes())?;
    Ok(Some(After::KeepOpen))
}

/// A tool as it stands in a list.
pub(crate) fn tool(name: &str) -> String {
    format!("{{\"name\":\"{name}\",\"description\":\"Does {name}\",\"inputSchema\":{{\"type\":\"object\"}}}}")
}

/// The result of `tools/list`, in the words of both eras.
pub(crate) fn tools(names: &[&str]) -> String {
    let tools: Vec<_> = names.iter().map(|name| tool(name)).collect();
    let members = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
    format!("{{\"tools\":[{}],{members}}}", tools.join(","))
}

/// Starts a server. The script is asked first; where it gives `None`, the server does what is usual. It has
/// one tool, `echo`.
pub(crate) fn start<S>(era: Era, script: S) -> Peer
where
    S: Fn(&Asked<'_>, &mut Exchange) -> io::Result<Option<After>> + Send + Sync + 'static,
{
    let sessions = AtomicUsize::new(0);
    Peer::start(move |seen, exchange| {
        // The parser knows no number beyond a double, which JSON does.
        let body = String::from_utf8_lossy(&seen.body).replace("1e400", "1");
        let message: Value = serde_json::from_str(&body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or(&seen.method).to_owned();
        let asked = Asked { seen, message, method };
        let done = match script(&asked, exchange)? {
            Some(after) => Some(after),
            None => usual(era, &sessions, &asked, exchange)?,
        };
        Ok(done.unwrap_or(After::KeepOpen))
    })
}

fn usual(
    era: Era,
    sessions: &AtomicUsize,
    asked: &Asked<'_>,
    exchange: &mut Exchange,
) -> io::Result<Option<After>> {
    let info = "\"serverInfo\":{\"name\":\"scripted\",\"version\":\"1\"}";
    let can = "\"capabilities\":{\"tools\":{\"listChanged\":true}}";
    match (era, &*asked.method) {
        (Era::Legacy, "initialize") => {
            let session = format!("session-{}", sessions.fetch_add(1, Ordering::SeqCst));
            let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", &session)];
            let result = format!("{{\"protocolVersion\":\"2025-11-25\",{can},{info}}}");
            exchange.answer(200, &headers, asked.response(&result).as_bytes())?;
            Ok(Some(After::KeepOpen))
        }
        (Era::Modern, "server/discover") => {
            let members = "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\"";
            let versions = "\"supportedVersions\":[\"2026-07-28\"]";
            asked.answer(exchange, &format!("{{{versions},{can},{info},{members}}}"))
        }
        (Era::Modern, "subscriptions/listen") => {
            exchange.start_events()?;
            event(exchange, &acknowledged(asked.id()))?;
            exchange.wait_for_close(FOREVER);
            Ok(Some(After::Close))
        }
        (_, "tools/list") => asked.answer(exchange, &tools(&["echo"])),
        (_, "tools/call") => asked.answer(exchange, "{\"content\":[],\"resultType\":\"complete\"}"),
        (_, "GET") => document(exchange, 405, "{}"),
        (_, method) if method.starts_with("notifications/") || asked.message["method"].is_null() => {
            document(exchange, 202, "")
        }
        _ => {
            let error = "\"error\":{\"code\":-32600,\"message\":\"scripted: not here\"}";
            document(exchange, 400, &format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{error}}}", asked.id()))
        }
    }
}

/// The first message of a modern stream of changes.
pub(crate) fn acknowledged(id: u64) -> String {
    let method = "notifications/subscriptions/acknowledged";
    let meta = format!("{{\"io.modelcontextprotocol/subscriptionId\":{id}}}");
    let params = format!("{{\"_meta\":{meta},\"notifications\":{{\"toolsListChanged\":true}}}}");
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}")
}

/// Word that the tools have changed, as an era tells it.
pub(crate) fn tools_changed(era: Era, id: u64) -> String {
    let meta = match era {
        Era::Legacy => String::new(),
        Era::Modern => {
            format!(",\"params\":{{\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}}}")
        }
    };
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"{meta}}}")
}
