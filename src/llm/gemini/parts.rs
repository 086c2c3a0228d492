//! Writes content: texts, images and files as parts.

use crate::llm::conversation::{Refusal, Source, Why};
use crate::llm::foreign::parts::{Part, Piece, write_pieces};
use crate::llm::written::{Writer, Written};

/// The images that the models see (ai.google.dev/gemini-api/docs/image-understanding, 2026-11), with what
/// their addresses end in.
const IMAGES: &[(&str, &[&str])] = &[
    ("image/png", &["png"]),
    ("image/jpeg", &["jpg", "jpeg"]),
    ("image/webp", &["webp"]),
    ("image/heic", &["heic"]),
    ("image/heif", &["heif"]),
];

const PDF: &str = "application/pdf";

/// Writes one part, and the title of a file as one before it. `place` is where it stands.
///
/// # Errors
/// An image of a kind that the models do not see.
pub(super) fn write_part(part: &Part<'_, '_>, place: &str, out: &mut Writer) -> Result<(), Refusal> {
    match part {
        Part::Text(pieces) => write_text(pieces, out),
        Part::Image(source) => {
            out.open('{');
            write_media(source, image_media(source, place)?, out);
            out.close('}');
        }
        Part::File(source, title) => {
            if let Some(title) = title {
                let ours = |text: &str| Piece::Ours(text.to_owned());
                write_text(&[ours("[document: "), Piece::Written(*title), ours("]")], out);
            }
            out.open('{');
            write_media(source, Media::Known(PDF), out);
            out.close('}');
        }
    }
    Ok(())
}

fn write_text(pieces: &[Piece<'_>], out: &mut Writer) {
    out.open('{').key("text");
    write_pieces(pieces, out.begin_text()).end_text().close('}');
}

/// A media type.
#[derive(Clone, Copy)]
pub(super) enum Media<'a> {
    Known(&'static str),
    Written(Written<'a>),
}

/// Writes `inlineData` or `fileData`.
pub(super) fn write_media(source: &Source<'_>, media: Media<'_>, out: &mut Writer) {
    let (object, member, value) = match source {
        Source::Base64 { data, .. } => ("inlineData", "data", *data),
        Source::Url(url) => ("fileData", "fileUri", *url),
        // Nothing else becomes a part.
        _ => return,
    };
    out.key(object).open('{').key("mimeType");
    match media {
        Media::Known(media) => out.text(media),
        Media::Written(media) => out.written(media),
    };
    out.key(member).written(value).close('}');
}

/// The media type of an image: that which is said, or that which its address ends in.
pub(super) fn image_media<'a>(source: &Source<'a>, place: &str) -> Result<Media<'a>, Refusal> {
    let refuse = |name: &str, why| Err(Refusal::new(format!("{place}.image.{name}"), Why::Unsupported(why)));
    match source {
        Source::Base64 { media, .. } if IMAGES.iter().any(|(known, _)| media.is(known)) => {
            Ok(Media::Written(*media))
        }
        Source::Url(url) => {
            let url = url.text();
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let end = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            match IMAGES.iter().find(|(_, ends)| ends.contains(&&*end)) {
                Some((media, _)) => Ok(Media::Known(media)),
                None => refuse("source", "its address does not say what it is; send it in base64"),
            }
        }
        _ => refuse("source.media_type", "of images its models see PNG, JPEG, WebP and HEIC only"),
    }
}

/// The media type of what stands beside text in a result.
pub(super) fn media_of<'a>(part: &Part<'_, 'a>, place: &str) -> Result<Option<Media<'a>>, Refusal> {
    match part {
        Part::Text(_) => Ok(None),
        Part::Image(source) => image_media(source, place).map(Some),
        Part::File(..) => Ok(Some(Media::Known(PDF))),
    }
}
