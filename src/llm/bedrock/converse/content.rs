//! Writes content blocks: texts, images, files.

use crate::llm::bedrock::converse::Target;
use crate::llm::conversation::{Refusal, Source, Why};
use crate::llm::foreign::parts::{self, Part, Piece};
use crate::llm::names::Names;
use crate::llm::written::{Writer, Written};

/// What all of a request is written by.
#[derive(Clone, Copy)]
pub(super) struct Ground<'t> {
    pub(super) target: &'t Target<'t>,
    pub(super) names: &'t Names,
}

impl<'t> Ground<'t> {
    /// For what both dialects read the same.
    pub(super) const fn parts(&self) -> parts::Ground<'t> {
        let Target { images, files, .. } = *self.target;
        parts::Ground { names: self.names, images, image_urls: false, files, file_urls: false }
    }
}

/// Whether there is nothing in a text but white space, which the service refuses.
pub(super) fn is_blank(part: &Part<'_, '_>) -> bool {
    match part {
        Part::Text(pieces) => pieces.iter().all(|piece| match piece {
            Piece::Written(text) => text.is_blank(),
            Piece::Ours(text) => text.trim().is_empty(),
        }),
        Part::Image(_) | Part::File(..) => false,
    }
}

/// Writes one part as a block. `documents` counts files, whose names have to differ.
pub(super) fn write(
    part: &Part<'_, '_>,
    place: &str,
    documents: &mut usize,
    out: &mut Writer,
) -> Result<(), Refusal> {
    out.open('{');
    match part {
        Part::Text(pieces) => {
            out.key("text");
            parts::write_pieces(pieces, out.begin_text()).end_text();
        }
        Part::Image(Source::Base64 { media, data }) => {
            let Some(format) = image_format(*media) else {
                let why = Why::Unsupported("of images it reads PNG, JPEG, GIF and WebP");
                return Err(Refusal::new(format!("{place}.image.source.media_type"), why));
            };
            out.key("image").open('{').key("format").text(format);
            bytes(*data, out);
            out.close('}');
        }
        Part::File(Source::Base64 { data, .. }, _) => {
            *documents += 1;
            out.key("document").open('{').key("format").text("pdf");
            out.key("name").text(&format!("document {documents}"));
            bytes(*data, out);
            out.close('}');
        }
        Part::Image(_) | Part::File(..) => {
            let why = Why::Unsupported("it takes images and files in base64 only");
            return Err(Refusal::new(format!("{place}.source"), why));
        }
    }
    out.close('}');
    Ok(())
}

fn bytes(data: Written<'_>, out: &mut Writer) {
    out.key("source").open('{').key("bytes").written(data).close('}');
}

fn image_format(media: Written<'_>) -> Option<&'static str> {
    let known = [("image/png", "png"), ("image/jpeg", "jpeg"), ("image/gif", "gif"), ("image/webp", "webp")];
    known.iter().find(|(name, _)| media.is(name)).map(|(_, format)| *format)
}
