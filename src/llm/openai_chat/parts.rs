//! Writes content: texts, images and files as parts of a message.

use crate::llm::conversation::{Block, Content, Refusal, Source, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::openai_chat::target::Target;
use crate::llm::written::{Raw, Writer, Written};

/// The value of `prompt_cache_breakpoint`.
const BREAKPOINT: &[u8] = b"{\"mode\":\"explicit\"}";

/// A part of a message.
#[derive(Clone, Debug)]
pub(in crate::llm) enum Part<'c, 'a> {
    /// Pieces of one text.
    Text(Vec<Piece<'a>>),
    /// An image.
    Image(&'c Source<'a>),
    /// A file, with its name.
    File(&'c Source<'a>, Option<Written<'a>>),
}

/// A piece of a text.
#[derive(Clone, Debug)]
pub(in crate::llm) enum Piece<'a> {
    /// Of the caller.
    Written(Written<'a>),
    /// Of ours.
    Ours(String),
}

/// What all parts of a request are written by.
#[derive(Clone, Copy, Debug)]
pub(in crate::llm) struct Ground<'t> {
    pub(in crate::llm) target: &'t Target<'t>,
    pub(in crate::llm) names: &'t Names,
}

/// A part, and whether the prompt up to it is to be kept.
pub(in crate::llm) type Marked<'c, 'a> = (Part<'c, 'a>, bool);

/// Texts and what else there is of blocks that are not about calls of tools. `place` is where they stand.
pub(in crate::llm) fn parts_of<'c, 'a>(
    blocks: impl Iterator<Item = &'c Block<'a>>,
    ground: Ground<'_>,
    place: &str,
    losses: &mut Losses,
) -> Result<Vec<Marked<'c, 'a>>, Refusal>
where
    'a: 'c,
{
    let mut parts = Vec::new();
    for block in blocks {
        let before = parts.len();
        part_of(block, ground, place, losses, &mut parts)?;
        if let (Some(_), Some((_, marked))) = (block.mark, parts.get_mut(before..).and_then(<[_]>::last_mut))
        {
            *marked = true;
        }
    }
    Ok(parts)
}

fn part_of<'c, 'a: 'c>(
    block: &'c Block<'a>,
    ground: Ground<'_>,
    place: &str,
    losses: &mut Losses,
    parts: &mut Vec<Marked<'c, 'a>>,
) -> Result<(), Refusal> {
    let target = ground.target;
    let unsupported = |name: &str, why| Err(Refusal::new(format!("{place}.{name}"), Why::Unsupported(why)));
    let part = match &block.content {
        Content::Text(text) if text.bytes().is_empty() => return Ok(()),
        Content::Text(text) => Part::Text(vec![Piece::Written(*text)]),
        Content::Image(source) => image(source, target, place)?,
        Content::Document { source: Source::Base64 { media, .. }, .. } if !media.is("application/pdf") => {
            return unsupported("document.source.media_type", "of files it reads PDF only");
        }
        Content::Document { source: Source::Base64 { .. }, .. } if !target.files => {
            return unsupported("document", "its model does not read PDF; send the text of it");
        }
        Content::Document { source: source @ Source::Base64 { .. }, title, context } => {
            if let Some(context) = context {
                parts.push((Part::Text(vec![Piece::Written(*context)]), false));
            }
            Part::File(source, *title)
        }
        Content::Document { source: Source::Text(text), title, context } => {
            losses.note("messages.content.document", Treatment::Emulated);
            let mut pieces = heading("document", *title, *context);
            pieces.push(Piece::Written(*text));
            Part::Text(pieces)
        }
        Content::Document { source: Source::Blocks(blocks), title, context } => {
            losses.note("messages.content.document", Treatment::Emulated);
            let pieces = heading("document", *title, *context);
            if !pieces.is_empty() {
                parts.push((Part::Text(pieces), false));
            }
            parts.extend(parts_of(blocks.iter(), ground, place, losses)?);
            return Ok(());
        }
        Content::Document { .. } => {
            return unsupported("document.source", "it takes documents as text or in base64 only");
        }
        Content::SearchResult { source, title, blocks } => {
            losses.note("messages.content.search_result", Treatment::Emulated);
            parts.push((Part::Text(heading("search result", Some(*title), Some(*source))), false));
            parts.extend(parts_of(blocks.iter(), ground, place, losses)?);
            return Ok(());
        }
        Content::ToolReference(name) => {
            losses.note("messages.content.tool_reference", Treatment::Emulated);
            Part::Text(vec![Piece::Ours(format!("[tool available: {}]", ground.names.foreign(*name)))])
        }
        Content::ToolChange { added, name, .. } => {
            losses.note("messages.content.tool_change", Treatment::Emulated);
            let words = if *added { "available" } else { "no longer available" };
            Part::Text(vec![Piece::Ours(format!("[tool {words}: {}]", ground.names.foreign(*name)))])
        }
        Content::Server(raw, kind) => {
            losses.note(format!("messages.content.{}", kind.text()), Treatment::Emulated);
            Part::Text(served(*raw, *kind))
        }
        Content::Unknown(_, kind) => {
            let place = format!("{place}.type ({})", kind.text());
            return Err(Refusal::new(place, Why::Unsupported("blocks of this type have no other form")));
        }
        // These are told in places of their own.
        Content::ToolUse { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => return Ok(()),
    };
    parts.push((part, false));
    Ok(())
}

fn image<'c, 'a>(source: &'c Source<'a>, target: &Target<'_>, place: &str) -> Result<Part<'c, 'a>, Refusal> {
    let (name, why) = match source {
        Source::Base64 { .. } | Source::Url(_) if !target.images => {
            ("image", "its model does not see images")
        }
        Source::Base64 { .. } => return Ok(Part::Image(source)),
        Source::Url(_) if target.image_urls => return Ok(Part::Image(source)),
        Source::Url(_) => ("image.source", "it takes images in base64 only, not by their address"),
        _ => ("image.source", "it cannot get at files that are kept by Anthropic"),
    };
    Err(Refusal::new(format!("{place}.{name}"), Why::Unsupported(why)))
}

fn ours(text: &str) -> Piece<'static> {
    Piece::Ours(text.to_owned())
}

/// `[document: title]` and what else is said of it, each on a line; nothing when nothing is said.
fn heading<'a>(what: &str, title: Option<Written<'a>>, more: Option<Written<'a>>) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    if let Some(title) = title {
        pieces.extend([Piece::Ours(format!("[{what}: ")), Piece::Written(title), ours("]\n")]);
    }
    if let Some(more) = more {
        pieces.extend([Piece::Written(more), ours("\n")]);
    }
    pieces
}

/// What a provider's tool has left, as text: of calls what was asked, of what came back as much as can be
/// read without the provider.
fn served<'a>(raw: Raw<'a>, kind: Written<'a>) -> Vec<Piece<'a>> {
    const SHOWN: &[&str] = &["name", "query", "title", "url", "text", "stdout", "stderr", "error_code"];
    let mut found = String::new();
    shown_members(raw.bytes(), SHOWN, &mut found, 8);
    vec![ours("["), Piece::Written(kind), Piece::Ours(format!("]{found}"))]
}

/// Appends a line for each of the members that are strings, at any depth up to `levels`.
fn shown_members(doc: &[u8], names: &[&str], out: &mut String, levels: usize) {
    use crate::json::{Fault, Field, Kind, Value, elements, fields};
    let deeper = |value: &Value, out: &mut String| match value.kind {
        Kind::Object | Kind::Array if levels > 0 => {
            shown_members(value.bytes(doc), names, out, levels - 1);
        }
        _ => {}
    };
    // What is no JSON inside ends the list early; the block is only told about.
    let walked: Result<(), Fault> = if doc.first() == Some(&b'[') {
        elements(doc, 0..doc.len(), |value| {
            deeper(&value, out);
            Ok(())
        })
    } else {
        fields(doc, |Field { key, value }| {
            let name = names.iter().find(|name| name.as_bytes() == key.raw);
            match (name, value.inner(doc)) {
                (Some(name), Some(text)) => {
                    out.push_str(&format!("\n{name}: {}", Written::new(text).text()));
                }
                _ => deeper(&value, out),
            }
            Ok(())
        })
    };
    walked.unwrap_or_default();
}

/// Writes parts as the value of `content`: a string when it is one text, an array else. Where texts may not
/// be an array they are joined by line feeds.
pub(super) fn write_content(parts: &[Marked<'_, '_>], target: &Target<'_>, out: &mut Writer) {
    let texts_only = parts.iter().all(|(part, _)| matches!(part, Part::Text(_)));
    let marked = parts.iter().any(|(_, marked)| *marked);
    match parts {
        [(Part::Text(pieces), false)] => {
            write_pieces(pieces, out.begin_text()).end_text();
        }
        _ if texts_only && !(target.text_parts && (marked || parts.len() > 1)) => {
            out.begin_text();
            for (index, (part, _)) in parts.iter().enumerate() {
                if index > 0 {
                    out.more_text("\n");
                }
                if let Part::Text(pieces) = part {
                    write_pieces(pieces, out);
                }
            }
            out.end_text();
        }
        _ => {
            out.open('[');
            for (part, marked) in parts {
                write_part(part, *marked, out);
            }
            out.close(']');
        }
    }
}

/// Appends the pieces to the string that is being written.
pub(in crate::llm) fn write_pieces<'w>(pieces: &[Piece<'_>], out: &'w mut Writer) -> &'w mut Writer {
    for piece in pieces {
        match piece {
            Piece::Written(text) => out.more(*text),
            Piece::Ours(text) => out.more_text(text),
        };
    }
    out
}

fn write_part(part: &Part<'_, '_>, marked: bool, out: &mut Writer) {
    out.open('{').key("type");
    match part {
        Part::Text(pieces) => {
            out.text("text").key("text");
            write_pieces(pieces, out.begin_text()).end_text();
        }
        Part::Image(source) => {
            out.text("image_url").key("image_url").open('{').key("url");
            write_address(source, out);
            out.close('}');
        }
        Part::File(source, title) => {
            out.text("file").key("file").open('{').key("filename");
            match title {
                Some(title) => out.written(*title),
                None => out.text("document.pdf"),
            };
            out.key("file_data");
            write_address(source, out);
            out.close('}');
        }
    }
    if marked {
        out.key("prompt_cache_breakpoint").raw(BREAKPOINT);
    }
    out.close('}');
}

/// Its address, or itself as one.
fn write_address(source: &Source<'_>, out: &mut Writer) {
    match source {
        Source::Url(url) => drop(out.written(*url)),
        Source::Base64 { media, data } => {
            out.begin_text().more_text("data:").more(*media).more_text(";base64,").more(*data).end_text();
        }
        _ => drop(out.text("")),
    }
}

/// Writes the texts among parts as one string, behind `before`; each other part is told by a line. When the
/// prompt up to here is to be kept, it is the one part of an array.
pub(super) fn write_as_text(parts: &[Marked<'_, '_>], before: &str, marked: bool, out: &mut Writer) {
    if marked {
        out.open('[').open('{').key("type").text("text").key("text");
    }
    out.begin_text().more_text(before);
    for (index, (part, _)) in parts.iter().enumerate() {
        if index > 0 {
            out.more_text("\n");
        }
        match part {
            Part::Text(pieces) => drop(write_pieces(pieces, out)),
            Part::Image(_) => drop(out.more_text("[image: it follows in the next user message]")),
            Part::File(..) => drop(out.more_text("[file: it follows in the next user message]")),
        }
    }
    out.end_text();
    if marked {
        out.key("prompt_cache_breakpoint").raw(BREAKPOINT).close('}').close(']');
    }
}
