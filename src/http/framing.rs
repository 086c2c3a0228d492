//! What a head says about its connection and its body, with everything refused that could be read in two
//! ways.
//!
//! Follows RFC 9112 section 6.3 for requests and responses alike, and RFC 9110 sections 7.2, 7.6.1, 8.6 and
//! 10.1.1.

use memchr::memchr;

use crate::http::head::{Framing, HeaderSpan, Headers, Version};
use crate::http::refusal::Refusal;
use crate::limits::CONNECTION_OPTIONS_MAX;

/// What the headers say about connection and framing, gathered in one walk over them.
///
/// Some readings differ between the sides (a `Host`, a repeated equal length), so these are noted, not
/// judged.
#[derive(Debug, Default)]
pub(in crate::http) struct Facts {
    pub(in crate::http) hosts: usize,
    pub(in crate::http) bad_host: bool,
    pub(in crate::http) lengths: usize,
    length: u64,
    pub(in crate::http) lengths_differ: bool,
    codings: usize,
    pub(in crate::http) close: bool,
    options: usize,
    pub(in crate::http) lists_names: bool,
    pub(in crate::http) expect_continue: bool,
    pub(in crate::http) bad_expect: bool,
}

impl Facts {
    /// Reads the headers that matter.
    ///
    /// # Errors
    /// What neither side may send: bad lengths, tabs in framing, too many connection options.
    pub(in crate::http) fn gather(headers: &Headers, buf: &[u8]) -> Result<Self, Refusal> {
        let mut facts = Self::default();
        for span in headers.spans() {
            let name = span.name.get(buf);
            let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
            let value = span.value.get(buf);
            // By length first: of 25 headers only a few get as far as a comparison.
            match name.len() {
                4 if is(b"host") => {
                    facts.hosts += 1;
                    facts.bad_host |= !is_host(value);
                }
                6 if is(b"expect") => {
                    let known = value.eq_ignore_ascii_case(b"100-continue");
                    facts.expect_continue |= known;
                    facts.bad_expect |= !known;
                }
                10 if is(b"connection") => facts.read_options(value)?,
                14 if is(b"content-length") => facts.read_length(value, line_has_tab(*span, buf))?,
                17 if is(b"transfer-encoding") => {
                    facts.codings += 1;
                    if line_has_tab(*span, buf) {
                        return Err(Refusal::BadTransferEncoding);
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    fn read_options(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.options += 1;
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if !option.eq_ignore_ascii_case(b"keep-alive") {
                self.lists_names = true;
            }
        }
        if self.options > CONNECTION_OPTIONS_MAX { Err(Refusal::TooManyOptions) } else { Ok(()) }
    }

    fn read_length(&mut self, value: &[u8], has_tab: bool) -> Result<(), Refusal> {
        if memchr(b',', value).is_some() {
            return Err(Refusal::RepeatedContentLength);
        }
        let length = decimal(value).filter(|_| !has_tab).ok_or(Refusal::BadContentLength)?;
        self.lengths_differ |= self.lengths > 0 && self.length != length;
        self.lengths += 1;
        self.length = length;
        Ok(())
    }

    /// The framing that is written in the head, or `None` when there is no word of it.
    ///
    /// # Errors
    /// Two framings at once, or a transfer coding other than one `chunked`.
    pub(in crate::http) fn framing(
        &self,
        headers: &Headers,
        buf: &[u8],
        version: Version,
    ) -> Result<Option<Framing>, Refusal> {
        if self.codings == 0 {
            return Ok((self.lengths > 0).then_some(Framing::Length(self.length)));
        }
        if version == Version::Http10 {
            return Err(Refusal::TransferEncodingOnHttp10);
        }
        if self.lengths > 0 {
            return Err(Refusal::LengthAndTransferEncoding);
        }
        check_codings(headers, buf)?;
        Ok(Some(Framing::Chunked))
    }
}

/// Refuses everything but one single `chunked`, naming the fault.
fn check_codings(headers: &Headers, buf: &[u8]) -> Result<(), Refusal> {
    let (mut chunked, mut others, mut chunked_is_last) = (0_usize, 0_usize, false);
    for value in headers.all(buf, "transfer-encoding") {
        for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            chunked_is_last = coding.eq_ignore_ascii_case(b"chunked");
            if coding.is_empty() {
                return Err(Refusal::BadTransferEncoding);
            } else if chunked_is_last {
                chunked += 1;
            } else {
                others += 1;
            }
        }
    }
    match (chunked, others) {
        (1, 0) => Ok(()),
        (0, _) => Err(Refusal::UnknownTransferCoding),
        (1, _) if chunked_is_last => Err(Refusal::UnknownTransferCoding),
        _ => Err(Refusal::ChunkedNotOnceAndLast),
    }
}

/// Whether a tab stands anywhere behind the name. Tabs around a value are legal, and framing that is written
/// so is written to be read differently by two parsers.
fn line_has_tab(span: HeaderSpan, buf: &[u8]) -> bool {
    let rest = buf.get(span.name.end as usize..).unwrap_or_default();
    let line = memchr(b'\r', rest).and_then(|end| rest.get(..end)).unwrap_or_default();
    memchr(b'\t', line).is_some()
}

/// Only digits, as RFC 9110 section 8.6 has it: no sign, no space, no overflow.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The bytes of RFC 3986 `host [":" port]`, not its grammar: enough that nobody reads a second host out of
/// it.
fn is_host(value: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    !value.is_empty() && value.iter().all(allowed)
}
