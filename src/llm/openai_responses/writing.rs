//! Writes content as parts of an item, or as one text.

use crate::llm::foreign::parts::{Marked, Part, Piece, write_address, write_pieces};
use crate::llm::written::Writer;

/// The value of `prompt_cache_breakpoint`.
const BREAKPOINT: &[u8] = b"{\"mode\":\"explicit\"}";

/// Writes parts as the value of `content` or `output`: a string when it is one text without a mark, an array
/// else.
pub(super) fn write_parts(parts: &[Marked<'_, '_>], out: &mut Writer) {
    match parts {
        [] => drop(out.text("")),
        [(Part::Text(pieces), false)] => drop(write_pieces(pieces, out.begin_text()).end_text()),
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
            out.text("input_text").key("text");
            write_pieces(pieces, out.begin_text()).end_text();
        }
        Part::Image(source) => {
            out.text("input_image").key("detail").text("auto").key("image_url");
            write_address(source, out);
        }
        Part::File(source, title) => {
            out.text("input_file");
            if matches!(source, crate::llm::conversation::Source::Url(_)) {
                out.key("file_url");
            } else {
                out.key("filename");
                match title {
                    Some(title) => out.written(*title),
                    None => out.text("document.pdf"),
                };
                out.key("file_data");
            }
            write_address(source, out);
        }
    }
    if marked {
        out.key("prompt_cache_breakpoint").raw(BREAKPOINT);
    }
    out.close('}');
}

/// Writes the texts among parts as one string, joined by line feeds; each other part is told by a line.
pub(super) fn write_joined(parts: &[Marked<'_, '_>], out: &mut Writer) {
    out.begin_text();
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
}

/// Puts a text in front of parts.
pub(super) fn put_in_front(text: &str, parts: &mut Vec<Marked<'_, '_>>) {
    let piece = Piece::Ours(text.to_owned());
    match parts.first_mut() {
        Some((Part::Text(pieces), _)) => pieces.insert(0, piece),
        _ => parts.insert(0, (Part::Text(vec![piece]), false)),
    }
}
