//! What a call used and how its answer ended, as far as the provider has said.

use std::ops::Range;

use crate::json::{Fault, Field, Value, fields_at, text};
use crate::limits;

/// Tokens by what they are charged as. Each number is the last one that the provider gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read fresh, neither from nor into the prompt cache.
    pub input_tokens: u64,
    /// Written by the model.
    pub output_tokens: u64,
    /// Read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Written into the prompt cache for 5 minutes; also what was written for a time that was not said.
    pub cache_write_5m_tokens: u64,
    /// Written into the prompt cache for an hour.
    pub cache_write_1h_tokens: u64,
    /// Whether the provider gave any of these numbers.
    pub seen: bool,
}

impl Usage {
    /// Takes the numbers of the `usage` object at `span` of `doc`; those it does not name stay.
    ///
    /// # Errors
    /// The first [`Fault`] of the object; the numbers before it have been taken.
    pub fn read(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        let (mut total, mut split) = (None, None);
        let read = fields_at(doc, span, |Field { key, value }| {
            match key.raw {
                b"input_tokens" => take(&mut self.input_tokens, &value, doc, &mut self.seen),
                b"output_tokens" => take(&mut self.output_tokens, &value, doc, &mut self.seen),
                b"cache_read_input_tokens" => take(&mut self.cache_read_tokens, &value, doc, &mut self.seen),
                b"cache_creation_input_tokens" => total = value.as_u64(doc).or(total),
                b"cache_creation" => split = split_of(doc, value.span).or(split),
                _ => {}
            }
            Ok(())
        });
        self.cache_writes(total, split);
        read
    }

    /// The total may come without its split, with it, and again without it at the end of a stream.
    fn cache_writes(&mut self, total: Option<u64>, split: Option<(u64, u64)>) {
        if let Some((short, long)) = split {
            (self.cache_write_5m_tokens, self.cache_write_1h_tokens) = (short, long);
            self.seen = true;
        }
        let Some(total) = total else { return };
        self.seen = true;
        let said = self.cache_write_5m_tokens.saturating_add(self.cache_write_1h_tokens);
        if split.is_none() || total > said {
            self.cache_write_1h_tokens = self.cache_write_1h_tokens.min(total);
            self.cache_write_5m_tokens = total - self.cache_write_1h_tokens;
        }
    }
}

fn take(number: &mut u64, value: &Value, doc: &[u8], seen: &mut bool) {
    if let Some(found) = value.as_u64(doc) {
        *number = found;
        *seen = true;
    }
}

/// Reads `cache_creation`: for 5 minutes, for an hour; nothing when neither is named.
fn split_of(doc: &[u8], span: Range<usize>) -> Option<(u64, u64)> {
    let (mut short, mut long) = (None, None);
    let read: Result<(), Fault> = fields_at(doc, span, |Field { key, value }| {
        match key.raw {
            b"ephemeral_5m_input_tokens" => short = value.as_u64(doc),
            b"ephemeral_1h_input_tokens" => long = value.as_u64(doc),
            _ => {}
        }
        Ok(())
    });
    read.ok()?;
    (short.is_some() || long.is_some()).then(|| (short.unwrap_or(0), long.unwrap_or(0)))
}

/// Everything that is read from a passing answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The tokens.
    pub usage: Usage,
    /// Why the model stopped: `end_turn`, `tool_use`, `max_tokens`, ...
    pub stop_reason: Option<Box<str>>,
    /// The model that answered, by the provider's word.
    pub model: Option<Box<str>>,
    /// The provider's id of the message.
    pub message_id: Option<Box<str>>,
}

/// Replaces a word by the string `value`, unless that is longer than `limits::MODEL_NAME_BYTES_MAX`;
/// allocates only when the word has changed.
pub(crate) fn replace(word: &mut Option<Box<str>>, doc: &[u8], value: &Value) {
    let Some(found) = value.inner(doc).and_then(|raw| text(raw).ok()) else { return };
    if found.len() <= limits::MODEL_NAME_BYTES_MAX && word.as_deref() != Some(&*found) {
        *word = Some(found.into());
    }
}
