//! The headers in which a modern request repeats parts of its body, and what it has to say of itself.
//!
//! After "Request Metadata" and "Server Validation" of the revision 2026-07-28,
//! basic/transports/streamable-http. What a tool adds to them, `Mcp-Param-*`, is checked by
//! [`super::mirror`] once the tool is known.

use std::borrow::Cow;
use std::ops::Range;

use crate::mcp::message::{CLIENT_CAPABILITIES, Kind, Message, PROTOCOL_VERSION, Params, text};
use crate::mcp::method::{Method, NamedBy};
use crate::mcp::mirror;
use crate::mcp::rpc::RpcError;
use crate::mcp::version::Version;

/// How a header that may stand in a head once was found there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given<'a> {
    /// Not at all.
    #[default]
    Absent,
    /// Once, with this value as it came.
    Once(&'a [u8]),
    /// More than once, which is as good as wrong: others might read another one.
    Repeated,
}

impl<'a> Given<'a> {
    /// What the values of all header lines of one name come to.
    pub fn of(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

/// The standard headers of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `MCP-Protocol-Version`.
    pub version: Given<'a>,
    /// `Mcp-Method`.
    pub method: Given<'a>,
    /// `Mcp-Name`.
    pub name: Given<'a>,
}

/// Whether a message is to be treated by the rules of 2026-07-28: it says so in its `_meta`, or at least its
/// version header is none of a legacy revision. `initialize` is legacy unless its `_meta` says otherwise.
pub fn is_modern(message: &Message, params: &Params, headers: &Headers<'_>) -> bool {
    if params.meta.as_ref().is_some_and(|meta| meta.protocol_version.is_some()) {
        return true;
    }
    let named = match headers.version {
        Given::Absent => return false,
        Given::Once(value) => std::str::from_utf8(trimmed(value)).ok().and_then(Version::parse),
        Given::Repeated => None,
    };
    message.method != Method::Initialize && named.is_none_or(Version::is_modern)
}

/// Checks a message that [`is_modern`]: what its `_meta` has to have, its headers, its version, its method,
/// in this order. For a notification the revision asks for no headers, so none are looked at.
///
/// # Errors
/// -32602 for what is missing in the body, -32020 for headers, -32022 for a version that is not spoken,
/// -32601 for a method that is not (any more), -32600 for a response; each with its [`RpcError::status`].
pub fn check(doc: &[u8], message: &Message, params: &Params, headers: &Headers<'_>) -> Result<(), RpcError> {
    match message.kind {
        Kind::Request => {}
        Kind::Notification => return Ok(()),
        Kind::Result | Kind::Error => {
            return Err(RpcError::invalid_request("a response is sent as input of a new request"));
        }
    }
    let meta = params.meta.as_ref().ok_or_else(|| missing("_meta"))?;
    let version = string(doc, meta.protocol_version.as_ref(), PROTOCOL_VERSION)?;
    if meta.client_capabilities.is_none() {
        return Err(missing(CLIENT_CAPABILITIES));
    }
    same(headers.version, "MCP-Protocol-Version", &version)?;
    // A revision that we do not know may have other headers, so its name comes before them.
    if !Version::parse(&version).is_some_and(Version::is_modern) {
        return Err(unsupported(&version));
    }
    let method = string(doc, message.method_span.as_ref(), "method")?;
    same(headers.method, "Mcp-Method", &method)?;
    if let Some(by) = message.method.named_by() {
        check_name(doc, by, params, headers.name)?;
    }
    if message.method.is_modern_request() { Ok(()) } else { Err(RpcError::method_not_found(&method)) }
}

fn check_name(doc: &[u8], by: NamedBy, params: &Params, given: Given<'_>) -> Result<(), RpcError> {
    let (span, member) = match by {
        NamedBy::Name => (&params.name, "name"),
        NamedBy::Uri => (&params.uri, "uri"),
        NamedBy::TaskId => (&params.task_id, "taskId"),
    };
    let name = string(doc, span.as_ref(), member)?;
    let value = once(given, "Mcp-Name")?;
    match mirror::decode_value(value) {
        Some(value) if value == name => Ok(()),
        Some(_) => Err(differs("Mcp-Name")),
        None => Err(RpcError::header_mismatch("the header Mcp-Name is malformed")),
    }
}

/// Versions are told with the exception of those that need a session: a caller that asked without one for one
/// of these would only ask again.
fn unsupported(version: &str) -> RpcError {
    let known = Version::parse(version).is_some();
    let told: Vec<_> = Version::ALL.into_iter().filter(|other| !known || other.is_modern()).collect();
    RpcError::unsupported_version(&told, version)
}

/// The text of a string that has to be there.
fn string<'d>(
    doc: &'d [u8],
    span: Option<&Range<usize>>,
    name: &'static str,
) -> Result<Cow<'d, str>, RpcError> {
    let span = span.ok_or_else(|| missing(name))?;
    let decoded = text(doc, span.clone());
    decoded.ok_or_else(|| RpcError::invalid_params(format!("`{name}` is no good string")))
}

fn same(given: Given<'_>, header: &'static str, body: &str) -> Result<(), RpcError> {
    if trimmed(once(given, header)?) == body.as_bytes() { Ok(()) } else { Err(differs(header)) }
}

fn once<'a>(given: Given<'a>, header: &'static str) -> Result<&'a [u8], RpcError> {
    match given {
        Given::Once(value) => Ok(value),
        Given::Absent => Err(RpcError::header_mismatch(format!("the header {header} is missing"))),
        Given::Repeated => Err(RpcError::header_mismatch(format!("the header {header} is given twice"))),
    }
}

fn missing(name: &str) -> RpcError {
    RpcError::invalid_params(format!("`{name}` is missing"))
}

fn differs(header: &str) -> RpcError {
    RpcError::header_mismatch(format!("the header {header} and the body differ"))
}

/// Without the white space that HTTP allows around a value.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::mcp::headers::{Given, Headers, check, is_modern};
    use crate::mcp::message;

    const VERSION: &str = "2026-07-28";

    fn meta() -> Value {
        json!({"io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {}})
    }

    fn once(value: &str) -> Given<'_> {
        if value == "-" { Given::Absent } else { Given::Once(value.as_bytes()) }
    }

    /// The code and status that a request gets, or zeros. A header `-` is not there.
    fn checked(method: &str, params: Value, [version, header, name]: [&str; 3]) -> (i64, u16) {
        let mut doc = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        if !params.is_null() {
            doc["params"] = params;
        }
        verdict(&doc, Headers { version: once(version), method: once(header), name: once(name) })
    }

    fn verdict(doc: &Value, headers: Headers<'_>) -> (i64, u16) {
        let doc = doc.to_string();
        let message = message::read(doc.as_bytes()).unwrap();
        let params = message::params(doc.as_bytes(), &message).unwrap();
        check(doc.as_bytes(), &message, &params, &headers)
            .map_or_else(|error| (error.code, error.status()), |()| (0, 0))
    }

    #[test]
    fn what_the_body_lacks_comes_first() {
        let check = |params| assert_eq!(checked("tools/list", params, ["-", "-", "-"]), (-32602, 400));
        check(Value::Null);
        check(json!({}));
        check(json!({"_meta": {}}));
        for name in ["protocolVersion", "clientCapabilities"] {
            let mut meta = meta();
            meta.as_object_mut().unwrap().remove(&format!("io.modelcontextprotocol/{name}"));
            check(json!({"_meta": meta}));
        }
    }

    #[test]
    fn headers_have_to_say_what_the_body_says() {
        let list = |headers| checked("tools/list", json!({"_meta": meta()}), headers);
        let call = |headers| checked("tools/call", json!({"_meta": meta(), "name": "a é"}), headers);
        let (good, bad) = ((0, 0), (-32020, 400));
        let table = [
            (list([VERSION, "tools/list", "-"]), good),
            (list([" \t2026-07-28 ", " tools/list\t", "ignored"]), good),
            (list(["-", "tools/list", "-"]), bad),
            (list(["2025-11-25", "tools/list", "-"]), bad),
            (list([VERSION, "-", "-"]), bad),
            (list([VERSION, "prompts/list", "-"]), bad),
            (list([VERSION, "TOOLS/LIST", "-"]), bad),
            (call([VERSION, "tools/call", "=?base64?YSDDqQ==?="]), good),
            (call([VERSION, "tools/call", "  =?base64?YSDDqQ==?= "]), good),
            (call([VERSION, "tools/call", "-"]), bad),
            (call([VERSION, "tools/call", "a e"]), bad),
            (call([VERSION, "tools/call", "=?base64?YSDDqQ?="]), bad),
            (call([VERSION, "tools/call", "a é"]), bad),
        ];
        for (index, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found, expected, "{index}");
        }
    }

    #[test]
    fn each_method_is_named_by_its_own_member() {
        for (method, member) in [("prompts/get", "name"), ("resources/read", "uri"), ("tasks/get", "taskId")]
        {
            let params = json!({"_meta": meta(), member: "x:y"});
            assert_eq!(checked(method, params.clone(), [VERSION, method, "x:y"]), (0, 0), "{method}");
            assert_eq!(checked(method, params, [VERSION, method, "x"]), (-32020, 400), "{method}");
            let params = json!({"_meta": meta(), "other": "x:y"});
            assert_eq!(checked(method, params, [VERSION, method, "x:y"]), (-32602, 400), "{method}");
        }
    }

    #[test]
    fn repeated_headers_are_refused() {
        let doc = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"_meta": meta(), "name": "a"}});
        let good = Headers { version: once(VERSION), method: once("tools/call"), name: once("a") };
        assert_eq!(verdict(&doc, good), (0, 0));
        for wrong in [
            Headers { version: Given::Repeated, ..good },
            Headers { method: Given::Repeated, ..good },
            Headers { name: Given::Repeated, ..good },
        ] {
            assert_eq!(verdict(&doc, wrong), (-32020, 400), "{wrong:?}");
        }
        let of = |values: &[&'static [u8]]| Given::of(values.iter().copied());
        assert_eq!(of(&[]), Given::Absent);
        assert_eq!(of(&[b"a"]), Given::Once(b"a"));
        assert_eq!(of(&[b"a", b"a"]), Given::Repeated);
    }

    #[test]
    fn versions_that_are_not_spoken() {
        let asked = |version: &str, header| {
            let mut meta = meta();
            meta["io.modelcontextprotocol/protocolVersion"] = json!(version);
            // Its other headers are not looked at.
            checked("tools/list", json!({"_meta": meta}), [header, "-", "-"])
        };
        assert_eq!(asked("v999.0.0", "v999.0.0"), (-32022, 400));
        assert_eq!(asked("2025-11-25", "2025-11-25"), (-32022, 400));
        assert_eq!(asked("v999.0.0", VERSION), (-32020, 400));
        let told = |version| String::from_utf8(super::unsupported(version).data.unwrap()).unwrap();
        assert!(told("v9").contains("2025-11-25"), "a client may open a session instead");
        assert!(told("2025-11-25").starts_with(r#"{"supported":["2026-07-28"],"#));
    }

    #[test]
    fn methods_that_are_gone_or_unknown() {
        for gone in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "unknown/method", ""] {
            let found = checked(gone, json!({"_meta": meta()}), [VERSION, gone, "-"]);
            assert_eq!(found, (-32601, 404), "{gone:?}");
        }
    }

    #[test]
    fn notifications_pass_and_responses_do_not() {
        let none = Headers::default();
        let doc = json!({"jsonrpc": "2.0", "method": "notifications/cancelled"});
        assert_eq!(verdict(&doc, none), (0, 0));
        let doc = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
        assert_eq!(verdict(&doc, none), (-32600, 400));
    }

    #[test]
    fn the_era_is_decided_for_each_message() {
        let modern = |method: &str, meta: Value, version| {
            let doc = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}});
            let doc = doc.to_string();
            let message = message::read(doc.as_bytes()).unwrap();
            let params = message::params(doc.as_bytes(), &message).unwrap();
            is_modern(&message, &params, &Headers { version, ..Headers::default() })
        };
        let table = [
            ("tools/list", meta(), Given::Absent, true),
            ("initialize", meta(), Given::Absent, true),
            ("tools/list", json!({}), Given::Absent, false),
            ("tools/list", json!({}), once("2025-11-25"), false),
            ("tools/list", json!({}), once(" 2026-07-28"), true),
            ("tools/list", json!({}), once("v999"), true),
            ("tools/list", json!({}), Given::Repeated, true),
            ("initialize", json!({}), once("2026-07-28"), false),
        ];
        for (method, meta, version, expected) in table {
            assert_eq!(modern(method, meta, version), expected, "{method} {version:?}");
        }
    }
}
