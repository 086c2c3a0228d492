//! Errors on their way from one era to the other: each era only hears codes that it knows.
//!
//! | code | era | meaning |
//! |---|---|---|
//! | -32002 | legacy | no such resource; modern servers say -32602 |
//! | -32042 | 2025-11-25 | a page has to be visited first; modern servers ask by `input_required` |
//! | -32020 | modern | headers and body differ |
//! | -32021 | modern | the client lacks a capability |
//! | -32022 | modern | the version is not spoken |

use std::borrow::Cow;

use crate::json::{Kind, elements};
use crate::limits;
use crate::mcp::bridge::members::{Change, Fault, Members, quoted};
use crate::mcp::bridge::rounds::{InputMethod, may_ask};
use crate::mcp::rpc::{
    INTERNAL, INVALID_PARAMS, LEGACY_RESOURCE_NOT_FOUND, LEGACY_URL_ELICITATION, MISSING_CAPABILITY,
};

/// What becomes of an error for a modern client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForModern<'a> {
    /// An error object.
    Error(Cow<'a, [u8]>),
    /// Pages that the user has to visit; then the same request is to be sent again.
    Visit(Vec<Visit>),
}

/// A page that the user has to visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// `params` of an `elicitation/create` in mode `url`, without the id that modern revisions do not have.
    pub params: Vec<u8>,
    /// Why.
    pub message: String,
    /// Where.
    pub url: String,
}

/// The code of an error object.
///
/// # Errors
/// Any [`Fault`]; a code that is no whole number is a wrong shape.
pub fn error_code(error: &[u8]) -> Result<i64, Fault> {
    code(&Members::read(error)?)
}

fn code(members: &Members<'_>) -> Result<i64, Fault> {
    let bytes = members.bytes("code").ok_or(Fault::Shape("`code`"))?;
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Shape("`code`"))
}

/// A legacy server's error as a modern client may see it. `visits` says whether this caller takes url
/// elicitations; where it does not, a page to visit stays an error whose message has the address.
///
/// # Errors
/// Any [`Fault`]: then the server's answer is no error object.
pub fn error_for_modern<'a>(error: &'a [u8], method: &str, visits: bool) -> Result<ForModern<'a>, Fault> {
    let members = Members::read(error)?;
    let code = code(&members)?;
    if code == LEGACY_URL_ELICITATION {
        let wanted = read_visits(&members)?;
        if visits && may_ask(method) && !wanted.is_empty() {
            return Ok(ForModern::Visit(wanted));
        }
        let message = quoted(&visit_text(&wanted));
        let code = INTERNAL.to_string();
        let changes =
            [Change::Set("code", code.as_bytes()), Change::Set("message", &message), Change::Drop("data")];
        return Ok(ForModern::Error(members.changed(&changes)?));
    }
    let code = match code {
        LEGACY_RESOURCE_NOT_FOUND if method == "resources/read" => INVALID_PARAMS,
        // Servers of both eras say this in either, and it means the same.
        MISSING_CAPABILITY if names_capabilities(&members)? => {
            return Ok(ForModern::Error(Cow::Borrowed(error)));
        }
        LEGACY_RESOURCE_NOT_FOUND | -32099..=-32020 => INTERNAL,
        _ => return Ok(ForModern::Error(Cow::Borrowed(error))),
    };
    Ok(ForModern::Error(with_code(&members, code)?))
}

fn names_capabilities(error: &Members<'_>) -> Result<bool, Fault> {
    let Some(data) = error.object("data") else { return Ok(false) };
    Ok(Members::read(data)?.object("requiredCapabilities").is_some())
}

/// A modern server's error as a modern client may see it. What concerns only our own request to the server,
/// its headers and its version, is our failure and not the client's.
///
/// # Errors
/// Any [`Fault`].
pub fn error_between_modern<'a>(error: &'a [u8], method: &str) -> Result<Cow<'a, [u8]>, Fault> {
    let members = Members::read(error)?;
    let code = match code(&members)? {
        LEGACY_RESOURCE_NOT_FOUND if method == "resources/read" => INVALID_PARAMS,
        MISSING_CAPABILITY => return Ok(Cow::Borrowed(error)),
        LEGACY_RESOURCE_NOT_FOUND | -32099..=-32020 => INTERNAL,
        _ => return Ok(Cow::Borrowed(error)),
    };
    with_code(&members, code)
}

/// A modern server's error as a legacy client understands it.
///
/// # Errors
/// Any [`Fault`].
pub fn error_for_legacy<'a>(error: &'a [u8], method: &str) -> Result<Cow<'a, [u8]>, Fault> {
    let members = Members::read(error)?;
    let code = match code(&members)? {
        INVALID_PARAMS if method == "resources/read" => LEGACY_RESOURCE_NOT_FOUND,
        MISSING_CAPABILITY => INVALID_PARAMS,
        -32099..=-32020 => INTERNAL,
        _ => return Ok(Cow::Borrowed(error)),
    };
    with_code(&members, code)
}

fn with_code<'a>(members: &Members<'a>, code: i64) -> Result<Cow<'a, [u8]>, Fault> {
    members.changed(&[Change::Set("code", code.to_string().as_bytes())])
}

/// Reads the pages of a -32042 error.
///
/// # Errors
/// Any [`Fault`]; more than `limits::MCP_INPUTS_MAX` pages are too much.
pub fn visits(error: &[u8]) -> Result<Vec<Visit>, Fault> {
    read_visits(&Members::read(error)?)
}

fn read_visits(error: &Members<'_>) -> Result<Vec<Visit>, Fault> {
    const WHAT: Fault = Fault::Shape("`data.elicitations`");
    let data = error.object("data").ok_or(WHAT)?;
    let members = Members::read(data)?;
    let list = members.value("elicitations").filter(|value| value.kind == Kind::Array).ok_or(WHAT)?;
    let mut found = Vec::new();
    elements(data, list.span.clone(), |value| {
        if found.len() == limits::MCP_INPUTS_MAX {
            return Err(Fault::TooMuch("pages to visit"));
        }
        found.push(read_visit(value.bytes(data))?);
        Ok(())
    })?;
    Ok(found)
}

fn read_visit(params: &[u8]) -> Result<Visit, Fault> {
    let members = Members::read(params)?;
    let url = members.text("url")?.ok_or(Fault::Shape("`url`"))?;
    let message = members.text("message")?.unwrap_or_default();
    let changes = [Change::Set("mode", b"\"url\""), Change::Drop("elicitationId"), Change::Drop("task")];
    Ok(Visit {
        params: members.changed(&changes)?.into_owned(),
        message: message.into_owned(),
        url: url.into_owned(),
    })
}

/// Reads the page of an `elicitation/create` in mode `url`; of any other elicitation nothing.
///
/// # Errors
/// Any [`Fault`].
pub fn visit_of(method: InputMethod, params: &[u8]) -> Result<Option<Visit>, Fault> {
    let members = Members::read(params)?;
    let is_url = method == InputMethod::Elicit && members.text("mode")?.as_deref() == Some("url");
    if is_url { read_visit(params).map(Some) } else { Ok(None) }
}

/// What a client that cannot show pages is told instead: a tool's error with the addresses in it.
pub fn visit_tool_error(visits: &[Visit]) -> Vec<u8> {
    let mut out = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    out.extend_from_slice(&quoted(&visit_text(visits)));
    out.extend_from_slice(b"}],\"isError\":true}");
    out
}

fn visit_text(visits: &[Visit]) -> String {
    let mut text =
        String::from("The server needs you to open a page in your browser and then to call again.");
    for Visit { message, url, .. } in visits {
        // A line each: no message can pass for another line.
        let one_line = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
        text.push('\n');
        text.push_str(&one_line(url));
        if !message.is_empty() {
            text.push_str(" (");
            text.push_str(&one_line(message));
            text.push(')');
        }
    }
    text
}
