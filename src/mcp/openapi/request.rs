//! From the arguments of a call to a request: every argument in its place and nowhere else.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::{Fault, HttpRequest, Operation, Parameter, Piece, Place, Style};
use crate::json::{self, Kind, Value};
use crate::limits;
use crate::mcp::bridge::Members;

const ACCEPT: &str = "application/json, text/*;q=0.9, */*;q=0.1";

pub(super) fn build(operation: &Operation, arguments: &[u8]) -> Result<HttpRequest, Fault> {
    // The scanner does not look into what it skips, and the body below goes out as it stands.
    serde_json::from_slice::<IgnoredAny>(arguments).or(Err(Fault::Arguments))?;
    let given = Members::read(arguments).or(Err(Fault::Arguments))?;
    for (member, _) in given.iter() {
        let known = operation.parameters.iter().any(|parameter| parameter.argument == member.name)
            || operation.body.as_ref().is_some_and(|body| body.argument == member.name);
        if !known {
            let shown = member.name.get(..member.name.floor_char_boundary(limits::RECORD_TEXT_BYTES_MAX));
            return Err(Fault::Unknown(shown.unwrap_or_default().to_owned()));
        }
    }
    let mut values = Vec::with_capacity(operation.parameters.len());
    for parameter in &operation.parameters {
        let value = given.bytes(&parameter.argument);
        if parameter.required && value.is_none() {
            return Err(Fault::Missing(parameter.argument.clone()));
        }
        values.push(value.map(|value| Argument { value, parameter, all: &operation.parameters }));
    }
    let mut target = path(operation, &values)?;
    let mut headers = vec![("accept".to_owned(), ACCEPT.to_owned())];
    for argument in values.iter().flatten() {
        match argument.parameter.place {
            Place::Path => {}
            Place::Query => argument.push_query(&mut target)?,
            Place::Header => headers.push((argument.parameter.name.clone(), argument.header()?)),
        }
        if target.len() > limits::TARGET_BYTES_MAX {
            return Err(Fault::TooLong);
        }
    }
    let mut content = None;
    if let Some(body) = &operation.body {
        content = given.bytes(&body.argument).map(<[u8]>::to_vec);
        match content {
            Some(_) => headers.push(("content-type".to_owned(), body.content_type.clone())),
            None if body.required => return Err(Fault::Missing(body.argument.clone())),
            None => {}
        }
    }
    Ok(HttpRequest { method: operation.method.as_str(), path_and_query: target, headers, body: content })
}

/// The path with its arguments. No segment of it becomes a step upwards, and none vanishes.
fn path(operation: &Operation, values: &[Option<Argument<'_>>]) -> Result<String, Fault> {
    let mut out = String::new();
    for piece in &operation.path {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Parameter(index) => {
                let argument = values.get(*index).and_then(Option::as_ref).ok_or(Fault::Arguments)?;
                let text = argument.joined(",", check_path)?;
                if text.is_empty() {
                    return Err(argument.fault("must not be empty"));
                }
                out.push_str(&text);
            }
        }
        if out.len() > limits::TARGET_BYTES_MAX {
            return Err(Fault::TooLong);
        }
    }
    // Also of what texts of the path and several values make together.
    let mut names = operation.parameters.iter().filter(|parameter| parameter.place == Place::Path);
    match (steps(&out), names.next()) {
        (true, Some(parameter)) => {
            Err(Fault::Value { name: parameter.argument.clone(), why: "must not be a step in the path" })
        }
        _ => Ok(out),
    }
}

/// Whether a path has a segment that servers take for a step, also for those that decode before they split,
/// or decode twice.
pub(super) fn steps(path: &str) -> bool {
    let mut text = path.to_ascii_lowercase();
    // `%25` first: what is left after that is what a second decoding would see.
    for (encoded, plain) in [("%25", "%"), ("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/")] {
        text = text.replace(encoded, plain);
    }
    // What follows a semicolon belongs to the segment only for some.
    text.split('/').any(|part| {
        let name = part.split([';', '?', '#']).next().unwrap_or(part);
        let name = name.split("%3b").next().unwrap_or(name);
        matches!(name, "." | "..")
    })
}

/// What a text in a path must not have; nothing when all is well.
fn check_path(text: &str) -> Option<&'static str> {
    if text.chars().any(char::is_control) {
        return Some("must not have control characters");
    }
    steps(text).then_some("must not be a step in the path")
}

/// What a text in a query must not have.
fn check_query(text: &str) -> Option<&'static str> {
    text.contains('\0').then_some("must not have a zero byte")
}

/// What a text in a header must not have.
fn check_header(text: &str) -> Option<&'static str> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (!plain || text.trim().len() != text.len()).then_some("must be printable ASCII without spaces around it")
}

/// One argument that was given.
struct Argument<'a> {
    /// Its JSON.
    value: &'a [u8],
    parameter: &'a Parameter,
    /// All of the operation, whose names it must not take.
    all: &'a [Parameter],
}

type Check = fn(&str) -> Option<&'static str>;

impl Argument<'_> {
    fn fault(&self, why: &'static str) -> Fault {
        Fault::Value { name: self.parameter.argument.clone(), why }
    }

    fn kind(&self) -> Result<Value, Fault> {
        json::Cursor::new(self.value).skip().or(Err(Fault::Arguments))
    }

    /// A text, a number or a truth value as text.
    fn scalar<'v>(&self, doc: &'v [u8], value: &Value, check: Check) -> Result<Cow<'v, str>, Fault> {
        let text = match value.kind {
            Kind::String => json::text(value.inner(doc).unwrap_or_default()).or(Err(Fault::Arguments))?,
            Kind::Number | Kind::True | Kind::False => {
                Cow::Borrowed(std::str::from_utf8(value.bytes(doc)).or(Err(Fault::Arguments))?)
            }
            Kind::Null => Cow::Borrowed(""),
            Kind::Object | Kind::Array => return Err(self.fault("has more layers than its place can hold")),
        };
        check(&text).map_or(Ok(text), |why| Err(self.fault(why)))
    }

    /// A value, or the items of a list.
    fn items(&self, check: Check) -> Result<Vec<Cow<'_, str>>, Fault> {
        let value = self.kind()?;
        if self.parameter.style == Style::Json {
            let text = std::str::from_utf8(self.value).or(Err(Fault::Arguments))?;
            return match check(text) {
                None => Ok(vec![Cow::Borrowed(text)]),
                Some(why) => Err(self.fault(why)),
            };
        }
        if value.kind != Kind::Array {
            return Ok(vec![self.scalar(self.value, &value, check)?]);
        }
        let mut items = Vec::new();
        let walked: Result<(), Walk> = json::elements(self.value, value.span, |item| {
            if items.len() == limits::OPENAPI_ITEMS_MAX {
                return Err(Walk(self.fault("has too many items")));
            }
            items.push(self.scalar(self.value, &item, check).map_err(Walk)?);
            Ok(())
        });
        walked.map_err(|Walk(fault)| fault)?;
        Ok(items)
    }

    /// The value as one text, encoded; items of a list have `between` between them.
    fn joined(&self, between: &str, check: Check) -> Result<String, Fault> {
        let items = self.items(check)?;
        Ok(items.iter().map(|item| encode(item)).collect::<Vec<_>>().join(between))
    }

    fn header(&self) -> Result<String, Fault> {
        let text = self.items(check_header)?.join(",");
        if text.len() > limits::TARGET_BYTES_MAX { Err(Fault::TooLong) } else { Ok(text) }
    }

    fn push_query(&self, target: &mut String) -> Result<(), Fault> {
        let name = &self.parameter.name;
        let object = self.kind()?.kind == Kind::Object;
        match self.parameter.style {
            Style::Deep | Style::Exploded if object => {
                let members = Members::read(self.value).or(Err(Fault::Arguments))?;
                for (member, _) in members.iter() {
                    let value = self.scalar(self.value, &member.value, check_query)?;
                    let key = if self.parameter.style == Style::Deep {
                        Cow::Owned(format!("{name}[{}]", member.name))
                    } else if self.all.iter().any(|other| other.name == member.name) {
                        return Err(self.fault("has a member with the name of another argument"));
                    } else {
                        Cow::Borrowed(&*member.name)
                    };
                    self.check_key(&key)?;
                    push_pair(target, &key, &encode(&value));
                }
            }
            Style::Exploded | Style::Deep => {
                for item in self.items(check_query)? {
                    push_pair(target, name, &encode(&item));
                }
            }
            Style::Json => push_pair(target, name, &self.joined("", check_query)?),
            Style::Joined(between) => push_pair(target, name, &self.joined(between, check_query)?),
        }
        Ok(())
    }

    fn check_key(&self, key: &str) -> Result<(), Fault> {
        check_query(key).map_or(Ok(()), |why| Err(self.fault(why)))
    }
}

/// A fault on its way out of a walk.
struct Walk(Fault);

impl From<json::Fault> for Walk {
    fn from(_: json::Fault) -> Self {
        Self(Fault::Arguments)
    }
}

/// Appends a pair; the value is encoded already.
fn push_pair(target: &mut String, name: &str, value: &str) {
    target.push(if target.contains('?') { '&' } else { '?' });
    target.push_str(&encode(name));
    target.push('=');
    target.push_str(value);
}

/// Everything but the characters that mean themselves everywhere (RFC 3986 section 2.3) is encoded.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            push_encoded(&mut out, byte);
        }
    }
    out
}

/// Appends a percent sign and two digits.
pub(super) fn push_encoded(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.extend(char::from_digit(u32::from(digit), 16).map(|digit| digit.to_ascii_uppercase()));
    }
}
