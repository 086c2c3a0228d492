//! The pieces of work whose instructions are counted.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use tollgate::call::{Class, ToolMode};
use tollgate::ids::ServerName;
use tollgate::mcp::definition::ItemKind;
use tollgate::mcp::edit::Edits;
use tollgate::mcp::list::{List, Pages, ServerLists};
use tollgate::mcp::message::{params, read, response_id};
use tollgate::mcp::presentation::Presentation;
use tollgate::mcp::store::Store;
use tollgate::mcp::view::{Admission, Part, Plan, Reader, Scope, View};

use crate::{call, list};

/// Servers and tools of the views: 2,000 tools in all.
const SERVERS: u64 = 40;
const TOOLS: usize = 50;

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Finds everything in a call of a tool.
    Scan,
    /// The same, and writes the call with another id, name and token.
    ScanAndSplice,
    /// Finds the id of a reply of 60 KB.
    ReplyId,
    /// Takes in a list of 50 tools that nobody has seen.
    IngestCold,
    /// Takes in a list of 50 tools that are known.
    IngestWarm,
    /// Makes the tables of 2,000 tools.
    View,
    /// The same, and writes their list.
    ViewAndList,
}

impl Piece {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Scan,
        Self::ScanAndSplice,
        Self::ReplyId,
        Self::IngestCold,
        Self::IngestWarm,
        Self::View,
        Self::ViewAndList,
    ];

    /// Its name in the notes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scan => "call_scan",
            Self::ScanAndSplice => "call_scan_and_splice",
            Self::ReplyId => "reply_id",
            Self::IngestCold => "ingest_cold_50_tools",
            Self::IngestWarm => "ingest_warm_50_tools",
            Self::View => "view_2000_tools",
            Self::ViewAndList => "view_and_list_2000_tools",
        }
    }

    /// Finds a piece by its name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|piece| piece.name() == name).with_context(|| format!("no piece {name}"))
    }

    /// How often it is done, for a count to be exact within a second or two.
    pub(crate) fn times(self) -> u64 {
        match self {
            Self::Scan | Self::ScanAndSplice | Self::ReplyId => 10_000,
            Self::IngestCold | Self::IngestWarm => 20,
            Self::View | Self::ViewAndList => 5,
        }
    }

    /// Does it.
    pub(crate) fn run(self, times: u64) -> Result<()> {
        match self {
            Self::Scan => repeat(times, &call::tools_call("search", 1), |call| {
                let message = read(call)?;
                Ok(params(call, &message)?.name.is_some())
            }),
            Self::ScanAndSplice => repeat(times, &call::tools_call("search", 1), splice),
            Self::ReplyId => repeat(times, &reply(), |reply| Ok(response_id(reply).is_some())),
            Self::IngestCold => repeat(times, &list::made(1, TOOLS), |list| {
                Ok(ingest(&Store::new(), list)?.items.len() == TOOLS)
            }),
            Self::IngestWarm => {
                let (store, list) = (Store::new(), list::made(1, TOOLS));
                let kept = ingest(&store, &list)?;
                repeat(times, &list, |list| Ok(ingest(&store, list)?.items.len() == kept.items.len()))
            }
            Self::View => views(times, |_| true),
            Self::ViewAndList => views(times, |view| {
                view.page(ItemKind::Tool, Reader::Modern, None).is_some_and(|page| page.len() > TOOLS)
            }),
        }
    }
}

/// Does something with `input`, `times` times; it has to succeed.
fn repeat(times: u64, input: &[u8], mut work: impl FnMut(&[u8]) -> Result<bool>) -> Result<()> {
    for _ in 0..times {
        ensure!(work(black_box(input))?, "the work did not succeed");
    }
    Ok(())
}

/// Another id, another name and another progress token.
fn splice(call: &[u8]) -> Result<bool> {
    let message = read(call)?;
    let params = params(call, &message)?;
    let token = params.meta.and_then(|meta| meta.progress_token);
    let mut edits = Edits::new(call);
    for (place, bytes) in [(message.id, "4711"), (params.name, "\"search_issues\""), (token, "4711")] {
        edits.replace(place.context("a call without one of its parts")?, bytes.as_bytes())?;
    }
    Ok(!black_box(edits.finish()).is_empty())
}

fn reply() -> Vec<u8> {
    let text = "Some \\\"words\\\".\\n".repeat(4000);
    let result = format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}");
    format!("{{\"result\":{result},\"jsonrpc\":\"2.0\",\"id\":7}}").into_bytes()
}

fn ingest(store: &Store, result: &[u8]) -> Result<List> {
    let mut pages = Pages::new(ItemKind::Tool);
    pages.add(store, result)?;
    Ok(pages.finish())
}

/// Makes the view of `SERVERS` servers again and again.
fn views(times: u64, mut looks: impl FnMut(&View) -> bool) -> Result<()> {
    let store = Store::new();
    let mut servers = Vec::new();
    for server in 0..SERVERS {
        let tools = ingest(&store, &list::made(server, TOOLS))?;
        servers.push((
            ServerName::new(&format!("server{server}")),
            ServerLists { tools, ..ServerLists::default() },
        ));
    }
    let presentation = Presentation::default();
    let parts: Vec<Part<'_>> = servers
        .iter()
        .map(|(server, lists)| Part { server, lists, presentation: &presentation, trusted: false })
        .collect();
    let allow = |server: &ServerName, _: ItemKind, _: &str, _: Class| match server.as_str() {
        "server7" => Admission::Hidden,
        _ => Admission::Open,
    };
    let scope = Scope::All { endpoint_key: "tollgate" };
    let plan =
        Plan { parts: &parts, scope, allow: Some(&allow), mode: ToolMode::Raw, is_core: None, ttl_ms: 1000 };
    for _ in 0..times {
        ensure!(looks(&View::new(black_box(&plan))), "the view shows nothing");
    }
    Ok(())
}
