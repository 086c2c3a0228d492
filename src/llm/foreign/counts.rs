//! Counts of tokens as OpenAI's dialects give them: those of the cache are among those of the prompt.

use std::ops::Range;

use crate::json::{Fault, Field, Kind, Value, fields_at};
use crate::llm::usage::Usage;

/// The counts of one answer.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    prompt: u64,
    completion: u64,
    cached: u64,
    /// Written into the cache, for whatever time.
    written: u64,
    /// Of those, for half an hour.
    written_short: u64,
    /// And for half a day.
    written_long: u64,
    seen: bool,
}

/// Reads the object `usage` at `span` of `doc`; nothing when it counts nothing.
///
/// # Errors
/// It is no JSON.
pub(in crate::llm) fn read(doc: &[u8], span: Range<usize>) -> Result<Option<Usage>, Fault> {
    let mut counts = Counts::default();
    counts.read(doc, span)?;
    Ok(counts.seen.then(|| counts.usage()))
}

impl Counts {
    fn read(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        fields_at(doc, span, |Field { key, value }| {
            match key.raw {
                b"prompt_tokens" | b"input_tokens" => {
                    self.seen |= value.kind == Kind::Number;
                    set(&mut self.prompt, doc, &value);
                }
                b"completion_tokens" | b"output_tokens" => {
                    self.seen |= value.kind == Kind::Number;
                    set(&mut self.completion, doc, &value);
                }
                // DeepSeek's and Moonshot's places for it.
                b"prompt_cache_hit_tokens" | b"cached_tokens" => set(&mut self.cached, doc, &value),
                b"prompt_tokens_details" | b"input_tokens_details" if value.kind == Kind::Object => {
                    self.details(doc, value.span)?;
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn details(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"cached_tokens", _) => set(&mut self.cached, doc, &value),
                (b"cache_write_tokens" | b"cache_write" | b"cache_write_tokens_details", Kind::Object) => {
                    fields_at(doc, value.span, |Field { key, value }| {
                        match key.raw {
                            b"30m" | b"ttl_30m_tokens" => set(&mut self.written_short, doc, &value),
                            b"12h" | b"ttl_12h_tokens" => set(&mut self.written_long, doc, &value),
                            _ => {}
                        }
                        Ok::<_, Fault>(())
                    })?;
                }
                (b"cache_write_tokens" | b"cache_write", _) => set(&mut self.written, doc, &value),
                _ => {}
            }
            Ok(())
        })
    }

    fn usage(self) -> Usage {
        // What was written for a time that was not said counts as short.
        let short = self.written_short.max(self.written.saturating_sub(self.written_long));
        let apart = self.cached.saturating_add(short).saturating_add(self.written_long);
        Usage {
            input_tokens: self.prompt.saturating_sub(apart),
            output_tokens: self.completion,
            cache_read_tokens: self.cached,
            cache_write_5m_tokens: short,
            cache_write_1h_tokens: self.written_long,
            seen: true,
            ..Usage::default()
        }
    }
}

fn set(place: &mut u64, doc: &[u8], value: &Value) {
    *place = value.as_u64(doc).unwrap_or(*place);
}
