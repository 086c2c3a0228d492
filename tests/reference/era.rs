//! Which eras the server speaks, and what it says to a caller of the other one.

use std::borrow::Cow;

use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

/// The eras that a process speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// Both; each message says which it is of.
    Both,
    /// Sessions opened by `initialize`, up to 2025-11-25.
    Legacy,
    /// Stateless, from 2026-07-28.
    Modern,
}

impl Era {
    /// The era of a command line.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "both" => Some(Self::Both),
            "legacy" => Some(Self::Legacy),
            "modern" => Some(Self::Modern),
            _ => None,
        }
    }

    /// The revisions to agree to.
    pub(crate) fn versions(self) -> Cow<'static, [ProtocolVersion]> {
        match self {
            Self::Both => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
            Self::Legacy => Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25)),
            Self::Modern => Cow::Owned(vec![ProtocolVersion::V_2026_07_28]),
        }
    }

    /// Whether a request with this `MCP-Protocol-Version` is one that a server from before 2026 turns away at
    /// its door. The SDK would tell such a caller in words of 2026 what it supports, which no old server can.
    pub(crate) fn refuses_version(self, header: &str) -> bool {
        self == Self::Legacy && header >= ProtocolVersion::V_2026_07_28.as_str()
    }

    /// The answer of such a server on pipes, where there is no header: it knows no `server/discover`, and
    /// everything else it takes as it comes.
    pub(crate) fn refusal_of_line(self, line: &str) -> Option<String> {
        let message: Value = serde_json::from_str(line).ok()?;
        let modern = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
        let refused = self == Self::Legacy && modern && !message["id"].is_null();
        let error = json!({ "code": -32601, "message": "Method not found" });
        refused.then(|| json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }).to_string())
    }
}

/// What the body of a refused HTTP request says.
pub(crate) fn refusal_over_http() -> String {
    let error = json!({ "code": -32000, "message": "Bad Request: unsupported protocol version" });
    json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string()
}
