//! Parts of a message: texts, images and files, as both of OpenAI's dialects have them.

use crate::json::{self, Kind, Value};
use crate::llm::conversation::named::Named;
use crate::llm::conversation::{Refusal, Why};
use crate::llm::inward::turns::{Open, Speaker, Turns};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::{Writer, Written};

/// A part of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Text(Written<'a>),
    /// Its address, which may be the bytes themselves.
    Image(Written<'a>),
    File {
        /// Its bytes as an address, or its address.
        at: Written<'a>,
        name: Option<Written<'a>>,
    },
}

const FIELDS: &[&str] = &[
    "type",
    "text",
    "refusal",
    "image_url",
    "file",
    "detail",
    "file_data",
    "file_url",
    "file_id",
    "filename",
];

/// Why a file at the provider is refused.
const AT_PROVIDER: Why = Why::Unsupported("files that are kept at OpenAI cannot be read elsewhere");

/// Reads a content that is a string or a list of parts.
///
/// # Errors
/// A kind of part that nobody else takes, with its place.
pub(super) fn read<'a>(
    body: &'a [u8],
    value: &Value,
    place: &str,
    losses: &mut Losses,
) -> Result<Vec<Part<'a>>, Refusal> {
    if let Some(text) = value.inner(body) {
        return Ok(vec![Part::Text(Written::new(text))]);
    }
    if value.kind != Kind::Array {
        return Err(Refusal::new(place, Why::Kind("a string or an array of parts")));
    }
    let mut parts = Vec::new();
    json::elements(body, value.span.clone(), |element| {
        let place = format!("{place}[{}]", parts.len());
        if element.kind != Kind::Object {
            return Err(Refusal::new(place, Why::Kind("an object")));
        }
        parts.push(part(body, &element, &place, losses)?);
        Ok(())
    })?;
    Ok(parts)
}

fn part<'a>(body: &'a [u8], element: &Value, place: &str, losses: &mut Losses) -> Result<Part<'a>, Refusal> {
    let at = |name: &str| format!("{place}.{name}");
    let mut named = Named::read(body, element.span.clone(), FIELDS, &at)?;
    let kind = named.needed("type", &at)?;
    match &*kind.text() {
        "text" | "input_text" | "output_text" => Ok(Part::Text(named.needed("text", &at)?)),
        "refusal" => Ok(Part::Text(named.needed("refusal", &at)?)),
        "image_url" => {
            let image = named.raw("image_url").ok_or_else(|| Refusal::new(at("image_url"), Why::Missing))?;
            let inner = |name: &str| format!("{place}.image_url.{name}");
            if image.kind != Kind::Object {
                return Err(Refusal::new(at("image_url"), Why::Kind("an object")));
            }
            let whole = 0..image.bytes().len();
            let mut image = Named::read(image.bytes(), whole, &["url", "detail"], &inner)?;
            note_detail(image.text("detail", &inner)?, losses);
            Ok(Part::Image(image.needed("url", &inner)?))
        }
        "input_image" => {
            note_detail(named.text("detail", &at)?, losses);
            match named.text("image_url", &at)? {
                Some(url) => Ok(Part::Image(url)),
                None => Err(Refusal::new(at("file_id"), AT_PROVIDER)),
            }
        }
        "file" => {
            let file = named.raw("file").ok_or_else(|| Refusal::new(at("file"), Why::Missing))?;
            let inner = |name: &str| format!("{place}.file.{name}");
            if file.kind != Kind::Object {
                return Err(Refusal::new(at("file"), Why::Kind("an object")));
            }
            let mut file = Named::read(file.bytes(), 0..file.bytes().len(), FIELDS, &inner)?;
            named_file(&mut file, &inner)
        }
        "input_file" => named_file(&mut named, &at),
        _ => {
            let why = Why::Unsupported("its models read texts, images and PDF files");
            Err(Refusal::new(at("type"), why))
        }
    }
}

fn named_file<'a>(named: &mut Named<'a>, at: &dyn Fn(&str) -> String) -> Result<Part<'a>, Refusal> {
    let name = named.text("filename", at)?;
    let (data, url) = (named.text("file_data", at)?, named.text("file_url", at)?);
    match data.or(url) {
        Some(found) => Ok(Part::File { at: found, name }),
        None => Err(Refusal::new(at("file_id"), AT_PROVIDER)),
    }
}

fn note_detail(detail: Option<Written<'_>>, losses: &mut Losses) {
    if detail.is_some_and(|detail| !detail.is("auto")) {
        losses.note("detail", Treatment::Dropped);
    }
}

/// Adds parts to a turn.
///
/// # Errors
/// A source that cannot be passed on.
pub(super) fn add(
    turns: &mut Turns,
    speaker: Speaker,
    parts: &[Part<'_>],
    place: &str,
) -> Result<(), Refusal> {
    for part in parts {
        match part {
            Part::Text(text) => turns.text(speaker, *text)?,
            Part::Image(_) | Part::File { .. } if speaker == Speaker::Model => {
                let why = Why::Unsupported("its models write text only, no images or files");
                return Err(Refusal::new(place, why));
            }
            Part::Image(url) => {
                let mut block = Open::new("image", url.bytes().len());
                source(*url, "image/", place, block.out())?;
                turns.add(speaker, block)?;
            }
            Part::File { at, name } => {
                let mut block = Open::new("document", at.bytes().len() + 64);
                file(*at, *name, place, block.out())?;
                turns.add(speaker, block)?;
            }
        }
    }
    Ok(())
}

/// Writes `content` of a result of a tool; nothing where it is blank.
///
/// # Errors
/// A source that cannot be passed on.
pub(super) fn write_content(parts: &[Part<'_>], place: &str, out: &mut Writer) -> Result<(), Refusal> {
    let is_blank = |part: &&Part<'_>| !matches!(part, Part::Text(text) if text.is_blank());
    let parts: Vec<_> = parts.iter().filter(is_blank).collect();
    if let [Part::Text(text)] = parts.as_slice() {
        out.key("content").written(*text);
        return Ok(());
    }
    if parts.is_empty() {
        return Ok(());
    }
    out.key("content").open('[');
    for part in parts {
        out.open('{').key("type");
        match part {
            Part::Text(text) => {
                out.text("text").key("text").written(*text);
            }
            Part::Image(url) => {
                out.text("image");
                source(*url, "image/", place, out)?;
            }
            Part::File { at, name } => {
                out.text("document");
                file(*at, *name, place, out)?;
            }
        }
        out.close('}');
    }
    out.close(']');
    Ok(())
}

/// The texts of parts one behind the other, for instructions.
///
/// # Errors
/// A part that is no text.
pub(super) fn texts<'a>(parts: Vec<Part<'a>>, place: &str) -> Result<Vec<Written<'a>>, Refusal> {
    let text = |part| match part {
        Part::Text(text) => Ok(text),
        Part::Image(_) | Part::File { .. } => Err(Refusal::new(place, Why::Kind("text"))),
    };
    parts.into_iter().map(text).collect()
}

fn file(at: Written<'_>, name: Option<Written<'_>>, place: &str, out: &mut Writer) -> Result<(), Refusal> {
    source(at, "application/pdf", place, out)?;
    if let Some(name) = name.filter(|name| !name.is_blank()) {
        out.key("title").written(name);
    }
    Ok(())
}

/// Writes `source` for an address: that of a page, or the bytes themselves, of a type that begins so.
fn source(url: Written<'_>, media: &str, place: &str, out: &mut Writer) -> Result<(), Refusal> {
    let url = url.text();
    out.key("source").open('{').key("type");
    if let Some(data) = url.strip_prefix("data:") {
        let (head, data) = data.split_once(',').unwrap_or_default();
        let kind = head.strip_suffix(";base64").unwrap_or_default();
        if !kind.starts_with(media) || data.is_empty() {
            let why = Why::Kind("an address as data:image/png;base64,... or data:application/pdf;base64,...");
            return Err(Refusal::new(place, why));
        }
        out.text("base64").key("media_type").text(kind).key("data").text(data);
    } else if url.starts_with("https://") || url.starts_with("http://") {
        out.text("url").key("url").text(&url);
    } else {
        return Err(Refusal::new(place, Why::Kind("an address that begins with https:// or data:")));
    }
    out.close('}');
    Ok(())
}
