//! Every bound of the product in one place: value, unit, reason.

use std::time::Duration;

/// Bytes of one HTTP head (request or status line with all headers). Claude Code sends about 1.5 KiB;
/// nginx allows 32 KiB.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Header lines of one head. Claude Code sends about 25, a CDN in front of a provider answers with about 30.
pub const HEADERS_MAX: usize = 100;

/// Names in the `Connection` headers of one head: each is looked for among all header names. One or two
/// are usual.
pub const CONNECTION_OPTIONS_MAX: usize = 16;

/// Bytes of a request target. The longest that a client sends is a path with `?beta=true`.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a request body: the limit of the Anthropic API (32 MB), in binary units so that what they
/// take, we take.
pub const BODY_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes of all request bodies held at once by the process; callers wait for their share.
pub const BODIES_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How long a caller waits for a share of `BODIES_BYTES_MAX` before it gets a 503.
pub const BODIES_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a chunk-size line including its extensions, which nobody we serve sends.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Bytes of framing that a chunked body may have beyond twice its data and 16 bytes a chunk. Without it,
/// one data
/// byte a chunk under a long extension makes us read 256 times what a body limit counts.
pub const CHUNK_EXCESS_BYTES_MAX: u64 = 16 * 1024;

/// Bytes of a trailer section; it is read and dropped.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Bytes that one read of an idle connection may take: most requests of tools fit.
pub const IDLE_READ_BYTES: usize = 4 * 1024;

/// Bytes that one read of an answer may take. Two such buffers and the socket buffers bound the memory
/// of a stream.
pub const STREAM_READ_BYTES: usize = 16 * 1024;

/// Bytes of room that a request body gets at first, and of the budget that it takes with it; both double
/// as the body arrives. Nearly all requests fit, so that they are read with few large reads.
pub const BODY_READ_BYTES: usize = 256 * 1024;

/// Bytes that one read of a large answer may take, once smaller ones have been filled.
pub const ANSWER_READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes of memory that one open stream may hold: its buffers, below, and what the usage reader keeps.
pub const STREAM_MEMORY_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one SSE event that the usage reader keeps (`message_start`, `message_delta`); longer ones
/// pass unread.
pub const USAGE_EVENT_BYTES_MAX: usize = 64 * 1024;

/// Nesting of JSON that we look into: deeper documents are refused before a recursive reader meets them.
pub const JSON_DEPTH_MAX: usize = 128;

/// Bytes of a JSON document that is read whole into a tape, which takes up to 28 bytes for each byte of
/// a hostile one.
pub const JSON_STRICT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a model's name. The longest in use, an ARN of an inference profile on Bedrock, has about 120.
pub const MODEL_NAME_BYTES_MAX: usize = 256;

/// Bytes of one value that is kept of a passing answer that is not a stream: `usage` has about 500.
pub const ANSWER_VALUE_BYTES_MAX: usize = 8 * 1024;

/// Silence of an upstream after which a ping is put into its event stream. Claude Code gives up after 300 s.
pub const PING_AFTER: Duration = Duration::from_secs(15);

/// How long a connection may take to deliver a whole head, from its first byte.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// How long a kept-alive connection may stay silent between requests.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(300);

/// How long a request body may go without a new byte.
pub const BODY_STALL_DEADLINE: Duration = Duration::from_secs(30);

/// Least pace of a request body, bytes per second, measured from its first byte with
/// `BODY_STALL_DEADLINE` of grace.
pub const BODY_PACE_BYTES_PER_S: u64 = 32 * 1024;

/// How long a caller may leave an answer unread before it is taken for gone.
pub const WRITE_STALL_DEADLINE: Duration = Duration::from_secs(300);

/// Bytes of an unread request body that we read and throw away so that the caller sees our refusal
/// instead of a reset.
pub const LINGER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long we do so.
pub const LINGER_DEADLINE: Duration = Duration::from_secs(2);

/// How long one address of an upstream may take to accept a connection.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long a TLS handshake may take, with a caller or an upstream.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How long an upstream may take to answer its first byte: Claude Code's own `API_TIMEOUT_MS`.
pub const FIRST_BYTE_DEADLINE: Duration = Duration::from_secs(600);

/// How long after sending a kept connection that closes without a byte of answer is taken for one that
/// was closed already: later the upstream has probably been at work, and asking again would work twice.
pub const RESEND_WITHIN: Duration = Duration::from_secs(2);

/// How long a caller may take to read what it is told at the very end.
pub const CUT_GRACE: Duration = Duration::from_secs(1);

/// How long an upstream may stay silent inside an answer. Pings keep the caller, this bounds what they hide.
pub const STREAM_STALL_DEADLINE: Duration = Duration::from_secs(600);

/// How long a connection to an upstream may be silent before the kernel asks whether its peer is still there:
/// a stream of events may rest for hours, and firewalls forget after minutes.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// How long between two such questions.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// Idle connections kept per core and provider.
pub const POOL_IDLE_MAX: usize = 64;

/// How long an idle upstream connection is kept: below the 60 s of common load balancers.
pub const POOL_IDLE_DEADLINE: Duration = Duration::from_secs(50);

/// How long an upstream connection is used at all, so that DNS changes and load balancing reach us.
pub const POOL_LIFETIME: Duration = Duration::from_secs(600);

/// How long the system's resolver may take.
pub const DNS_DEADLINE: Duration = Duration::from_secs(5);

/// How long a resolved address is used.
pub const DNS_TTL: Duration = Duration::from_secs(30);

/// Addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 8;

/// Caller connections per core; beyond it the listener rests until one closes.
pub const CONNECTIONS_MAX: usize = 16 * 1024;

/// Seconds that streams may go on after SIGTERM, unless `drain_s` says otherwise.
pub const DRAIN_S_DEFAULT: u64 = 30;

/// How long the first sign of a changed config, key or certificate file may take to be seen.
pub const RELOAD_POLL: Duration = Duration::from_millis(250);

/// Bytes of a list of models that we read from a provider.
pub const MODELS_BYTES_MAX: usize = 1024 * 1024;

/// How long a provider that did not list its models is not asked again.
pub const MODELS_REST: Duration = Duration::from_secs(30);

/// How long a list of models read from a provider is served.
pub const MODELS_TTL: Duration = Duration::from_secs(300);

/// How long a provider may take to list its models: Claude Code waits 3 s for ours.
pub const MODELS_DEADLINE: Duration = Duration::from_secs(2);

/// Bytes of a virtual key that a caller presents. Ours have 46; other tokens that stray in are longer,
/// and are no keys.
pub const KEY_BYTES_MAX: usize = 512;

/// Characters of a caller's model name that an error repeats.
pub const MODEL_SHOWN_CHARS_MAX: usize = 100;

/// Allowed patterns that a denial names before it says how many more there are.
pub const DENIAL_PATTERNS_MAX: usize = 12;

/// Bytes of the config file; an org of a thousand keys writes about 100 KiB.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Nesting of the config file; the deepest key that we know stands at 5.
pub const CONFIG_DEPTH_MAX: usize = 32;

/// Faults of a config that are shown, so that a binary file by mistake does not flood a terminal.
pub const CONFIG_FAULTS_MAX: usize = 50;

/// Bytes of a secret, certificate or CA file that the config names; a bundle of all public roots has 230 KiB.
pub const SECRET_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of the key file; a key takes about 200.
pub const KEY_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Characters of a name of a key, team or provider: it stands in headers, logs and metrics.
pub const NAME_CHARS_MAX: usize = 64;

/// Characters of a model name or pattern in the config.
pub const PATTERN_CHARS_MAX: usize = 256;

/// Worker threads; more than cores of the largest machines.
pub const THREADS_MAX: usize = 1024;

/// Seconds that a config may let streams go on after SIGTERM: a day.
pub const DRAIN_S_MAX: u64 = 24 * 60 * 60;

/// Milliseconds of any deadline that a config may set: a day.
pub const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Addresses that one process listens on.
pub const LISTEN_MAX: usize = 16;

/// Names that one core remembers: the hosts of its config, with room for those of a few reloads.
pub const DNS_NAMES_MAX: usize = 1024;

/// Connections that the kernel holds for us before we accept them.
pub const LISTEN_BACKLOG: i32 = 4096;

/// Bytes up to which several pieces are copied together before they are sent: a list of pieces costs the
/// kernel more to take in than a small copy costs us.
pub const JOINED_BYTES_MAX: usize = 8 * 1024;

/// Messages that a core may be behind with: a few scrapes of the metrics and the phases of the end.
pub const MAIL_MAX: usize = 64;

/// Open files that a loaded gateway may need: two for each connection of a few cores.
pub const OPEN_FILES_WANTED: u64 = 4 * 2 * CONNECTIONS_MAX as u64;

/// Bytes of a text from outside that a record keeps.
pub const RECORD_TEXT_BYTES_MAX: usize = 256;

/// How long a core may take to cut what runs, so that callers read the error event.
pub const CUT_DEADLINE: Duration = Duration::from_secs(3);

/// Blocks on their way to the writing thread.
pub const LOG_BLOCKS_MAX: usize = 64;

/// Bytes of lines that one core holds before it hands them over at once.
pub const LOG_BLOCK_BYTES: usize = 32 * 1024;

/// Bytes of lines that one core holds when nobody takes them.
pub const LOG_HELD_BYTES_MAX: usize = 1024 * 1024;

/// How long a core may take to hand over its counters.
pub const METRICS_DEADLINE: Duration = Duration::from_secs(1);

/// Bytes of a settings file; real ones have a few thousand.
pub const SETTINGS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Characters of the caller's own words that are quoted.
pub const DEMO_QUOTE_CHARS_MAX: usize = 200;

/// Bytes of one JSON-RPC message from or to an MCP server. A result of a tool has a few KiB, images in
/// base64 a few MiB; what Claude Code takes at most has half a MiB.
pub const MCP_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Messages of one call that wait to be taken; then its server is not read any more.
pub const MCP_MESSAGES_MAX: usize = 16;

/// Members of one object of a message that we look into: a result has about five, `_meta` a dozen. They are
/// compared with each other.
pub const MCP_MEMBERS_MAX: usize = 256;

/// Questions of a server in one round, and answers of a client. One is usual.
pub const MCP_INPUTS_MAX: usize = 32;

/// Bytes of the key of such a question.
pub const MCP_INPUT_KEY_BYTES_MAX: usize = 256;

/// Bytes of the name of a revision, which is a date.
pub const MCP_VERSION_BYTES_MAX: usize = 64;

/// Revisions that a server may say it speaks.
pub const MCP_VERSIONS_MAX: usize = 64;

/// Bytes of a legacy client's capabilities, and of its name and version: a session keeps them, and every call
/// to a modern server repeats them.
pub const MCP_CLIENT_FACTS_BYTES_MAX: usize = 16 * 1024;

/// Bytes of what a server says of itself; icons may be inside, and they are no icons of ours.
pub const MCP_SERVER_INFO_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the instructions of a server, and of those of all servers as one: they stand in the prompt of
/// every session. A paragraph is usual.
pub const MCP_INSTRUCTIONS_BYTES_MAX: usize = 16 * 1024;

/// Extensions that a server may declare.
pub const MCP_EXTENSIONS_MAX: usize = 32;

/// Bytes of the name and the settings of an extension.
pub const MCP_EXTENSION_BYTES_MAX: usize = 4 * 1024;

/// Bytes of the id that a server gives a task: sealed, it has to fit into a header.
pub const MCP_TASK_ID_BYTES_MAX: usize = 2 * 1024;

/// Bytes of an argument that a header repeats, as they stand in the body.
pub const MCP_PARAM_VALUE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a sealed text: the state of a parked call or our id of a task. The longest holds the id that a
/// server gave a task, and has to fit into a header.
pub const MCP_SEALED_BYTES_MAX: usize = 4 * 1024;

/// Bytes of the id of a JSON-RPC message, quotes included: it is kept while the call runs. Clients send
/// numbers, UUIDs and short words.
pub const MCP_ID_BYTES_MAX: usize = 512;

/// Messages in one batch (revision 2025-03-26 alone has batches); SDKs of that time sent one or two.
pub const MCP_BATCH_MAX: usize = 64;

/// How long a call of a tool may go without a message from its server: Claude Code waits as long.
pub const MCP_CALL_DEADLINE: Duration = Duration::from_secs(300);

/// Bytes of an answer to an MCP message that is no success: room for an error of JSON-RPC with its data.
pub const MCP_REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// How long we read on where the answer is known and only the connection is to be saved, or where a refusal
/// explains itself.
pub const MCP_TAIL_DEADLINE: Duration = Duration::from_secs(2);

/// How long a server may take to be told that its session is over.
pub const MCP_END_DEADLINE: Duration = Duration::from_secs(2);

/// How long a server of the HTTP+SSE transport may take to open its stream and say where to send.
pub const MCP_ENDPOINT_DEADLINE: Duration = Duration::from_secs(15);

/// Bytes of an event's id that is kept to take a stream up again; those of SDKs have about 80.
pub const MCP_EVENT_ID_BYTES_MAX: usize = 1024;

/// Bytes of a session id: stateless servers seal what they have to know into it.
pub const MCP_SESSION_ID_BYTES_MAX: usize = 8 * 1024;

/// How soon a stream that ended is taken up again, whatever its server wishes.
pub const MCP_RETRY_MIN: Duration = Duration::from_millis(100);

/// How soon when the server does not say.
pub const MCP_RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// How late at most.
pub const MCP_RETRY_MAX: Duration = Duration::from_secs(30);

/// How often the stream of one call is taken up again: a server that lets its callers poll ends it each time,
/// once a second for as long as `MCP_CALL_DEADLINE`.
pub const MCP_RESUMES_MAX: u32 = 300;

/// Attempts in a row that may fail when a stream is taken up again.
pub const MCP_RESUME_FAILURES_MAX: u32 = 5;

/// How long a session with a legacy server, or a process of callers, is kept without a call.
pub const MCP_IDLE: Duration = Duration::from_secs(600);

/// Servers under `mcp_servers:`; the largest lists that people publish have a few dozen.
pub const MCP_SERVERS_MAX: usize = 256;

/// Characters of a server's name, and of a prefix of its tools: half of the 64 that a tool's full name has
/// everywhere, so that both halves can be read.
pub const MCP_SERVER_NAME_CHARS_MAX: usize = 32;

/// Characters of the name that a config gives a tool: what tool search and other vendors take as a whole.
pub const MCP_TOOL_NAME_CHARS_MAX: usize = 64;

/// Entries under `tools:` of one server; servers have a few hundred tools at most.
pub const MCP_TOOL_OVERRIDES_MAX: usize = 1024;

/// Bytes of a tool's description in the config: Claude Code cuts them there.
pub const MCP_DESCRIPTION_BYTES_MAX: usize = 4096;

/// Arguments, variables or headers of one server, each.
pub const MCP_SETTINGS_MAX: usize = 128;

/// Bytes of one argument, variable or header of a server; a PEM key in a variable has about 3 KiB.
pub const MCP_SETTING_BYTES_MAX: usize = 16 * 1024;

/// Seconds that a config may keep a session or process without a call: a day.
pub const MCP_IDLE_S_MAX: u64 = 24 * 60 * 60;

/// Bytes of an OpenAPI document. The largest that many use, GitHub's, has 12 MB.
pub const OPENAPI_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Operations of one OpenAPI document. GitHub's has about 1,100.
pub const OPENAPI_OPERATIONS_MAX: usize = 2048;

/// Parameters of one operation; a dozen are many.
pub const OPENAPI_PARAMETERS_MAX: usize = 64;

/// Bytes of the schemas of one operation with their references followed: what is over is `{}` with a note.
/// A model reads every one of them.
pub const OPENAPI_SCHEMA_BYTES_MAX: usize = 32 * 1024;

/// Layers of one schema with its references followed, and references that lead to one another.
pub const OPENAPI_DEPTH_MAX: usize = 32;

/// Bytes of the name of an operation as a tool, and of an argument: providers of models take 64.
pub const OPENAPI_NAME_BYTES_MAX: usize = 64;

/// Items of a list that goes into a path, a query or a header.
pub const OPENAPI_ITEMS_MAX: usize = 1024;

/// Bytes of an answer of an API that are shown to the model: more than any takes, little enough to hold.
pub const OPENAPI_RESULT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a `.mcp.json`; it names a handful of servers.
pub const MCP_JSON_BYTES_MAX: u64 = 1024 * 1024;

/// Patterns of origins or of hosts that the MCP endpoint is open to, each.
pub const MCP_ALLOWED_MAX: usize = 256;

/// Bytes of the definition of one tool, prompt, resource or template. The largest of 1,800 published tools
/// has 87 KiB.
pub const MCP_DEFINITION_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the name of a tool or prompt: the specification advises 128.
pub const MCP_NAME_BYTES_MAX: usize = 256;

/// Bytes of a URI or a URI template of a resource.
pub const MCP_URI_BYTES_MAX: usize = 8 * 1024;

/// Variables of one URI template: matching takes time in proportion to them.
pub const MCP_TEMPLATE_VARIABLES_MAX: usize = 16;

/// Parameters of one tool that are repeated as `Mcp-Param-` headers: a third of what one head may have.
pub const MCP_PARAM_HEADERS_MAX: usize = 32;

/// Items of one list of one server. The largest known has 330 tools; lists of files are longer.
pub const MCP_LIST_ITEMS_MAX: usize = 4096;

/// Bytes of all definitions of one list of one server; 330 tools of Microsoft 365 have 2 MiB.
pub const MCP_LIST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Pages of one list of one server: 100 items a page are usual, and some servers send 10.
pub const MCP_LIST_PAGES_MAX: usize = 512;

/// Bytes of the cursor of a server.
pub const MCP_CURSOR_BYTES_MAX: usize = 4 * 1024;

/// Items of a list whose reason for being left out is kept; more are only counted.
pub const MCP_LEFT_OUT_MAX: usize = 64;

/// Milliseconds that a server's list is believed to stay good without asking: a day.
pub const MCP_TTL_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Characters of a tool's full name as Claude Code makes it, `mcp__KEY__TOOL`: what its tool search and
/// other vendors take.
pub const MCP_FULL_NAME_CHARS_MAX: usize = 64;

/// Characters that names of tools have at least, however long the endpoint's key: a short word, `_` and
/// the hash.
pub const MCP_EXPOSED_NAME_CHARS_MIN: usize = 24;

/// Rounds in which tools that share a name go on to a longer one together: three steps lead from a plain name
/// to the last, and names made to follow from each other take more.
pub const MCP_NAME_ROUNDS_MAX: usize = 8;

/// Bytes of definitions in one page of our own lists; all 1,800 published tools that we know are 4.6 MiB.
pub const MCP_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Definitions that the store may hold beyond twice the living ones before it looks for dead ones.
pub const MCP_STORE_SLACK: usize = 1024;

/// Lines of a child process that wait to be told apart; then its standard output is not read any more.
/// Each may be as large as a message.
pub const MCP_LINES_MAX: usize = 4;

/// Bytes of messages that wait to be written to a child process: a few large calls. Callers wait for their
/// share.
pub const MCP_WRITE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a message may take until a child process has read it: a server with one thread may be at work
/// for a while before it reads on.
pub const MCP_WRITE_DEADLINE: Duration = Duration::from_secs(60);

/// Lines in a row that are no JSON before a child process is given up. Real ones print a banner of a few
/// lines to the wrong stream.
pub const MCP_GARBAGE_LINES_MAX: u32 = 100;

/// Bytes of a line of garbage that the log is shown.
pub const MCP_GARBAGE_SHOWN_BYTES_MAX: usize = 256;

/// Bytes of a line that a child process writes to its standard error; the rest of it is thrown away.
pub const MCP_STDERR_LINE_BYTES_MAX: usize = 4 * 1024;

/// Lines of standard error that are handed on in one `MCP_STDERR_WINDOW`; the others are counted.
pub const MCP_STDERR_LINES_MAX: u32 = 100;

/// The time that `MCP_STDERR_LINES_MAX` is meant for.
pub const MCP_STDERR_WINDOW: Duration = Duration::from_secs(10);

/// How long the standard error of a child process that has ended is read before its end is told.
pub const MCP_LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a child process may take to end once its standard input is closed, as the protocol asks.
pub const MCP_CLOSE_GRACE: Duration = Duration::from_secs(3);

/// How long it may take to end after SIGTERM, before SIGKILL.
pub const MCP_TERM_GRACE: Duration = Duration::from_secs(2);

/// How long the kernel may take to end a killed process before nobody waits for it any more.
pub const MCP_REAP_DEADLINE: Duration = Duration::from_secs(10);

/// How often a process is asked whether it has ended when no signal tells.
pub const MCP_REAP_POLL: Duration = Duration::from_millis(50);

/// Calls that are open over one pipe at once.
pub const MCP_PIPE_CALLS_MAX: usize = 4096;

/// How long the first restart of a server waits; it doubles with every failure.
pub const MCP_RESTART_FIRST: Duration = Duration::from_millis(500);

/// How long a restart waits at most.
pub const MCP_RESTART_MAX: Duration = Duration::from_secs(60);

/// How long a server has to run before its earlier failures are forgotten.
pub const MCP_RESTART_HEALTHY: Duration = Duration::from_secs(60);

const _: () = {
    assert!(MCP_PAGE_BYTES_MAX >= 2 * MCP_DEFINITION_BYTES_MAX);
    assert!(MCP_DEFINITION_BYTES_MAX < MCP_MESSAGE_BYTES_MAX);
    assert!(HEAD_BYTES_MAX > TARGET_BYTES_MAX);
    assert!(CHUNK_EXCESS_BYTES_MAX >= CHUNK_LINE_BYTES_MAX as u64);
    assert!(STREAM_MEMORY_BYTES_MAX >= 2 * ANSWER_READ_BYTES_MAX + HEAD_BYTES_MAX + USAGE_EVENT_BYTES_MAX);
    assert!(BODIES_BYTES_MAX as u64 >= 4 * BODY_BYTES_MAX);
    assert!(PING_AFTER.as_secs() * 4 < 300);
    assert!(MCP_WRITE_BYTES_MAX >= 2 * MCP_MESSAGE_BYTES_MAX);
    assert!(MCP_MESSAGES_MAX >= 2);
};

/// The deadlines that a config may change (`timeouts:`), each by default the constant of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `HEAD_DEADLINE`.
    pub head: Duration,
    /// `IDLE_DEADLINE`.
    pub idle: Duration,
    /// `BODY_STALL_DEADLINE`.
    pub body_stall: Duration,
    /// `WRITE_STALL_DEADLINE`.
    pub write_stall: Duration,
    /// `CONNECT_DEADLINE`.
    pub connect: Duration,
    /// `FIRST_BYTE_DEADLINE`.
    pub first_byte: Duration,
    /// `STREAM_STALL_DEADLINE`.
    pub stream_stall: Duration,
    /// `PING_AFTER`.
    pub ping: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: HEAD_DEADLINE,
            idle: IDLE_DEADLINE,
            body_stall: BODY_STALL_DEADLINE,
            write_stall: WRITE_STALL_DEADLINE,
            connect: CONNECT_DEADLINE,
            first_byte: FIRST_BYTE_DEADLINE,
            stream_stall: STREAM_STALL_DEADLINE,
            ping: PING_AFTER,
        }
    }
}
