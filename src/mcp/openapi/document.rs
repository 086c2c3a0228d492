//! From a document to a plan of each operation.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema::{Inliner, resolved};
use super::{Body, DocumentFault, LeftOut, OpenApi, Operation, Parameter, Piece, Place, Style, Verb};
use crate::limits;

type Members = Map<String, Value>;

pub(super) fn read(text: &str) -> Result<OpenApi, DocumentFault> {
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > limits::OPENAPI_BYTES_MAX) {
        return Err(DocumentFault::TooLarge);
    }
    let document: Value = serde_json::from_str(text)
        .map_err(|why| DocumentFault::NotJson { line: why.line(), column: why.column() })?;
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !["3.0", "3.1"].iter().any(|known| version == *known || version.starts_with(&format!("{known}."))) {
        return Err(DocumentFault::Version);
    }
    let paths = document.get("paths").and_then(Value::as_object).ok_or(DocumentFault::NoPaths)?;
    let mut found = OpenApi { operations: Vec::new(), left_out: Vec::new() };
    let mut names = BTreeSet::new();
    let mut room = limits::MCP_LIST_BYTES_MAX;
    // In the order of paths, however the document is written: names that are taken are given by it.
    let mut paths: Vec<_> = paths.iter().collect();
    paths.sort_unstable_by_key(|(path, _)| *path);
    for (path, item) in paths {
        let Some(item) = resolved(&document, item) else { continue };
        for (word, verb) in Verb::ALL {
            let Some(Value::Object(operation)) = item.get(word) else { continue };
            if found.operations.len() + found.left_out.len() == limits::OPENAPI_OPERATIONS_MAX {
                return Err(DocumentFault::TooMany);
            }
            let plan = Plan { document: &document, verb, path, item, operation };
            match plan.read(&names) {
                Ok(operation) => {
                    let rest = room.checked_sub(operation.definition.len());
                    room = rest.ok_or(DocumentFault::TooMany)?;
                    names.insert(operation.name.clone());
                    found.operations.push(operation);
                }
                Err(why) => {
                    let operation = format!("{} {path}", verb.as_str());
                    let operation = cut(&operation, limits::RECORD_TEXT_BYTES_MAX).to_owned();
                    found.left_out.push(LeftOut { operation, why });
                }
            }
        }
    }
    Ok(found)
}

/// One operation while it is read.
struct Plan<'d> {
    document: &'d Value,
    verb: Verb,
    path: &'d str,
    item: &'d Members,
    operation: &'d Members,
}

/// What an argument looks like, while the plan is made.
struct Shape {
    argument: String,
    schema: Value,
    required: bool,
}

impl Plan<'_> {
    fn read(&self, names: &BTreeSet<String>) -> Result<Operation, &'static str> {
        let mut inliner = Inliner::new(self.document);
        let mut shapes = Vec::new();
        let mut parameters = self.parameters(&mut inliner, &mut shapes)?;
        let path = self.pieces(&mut parameters, &mut shapes)?;
        let body = self.body(&mut inliner, &mut shapes)?;
        let name = self.name(names);
        let definition = self.definition(&name, shapes);
        Ok(Operation { name, definition, method: self.verb, path, parameters, body })
    }

    /// Parameters of the path and of the operation, of which the latter count.
    fn parameters(
        &self,
        inliner: &mut Inliner<'_>,
        shapes: &mut Vec<Shape>,
    ) -> Result<Vec<Parameter>, &'static str> {
        let lists = [self.operation, self.item].map(|of| of.get("parameters").and_then(Value::as_array));
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for value in lists.into_iter().flatten().flatten() {
            let members = resolved(self.document, value).ok_or("a parameter cannot be found")?;
            let word = |word| members.get(word).and_then(Value::as_str);
            let (Some(name), Some(within)) = (word("name"), word("in")) else {
                return Err("a parameter has no name or no place");
            };
            if !seen.insert((name, within)) {
                continue;
            }
            if found.len() == limits::OPENAPI_PARAMETERS_MAX {
                return Err("it has too many parameters");
            }
            let required = members.get("required") == Some(&Value::Bool(true));
            let place = match within {
                "path" => Place::Path,
                "query" => Place::Query,
                "header" if is_free_header(name) => Place::Header,
                // Cookies and the headers that are ours are not for models to write.
                "header" | "cookie" if !required || is_credential(name) => continue,
                _ => return Err("it requires a cookie or a header that is not for models to write"),
            };
            let required = required || place == Place::Path;
            let argument = argument_name(name, within, shapes);
            if place == Place::Path && !matches!(word("style"), None | Some("simple")) {
                return Err("a parameter of its path has a style that is not spoken here");
            }
            let (schema, style) = shape_of(members, place, inliner);
            shapes.push(Shape { argument: argument.clone(), schema, required });
            let name = if place == Place::Header { name.to_ascii_lowercase() } else { name.to_owned() };
            found.push(Parameter { name, argument, place, style, required });
        }
        Ok(found)
    }

    /// The path in pieces. A name in braces that is no parameter becomes one.
    fn pieces(
        &self,
        parameters: &mut Vec<Parameter>,
        shapes: &mut Vec<Shape>,
    ) -> Result<Vec<Piece>, &'static str> {
        if !self.path.starts_with('/') || self.path.len() > limits::TARGET_BYTES_MAX {
            return Err("its path does not begin with a slash, or is too long");
        }
        if self.path.contains(['?', '#', '\\']) || super::request::steps(self.path) {
            return Err("its path has what a path cannot have");
        }
        let mut pieces = Vec::new();
        let mut used = BTreeSet::new();
        let mut rest = self.path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("its path has a brace too many")?;
            if before.contains('}') || name.contains(['{', '/']) || name.is_empty() || !used.insert(name) {
                return Err("its path has a brace too many");
            }
            pieces.push(Piece::Text(encode_text(before)));
            let known = parameters.iter().position(|p| p.place == Place::Path && p.name == name);
            let index = known.unwrap_or(parameters.len());
            if known.is_none() {
                let argument = argument_name(name, "path", shapes);
                let schema = json!({ "type": "string" });
                shapes.push(Shape { argument: argument.clone(), schema, required: true });
                let style = Style::Joined(",");
                let name = name.to_owned();
                parameters.push(Parameter { name, argument, place: Place::Path, style, required: true });
            }
            pieces.push(Piece::Parameter(index));
            rest = after;
        }
        if rest.contains('}') {
            return Err("its path has a brace too many");
        }
        pieces.push(Piece::Text(encode_text(rest)));
        let mut in_path = parameters.iter().filter(|parameter| parameter.place == Place::Path);
        if in_path.any(|parameter| !used.contains(parameter.name.as_str())) {
            return Err("a parameter of its path does not occur there");
        }
        Ok(pieces)
    }

    fn body(&self, inliner: &mut Inliner<'_>, shapes: &mut Vec<Shape>) -> Result<Option<Body>, &'static str> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(None) };
        let body = resolved(self.document, body).ok_or("its body cannot be found")?;
        let required = body.get("required") == Some(&Value::Bool(true));
        let content = body.get("content").and_then(Value::as_object);
        let json = content.into_iter().flatten().find(|(name, _)| is_json(name));
        let Some((content_type, media)) = json else {
            return if required { Err("its body is not JSON") } else { Ok(None) };
        };
        let mut schema = media.get("schema").map_or_else(|| json!({}), |schema| inliner.schema(schema, 0));
        if let (Value::Object(schema), Some(Value::String(text))) = (&mut schema, body.get("description")) {
            schema.insert("description".into(), inliner.text(text));
        }
        let argument = argument_name("body", "json", shapes);
        shapes.push(Shape { argument: argument.clone(), schema, required });
        // A range such as `*/*` is no type to send.
        let content_type = if content_type.contains('*') { "application/json" } else { content_type };
        Ok(Some(Body { argument, content_type: content_type.to_owned(), required }))
    }

    /// A name that no other operation has.
    fn name(&self, names: &BTreeSet<String>) -> String {
        let id = self.operation.get("operationId").and_then(Value::as_str).map(str::to_owned);
        let id = id.filter(|id| id.bytes().any(|byte| byte.is_ascii_alphanumeric()));
        let wanted = id.unwrap_or_else(|| format!("{}_{}", self.verb.as_str().to_lowercase(), self.path));
        let mut name = String::new();
        for letter in wanted.chars() {
            let letter = if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
            // One line for a run of what names cannot have.
            if letter != '_' || !name.ends_with('_') {
                name.push(letter);
            }
        }
        let name = cut(name.trim_matches('_'), limits::OPENAPI_NAME_BYTES_MAX);
        unique(name, limits::OPENAPI_NAME_BYTES_MAX, |name| names.contains(name))
    }

    fn definition(&self, name: &str, shapes: Vec<Shape>) -> Vec<u8> {
        let word = |word| self.operation.get(word).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (summary, description) = (word("summary"), word("description"));
        let mut text = match (summary, description) {
            (Some(summary), Some(description)) => format!("{summary}\n\n{description}"),
            (Some(text), None) | (None, Some(text)) => text.to_owned(),
            (None, None) => format!("{} {}", self.verb.as_str(), self.path),
        };
        if self.operation.get("deprecated") == Some(&Value::Bool(true)) {
            text.insert_str(0, "(deprecated) ");
        }
        let required: Vec<_> =
            shapes.iter().filter(|shape| shape.required).map(|shape| shape.argument.clone()).collect();
        let properties: Members = shapes.into_iter().map(|shape| (shape.argument, shape.schema)).collect();
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if let (Value::Object(schema), false) = (&mut schema, required.is_empty()) {
            schema.insert("required".into(), required.into());
        }
        let mut hints = json!({
            "readOnlyHint": self.verb.reads(),
            "idempotentHint": self.verb.reads() || matches!(self.verb, Verb::Put | Verb::Delete),
            "openWorldHint": true,
        });
        if let (Value::Object(hints), false) = (&mut hints, self.verb.reads()) {
            hints.insert("destructiveHint".into(), (self.verb == Verb::Delete).into());
        }
        let mut tool = json!({
            "name": name,
            "description": cut(&text, limits::MCP_DESCRIPTION_BYTES_MAX),
            "inputSchema": schema,
            "annotations": hints,
        });
        if let (Value::Object(tool), Some(summary)) = (&mut tool, summary) {
            tool.insert("title".into(), cut(summary, limits::RECORD_TEXT_BYTES_MAX).into());
        }
        tool.to_string().into_bytes()
    }
}

/// The schema of a parameter, with its description, and how lists and objects are written.
fn shape_of(members: &Members, place: Place, inliner: &mut Inliner<'_>) -> (Value, Style) {
    let media = members.get("content").and_then(Value::as_object);
    let media = media.and_then(|all| all.iter().min_by_key(|(kind, _)| *kind)).map(|(_, media)| media);
    let schema = media.map_or_else(|| members.get("schema"), |media| media.get("schema"));
    let mut schema = schema.map_or_else(|| json!({}), |schema| inliner.schema(schema, 0));
    if let (Value::Object(schema), Some(Value::String(text))) = (&mut schema, members.get("description")) {
        schema.insert("description".into(), inliner.text(text));
    }
    if media.is_some() {
        return (schema, Style::Json);
    }
    let style = members.get("style").and_then(Value::as_str);
    let explode = members.get("explode").and_then(Value::as_bool);
    let style = match (place, style, explode) {
        (Place::Path | Place::Header, ..) => Style::Joined(","),
        (Place::Query, Some("deepObject"), _) => Style::Deep,
        (Place::Query, Some("spaceDelimited"), None | Some(false)) => Style::Joined("%20"),
        (Place::Query, Some("pipeDelimited"), None | Some(false)) => Style::Joined("%7C"),
        (Place::Query, _, Some(false)) => Style::Joined(","),
        (Place::Query, ..) => Style::Exploded,
    };
    (schema, style)
}

/// A name for an argument: what models and their providers take for a property, and unique.
fn argument_name(name: &str, within: &str, shapes: &[Shape]) -> String {
    let taken = |name: &str| shapes.iter().any(|shape| shape.argument == name);
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let clean: String = name.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    let clean = if clean.is_empty() { String::from("_") } else { clean };
    let clean = cut(&clean, limits::OPENAPI_NAME_BYTES_MAX);
    if !taken(clean) {
        return clean.to_owned();
    }
    unique(&format!("{clean}_{within}"), limits::OPENAPI_NAME_BYTES_MAX, taken)
}

/// `name`, or with the first number that makes it unique, of at most `most` bytes.
fn unique(name: &str, most: usize, taken: impl Fn(&str) -> bool) -> String {
    let name = if name.is_empty() { "operation" } else { name };
    let mut number = 1_u32;
    let mut suffix = String::new();
    loop {
        let candidate = format!("{}{suffix}", cut(name, most.saturating_sub(suffix.len())));
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
        suffix = format!("_{number}");
    }
}

/// Whether a model may write this header: a token, and none that concerns the connection, the credential, the
/// framing or where the request came from.
fn is_free_header(name: &str) -> bool {
    const OURS: &[&str] = &[
        "accept",
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "host",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "forwarded",
        "via",
        "date",
        "origin",
        "referer",
        "user-agent",
        "accept-encoding",
        "range",
    ];
    const PREFIXES: &[&str] = &["x-forwarded-", "proxy-", "mcp-", "sec-", "x-real-", "x-http-method"];
    let token = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let lower = name.to_ascii_lowercase();
    token
        && !OURS.contains(&lower.as_str())
        && !is_credential(&lower)
        && !PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

/// Headers that the gateway or its config fills in, whatever the document says about them.
fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "authorization" | "cookie" | "set-cookie" | "accept" | "content-type" | "x-api-key" | "api-key"
    )
}

fn is_json(media: &str) -> bool {
    let kind = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = media.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    plain
        && (kind == "application/json" || kind.ends_with("+json") || kind == "*/*" || kind == "application/*")
}

/// Text of a document's path; slashes and what is encoded already stay.
fn encode_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            super::request::push_encoded(&mut out, byte);
        }
    }
    out
}

/// The longest beginning of `text` that has at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
