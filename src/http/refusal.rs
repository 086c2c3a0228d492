//! The named refusals of heads: what is wrong, and the code it is answered with.

use std::error::Error as StdError;
use std::fmt;

use crate::error::Code;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $code:ident $text:literal;)*) => {
        /// Why a head is not taken. The connection is closed after the answer: what follows cannot be
        /// trusted.
        ///
        /// The same names serve heads of upstreams; there [`Refusal::code`] does not apply (the caller did
        /// nothing wrong and gets `Code::UpstreamBroken`), and the text is for the log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $name,)* }

        impl Refusal {
            /// Every refusal, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code that a caller is answered with.
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code),* }
            }

            /// What is wrong, in words for the caller. Never holds bytes of the request.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

refusals! {
    /// More than `limits::HEAD_BYTES_MAX` bytes.
    HeadTooLarge HeadTooLarge "the request head is larger than 32 KiB";
    /// More than `limits::HEADERS_MAX` header lines.
    TooManyHeaders HeadTooLarge "the request has more than 100 header lines";
    /// More than `limits::CONNECTION_OPTIONS_MAX` names in `Connection`.
    TooManyOptions HeadTooLarge "the Connection header lists more than 16 names";
    /// More than `limits::TARGET_BYTES_MAX` bytes, or a first line that can hold nothing else.
    TargetTooLong TargetTooLong "the request target is longer than 8 KiB";
    /// `GET http://host/path`: we are no forward proxy.
    AbsoluteTarget BadRequest "the request target must be a path: this is not a forward proxy";
    /// `GET host:443`, or anything else that does not begin with a slash.
    AuthorityTarget BadRequest "the request target must begin with a slash";
    /// `OPTIONS *`.
    AsteriskTarget BadRequest "the request target * is not served";
    /// A control byte, a byte beyond ASCII or a fragment in the target.
    BadTarget BadRequest "the request target holds a byte that must be percent-encoded";
    /// Not `method SP target SP HTTP/x.y`.
    BadRequestLine BadRequest "the request line is malformed";
    /// Not `HTTP/x.y SP status [SP reason]` with a status of 100 to 599.
    BadStatusLine BadRequest "the status line is malformed";
    /// A header name that is empty or holds something other than token characters.
    BadHeaderName BadRequest "a header name is malformed";
    /// White space between name and colon, which two parsers read as two names (RFC 9112 section 5.1).
    SpaceBeforeColon BadRequest "there is white space between a header name and its colon";
    /// A control byte in a value.
    BadHeaderValue BadRequest "a header value holds a control character";
    /// A header continued on the next line (RFC 9112 section 5.2).
    ObsFold BadRequest "a header is folded over several lines";
    /// A line that ends in LF alone.
    BareLf BadRequest "a line of the head ends in LF without CR";
    /// CR without LF.
    BareCr BadRequest "the head holds CR without LF";
    /// A zero byte.
    Nul BadRequest "the head holds a zero byte";
    /// HTTP/1.1 without `Host`.
    MissingHost BadRequest "the Host header is missing";
    /// More than one `Host`.
    RepeatedHost BadRequest "the Host header is repeated";
    /// A `Host` that is empty or cannot be one.
    BadHost BadRequest "the Host header is malformed";
    /// More than one `Content-Length`, be it as lines or as a list; also when all say the same.
    RepeatedContentLength BadRequest "the Content-Length header is repeated";
    /// A `Content-Length` that is not a decimal number of 64 bits.
    BadContentLength BadRequest "the Content-Length header is not a number";
    /// Both framings at once: the heart of request smuggling.
    LengthAndTransferEncoding BadRequest "Content-Length and Transfer-Encoding exclude each other";
    /// An empty or oddly spaced `Transfer-Encoding`.
    BadTransferEncoding BadRequest "the Transfer-Encoding header is malformed";
    /// `chunked` twice, or followed by another coding.
    ChunkedNotOnceAndLast BadRequest "chunked must be the last transfer coding, and only once";
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding NotImplemented "the only transfer coding spoken here is chunked";
    /// `Transfer-Encoding` in a version that has none.
    TransferEncodingOnHttp10 BadRequest "HTTP/1.0 has no Transfer-Encoding";
    /// `CONNECT`: we are no tunnel.
    Connect NotImplemented "CONNECT is not served: this is not a forward proxy";
    /// An upstream that answers 101 to a request that asked for no upgrade.
    UnexpectedUpgrade NotImplemented "the connection was upgraded without having been asked";
    /// Neither HTTP/1.0 nor HTTP/1.1.
    UnsupportedVersion VersionNotSupported "only HTTP/1.1 is spoken here";
    /// An `Expect` other than `100-continue`.
    UnknownExpectation ExpectationFailed "only `Expect: 100-continue` is understood";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for Refusal {}
