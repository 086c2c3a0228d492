//! A caller's body for a provider of its own dialect: as it came, but for the model's id and for what the
//! meter has to be told.

use crate::json::{self, Fault, Field, Kind, Value};
use crate::llm::anthropic::request::{Request, splice};

/// What is to be known of such a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The caller wants a chunk of usage at the end of a stream of Chat Completions.
    pub usage: bool,
    /// The caller of Responses wants what is thought sealed.
    pub seals: bool,
    /// The most that may be written, in tokens.
    most: Option<u64>,
    /// How many answers are wanted beside the first.
    more: u64,
    /// Where an object begins that says so, if there is one: the place behind its bracket, and whether it is
    /// empty.
    options: Option<(usize, bool)>,
    /// Where the value stands by which the caller does not want it.
    refused: Option<(usize, usize)>,
}

impl Asked {
    /// The most that all answers together may have, in tokens.
    pub const fn most(self) -> Option<u64> {
        match self.most {
            Some(most) => Some(most.saturating_mul(self.more.saturating_add(1))),
            None => None,
        }
    }

    /// Looks at a field of the top level: `stream_options`, and what the most depends on that may be written.
    ///
    /// # Errors
    /// What is not JSON.
    pub fn see(&mut self, body: &[u8], Field { key, value }: &Field<'_>) -> Result<(), Fault> {
        match key.raw {
            b"max_completion_tokens" | b"max_output_tokens" => self.most = value.as_u64(body),
            b"max_tokens" => self.most = self.most.or(value.as_u64(body)),
            b"include" => {
                let list = value.bytes(body);
                self.seals = memchr::memmem::find(list, b"\"reasoning.encrypted_content\"").is_some();
            }
            b"n" => self.more = value.as_u64(body).unwrap_or(1).saturating_sub(1),
            b"stream_options" if value.kind == Kind::Object => self.see_options(body, value)?,
            b"stream_options" => self.refused = Some((value.span.start, value.span.end)),
            _ => {}
        }
        Ok(())
    }

    fn see_options(&mut self, body: &[u8], options: &Value) -> Result<(), Fault> {
        let mut empty = true;
        json::fields_at(body, options.span.clone(), |Field { key, value }| {
            empty = false;
            if key.raw == b"include_usage" {
                self.usage = value.kind == Kind::True;
                self.refused = (!self.usage).then_some((value.span.start, value.span.end));
            }
            Ok::<_, Fault>(())
        })?;
        self.options = Some((options.span.start + 1, empty));
        Ok(())
    }
}

/// Looks at all fields of a body.
///
/// # Errors
/// What is not JSON.
pub fn asked(body: &[u8]) -> Result<Asked, Fault> {
    let mut out = Asked::default();
    json::fields(body, |field| out.see(body, &field))?;
    Ok(out)
}

/// The body with another model's id, where one is given, and with the wish for usage.
pub fn with_usage(body: &[u8], request: &Request, asked: Asked, model: Option<&str>) -> Vec<u8> {
    const WISH: &str = "\"include_usage\":true";
    // Where, up to where, and what stands there instead.
    let mut edits: Vec<(usize, usize, String)> = Vec::with_capacity(2);
    match (asked.refused, asked.options) {
        (Some((from, to)), Some(_)) => edits.push((from, to, "true".to_owned())),
        (Some((from, to)), None) => edits.push((from, to, format!("{{{WISH}}}"))),
        (None, Some((at, empty))) => {
            edits.push((at, at, format!("{WISH}{}", if empty { "" } else { "," })));
        }
        (None, None) => {
            let at = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
            edits.push((at, at, format!("\"stream_options\":{{{WISH}}},")));
        }
    }
    if let Some(spliced) = model.and_then(|model| splice(body, request, model)) {
        let span = &request.model_span;
        edits.push((span.start, span.end, spliced.model.into_owned()));
    }
    edits.sort_by_key(|(from, ..)| *from);
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut at = 0;
    for (from, to, text) in edits {
        out.extend_from_slice(body.get(at..from).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        at = to;
    }
    out.extend_from_slice(body.get(at..).unwrap_or_default());
    out
}
