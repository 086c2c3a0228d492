//! The table of all addresses below `/admin`, and the way from a request to its row.

use crate::admin::api::shape::{Holds, Member, may, must};
use crate::http::head::Method;
use crate::identity::role::Permission;
use crate::limits;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Entries of the ledger.
    Ledger,
    /// Sums of what was spent.
    Spend,
    /// How budgets stand.
    Budgets,
    /// All keys.
    Keys,
    /// A new key.
    CreateKey,
    /// Another secret for a key.
    RotateKey,
    /// The end of a key.
    RevokeKey,
    /// The tools of all servers as they were pinned.
    Tools,
    /// Yes to what a server has made of a tool.
    ApproveTool,
    /// No to it.
    RejectTool,
    /// What the config that is in force says.
    Config,
    /// What another config would say.
    CheckConfig,
    /// Who asks.
    Whoami,
    /// What rules say about a call.
    Explain,
    /// This table, for programs.
    Document,
}

/// What a change must be sure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// It changes nothing.
    Nothing,
    /// The list is still the one that was seen, or has nothing of the new name.
    OfList,
    /// The one thing is still as it was seen.
    OfOne,
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is about: one sentence.
    pub says: &'static str,
    /// An example; empty where it is left out of one.
    pub example: &'static str,
}

/// One operation at one address.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Its name in the document.
    pub id: &'static str,
    /// GET, or POST for what is more than a look.
    pub method: Method,
    /// The address; `{name}` stands for one step of it.
    pub path: &'static str,
    /// What it does: one sentence.
    pub says: &'static str,
    /// What is done.
    pub operation: Operation,
    /// What its caller must be allowed to do.
    pub need: Permission,
    /// What it must be sure of; anything but `Nothing` is a change.
    pub sure: Sure,
    /// Its query.
    pub query: &'static [Parameter],
    /// What comes in; `None` where there is no body.
    pub body: Option<&'static [Member]>,
    /// What comes out when it succeeds.
    pub answer: &'static [Member],
    /// The statuses of success: what they mean.
    pub success: &'static [(u16, &'static str)],
}

impl Route {
    /// Whether it changes something.
    pub const fn changes(&self) -> bool {
        !matches!(self.sure, Sure::Nothing)
    }

    /// What stands for `{name}` in a path of this shape.
    fn captured<'p>(&self, path: &'p str) -> Option<Option<&'p str>> {
        let (mut wanted, mut given) = (self.path.split('/'), path.split('/'));
        let mut name = None;
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(name),
                (Some("{name}"), Some(step)) if !step.is_empty() => name = Some(step),
                (Some(word), Some(step)) if word == step => {}
                _ => return None,
            }
        }
    }
}

/// What a request wants.
#[derive(Debug)]
pub enum Found<'p> {
    /// This, of the thing with this name.
    Route(&'static Route, Option<&'p str>),
    /// The address exists; these methods are understood there.
    Methods(String),
    /// There is no such address.
    Nothing,
}

/// Finds what a request wants; `path` begins with `/admin/`.
pub fn find(method: Method, path: &str) -> Found<'_> {
    // HEAD asks what GET asks, and is answered with less.
    let method = if method == Method::Head { Method::Get } else { method };
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(name) = route.captured(path) else { continue };
        if route.method == method {
            return Found::Route(route, name);
        }
        methods.push(if route.method == Method::Get { "GET, HEAD" } else { "POST" });
    }
    if methods.is_empty() { Found::Nothing } else { Found::Methods(methods.join(", ")) }
}

const fn query(name: &'static str, says: &'static str, example: &'static str) -> Parameter {
    Parameter { name, says, example }
}

const OK: &[(u16, &str)] = &[(200, "what was asked for")];
const IN_FORCE: &[(u16, &str)] = &[
    (200, "it is in force for every request from now on"),
    (202, "it is stored, and not in force yet: `why_not` says why"),
];

/// What comes in for a new key.
pub const NEW_KEY: &[Member] = &[
    must("name", Holds::Text(64), "1 to 64 of a-z A-Z 0-9 . _ -, not the name of a valid key")
        .like("\"example\""),
    may("team", Holds::Text(64), "a team of the config"),
    may("user", Holds::Text(limits::PATTERN_CHARS_MAX), "the person behind the key").like("\"ana\""),
    may("role", Holds::Text(16), "owner, operator, auditor or viewer: it opens /admin, and nothing else")
        .like("\"viewer\""),
    may("service", Holds::Flag, "whether it belongs to a program; such a key must end").like("false"),
    may(
        "expires",
        Holds::Text(40),
        "when it ends: a time such as 2027-01-31T00:00:00Z, or a while such as 90d",
    )
    .like("\"90d\""),
    may(
        "servers",
        Holds::Texts,
        "tools that it may call, such as github:read_*; left out, no limit of its own",
    )
    .like("[\"github:read_*\"]"),
    may(
        "regions",
        Holds::Texts,
        "patterns of the regions that its calls may run in; left out, no limit of its own",
    )
    .like("[\"eu-*\"]"),
    may("models", Holds::Texts, "patterns of the models that it may name; left out, no limit of its own")
        .like("[\"claude-*\"]"),
];

/// What comes in for another secret.
pub const ROTATION: &[Member] = &[
    may("overlap", Holds::Text(40), "how long the old secret goes on, such as 24h, which is the default")
        .like("\"1h\""),
    may(
        "expires",
        Holds::Text(40),
        "when the new one ends; left out, after as long a time as the old one had",
    ),
];

const TOOL: &[Member] = &[
    must("tool", Holds::Text(512), "`server.tool`"),
    must("hash", Holds::Text(64), "the definition that was decided about"),
];

const KEY: &[Member] = &[
    must("name", Holds::Text(64), "its name"),
    must("id", Holds::Text(12), "the first 12 digits of its hash"),
    must("state", Holds::Text(16), "valid or revoked"),
    must("in_force", Holds::Flag, "whether the change holds on all cores"),
    must("config", Holds::Text(12), "the version of the config that is in force"),
    must("etag", Holds::Text(64), "the state of the key now, for `If-Match`"),
    may("why_not", Holds::Text(1024), "why it is not in force yet"),
];

const MADE_KEY: &[Member] = &[
    must("key", Holds::Text(256), "the key itself; it is shown this once"),
    must("name", Holds::Text(64), "its name"),
    must("id", Holds::Text(12), "the first 12 digits of its hash"),
    must("in_force", Holds::Flag, "whether the change holds on all cores"),
    must("config", Holds::Text(12), "the version of the config that is in force"),
    must("etag", Holds::Text(64), "the state of the key now, for `If-Match`"),
    may("why_not", Holds::Text(1024), "why it is not in force yet"),
];

/// What comes in for a config that is to be checked.
pub const CONFIG: &[Member] = &[must(
    "yaml",
    Holds::Text(1024 * 1024),
    "the text of a config file, read as if it stood where the config of the gateway stands",
)
.like("\"listen: 127.0.0.1:4000\"")];

const CHECKED: &[Member] = &[
    must("ok", Holds::Flag, "whether it could be put in force"),
    must("running", Holds::Text(12), "the version that is in force"),
    may("version", Holds::Text(12), "the version that it would be"),
    may("faults", Holds::Objects, "what is wrong: file, line, column, text"),
    may("changes", Holds::Objects, "what would change: path, before, after"),
    may("more_changes", Holds::Count, "how many more there are than are told"),
    may("warnings", Holds::Texts, "what people should read"),
];

/// All there is, in the order in which people read it.
pub const ROUTES: &[Route] = &[
    Route {
        id: "whoami",
        path: "/admin/whoami",
        says: "Tells who the key belongs to and what it may do.",
        operation: Operation::Whoami,
        need: Permission::ReadSums,
        answer: &[
            must("key", Holds::Text(64), "name of the key"),
            must("id", Holds::Text(12), "the first 12 digits of its hash"),
            may("team", Holds::Text(64), "its team"),
            may("user", Holds::Text(256), "the person behind it"),
            must("permissions", Holds::Texts, "what it may do"),
        ],
        ..LOOK
    },
    Route {
        id: "openapi",
        path: "/admin/openapi.json",
        says: "Describes all of this as an OpenAPI 3.1 document.",
        operation: Operation::Document,
        need: Permission::ReadSums,
        answer: &[must("openapi", Holds::Text(8), "3.1.0"), must("paths", Holds::Anything, "addresses")],
        ..LOOK
    },
    Route {
        id: "ledger",
        path: "/admin/ledger",
        says: "Searches the ledger, or waits for entries to come.",
        operation: Operation::Ledger,
        need: Permission::ReadEntries,
        query: &[
            query("q", "a search as `tollgate ledger search` takes it", "kind:admin"),
            query("limit", "how many entries", "5"),
            query("before", "entries before this one", ""),
            query("from", "entries from this one on, or `end`", ""),
            query("wait", "seconds to wait for entries, with `from`", ""),
            query("facets", "what to count beside the entries", ""),
            query("id", "the one entry with this id", ""),
            query("session", "the entries of a session", ""),
        ],
        answer: &[],
        ..LOOK
    },
    Route {
        id: "spend",
        path: "/admin/spend",
        says: "Sums up what was spent.",
        operation: Operation::Spend,
        need: Permission::ReadSums,
        query: &[
            query("by", "up to three of key, team, user, model, provider, server, tool", "key"),
            query("per", "hour, day or month", "day"),
            query("q", "which entries count, as for the ledger", ""),
            query("tools", "`true` for tokens of tool definitions instead", ""),
        ],
        answer: &[],
        ..LOOK
    },
    Route {
        id: "budgets",
        path: "/admin/budgets",
        says: "Tells how all budgets stand.",
        operation: Operation::Budgets,
        need: Permission::ReadSums,
        answer: &[must("budgets", Holds::Objects, "budgets and their parts")],
        ..LOOK
    },
    Route {
        id: "keys",
        path: "/admin/keys",
        says: "Lists all keys, without their secrets. The `etag` header is the state of the list.",
        operation: Operation::Keys,
        need: Permission::ReadSettings,
        answer: &[
            must("keys", Holds::Objects, "keys of the config and of the key file, each with its `etag`"),
            must("etag", Holds::Text(64), "the state of the list, for `If-Match`"),
        ],
        ..LOOK
    },
    Route {
        id: "create_key",
        path: "/admin/keys",
        says: "Makes a key. The answer has the key itself, once.",
        operation: Operation::CreateKey,
        sure: Sure::OfList,
        body: Some(NEW_KEY),
        answer: MADE_KEY,
        ..CHANGE
    },
    Route {
        id: "rotate_key",
        path: "/admin/keys/{name}/rotate",
        says: "Makes another secret for a key, on the same terms. The answer has it, once.",
        operation: Operation::RotateKey,
        body: Some(ROTATION),
        answer: MADE_KEY,
        ..CHANGE
    },
    Route {
        id: "revoke_key",
        path: "/admin/keys/{name}/revoke",
        says: "Revokes the key with this name or id.",
        operation: Operation::RevokeKey,
        body: Some(&[]),
        answer: KEY,
        ..CHANGE
    },
    Route {
        id: "tools",
        path: "/admin/tools",
        says: "Lists the tools of all servers as they were pinned, with what has changed about them.",
        operation: Operation::Tools,
        need: Permission::ReadSettings,
        query: &[query("open", "`true` for those alone that wait for a decision", "")],
        answer: &[must("tools", Holds::Objects, "tools: state, hashes, what has changed, hints, `etag`")],
        ..LOOK
    },
    Route {
        id: "approve_tool",
        path: "/admin/tools/{name}/approve",
        says: "Lets through what a server has made of its tool, `server.tool`. It holds within a second.",
        operation: Operation::ApproveTool,
        body: Some(&[]),
        answer: TOOL,
        ..DECISION
    },
    Route {
        id: "reject_tool",
        path: "/admin/tools/{name}/reject",
        says: "Goes on without what a server has made of its tool, `server.tool`.",
        operation: Operation::RejectTool,
        body: Some(&[]),
        answer: TOOL,
        ..DECISION
    },
    Route {
        id: "config",
        path: "/admin/config",
        says: "Shows the config that was loaded last with every default filled in and every secret masked.",
        operation: Operation::Config,
        need: Permission::ReadSettings,
        answer: &[must("version", Holds::Text(12), "the version that is in force")],
        ..LOOK
    },
    Route {
        id: "check_config",
        method: Method::Post,
        path: "/admin/config/check",
        says: "Says what is wrong with another config, or what it would change. Changes nothing.",
        operation: Operation::CheckConfig,
        need: Permission::ChangeSettings,
        body: Some(CONFIG),
        answer: CHECKED,
        ..LOOK
    },
    Route {
        id: "explain",
        path: "/admin/policy/explain",
        says: "Says what the rules that are in force decide about a call, and which rule decides.",
        operation: Operation::Explain,
        need: Permission::ReadSettings,
        query: &[
            query("key", "name or id of a valid key", "{key}"),
            query("model", "the model that it would name; either this or `call`", "claude-any"),
            query("call", "the tool that it would call: `server.tool`", ""),
        ],
        answer: &[
            must("allowed", Holds::Flag, "whether it may"),
            must("why", Holds::Text(4096), "the rules that allow it, or what stands in the way"),
            must("key", Holds::Text(64), "whose call"),
            must("config", Holds::Text(12), "the version that is in force"),
        ],
        ..LOOK
    },
];

/// What looks have in common.
const LOOK: Route = Route {
    id: "",
    method: Method::Get,
    path: "",
    says: "",
    operation: Operation::Document,
    need: Permission::ReadSums,
    sure: Sure::Nothing,
    query: &[],
    body: None,
    answer: &[],
    success: OK,
};

/// What changes of keys have in common.
const CHANGE: Route = Route {
    method: Method::Post,
    need: Permission::ChangeKeys,
    sure: Sure::OfOne,
    success: IN_FORCE,
    ..LOOK
};

/// What decisions about tools have in common. The hub takes notice within a second.
const DECISION: Route = Route {
    need: Permission::ChangeApprovals,
    success: &[(202, "it is decided, and holds within a second")],
    ..CHANGE
};
