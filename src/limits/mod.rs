//! Every bound of the product in one place: value, unit, reason.

use std::time::Duration;

mod admin;
mod cache;
mod clouds;
mod code;
mod content;
mod count;
mod gemini;
mod guard;
mod identity;
mod index;
mod jit;
mod lean;
mod ledger;
mod llm;
mod mcp;
mod meter;
mod pins;
mod place;
mod policy;
mod route;
mod search;
mod usage;

// One list in several files.
pub use admin::*;
pub use cache::*;
pub use clouds::*;
pub use code::*;
pub use content::*;
pub use count::*;
pub use gemini::*;
pub use guard::*;
pub use identity::*;
pub use index::*;
pub use jit::*;
pub use lean::*;
pub use ledger::*;
pub use llm::*;
pub use mcp::*;
pub use meter::*;
pub use pins::*;
pub use place::*;
pub use policy::*;
pub use route::*;
pub use search::*;
pub use usage::*;

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

/// Bytes of one value that is kept of a passing answer that is not a stream: `usage` has about 500, and 250
/// more for each time that the provider has asked its model.
pub const ANSWER_VALUE_BYTES_MAX: usize = 64 * 1024;

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

/// Networks and names in `network.allow_private`: each is compared with the address of a new connection.
pub const NETWORK_ALLOWED_MAX: usize = 256;

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

/// Keys that stand in the config itself. The shortest takes 50 bytes of its megabyte; whoever has so many
/// keeps them in the key file.
pub const CONFIG_KEYS_MAX: usize = 16 * 1024;

/// Entries of `models:`. A large reseller has some 600 models.
pub const MODELS_MAX: usize = 4096;

/// Entries of `models:` that are patterns: a name that none has exactly is held against each, in every call.
pub const MODEL_PATTERNS_MAX: usize = 1024;

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

const _: () = {
    assert!(HEAD_BYTES_MAX > TARGET_BYTES_MAX);
    assert!(CHUNK_EXCESS_BYTES_MAX >= CHUNK_LINE_BYTES_MAX as u64);
    assert!(STREAM_MEMORY_BYTES_MAX >= 2 * ANSWER_READ_BYTES_MAX + HEAD_BYTES_MAX + USAGE_EVENT_BYTES_MAX);
    assert!(BODIES_BYTES_MAX as u64 >= 4 * BODY_BYTES_MAX);
    assert!(PING_AFTER.as_secs() * 4 < 300);
    assert!(CONTENT_FRAME_BYTES_MAX as u64 >= 2 * BODY_BYTES_MAX + CONTENT_BATCH_BYTES as u64);
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
