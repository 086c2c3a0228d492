//! OpenAPI documents that a config names: read with it, and turned into JSON where they are YAML.

use std::path::Path;

use serde::Deserialize;

use crate::config::atomic;
use crate::config::faults::Mark;
use crate::config::reader::Reader;
use crate::config::yaml::{self, Node, Value};
use crate::json;
use crate::limits;

/// Reads the document at `path` as JSON text. Faults in YAML name the document and its line, all others
/// the line of the config that names it.
pub(crate) fn read(path: &Path, mark: Mark, what: &str, reader: &mut Reader) -> Option<String> {
    let shown = path.display();
    let bytes = atomic::read(path, limits::OPENAPI_BYTES_MAX)
        .inspect_err(|why| reader.fault(mark, format!("{what}: {shown} cannot be read: {why}")));
    let Ok(text) = String::from_utf8(bytes.ok()?) else {
        reader.fault(mark, format!("{what}: {shown} is not UTF-8 text"));
        return None;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim_start().starts_with('{') {
        return match serde_json::from_str::<Outline>(text) {
            Ok(_) => Some(text.to_owned()),
            Err(why) => {
                reader.fault(mark, format!("{what}: {shown} is no OpenAPI document in JSON: {why}"));
                None
            }
        };
    }
    let mut own = Reader::new(&shown.to_string());
    let root = yaml::parse_to(limits::JSON_DEPTH_MAX, text, &mut own);
    let faults = own.into_faults();
    if !faults.is_empty() {
        reader.absorb(faults);
        return None;
    }
    let Some(root) = root.filter(|root| matches!(root.value, Value::Map(_))) else {
        reader.fault(mark, format!("{what}: {shown} is no OpenAPI document: expected a mapping"));
        return None;
    };
    let mut out = Vec::with_capacity(text.len());
    write(&root, &mut out);
    String::from_utf8(out).ok()
}

/// What we look at ourselves.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    servers: serde_json::Value,
}

/// The first of the document's `servers`, where it names one as a whole URL.
pub(crate) fn first_server(document: &str) -> Option<String> {
    let outline: Outline = serde_json::from_str(document).ok()?;
    let url = outline.servers.get(0)?.get("url")?.as_str()?;
    (url.contains("://") && !url.contains('{')).then(|| url.to_owned())
}

/// Writes a node as JSON. The parser has bounded its depth.
fn write(node: &Node, out: &mut Vec<u8>) {
    match &node.value {
        Value::Text { text, plain } => match text.as_str() {
            _ if node.is_nothing() => out.extend_from_slice(b"null"),
            "true" | "True" | "TRUE" if *plain => out.extend_from_slice(b"true"),
            "false" | "False" | "FALSE" if *plain => out.extend_from_slice(b"false"),
            // As written, so that `1.10` stays what it is.
            number if *plain && serde_json::from_str::<serde_json::Number>(number).is_ok() => {
                out.extend_from_slice(number.as_bytes());
            }
            text => json::write_string(out, text),
        },
        Value::List(nodes) => {
            out.push(b'[');
            for (place, node) in nodes.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(node, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            for (place, entry) in entries.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                json::write_string(out, &entry.key);
                out.push(b':');
                write(&entry.value, out);
            }
            out.push(b'}');
        }
    }
}
