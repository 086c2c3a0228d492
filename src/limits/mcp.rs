//! The bounds of the MCP side.

use std::time::Duration;

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

/// Milliseconds for which the document of an API that is fetched stays good: APIs change with releases. After
/// half of it the document is fetched anew, when somebody asks.
pub const OPENAPI_TTL_MS: u64 = 10 * 60 * 1000;

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

/// Calls of the MCP side that wait to be taken up by the hub.
pub const MCP_ASKS_MAX: usize = 4 * 1024;

/// Sessions of legacy callers in all: each costs about 1 KiB.
pub const MCP_SESSIONS_MAX: usize = 64 * 1024;

/// Sessions of one key: a team's CI may share one.
pub const MCP_SESSIONS_OF_KEY_MAX: usize = 4 * 1024;

/// How long a session is kept without a stream and without a call: Claude Code does not end its own.
pub const MCP_SESSION_IDLE: Duration = Duration::from_secs(30 * 60);

/// Questions to one session that are open at once.
pub const MCP_ASKED_MAX: usize = 64;

/// Streams for news of one key, and in all. Each is an idle connection of a core.
pub const MCP_STREAMS_OF_KEY_MAX: usize = 4 * 1024;

/// Streams for news in all.
pub const MCP_STREAMS_MAX: usize = 64 * 1024;

/// Resources that one session or stream may watch.
pub const MCP_WATCHED_MAX: usize = 256;

/// Calls that wait for answers of one key's callers; each holds a session of its server.
pub const MCP_PARKED_OF_KEY_MAX: usize = 64;

/// Calls that wait for answers in all.
pub const MCP_PARKED_MAX: usize = 4 * 1024;

/// How long a question to a caller may stay open: a person has to notice and to decide. Less than
/// `MCP_CALL_DEADLINE`, for which a server that waits may be silent.
pub const MCP_PARKED_DEADLINE: Duration = Duration::from_secs(240);

/// How long a server may ask about a call that has ended on our side only.
pub const MCP_GHOST: Duration = Duration::from_secs(600);

/// Sessions or processes of one server that callers may have opened: one for each set of capabilities, or
/// for each key where it is so configured.
pub const MCP_LANES_MAX: usize = 256;

/// Processes of one shared server: few clients differ in what they declare, and a process is dear.
pub const MCP_SHARED_PROCESSES_MAX: usize = 16;

/// Calls of one key that the hub has under way, and bytes of their messages.
pub const MCP_CALLS_OF_KEY_MAX: usize = 1024;

/// Bytes of messages of one key that the hub holds.
pub const MCP_HELD_OF_KEY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long servers may take to end once everything is cut: less than `CUT_DEADLINE`, so that what is left
/// is killed and not orphaned.
pub const MCP_STOP_DEADLINE: Duration = Duration::from_secs(2);

/// How long further questions of a legacy server are waited for before a modern caller is told the first:
/// each round costs a person another look.
pub const MCP_GATHER: Duration = Duration::from_millis(25);

/// How often a pipe is told that a parked call is not its server's silence.
pub const MCP_PARKED_TOUCH: Duration = Duration::from_secs(20);

/// Rounds of questions before a call is given up: what the SDKs allow.
pub const MCP_ROUNDS_MAX: u32 = 10;

/// How long a call of a tool use is taken to be under way at most.
pub const MCP_REPEAT_RUNNING: Duration = Duration::from_secs(360);

/// How long the answer to a tool use is remembered, in case the client asks again under the same id.
pub const MCP_REPEAT_TTL: Duration = Duration::from_secs(60);

/// Bytes of an answer that is remembered for that.
pub const MCP_REPEAT_BYTES_MAX: usize = 64 * 1024;

/// Tool uses that are remembered.
pub const MCP_REPEATS_MAX: usize = 4 * 1024;

/// How long a server may take to say what it is.
pub const MCP_OPEN_DEADLINE: Duration = Duration::from_secs(30);

/// How long a call waits for the stream of unsolicited messages of a new session.
pub const MCP_LISTEN_DEADLINE: Duration = Duration::from_millis(500);

/// How long a server may take to answer the question for its era; `npx` has to start first.
pub const MCP_PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a server may take to list all it has.
pub const MCP_LIST_DEADLINE: Duration = Duration::from_secs(60);

/// How long the first question of a caller waits for servers that have not listed yet: Claude Code waits 5 s
/// for `server/discover`.
pub const MCP_FIRST_LISTS_DEADLINE: Duration = Duration::from_secs(3);

/// Least time between two listings of a server, however often it says that they have changed.
pub const MCP_REFRESH_GAP: Duration = Duration::from_millis(200);

/// Least time between two listings of a server that says nothing of changes.
pub const MCP_RELIST_GAP: Duration = Duration::from_secs(60);

/// Pages of one list of one server.
pub const MCP_PAGES_MAX: usize = 200;

/// Bytes of one list of one server: the largest public one has 0.3 MiB.
pub const MCP_LISTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Definitions that were left out which the log names, of one listing.
pub const MCP_LEFT_OUT_SHOWN_MAX: usize = 10;

/// Views that are kept: one for each set of rules and address.
pub const MCP_VIEWS_MAX: usize = 1024;

/// Parts of what is remembered of the marks in lists, each behind a lock of its own: more than cores, so that
/// two rarely meet.
pub const MCP_MARKS_SHARDS: usize = 64;

/// Callers and addresses whose marks each part remembers; each takes some 100 bytes, and callers with the
/// same rights share the marks: 6 MB at most.
pub const MCP_MARKS_OF_SHARD_MAX: usize = 1024;

/// Heaps of views that a core has done with and that wait for somebody who drops them; they are fetched ten
/// times a second, and what comes beyond these is dropped at once.
pub const MCP_VIEWS_LEFT_MAX: usize = 4;

/// Milliseconds for which a modern caller may keep what it has discovered; it is told of changes of lists.
pub const MCP_DISCOVER_TTL_MS: u64 = 60_000;

/// How long our id of a server's task is good.
pub const MCP_TASK_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a legacy server is asked to keep a task, and how long its session or process is kept for one: an
/// hour is more than any call is waited for.
pub const MCP_TASK_KEPT: Duration = Duration::from_secs(60 * 60);

/// Least time between two looks at a task, whatever its server wishes.
pub const MCP_TASK_POLL_MIN: Duration = Duration::from_millis(50);

/// Time between two looks when the server has no wish.
pub const MCP_TASK_POLL_DEFAULT: Duration = Duration::from_secs(1);

/// Most time between two looks: a person waits at the other end.
pub const MCP_TASK_POLL_MAX: Duration = Duration::from_secs(15);

/// Looks at a task in a row that may fail.
pub const MCP_TASK_MISSES_MAX: u32 = 3;

/// How long a server may take to give a task up that nobody waits for any more.
pub const MCP_TASK_CANCEL_DEADLINE: Duration = Duration::from_secs(10);

/// How long a modern caller's look at a task waits for questions that the server says it has; after that it
/// is told that the task is worked on.
pub const MCP_TASK_ASK_DEADLINE: Duration = Duration::from_secs(2);

/// Tasks of legacy servers with questions to modern callers, of all keys.
pub const MCP_TASKS_ASKING_MAX: usize = 1024;

/// The same of one key.
pub const MCP_TASKS_ASKING_OF_KEY_MAX: usize = 64;

const _: () = {
    assert!(MCP_PAGE_BYTES_MAX >= 2 * MCP_DEFINITION_BYTES_MAX);
    assert!(MCP_DEFINITION_BYTES_MAX < MCP_MESSAGE_BYTES_MAX);
    assert!(MCP_WRITE_BYTES_MAX >= 2 * MCP_MESSAGE_BYTES_MAX);
    assert!(MCP_MESSAGES_MAX >= 2);
};

/// Open files of a process of a server where its config says nothing: more than servers need, and not the
/// hundreds of thousands that the gateway has for itself and that its children would inherit.
pub const MCP_OPEN_FILES_DEFAULT: u64 = 16_384;

/// The least that can be asked for: a runtime has a dozen open before it has done anything.
pub const MCP_OPEN_FILES_MIN: u64 = 16;

/// The most, which is what kernels allow.
pub const MCP_OPEN_FILES_MAX: u64 = 1 << 20;

/// Bits that files of servers do not get: they are nobody's else.
pub const MCP_UMASK: u32 = 0o027;

/// Bytes of memory below which hardly a runtime starts.
pub const MCP_MEMORY_BYTES_MIN: u64 = 16 << 20;

/// Bytes of a file below which a limit is a mistake in units.
pub const MCP_FILE_BYTES_MIN: u64 = 1 << 20;

/// Processes of a user, more than kernels number.
pub const MCP_PROCESSES_MAX: u64 = 1 << 22;

/// Seconds of processor time: a year of one core.
pub const MCP_CPU_S_MAX: u64 = 366 * 24 * 60 * 60;

/// Bytes of `/etc/passwd` that are looked through for a name.
pub const PASSWD_BYTES_MAX: u64 = 1024 * 1024;
