//! Writes content as parts of a message.

use crate::llm::foreign::parts::{Marked, Part, write_address, write_pieces};
use crate::llm::openai_chat::target::Target;
use crate::llm::written::Writer;

/// The value of `prompt_cache_breakpoint`.
const BREAKPOINT: &[u8] = b"{\"mode\":\"explicit\"}";

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
