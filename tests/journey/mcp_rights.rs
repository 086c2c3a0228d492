//! What callers hold open for news ends when a reload takes the server from them; what is not concerned
//! goes on.

use std::time::Duration;

use serde_json::Value;

use crate::client::find;
use crate::gateway::{Gateway, config, for_each_engine};
use crate::mcp_caller::{Caller, gateway};
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{After, Peer};
use crate::program::eventually;

const SOON: Duration = Duration::from_secs(30);

/// A server with one resource that can be watched.
fn with_resource(era: Era) -> Peer {
    speaks_mcp::start(era, move |asked, exchange| {
        let can = "\"capabilities\":{\"tools\":{\"listChanged\":true},\"resources\":{\"subscribe\":true}}";
        let info = "\"serverInfo\":{\"name\":\"scripted\",\"version\":\"1\"}";
        let whole = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
        match (era, &*asked.method) {
            (Era::Legacy, "initialize") => {
                let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", "one")];
                let result = format!("{{\"protocolVersion\":\"2025-11-25\",{can},{info}}}");
                exchange.answer(200, &headers, asked.response(&result).as_bytes())?;
                Ok(Some(After::KeepOpen))
            }
            (Era::Modern, "server/discover") => {
                let versions = "\"supportedVersions\":[\"2026-07-28\"]";
                asked.answer(exchange, &format!("{{{versions},{can},{info},{whole}}}"))
            }
            (_, "resources/list") => {
                let list = "\"resources\":[{\"uri\":\"test://x\",\"name\":\"x\"}]";
                asked.answer(exchange, &format!("{{{list},{whole}}}"))
            }
            (_, "resources/templates/list") => {
                asked.answer(exchange, &format!("{{\"resourceTemplates\":[],{whole}}}"))
            }
            (Era::Legacy, "resources/subscribe" | "resources/unsubscribe") => asked.answer(exchange, "{}"),
            _ => Ok(None),
        }
    })
}

/// How often a server was asked for something.
fn asked(server: &Peer, method: &str) -> usize {
    let wanted = format!("\"method\":\"{method}\"");
    server.seen().iter().filter(|seen| find(&seen.body, wanted.as_bytes()).is_some()).count()
}

/// Reads a stream to its end, and gives what came.
#[track_caller]
fn to_the_end(caller: &mut Caller) -> String {
    let mut heard = String::new();
    while let Some(part) = caller.client().part().expect("a stream that ends ends properly") {
        heard += &String::from_utf8_lossy(&part);
    }
    heard
}

/// Opens a modern stream of changes, and waits until it is there.
#[track_caller]
fn listens(caller: &Caller, filter: &str) -> Caller {
    let mut listening = caller.twin();
    let members = format!("\"notifications\":{{{filter}}}");
    listening.client().send(&caller.request("\"listen:0\"", "subscriptions/listen", &members, ""));
    assert_eq!(listening.client().head().status, 200);
    let mut heard = String::new();
    while !heard.contains("subscriptions/acknowledged") {
        let part = listening.client().part().expect("the stream goes on").expect("and has not ended");
        heard += &String::from_utf8_lossy(&part);
    }
    listening
}

/// Opens the stream of a legacy session.
#[track_caller]
fn streams(caller: &Caller) -> Caller {
    let mut streaming = caller.twin();
    streaming.client().send(&caller.http("GET", "", b""));
    assert_eq!(streaming.client().head().status, 200);
    streaming
}

/// What the gateway counts as held open.
fn listeners(gateway: &Gateway) -> Option<u64> {
    let text = String::from_utf8_lossy(
        &crate::client::once(gateway.addr(), &crate::client::get("GET", "/metrics", &[])).body,
    )
    .into_owned();
    let line = text.lines().find(|line| line.starts_with("tollgate_mcp_listeners_open"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_is_held_open_ends_with_the_right_to_the_server() {
    for_each_engine(|engine| {
        for era in [Era::Modern, Era::Legacy] {
            let (lost, kept) = (with_resource(era), with_resource(Era::Modern));
            let servers = format!(
                "mcp_servers:\n  lost: {{ url: \"{}/mcp\", era: {} }}\n  \
                 kept: {{ url: \"{}/mcp\", era: modern }}\n",
                lost.url(),
                era.name(),
                kept.url()
            );
            let gateway = gateway(engine, &servers);
            let modern = |path: &str| Caller::new(&gateway, Era::Modern, path);
            for path in ["/mcp/lost", "/mcp/kept"] {
                let mut caller = modern(path);
                eventually("the resource is listed", SOON, || {
                    caller.ask("1", "resources/list", "").json().to_string().contains("test://x")
                });
            }
            let tools = "\"toolsListChanged\":true";
            let watch = "\"resourceSubscriptions\":[\"test://x\"]";
            let mut ending = [listens(&modern("/mcp/lost"), tools), listens(&modern("/mcp/lost"), watch)];
            let mut going = [listens(&modern("/mcp"), tools), listens(&modern("/mcp/kept"), watch)];
            let mut legacy = Caller::new(&gateway, Era::Legacy, "/mcp");
            let scoped = Caller::new(&gateway, Era::Legacy, "/mcp/lost");
            let mut scoped_stream = streams(&scoped);
            let mut open_stream = streams(&legacy);

            // The key that calls is given the other server alone.
            let now = config(engine, "http://127.0.0.1:9", &servers)
                .replace("{ name: main,", "{ name: main, servers: { kept: [\"*\"] },");
            gateway.folder().write("tollgate.yaml", &now);
            for stream in &mut ending {
                let heard = to_the_end(stream);
                assert!(heard.contains("\"resultType\":\"complete\""), "{heard}");
            }
            to_the_end(&mut scoped_stream);
            let refused: Value = modern("/mcp/lost").ask("1", "tools/list", "").json();
            assert!(!refused["error"].is_null(), "{refused}");
            // Those who still have what they hear of are told of the change, and stay.
            for stream in going.iter_mut().take(1).chain([&mut open_stream]) {
                let part = stream.client().part().expect("the stream goes on").expect("and has not ended");
                assert!(String::from_utf8_lossy(&part).contains("list_changed"), "{part:?}");
            }
            assert_eq!(listeners(&gateway), Some(2));
            assert_eq!(legacy.tools(), ["echo"]);
        }
    });
}

#[test]
fn a_session_stops_watching_what_it_has_lost() {
    for_each_engine(|engine| {
        let server = with_resource(Era::Legacy);
        let servers = format!("mcp_servers:\n  s: {{ url: \"{}/mcp\", era: legacy }}\n", server.url());
        let gateway = gateway(engine, &servers);
        let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
        eventually("the resource is listed", SOON, || {
            caller.ask("1", "resources/list", "").json().to_string().contains("test://x")
        });
        caller.ask("2", "resources/subscribe", "\"uri\":\"test://x\"").result();
        eventually("the server is asked to tell", SOON, || asked(&server, "resources/subscribe") == 1);
        let now = config(engine, "http://127.0.0.1:9", &servers)
            .replace("{ name: main,", "{ name: main, servers: { other: [\"*\"] },");
        gateway.folder().write("tollgate.yaml", &now);
        eventually("nobody watches any more", SOON, || asked(&server, "resources/unsubscribe") == 1);
        // The session itself is the caller's, whatever it may see.
        assert!(caller.tools().is_empty());
    });
}
