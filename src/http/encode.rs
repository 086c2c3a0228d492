//! Heads and chunk framing: from values to the bytes of the wire.
//!
//! Everything is appended to a buffer of the caller, which reuses it. Headers that cross are copied as whole
//! runs of lines, byte for byte; lines of our own are written in lower case.

use crate::http::head::{Framing, Headers};
use crate::http::headers::{Listed, crosses_to_caller, crosses_to_upstream};

/// The last chunk, with no trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What ends the data of every chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The answer to `Expect: 100-continue`, when the body is wanted.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Bytes to leave free before data, so that its chunk-size line fits: 16 digits, CR, LF.
pub const CHUNK_HEADROOM: usize = 18;

/// The header lines of a parsed head, with the buffer that they lie in.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The parsed lines.
    pub headers: &'a Headers,
    /// The buffer that was parsed.
    pub buf: &'a [u8],
}

impl Fields<'_> {
    /// No headers at all, for a request of our own.
    pub const NONE: Fields<'static> = Fields { headers: &NO_HEADERS, buf: &[] };
}

static NO_HEADERS: Headers = Headers::new();

/// A request as it goes out to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamRequest<'a> {
    /// The method's name.
    pub method: &'a str,
    /// The path, piece by piece; together they begin with a slash.
    pub path: &'a [&'a [u8]],
    /// The query without its question mark.
    pub query: Option<&'a [u8]>,
    /// The upstream's host, with its port unless that is the scheme's own.
    pub host: &'a str,
    /// Name and value of the header that carries the provider's key. A header of this name never crosses.
    pub credential: Option<(&'a str, &'a str)>,
    /// Further lines of our own.
    pub extra: &'a [(&'a str, &'a [u8])],
    /// Bytes of the body, or `None` where the method has none.
    pub content_length: Option<u64>,
}

/// An upstream's answer as it goes back to the caller.
#[derive(Clone, Copy, Debug)]
pub struct RelayedResponse<'a> {
    /// The status.
    pub status: u16,
    /// The upstream's reason; when empty, ours is written.
    pub reason: &'a [u8],
    /// How we frame the body: `UntilClose` only for HTTP/1.0, `None` where there is no body by definition.
    pub framing: Framing,
    /// Whether we close the connection afterwards.
    pub close: bool,
    /// Further lines of our own.
    pub extra: &'a [(&'a str, &'a [u8])],
}

/// Writes the head of a request to an upstream: `fields` are the caller's, of which those cross that may.
///
/// `accept-encoding: identity` is always written, since usage is read from the passing answer.
pub fn request_head(out: &mut Vec<u8>, request: &UpstreamRequest<'_>, fields: Fields<'_>) {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    for piece in request.path {
        put_target(out, piece);
    }
    if let Some(query) = request.query {
        out.push(b'?');
        put_target(out, query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    put_line(out, "host", request.host.as_bytes());
    let credential_name = request.credential.map(|(name, _)| name.as_bytes());
    put_crossing(out, fields, |name, listed| {
        crosses_to_upstream(name, listed)
            && !credential_name.is_some_and(|credential| name.eq_ignore_ascii_case(credential))
    });
    if let Some((name, value)) = request.credential {
        put_line(out, name, value.as_bytes());
    }
    for (name, value) in request.extra {
        put_line(out, name, value);
    }
    out.extend_from_slice(b"accept-encoding: identity\r\n");
    if let Some(length) = request.content_length {
        put_length(out, length);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a relayed answer: `fields` are the upstream's, of which those cross that may.
pub fn response_head(out: &mut Vec<u8>, response: &RelayedResponse<'_>, fields: Fields<'_>) {
    put_status_line(out, response.status, response.reason);
    put_crossing(out, fields, crosses_to_caller);
    for (name, value) in response.extra {
        put_line(out, name, value);
    }
    match response.framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => put_length(out, length),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if response.close || response.framing == Framing::UntilClose {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a whole answer of our own. `extra` may say `connection: close`.
///
/// A status that has no body (1xx, 204, 304) gets none, and no length.
pub fn own_response(
    out: &mut Vec<u8>,
    status: u16,
    content_type: &str,
    extra: &[(&str, &[u8])],
    body: &[u8],
) {
    own_head(out, status, content_type, extra, body.len() as u64);
    if has_body(status) {
        out.extend_from_slice(body);
    }
}

/// Writes the head of an answer of our own whose body has `length` bytes: alone it answers `HEAD`.
pub fn own_head(out: &mut Vec<u8>, status: u16, content_type: &str, extra: &[(&str, &[u8])], length: u64) {
    put_status_line(out, status, b"");
    if has_body(status) {
        put_line(out, "content-type", content_type.as_bytes());
        put_length(out, length);
    }
    for (name, value) in extra {
        put_line(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// A chunk-size line, inline: hexadecimal digits and CRLF.
#[derive(Clone, Copy, Debug)]
pub struct ChunkPrefix {
    bytes: [u8; CHUNK_HEADROOM],
    /// `0 <= start <= CHUNK_HEADROOM - 3`
    start: usize,
}

impl ChunkPrefix {
    /// The line's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The chunk-size line for `len` bytes of data, `CHUNK_END` follows the data. Zero is the beginning of
/// `LAST_CHUNK`.
pub fn chunk_prefix(len: usize) -> ChunkPrefix {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = [0; CHUNK_HEADROOM];
    let mut rest = len;
    let mut start = CHUNK_HEADROOM - 2;
    for (at, slot) in bytes.iter_mut().enumerate().rev() {
        match at {
            17 => *slot = b'\n',
            16 => *slot = b'\r',
            _ => {
                *slot = DIGITS.get(rest & 15).copied().unwrap_or(b'0');
                rest >>= 4;
                start = at;
                if rest == 0 {
                    break;
                }
            }
        }
    }
    ChunkPrefix { bytes, start }
}

/// Writes the chunk-size line of `len` bytes of data at `data_start` right in front of them, and returns
/// where it begins. `CHUNK_END` behind the data is the caller's to write.
///
/// `None` when there is no room for it (`CHUNK_HEADROOM` is always enough) or no data: a chunk of size zero
/// would end the body.
#[must_use]
pub fn put_chunk_prefix_before(buf: &mut [u8], data_start: usize, len: usize) -> Option<usize> {
    if len == 0 {
        return None;
    }
    let prefix = chunk_prefix(len);
    let start = data_start.checked_sub(prefix.as_bytes().len())?;
    buf.get_mut(start..data_start)?.copy_from_slice(prefix.as_bytes());
    Some(start)
}

/// The reason phrase of a status (RFC 9110 section 15), or nothing for one that we never answer with.
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        529 => "Overloaded",
        _ => "",
    }
}

const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Copies the lines that cross. Neighbours go in one piece, each line reaching to the name of the next.
fn put_crossing(out: &mut Vec<u8>, fields: Fields<'_>, crosses: impl Fn(&[u8], &Listed<'_>) -> bool) {
    let Fields { headers, buf } = fields;
    let listed = headers.listed(buf);
    let put_run = |out: &mut Vec<u8>, from: u32, to: u32| {
        out.extend_from_slice(buf.get(from as usize..to as usize).unwrap_or_default());
    };
    let mut run: Option<u32> = None;
    for span in headers.spans() {
        let line_crosses = crosses(span.name.get(buf), &listed);
        match run {
            None if line_crosses => run = Some(span.name.start),
            Some(from) if !line_crosses => {
                put_run(out, from, span.name.start);
                run = None;
            }
            _ => {}
        }
    }
    if let Some(from) = run {
        put_run(out, from, headers.end());
    }
}

fn put_status_line(out: &mut Vec<u8>, status: u16, upstream_reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    put_decimal(out, u64::from(status));
    out.push(b' ');
    put_clean(out, if upstream_reason.is_empty() { reason(status).as_bytes() } else { upstream_reason });
    out.extend_from_slice(b"\r\n");
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    put_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

fn put_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    put_clean(out, name.as_bytes());
    out.extend_from_slice(b": ");
    put_clean(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a piece of a target: what a request line cannot hold is percent-encoded. A caller's target holds no
/// such byte, a configured path may.
fn put_target(out: &mut Vec<u8>, piece: &[u8]) {
    if piece.iter().all(u8::is_ascii_graphic) {
        return out.extend_from_slice(piece);
    }
    for &byte in piece {
        if byte.is_ascii_graphic() {
            out.push(byte);
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16));
            out.push(b'%');
            out.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase() as u8));
        }
    }
}

/// Writes text that may come from config or a caller: control bytes become spaces, so that no value, whatever
/// its source, can begin a line of its own.
fn put_clean(out: &mut Vec<u8>, text: &[u8]) {
    let from = out.len();
    out.extend_from_slice(text);
    for byte in out.iter_mut().skip(from).filter(|byte| byte.is_ascii_control()) {
        *byte = b' ';
    }
}

fn put_decimal(out: &mut Vec<u8>, number: u64) {
    // u64::MAX has 20 digits.
    let mut digits = [0_u8; 20];
    let mut rest = number;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}
