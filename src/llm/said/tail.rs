//! What is said at the end of an answer: why it stopped and what was used.

use crate::json::write_string;
use crate::llm::said::{Event, Setup, Stop};
use crate::llm::usage::Usage;

/// What there is so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    pub(super) usage: Usage,
    stop: Option<(&'static str, Option<Box<str>>)>,
    /// A sequence of ours has ended the answer: what comes after it is not for the caller.
    pub(super) cut: bool,
    /// A call of a tool was among it.
    pub(super) tools: bool,
    /// Bytes of text, thinking and inputs.
    produced_bytes: usize,
}

impl Tail {
    /// Takes what an event says of the end.
    pub(super) fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Text(text) | Event::Thinking(text) | Event::ToolInput { json: text, .. } => {
                self.produced_bytes = self.produced_bytes.saturating_add(text.len());
            }
            Event::ToolStarted { .. } => self.tools |= !self.cut,
            Event::Usage(usage) => self.usage = *usage,
            Event::Stopped(stop) if !self.cut => self.stopped(*stop),
            _ => {}
        }
    }

    /// That there was no more room stays the reason, whatever is said later: blocks may have been closed
    /// incomplete on its word, which no other reason excuses.
    fn stopped(&mut self, stop: Stop<'_>) {
        if self.out_of_room() {
            return;
        }
        let sequence = match stop {
            Stop::Sequence(text) => Some(text.into()),
            _ => None,
        };
        self.stop = Some((stop.word(), sequence));
    }

    /// Ends the answer by a sequence.
    pub(super) fn cut_by(&mut self, sequence: &str) {
        self.stopped(Stop::Sequence(sequence));
        self.cut = true;
    }

    /// Whether it is known why the answer stopped.
    pub(super) const fn is_known(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether the answer stopped because it was long enough: its last block may be incomplete.
    pub(super) fn out_of_room(&self) -> bool {
        self.reason().is_some_and(|word| word == "max_tokens" || word == "model_context_window_exceeded")
    }

    /// `stop_reason`. Some servers say `stop` although tools were called, and some the opposite.
    fn reason(&self) -> Option<&'static str> {
        let (word, _) = self.stop.as_ref()?;
        Some(match *word {
            "end_turn" if self.tools => "tool_use",
            "tool_use" if !self.tools => "end_turn",
            word => word,
        })
    }

    /// Appends `"stop_reason":"...","stop_sequence":...`.
    pub(super) fn write_stop(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"stop_reason\":");
        match self.reason() {
            Some(word) => write_string(out, word),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"stop_sequence\":");
        match self.stop.as_ref().and_then(|(_, sequence)| sequence.as_deref()) {
            Some(sequence) => write_string(out, sequence),
            None => out.extend_from_slice(b"null"),
        }
    }

    /// Appends `"usage":{...}`: what the provider said, or else estimates, of which the gateway knows that
    /// they are none of the provider's.
    pub(super) fn write_usage(&self, setup: &Setup, out: &mut Vec<u8>) {
        let mut usage = self.usage;
        if !usage.seen {
            usage.input_tokens = setup.input_tokens;
            // A token has about 3.5 bytes.
            usage.output_tokens =
                u64::try_from(self.produced_bytes).unwrap_or(u64::MAX).saturating_mul(2) / 7 + 1;
        }
        write_usage(&usage, out);
    }
}

/// Appends `"usage":{...}`.
pub(super) fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let (short, long) = (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens);
    let mut text = format!(
        "\"usage\":{{\"input_tokens\":{},\"cache_creation_input_tokens\":{},\"cache_read_input_tokens\":{},",
        usage.input_tokens,
        short.saturating_add(long),
        usage.cache_read_tokens
    );
    if short > 0 || long > 0 {
        text.push_str(&format!(
            "\"cache_creation\":{{\"ephemeral_5m_input_tokens\":{short},\
             \"ephemeral_1h_input_tokens\":{long}}},"
        ));
    }
    if usage.web_searches > 0 {
        text.push_str(&format!("\"server_tool_use\":{{\"web_search_requests\":{}}},", usage.web_searches));
    }
    text.push_str(&format!("\"output_tokens\":{}}}", usage.output_tokens));
    out.extend_from_slice(text.as_bytes());
}
