//! Request and response heads: from bytes to spans, strictly.
//!
//! Two readers look at every head. Our own pass over the line ends finds where the head stops and refuses
//! what `httparse` forgives (LF without CR, folded lines); `httparse` then checks every byte of the lines.
//! They must agree on the length. A partial head is read again from its start with the next bytes: that costs
//! less than the read that brought them, and leaves no state that could belong to another request.

use std::mem::MaybeUninit;

use memchr::{memchr, memchr3};

use crate::http::framing::Facts;
use crate::http::headers::Listed;
use crate::http::refusal::Refusal;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};

/// A piece of the buffer that a head was parsed from: `start <= end <= HEAD_BYTES_MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes, when `buf` is the buffer that was parsed; nothing when it is too short to be that.
    pub fn get(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Where `part` lies in `buf`. An empty part may lie anywhere, `httparse` takes some from elsewhere.
    fn of(part: &[u8], buf: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(buf.as_ptr() as usize);
        if part.is_empty() || start > buf.len() {
            return Self::default();
        }
        Self { start: offset(start), end: offset(start + part.len()) }
    }
}

/// One header line. White space around the value is outside of its span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderSpan {
    /// The name as it was written.
    pub name: Span,
    /// The value.
    pub value: Span,
}

/// The header lines of one head in their order. The list is reused, so a connection allocates it once.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    list: Vec<HeaderSpan>,
    /// Offset of the empty line: each header line reaches to the next one's name, the last one to here.
    end: u32,
    /// Whether `Connection` lists anything but `close` and `keep-alive`.
    lists_names: bool,
}

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self { list: Vec::new(), end: 0, lists_names: false }
    }

    /// How many lines there are, at most `limits::HEADERS_MAX`.
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The lines as spans.
    pub fn spans(&self) -> &[HeaderSpan] {
        &self.list
    }

    /// Names and values in their order. `buf` is the buffer that was parsed.
    pub fn iter<'a>(&'a self, buf: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.list.iter().map(move |span| (span.name.get(buf), span.value.get(buf)))
    }

    /// The values of every header of this name, whatever its case.
    pub fn all<'a>(&'a self, buf: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter(buf)
            .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The value of the first header of this name, whatever its case.
    pub fn first<'a>(&'a self, buf: &'a [u8], name: &'a str) -> Option<&'a [u8]> {
        self.all(buf, name).next()
    }

    /// The header names that `Connection` takes off the way (RFC 9110 section 7.6.1).
    pub fn listed<'a>(&'a self, buf: &'a [u8]) -> Listed<'a> {
        Listed::new(self.lists_names.then_some((self, buf)))
    }

    /// Offset of the empty line behind the last header.
    pub(in crate::http) const fn end(&self) -> u32 {
        self.end
    }

    fn fill(&mut self, buf: &[u8], parsed: &[httparse::Header<'_>], end: usize) {
        self.list.clear();
        self.list.extend(parsed.iter().map(|header| HeaderSpan {
            name: Span::of(header.name.as_bytes(), buf),
            value: Span::of(header.value, buf),
        }));
        // The empty line is the last two bytes of a complete head.
        self.end = offset(end.saturating_sub(2));
    }
}

/// The methods that somebody asks about. Names are case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
    /// Any other token; `RequestHead::method_name` has it.
    Other,
}

impl Method {
    fn from_name(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

/// The versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One request per connection, no chunks.
    Http10,
    /// RFC 9112.
    Http11,
}

/// Where the body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes; zero when the length was written and is zero.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection closes; responses only.
    UntilClose,
}

/// How far a parse came.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The head is whole, all fields are set.
    Complete,
    /// More bytes are needed; the fields mean nothing yet.
    Partial,
}

/// The head of a request. Offsets are those of the buffer given to `parse`.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Bytes of the head with its empty line, and with an empty line before it if there was one: the body
    /// begins here.
    pub bytes: usize,
    /// The method.
    pub method: Method,
    /// The method as it was written.
    pub method_name: Span,
    /// Path and query as written: begins with a slash, visible ASCII, no fragment, at most `TARGET_BYTES_MAX`
    /// bytes.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The header lines.
    pub headers: Headers,
    /// Never `UntilClose`.
    pub framing: Framing,
    /// Whether the caller wants another request on this connection. HTTP/1.0 never gets one.
    pub keep_alive: bool,
    /// Whether the caller waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestHead {
    /// An empty head, to be reused for each request of a connection.
    pub const fn new() -> Self {
        Self {
            bytes: 0,
            method: Method::Other,
            method_name: Span { start: 0, end: 0 },
            target: Span { start: 0, end: 0 },
            version: Version::Http11,
            headers: Headers::new(),
            framing: Framing::None,
            keep_alive: false,
            expect_continue: false,
        }
    }

    /// Reads the head that `buf` begins with. One empty line before it is skipped (RFC 9112 section 2.2).
    ///
    /// # Errors
    /// The refusal that the caller should be answered with, before the connection is closed.
    pub fn parse(&mut self, buf: &[u8]) -> Result<Progress, Refusal> {
        let start = match buf {
            [] | [b'\r'] | [b'\r', b'\n'] => return Ok(Progress::Partial),
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        if !buf.get(start).is_some_and(|&byte| is_token(byte)) {
            return Err(Refusal::BadRequestLine);
        }
        let Some(end) = find_end(buf, start, TARGET_BYTES_MAX + METHOD_AND_VERSION_BYTES_MAX)? else {
            return Ok(Progress::Partial);
        };
        let raw = buf.get(start..end).unwrap_or_default();
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_request_with_uninit_headers(&mut parsed, raw, &mut slots) {
            Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
            Ok(_) => return Err(Refusal::BadRequestLine),
            Err(error) => return Err(fault(error, raw, request_line_fault)),
        }
        let method = parsed.method.unwrap_or_default().as_bytes();
        let target = parsed.path.unwrap_or_default().as_bytes();
        check_target(method, target)?;
        self.method = Method::from_name(method);
        self.method_name = Span::of(method, buf);
        self.target = Span::of(target, buf);
        self.version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.headers.fill(buf, parsed.headers, end);
        self.bytes = end;
        self.settle(buf)?;
        Ok(Progress::Complete)
    }

    /// Path and query; the query without its question mark, and `None` when there is none.
    pub fn path_and_query<'a>(&self, buf: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        let target = self.target.get(buf);
        match memchr(b'?', target).and_then(|at| target.split_at_checked(at)) {
            Some((path, query)) => (path, query.get(1..)),
            None => (target, None),
        }
    }

    /// Draws the conclusions from the headers.
    fn settle(&mut self, buf: &[u8]) -> Result<(), Refusal> {
        let facts = Facts::gather(&self.headers, buf)?;
        let http11 = self.version == Version::Http11;
        match facts.hosts {
            0 if http11 => return Err(Refusal::MissingHost),
            0 | 1 => {}
            _ => return Err(Refusal::RepeatedHost),
        }
        if facts.bad_host {
            return Err(Refusal::BadHost);
        }
        if facts.lengths > 1 {
            return Err(Refusal::RepeatedContentLength);
        }
        self.framing = facts.framing(&self.headers, buf, self.version)?.unwrap_or(Framing::None);
        // An HTTP/1.0 client cannot wait for 100, whatever it writes (RFC 9110 section 10.1.1).
        if http11 && facts.bad_expect {
            return Err(Refusal::UnknownExpectation);
        }
        let has_body = !matches!(self.framing, Framing::None | Framing::Length(0));
        self.expect_continue = http11 && facts.expect_continue && has_body;
        self.keep_alive = http11 && !facts.close;
        self.headers.lists_names = facts.lists_names;
        Ok(())
    }
}

/// The head of a response. Offsets are those of the buffer given to `parse`.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Bytes of the head with its empty line: the body begins here.
    pub bytes: usize,
    /// 100 to 599, but never 101.
    pub status: u16,
    /// The reason as written; empty when missing or beyond ASCII.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// The header lines.
    pub headers: Headers,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection may carry another request once the body has ended.
    pub keep_alive: bool,
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseHead {
    /// An empty head, to be reused for each response of a connection.
    pub const fn new() -> Self {
        Self {
            bytes: 0,
            status: 0,
            reason: Span { start: 0, end: 0 },
            version: Version::Http11,
            headers: Headers::new(),
            framing: Framing::None,
            keep_alive: false,
        }
    }

    /// Whether this is a 1xx: the real head follows at `bytes`.
    pub const fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// Reads the head that `buf` begins with; `request_was_head` because such an answer has no body, whatever
    /// it says.
    ///
    /// # Errors
    /// What is wrong with the upstream's answer; the connection is of no more use.
    pub fn parse(&mut self, buf: &[u8], request_was_head: bool) -> Result<Progress, Refusal> {
        match buf.first() {
            None => return Ok(Progress::Partial),
            Some(b'H') => {}
            Some(_) => return Err(Refusal::BadStatusLine),
        }
        let Some(end) = find_end(buf, 0, HEAD_BYTES_MAX)? else { return Ok(Progress::Partial) };
        let raw = buf.get(..end).unwrap_or_default();
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut parsed, raw, &mut slots) {
            Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
            Ok(_) => return Err(Refusal::BadStatusLine),
            Err(error) => return Err(fault(error, raw, status_line_fault)),
        }
        self.status = match parsed.code {
            Some(101) => return Err(Refusal::UnexpectedUpgrade),
            Some(status @ 100..=599) => status,
            _ => return Err(Refusal::BadStatusLine),
        };
        self.reason = Span::of(parsed.reason.unwrap_or_default().as_bytes(), buf);
        self.version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
        self.headers.fill(buf, parsed.headers, end);
        self.bytes = end;
        self.settle(buf, request_was_head)?;
        Ok(Progress::Complete)
    }

    /// Draws the conclusions from the headers.
    fn settle(&mut self, buf: &[u8], request_was_head: bool) -> Result<(), Refusal> {
        let facts = Facts::gather(&self.headers, buf)?;
        if facts.lengths_differ {
            return Err(Refusal::RepeatedContentLength);
        }
        let written = facts.framing(&self.headers, buf, self.version)?;
        let bodiless = request_was_head || self.is_interim() || matches!(self.status, 204 | 304);
        self.framing = if bodiless { Framing::None } else { written.unwrap_or(Framing::UntilClose) };
        let ends_by_itself = self.framing != Framing::UntilClose;
        self.keep_alive = self.version == Version::Http11 && !facts.close && ends_by_itself;
        self.headers.lists_names = facts.lists_names;
        Ok(())
    }
}

fn check_target(method: &[u8], target: &[u8]) -> Result<(), Refusal> {
    if method == b"CONNECT" {
        return Err(Refusal::Connect);
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    match target.first() {
        Some(b'/') => {}
        Some(b'*') if target.len() == 1 => return Err(Refusal::AsteriskTarget),
        _ if target.windows(3).any(|three| three == b"://") => return Err(Refusal::AbsoluteTarget),
        _ => return Err(Refusal::AuthorityTarget),
    }
    if target.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(Refusal::BadTarget);
    }
    Ok(())
}

/// Finds the end of the head that begins at `start`, looking at line ends only.
///
/// Each LF must follow a CR and each CR precede an LF, no line may begin with white space, no byte may be
/// zero. The first line may have `first_line_max` bytes. Bounds: `HEAD_BYTES_MAX` from the start of `buf`.
fn find_end(buf: &[u8], start: usize, first_line_max: usize) -> Result<Option<usize>, Refusal> {
    let window = buf.get(..HEAD_BYTES_MAX).unwrap_or(buf);
    let mut from = start;
    while let Some(hit) = memchr3(b'\r', b'\n', 0, window.get(from..).unwrap_or_default()) {
        let at = from + hit;
        if from == start && hit > first_line_max {
            return Err(Refusal::TargetTooLong);
        }
        let rest = window.get(at..).unwrap_or_default();
        match rest {
            [b'\r', b'\n', b' ' | b'\t', ..] => return Err(Refusal::ObsFold),
            [b'\r', b'\n', b'\r', b'\n', ..] => return Ok(Some(at + 4)),
            [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => break,
            [b'\r', b'\n', b'\r', ..] => return Err(Refusal::BareCr),
            [b'\r', b'\n', ..] => from = at + 2,
            [b'\r', ..] => return Err(Refusal::BareCr),
            [b'\n', ..] => return Err(Refusal::BareLf),
            _ => return Err(Refusal::Nul),
        }
    }
    if from == start && memchr(b'\r', window.get(start..).unwrap_or_default()).is_none() {
        let first_line = window.len().saturating_sub(start);
        if first_line > first_line_max {
            return Err(Refusal::TargetTooLong);
        }
    }
    if buf.len() >= HEAD_BYTES_MAX { Err(Refusal::HeadTooLarge) } else { Ok(None) }
}

/// The name for what `httparse` found; off the usual way, so the lines are looked at once more.
fn fault(error: httparse::Error, raw: &[u8], first_line_fault: fn(&[u8]) -> Refusal) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::HeaderValue => Refusal::BadHeaderValue,
        httparse::Error::HeaderName => name_fault(raw),
        httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => first_line_fault(lines(raw).next().unwrap_or_default()),
    }
}

fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Every CR is half of a CRLF here, see `find_end`.
    raw.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn name_fault(raw: &[u8]) -> Refusal {
    for line in lines(raw).skip(1) {
        let name = memchr(b':', line).and_then(|colon| line.get(..colon)).unwrap_or_default();
        let trimmed = name.trim_ascii_end();
        if trimmed.is_empty() || !trimmed.iter().all(|&byte| is_token(byte)) {
            return Refusal::BadHeaderName;
        }
        if trimmed.len() < name.len() {
            return Refusal::SpaceBeforeColon;
        }
    }
    Refusal::BadHeaderName
}

fn request_line_fault(line: &[u8]) -> Refusal {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Refusal::BadRequestLine;
    };
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) || target.is_empty() {
        Refusal::BadRequestLine
    } else if is_other_version(version) {
        Refusal::UnsupportedVersion
    } else if !target.iter().all(u8::is_ascii_graphic) {
        Refusal::BadTarget
    } else {
        Refusal::BadRequestLine
    }
}

fn status_line_fault(line: &[u8]) -> Refusal {
    let version = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    if is_other_version(version) { Refusal::UnsupportedVersion } else { Refusal::BadStatusLine }
}

/// `HTTP/2`, `HTTP/0.9` and their like, which are versions but not ours.
fn is_other_version(text: &[u8]) -> bool {
    let ours = matches!(text, b"HTTP/1.0" | b"HTTP/1.1");
    let digits = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let number = text.strip_prefix(b"HTTP/").unwrap_or_default();
    !ours && number.len() <= 3 && number.first().is_some_and(u8::is_ascii_digit) && number.iter().all(digits)
}

/// RFC 9110 section 5.6.2 `tchar`.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Heads end below `HEAD_BYTES_MAX`, so every offset fits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What a request line holds beside its target: method, two spaces, version.
const METHOD_AND_VERSION_BYTES_MAX: usize = 64;

const _: () = assert!(HEAD_BYTES_MAX <= u32::MAX as usize);
