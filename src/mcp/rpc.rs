//! Messages of our own: errors with their codes, results, requests, notifications.

use std::borrow::Cow;

use crate::json;
use crate::mcp::version::Version;

/// An error as JSON-RPC has it. Codes are of the protocol where it has one, else of our own outside of the
/// range that JSON-RPC reserves, as revision 2026-07-28 asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// A sentence for whoever reads the client's log; no secrets.
    pub message: Cow<'static, str>,
    /// JSON, written out.
    pub data: Option<Vec<u8>>,
}

impl RpcError {
    /// -32700: not JSON.
    pub fn parse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(PARSE, message)
    }

    /// -32600: JSON, but no message.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    /// -32601: no such method.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(METHOD_NOT_FOUND, format!("there is no method `{}` here", shown(method)))
    }

    /// -32602: the method cannot do with these `params`; also an unknown tool or prompt, and towards modern
    /// callers a missing resource.
    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// -32603: a mistake of ours.
    pub fn internal() -> Self {
        Self::new(INTERNAL, "the gateway failed at this request")
    }

    /// -32020: a header is missing, or says something else than the body.
    pub fn header_mismatch(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(HEADER_MISMATCH, message)
    }

    /// -32021: the client has not declared what is needed. `required` is a capabilities object, written out.
    pub fn missing_capability(message: impl Into<Cow<'static, str>>, required: &[u8]) -> Self {
        let data = [b"{\"requiredCapabilities\":", required, b"}"].concat();
        Self { data: Some(data), ..Self::new(MISSING_CAPABILITY, message) }
    }

    /// -32022: a version that is not spoken here.
    pub fn unsupported_version(supported: &[Version], requested: &str) -> Self {
        let mut data = b"{\"supported\":[".to_vec();
        for (index, version) in supported.iter().enumerate() {
            data.extend_from_slice(if index == 0 { b"" } else { b"," });
            json::write_string(&mut data, version.as_str());
        }
        data.extend_from_slice(b"],\"requested\":");
        json::write_string(&mut data, shown(requested));
        data.push(b'}');
        let message = format!("protocol version `{}` is not spoken here", shown(requested));
        Self { data: Some(data), ..Self::new(UNSUPPORTED_VERSION, message) }
    }

    /// -32002, to legacy callers only: no such resource.
    pub fn resource_not_found(uri: &str) -> Self {
        let mut data = b"{\"uri\":".to_vec();
        json::write_string(&mut data, shown(uri));
        data.push(b'}');
        Self { data: Some(data), ..Self::new(LEGACY_RESOURCE_NOT_FOUND, "there is no such resource") }
    }

    /// -32042, to callers of 2025-11-25 only: the user has to visit pages first. `elicitations` is an array,
    /// written out.
    pub fn url_elicitation_required(message: impl Into<Cow<'static, str>>, elicitations: &[u8]) -> Self {
        let data = [b"{\"elicitations\":", elicitations, b"}"].concat();
        Self { data: Some(data), ..Self::new(LEGACY_URL_ELICITATION, message) }
    }

    /// The server could not be reached; the request has not been sent.
    pub fn unreachable(server: &str) -> Self {
        Self::new(UNREACHABLE, format!("the server `{server}` could not be reached"))
    }

    /// The server ended, or answered what nobody can read; the request may have had its effect.
    pub fn broken(server: &str) -> Self {
        Self::new(BROKEN, format!("the server `{server}` did not give a usable answer"))
    }

    /// The server did not answer in time; the request may have had its effect.
    pub fn timed_out(server: &str) -> Self {
        Self::new(TIMED_OUT, format!("the server `{server}` did not answer in time"))
    }

    /// A rule of the org forbids it.
    pub fn not_allowed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(NOT_ALLOWED, message)
    }

    /// Too much is going on; the request has not been sent.
    pub fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OVERLOADED, message)
    }

    /// A budget has no room for the call; it has not been sent.
    pub fn over_budget(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OVER_BUDGET, message)
    }

    /// A rate limit allows no more at present; the request has not been sent.
    pub fn rate_limited(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RATE_LIMITED, message)
    }

    /// The gateway is about to end; the request has not been sent.
    pub fn draining() -> Self {
        Self::new(DRAINING, "the gateway is shutting down; please ask again")
    }

    /// The HTTP status that goes with it to a modern caller. A legacy one gets 200 once its request is read.
    pub const fn status(&self) -> u16 {
        match self.code {
            METHOD_NOT_FOUND => 404,
            NOT_ALLOWED => 403,
            OVER_BUDGET | RATE_LIMITED => 429,
            INTERNAL => 500,
            UNREACHABLE | BROKEN => 502,
            OVERLOADED | DRAINING => 503,
            TIMED_OUT => 504,
            _ => 400,
        }
    }

    fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

/// Appends an error response. `id` as it came in, with its quotes; nothing where it could not be read, which
/// is written as `null`.
pub fn write_error(out: &mut Vec<u8>, id: Option<&[u8]>, error: &RpcError) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.unwrap_or(b"null"));
    out.extend_from_slice(b",\"error\":{\"code\":");
    out.extend_from_slice(error.code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    json::write_string(out, &error.message);
    if let Some(data) = &error.data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.extend_from_slice(b"}}");
}

/// Appends an error response without an id, as modern callers want it where none could be read.
pub fn write_error_without_id(out: &mut Vec<u8>, error: &RpcError) {
    let mut body = Vec::new();
    write_error(&mut body, None, error);
    let prefix = b"{\"jsonrpc\":\"2.0\",\"id\":null";
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    out.extend_from_slice(body.get(prefix.len()..).unwrap_or_default());
}

/// Appends a response with a result. `id` as it came in, with its quotes; `result` is JSON.
pub fn write_result(out: &mut Vec<u8>, id: &[u8], result: &[u8]) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    out.push(b'}');
}

/// Appends a request with an id of ours; `params` is JSON.
pub fn write_request(out: &mut Vec<u8>, id: u64, method: &str, params: Option<&[u8]>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.to_string().as_bytes());
    out.push(b',');
    write_method(out, method, params);
}

/// Appends a notification; `params` is JSON.
pub fn write_notification(out: &mut Vec<u8>, method: &str, params: Option<&[u8]>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",");
    write_method(out, method, params);
}

fn write_method(out: &mut Vec<u8>, method: &str, params: Option<&[u8]>) {
    out.extend_from_slice(b"\"method\":");
    json::write_string(out, method);
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
}

/// The beginning of what a caller sent, for an error that repeats it.
fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or(text)
}

const SHOWN_BYTES_MAX: usize = crate::limits::RECORD_TEXT_BYTES_MAX;

/// -32700.
pub const PARSE: i64 = -32700;
/// -32600.
pub const INVALID_REQUEST: i64 = -32600;
/// -32601.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// -32602.
pub const INVALID_PARAMS: i64 = -32602;
/// -32603.
pub const INTERNAL: i64 = -32603;
/// -32020.
pub const HEADER_MISMATCH: i64 = -32020;
/// -32021.
pub const MISSING_CAPABILITY: i64 = -32021;
/// -32022.
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// -32002, legacy.
pub const LEGACY_RESOURCE_NOT_FOUND: i64 = -32002;
/// -32042, 2025-11-25 only.
pub const LEGACY_URL_ELICITATION: i64 = -32042;
/// Ours.
pub const UNREACHABLE: i64 = -31010;
/// Ours.
pub const BROKEN: i64 = -31011;
/// Ours.
pub const TIMED_OUT: i64 = -31012;
/// Ours.
pub const NOT_ALLOWED: i64 = -31013;
/// Ours.
pub const OVERLOADED: i64 = -31014;
/// Ours.
pub const DRAINING: i64 = -31015;
/// Ours.
pub const OVER_BUDGET: i64 = -31016;
/// Ours.
pub const RATE_LIMITED: i64 = -31017;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::mcp::message::{self, Kind};
    use crate::mcp::rpc::{self, RpcError};
    use crate::mcp::version::Version;

    fn all() -> Vec<(RpcError, i64, u16)> {
        vec![
            (RpcError::parse("m"), -32700, 400),
            (RpcError::invalid_request("m"), -32600, 400),
            (RpcError::method_not_found("ping"), -32601, 404),
            (RpcError::invalid_params("m"), -32602, 400),
            (RpcError::internal(), -32603, 500),
            (RpcError::header_mismatch("m"), -32020, 400),
            (RpcError::missing_capability("m", b"{\"sampling\":{}}"), -32021, 400),
            (RpcError::unsupported_version(&Version::ALL, "v9"), -32022, 400),
            (RpcError::resource_not_found("file:///x"), -32002, 400),
            (RpcError::url_elicitation_required("m", b"[]"), -32042, 400),
            (RpcError::unreachable("s"), -31010, 502),
            (RpcError::broken("s"), -31011, 502),
            (RpcError::timed_out("s"), -31012, 504),
            (RpcError::not_allowed("m"), -31013, 403),
            (RpcError::overloaded("m"), -31014, 503),
            (RpcError::draining(), -31015, 503),
        ]
    }

    #[test]
    fn codes_are_the_protocols_or_outside_the_reserved_range() {
        let legacy = [-32002, -32042];
        for (error, code, status) in all() {
            assert_eq!((error.code, error.status()), (code, status), "{error:?}");
            let specified = (-32768..=-32100).contains(&code) || (-32022..=-32020).contains(&code);
            let ours = (-31015..=-31010).contains(&code);
            assert!(specified || ours || legacy.contains(&code), "{code}");
            assert!(!(-32099..=-32023).contains(&code) || legacy.contains(&code), "{code}");
        }
        let mut codes: Vec<_> = all().iter().map(|(error, ..)| error.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all().len(), "every kind has its own code");
    }

    #[test]
    fn errors_can_be_read_again() {
        for (error, code, _) in all() {
            for id in [Some(b"\"a\\\"b\"".as_slice()), Some(b"3.0"), None] {
                let mut out = Vec::new();
                rpc::write_error(&mut out, id, &error);
                let read = message::read(&out).unwrap();
                assert_eq!(read.kind, Kind::Error);
                assert_eq!(read.id.map(|span| &out[span]), id);
                let tree: Value = serde_json::from_slice(&out).unwrap();
                assert_eq!(tree["error"]["code"], code);
                assert_eq!(tree["error"]["message"], *error.message);
                assert_eq!(tree["error"].get("data").is_some(), error.data.is_some());
                let body = message::read_error(&out, read.error.unwrap()).unwrap();
                assert_eq!(body.code, code);
                assert_eq!(message::text(&out, body.message.unwrap()).unwrap(), *error.message);
            }
            let mut out = Vec::new();
            rpc::write_error_without_id(&mut out, &error);
            assert_eq!(message::read(&out).unwrap().id, None);
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap().get("id"), None);
        }
    }

    #[test]
    fn data_is_as_the_schema_says() {
        let data = |error: RpcError| serde_json::from_slice::<Value>(&error.data.unwrap()).unwrap();
        assert_eq!(
            data(RpcError::unsupported_version(&Version::ALL[..2], "v\"9")),
            json!({"supported": ["2026-07-28", "2025-11-25"], "requested": "v\"9"})
        );
        assert_eq!(
            data(RpcError::missing_capability("m", b"{\"sampling\":{}}")),
            json!({"requiredCapabilities": {"sampling": {}}})
        );
        assert_eq!(data(RpcError::url_elicitation_required("m", b"[]")), json!({"elicitations": []}));
        assert_eq!(data(RpcError::resource_not_found("a:b")), json!({"uri": "a:b"}));
        let long = data(RpcError::unsupported_version(&[], &"é".repeat(1000)));
        assert!(long["requested"].as_str().unwrap().len() <= 256, "what is repeated is cut");
    }

    #[test]
    fn requests_results_and_notifications() {
        let mut out = Vec::new();
        rpc::write_request(&mut out, u64::MAX, "tools/list", Some(b"{}"));
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"tools/list","params":{}}"#);
        out.clear();
        rpc::write_notification(&mut out, "notifications/\"x", None);
        assert_eq!(out, br#"{"jsonrpc":"2.0","method":"notifications/\"x"}"#);
        out.clear();
        rpc::write_result(&mut out, b"\"a\"", b"{\"x\":1}");
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":"a","result":{"x":1}}"#);
    }
}
