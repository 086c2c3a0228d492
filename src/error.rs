//! The one table of what a caller can be told, and the error that carries it.

use std::error::Error as StdError;
use std::fmt;

/// Whose doing an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The caller sent what we cannot serve.
    Caller,
    /// The upstream failed.
    Upstream,
    /// We failed, or are too busy.
    Us,
}

macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $code:ident $side:ident $status:literal $kind:literal $retry:literal $text:literal;
    )*) => {
        /// Everything that can be wrong with a call, as a caller sees it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status),* }
            }

            /// Whose doing it is.
            pub const fn side(self) -> Side {
                match self { $(Self::$code => Side::$side),* }
            }

            /// `error.type` of the Anthropic envelope.
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$code => $kind),* }
            }

            /// Whether sending the same request again may help; `false` goes out as `x-should-retry: false`.
            pub const fn retry(self) -> bool {
                match self { $(Self::$code => $retry),* }
            }

            /// What the caller reads when nothing more exact is known.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$code => $text),* }
            }

            /// A short stable name for logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code)),* }
            }
        }
    };
}

codes! {
    /// The request is not HTTP or not JSON as the standards have it.
    BadRequest Caller 400 "invalid_request_error" false "the request is malformed";
    /// No key, an unknown key or a revoked one.
    Unauthenticated Caller 401 "authentication_error" false
        "no valid key was sent: set ANTHROPIC_AUTH_TOKEN to your Tollgate key";
    /// The key may not do this.
    Forbidden Caller 403 "permission_error" false "your key does not allow this";
    /// No such address, or no provider serves the model.
    NotFound Caller 404 "not_found_error" false "there is nothing at this address";
    /// The address exists, the method does not.
    MethodNotAllowed Caller 405 "invalid_request_error" false "this method is not allowed here";
    /// The caller takes no form of answer that there is.
    NotAcceptable Caller 406 "invalid_request_error" false "no acceptable form of answer";
    /// The caller took too long to send its request.
    RequestTimeout Caller 408 "timeout_error" true "the request took too long to arrive";
    /// A request without the length or framing that its method needs.
    LengthRequired Caller 411 "invalid_request_error" false "the request needs a Content-Length";
    /// The body is over the limit.
    BodyTooLarge Caller 413 "request_too_large" false "the request body is larger than 32 MiB";
    /// What is there does not let it be done.
    Conflict Caller 409 "invalid_request_error" false "this cannot be done to what is there";
    /// The state is another than the one that the change was made for.
    Stale Caller 412 "invalid_request_error" false "the state has changed: read it again";
    /// A change that names no state.
    NoState Caller 428 "invalid_request_error" false
        "say by `If-Match` which state the change is made for";
    /// The request target is over the limit.
    TargetTooLong Caller 414 "invalid_request_error" false "the request target is too long";
    /// The body is of a kind that is not read here.
    UnsupportedMedia Caller 415 "invalid_request_error" false "this Content-Type is not understood";
    /// An `Expect` other than 100-continue.
    ExpectationFailed Caller 417 "invalid_request_error" false "only `Expect: 100-continue` is understood";
    /// The head is over the limit.
    HeadTooLarge Caller 431 "invalid_request_error" false "the request head is too large";
    /// A budget has no room for the call.
    OverBudget Caller 429 "billing_error" false "your budget is used up";
    /// More calls, tokens or streams than a rate limit allows.
    RateLimited Caller 429 "rate_limit_error" true "you are calling too fast, try again";
    /// Nothing that could serve the call is where it may run.
    OutsideRegion Caller 451 "permission_error" false "nothing within your regions serves this";
    /// A fault of our own.
    Internal Us 500 "api_error" true "the gateway failed on this request";
    /// A transfer coding or method that we do not speak.
    NotImplemented Caller 501 "not_supported" false "this is not supported";
    /// No connection to the upstream.
    UpstreamUnreachable Upstream 502 "api_error" true "the upstream could not be reached";
    /// The upstream closed, or answered what is not HTTP, before its answer began.
    UpstreamBroken Upstream 502 "api_error" true "the upstream broke off before answering";
    /// Memory for request bodies is used up.
    Overloaded Us 503 "overloaded_error" true "the gateway is short of memory for requests, try again";
    /// The ledger cannot be written, and no call goes unrecorded.
    Unrecorded Us 503 "overloaded_error" true "the gateway cannot record calls right now, try again";
    /// The process is stopping.
    Draining Us 503 "overloaded_error" true "the gateway is restarting, try again";
    /// The upstream has no room.
    UpstreamOverloaded Upstream 529 "overloaded_error" true "the upstream is overloaded, try again";
    /// The upstream did not answer in time.
    UpstreamTimeout Upstream 504 "timeout_error" true "the upstream did not answer in time";
    /// Not HTTP/1.0 or HTTP/1.1.
    VersionNotSupported Caller 505 "invalid_request_error" false "only HTTP/1.1 is spoken here";
}

/// An error on its way to a caller: one word, so that results stay small.
pub struct CallError(Box<Inner>);

struct Inner {
    code: Code,
    context: String,
    retry_after_s: Option<u64>,
    param: Option<Box<str>>,
    headers: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl CallError {
    /// An error whose text is the table's.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            code,
            context: String::new(),
            retry_after_s: None,
            param: None,
            headers: Vec::new(),
            source: None,
        }))
    }

    /// Says what exactly is wrong, for the caller to read. Never a secret, never text of an upstream.
    #[must_use]
    pub fn context(mut self, text: impl Into<String>) -> Self {
        self.0.context = text.into();
        self
    }

    /// Says when asking again makes sense, in seconds: `retry-after`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Names the field of the request that is at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<Box<str>>) -> Self {
        self.0.param = Some(field.into());
        self
    }

    /// Adds header lines for the caller's client to read; names in lower case, values without line ends.
    #[must_use]
    pub fn headers(mut self, headers: Vec<(&'static str, String)>) -> Self {
        self.0.headers = headers;
        self
    }

    /// Keeps the cause, for the log only.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Seconds after which asking again makes sense, where that is known.
    pub const fn retry_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    /// The field of the request that is at fault, where that is known.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// Header lines for the caller's client.
    pub fn header_lines(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }

    /// The code that decides status, type and retry.
    pub const fn code(&self) -> Code {
        self.0.code
    }

    /// The text that the caller reads.
    pub fn message(&self) -> &str {
        if self.0.context.is_empty() { self.0.code.text() } else { &self.0.context }
    }
}

impl From<Code> for CallError {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

/// The whole chain, for the log.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        let mut next: Option<&dyn StdError> = self.0.source.as_ref().map(|source| source.as_ref() as _);
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.code)
    }
}

impl StdError for CallError {}

#[cfg(test)]
mod tests {
    use super::{CallError, Code, Side};

    #[test]
    fn statuses_fit_their_side() {
        for code in Code::ALL {
            let status = code.status();
            match code.side() {
                Side::Caller => assert!((400..600).contains(&status)),
                Side::Upstream | Side::Us => assert!((500..600).contains(&status), "{code:?}"),
            }
        }
    }

    #[test]
    fn policy_and_identity_are_final() {
        assert!(!Code::Unauthenticated.retry());
        assert!(!Code::Forbidden.retry());
    }

    #[test]
    fn the_chain_is_for_the_log_only() {
        let error =
            CallError::new(Code::UpstreamUnreachable).source(std::io::Error::other("refused by 10.0.0.7"));
        assert_eq!(error.message(), Code::UpstreamUnreachable.text());
        assert!(error.to_string().contains("10.0.0.7"));
    }
}
