//! `Mcp-Param-*`: arguments of a call that are repeated as headers, written for servers and checked for
//! callers.
//!
//! After "Custom Headers from Tool Parameters" of the revision 2026-07-28, basic/transports/streamable-http.
//! Which arguments those are is read from the definition by [`super::param_headers`].

use std::borrow::Cow;

use crate::base64;
use crate::json::{Kind, text};
use crate::limits;
use crate::mcp::bridge::{Fault, Members};
use crate::mcp::param_headers::ParamHeader;

/// What every such header begins with, in lower case.
pub const PREFIX: &str = "mcp-param-";

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// The largest whole number that every reader of JSON takes for itself: 2^53 - 1.
const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Why a caller's headers are not those of its body: to be answered with 400 and -32020.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The body has a value, but no header repeats it.
    #[error("the header {PREFIX}{0} is missing, but the argument is given")]
    Missing(String),
    /// There is a header, but nothing for it to repeat.
    #[error("the header {PREFIX}{0} is given, but not the argument")]
    Unasked(String),
    /// It stands there twice.
    #[error("the header {PREFIX}{0} is given twice")]
    Twice(String),
    /// It has characters that it cannot have, or bad base64.
    #[error("the header {PREFIX}{0} is malformed")]
    Malformed(String),
    /// Another value.
    #[error("the header {PREFIX}{0} and the argument differ")]
    Differs(String),
    /// The arguments cannot be read.
    #[error("the arguments cannot be read: {0}")]
    Arguments(#[from] Fault),
}

/// An argument as a header repeats it.
enum Argument<'a> {
    Text(Cow<'a, str>),
    Number(&'a str),
    /// `true` or `false`.
    Flag(&'static str),
    /// An object or an array, which no header can repeat.
    Other,
}

/// Header lines for a call to a modern server, names in lower case. An argument that is missing or `null` has
/// none; neither has one that is no string, number or truth value, about which the server will complain
/// itself.
///
/// # Errors
/// Any [`Fault`]; a text over `limits::MCP_PARAM_VALUE_BYTES_MAX` is too much.
pub fn lines(params: &[ParamHeader], arguments: Option<&[u8]>) -> Result<Vec<(String, String)>, Fault> {
    let mut out = Vec::new();
    for param in params {
        let value = match find(arguments, &param.path)? {
            None | Some(Argument::Other) => continue,
            Some(Argument::Text(text)) => encode_value(&text).into_owned(),
            Some(Argument::Number(number)) => plain_integer(number).into_owned(),
            Some(Argument::Flag(word)) => word.to_owned(),
        };
        out.push((format!("{PREFIX}{}", param.name.to_ascii_lowercase()), value));
    }
    Ok(out)
}

/// Checks a modern caller's headers, name and value as they came, against its arguments. Headers that the
/// tool does not know are not looked at.
///
/// # Errors
/// The first [`Mismatch`].
pub fn check<'h>(
    params: &[ParamHeader],
    arguments: Option<&[u8]>,
    headers: &(impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone),
) -> Result<(), Mismatch> {
    for param in params {
        let name = || param.name.to_string();
        let mut given = headers.clone().filter(|(header, _)| is_for(header, &param.name));
        let value = given.next().map(|(_, value)| value);
        if given.next().is_some() {
            return Err(Mismatch::Twice(name()));
        }
        match (value, find(arguments, &param.path)?) {
            (None, None | Some(Argument::Other)) => {}
            (None, Some(_)) => return Err(Mismatch::Missing(name())),
            (Some(_), None) => return Err(Mismatch::Unasked(name())),
            (Some(value), Some(argument)) => {
                let value = decode_value(value).ok_or_else(|| Mismatch::Malformed(name()))?;
                let same = match argument {
                    Argument::Text(text) => text == value,
                    Argument::Number(number) => same_number(number, &value),
                    Argument::Flag(word) => word == value,
                    Argument::Other => false,
                };
                if !same {
                    return Err(Mismatch::Differs(name()));
                }
            }
        }
    }
    Ok(())
}

fn is_for(header: &[u8], name: &str) -> bool {
    let Some((prefix, rest)) = header.split_at_checked(PREFIX.len()) else { return false };
    prefix.eq_ignore_ascii_case(PREFIX.as_bytes()) && rest.eq_ignore_ascii_case(name.as_bytes())
}

/// The argument at `path`, when it is there and not `null`.
fn find<'a>(arguments: Option<&'a [u8]>, path: &[Box<str>]) -> Result<Option<Argument<'a>>, Fault> {
    let Some(mut doc) = arguments else { return Ok(None) };
    let Some((last, outer)) = path.split_last() else { return Ok(None) };
    for name in outer {
        let Some(inner) = Members::read(doc)?.object(name) else { return Ok(None) };
        doc = inner;
    }
    let members = Members::read(doc)?;
    let Some(value) = members.value(last) else { return Ok(None) };
    Ok(match value.kind {
        Kind::Null => None,
        Kind::String => {
            let raw = value.inner(doc).unwrap_or_default();
            if raw.len() > limits::MCP_PARAM_VALUE_BYTES_MAX {
                return Err(Fault::TooMuch("an argument that a header repeats"));
            }
            Some(Argument::Text(text(raw)?))
        }
        Kind::Number => {
            let number = std::str::from_utf8(value.bytes(doc)).unwrap_or_default();
            if number.len() > limits::MCP_PARAM_VALUE_BYTES_MAX {
                return Err(Fault::TooMuch("an argument that a header repeats"));
            }
            Some(Argument::Number(number))
        }
        Kind::True => Some(Argument::Flag("true")),
        Kind::False => Some(Argument::Flag("false")),
        Kind::Object | Kind::Array => Some(Argument::Other),
    })
}

/// A text as the value of `Mcp-Param-*` and `Mcp-Name`: as it is, or in base64 when a header cannot carry it
/// or when it looks as if it were in base64.
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let fits = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let trimmed = value.trim_matches([' ', '\t']).len() == value.len();
    if fits && trimmed && !is_encoded(value) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{OPEN}{}{CLOSE}", base64::encode_padded(value.as_bytes())))
}

/// The text that a header's value means; nothing when it has characters that it cannot have, when its base64
/// is not exactly right or when that is not UTF-8.
pub fn decode_value(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return None;
    }
    if !is_encoded(value) {
        return Some(Cow::Borrowed(value));
    }
    let inside = value.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    String::from_utf8(base64::decode_padded(inside.as_bytes())?).ok().map(Cow::Owned)
}

fn is_encoded(value: &str) -> bool {
    value.strip_prefix(OPEN).is_some_and(|rest| rest.ends_with(CLOSE))
}

/// A whole number without fraction and exponent, as servers that compare texts want it: `42.0` is `42`.
/// Anything else stays as it is.
fn plain_integer(number: &str) -> Cow<'_, str> {
    if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && number != "-0" {
        return Cow::Borrowed(number);
    }
    match safe_integer(number) {
        // A zero of either sign is 0.
        Some(whole) => Cow::Owned(format!("{:.0}", whole + 0.0)),
        None => Cow::Borrowed(number),
    }
}

fn same_number(body: &str, header: &str) -> bool {
    if body == header {
        return true;
    }
    match (safe_integer(body), safe_integer(header)) {
        (Some(body), Some(header)) => body == header,
        _ => false,
    }
}

/// A number that is whole and within the range in which no two are taken for one another.
fn safe_integer(number: &str) -> Option<f64> {
    let digit_first = number.strip_prefix('-').unwrap_or(number).starts_with(|c: char| c.is_ascii_digit());
    let spelt = number.bytes().all(|byte| byte.is_ascii_digit() || b"-+.eE".contains(&byte));
    let value: f64 = if digit_first && spelt { number.parse().ok()? } else { return None };
    (value.fract() == 0.0 && value.abs() <= SAFE_INTEGER).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;
    use serde_json::{Value, json};

    use super::{Mismatch, check, decode_value, encode_value, lines};
    use crate::mcp::param_headers::ParamHeader;

    fn params(paths: &[(&str, &str)]) -> Vec<ParamHeader> {
        let path = |path: &str| path.split('/').map(Box::from).collect();
        paths.iter().map(|(name, at)| ParamHeader { name: (*name).into(), path: path(at) }).collect()
    }

    fn line(arguments: &Value) -> Option<String> {
        let arguments = arguments.to_string();
        let found = lines(&params(&[("Region", "where/region")]), Some(arguments.as_bytes())).unwrap();
        assert!(found.len() < 2 && found.iter().all(|(name, _)| name == "mcp-param-region"));
        found.into_iter().next().map(|(_, value)| value)
    }

    #[test]
    fn values_are_written_as_the_specification_shows() {
        let cases = [
            (json!("us-west1"), Some("us-west1")),
            (json!("Hello, 世界"), Some("=?base64?SGVsbG8sIOS4lueVjA==?=")),
            (json!(" padded "), Some("=?base64?IHBhZGRlZCA=?=")),
            (json!("line1\nline2"), Some("=?base64?bGluZTEKbGluZTI=?=")),
            (json!("=?base64?literal?="), Some("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=")),
            (json!("=?base64?="), Some("=?base64?=")),
            (json!(""), Some("")),
            (json!(42), Some("42")),
            (json!(-7), Some("-7")),
            (json!(42.0), Some("42")),
            (json!(-0.0), Some("0")),
            (json!(1.5), Some("1.5")),
            (json!(true), Some("true")),
            (json!(false), Some("false")),
            (json!(null), None),
            (json!([1]), None),
            (json!({"a": 1}), None),
        ];
        for (value, expected) in cases {
            assert_eq!(line(&json!({"where": {"region": value}})).as_deref(), expected, "{value}");
        }
        for absent in [json!({}), json!({"where": {}}), json!({"where": 1}), json!({"region": "x"})] {
            assert_eq!(line(&absent), None, "{absent}");
        }
        assert_eq!(lines(&params(&[("Region", "region")]), None), Ok(Vec::new()));
    }

    /// Checks one header line, or none, against `{"a": value}`.
    fn checked(value: &Value, headers: &[&str]) -> Result<(), Mismatch> {
        let arguments = json!({"a": value}).to_string();
        let lines: Vec<_> = headers.iter().map(|header| header.split_once(':').unwrap()).collect();
        let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        check(&params(&[("Tag", "a")]), Some(arguments.as_bytes()), &lines)
    }

    #[test]
    fn headers_have_to_repeat_the_body() {
        let good: [(Value, &[&str]); 12] = [
            (json!("x"), &["mcp-param-tag: x\t"]),
            (json!("x"), &["MCP-Param-TAG:x", "mcp-param-other: 1"]),
            (json!("Hello"), &["mcp-param-tag: =?base64?SGVsbG8=?="]),
            (json!(" é"), &["mcp-param-tag: =?base64?IMOp?="]),
            (json!("SGVsbG8="), &["mcp-param-tag: SGVsbG8="]),
            (json!("=?BASE64?SGVsbG8=?="), &["mcp-param-tag: =?BASE64?SGVsbG8=?="]),
            (json!(42), &["mcp-param-tag: 42.0"]),
            (json!(0), &["mcp-param-tag: -0"]),
            (json!(true), &["mcp-param-tag: true"]),
            (json!(null), &[]),
            (json!([]), &[]),
            (json!(""), &["mcp-param-tag:"]),
        ];
        for (value, headers) in good {
            assert_eq!(checked(&value, headers), Ok(()), "{value} {headers:?}");
        }
        let tag = || String::from("Tag");
        let bad: [(Value, &[&str], Mismatch); 14] = [
            (json!("x"), &[], Mismatch::Missing(tag())),
            (json!(0), &["mcp-param-tagg: 0"], Mismatch::Missing(tag())),
            (json!(null), &["mcp-param-tag: null"], Mismatch::Unasked(tag())),
            (json!("x"), &["mcp-param-tag: x", "Mcp-Param-Tag: x"], Mismatch::Twice(tag())),
            (json!("x"), &["mcp-param-tag: X"], Mismatch::Differs(tag())),
            (json!(true), &["mcp-param-tag: True"], Mismatch::Differs(tag())),
            (json!(42), &["mcp-param-tag: 43"], Mismatch::Differs(tag())),
            (json!(42), &["mcp-param-tag: +42"], Mismatch::Differs(tag())),
            (
                json!(9_007_199_254_740_993_u64),
                &["mcp-param-tag: 9007199254740992"],
                Mismatch::Differs(tag()),
            ),
            (json!("Hello"), &["mcp-param-tag: =?base64?SGVsbG8?="], Mismatch::Malformed(tag())),
            (json!("Hello"), &["mcp-param-tag: =?base64?SGVs!!!bG8=?="], Mismatch::Malformed(tag())),
            (json!("é"), &["mcp-param-tag: é"], Mismatch::Malformed(tag())),
            (json!("x"), &["mcp-param-tag: =?base64?/w==?="], Mismatch::Malformed(tag())),
            (json!({}), &["mcp-param-tag: {}"], Mismatch::Differs(tag())),
        ];
        for (value, headers, expected) in bad {
            assert_eq!(checked(&value, headers), Err(expected), "{value} {headers:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_survives(value in ".{0,40}") {
            let encoded = encode_value(&value);
            assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t'), "{encoded}");
            assert_eq!(decode_value(encoded.as_bytes()).as_deref(), Some(&*value));
        }

        #[test]
        fn what_is_written_passes_the_check(value in ".{0,20}", number in -9_007_199_254_740_991_i64..) {
            for value in [json!(value), json!(number)] {
                let arguments = json!({"a": value}).to_string();
                let params = params(&[("Tag", "a")]);
                let written = lines(&params, Some(arguments.as_bytes())).unwrap();
                let headers = written.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                assert_eq!(check(&params, Some(arguments.as_bytes()), &headers), Ok(()));
            }
        }
    }
}
