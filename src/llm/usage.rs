//! What a call used and how its answer ended, as far as the provider has said.

use std::ops::Range;

use crate::json::{Fault, Field, Kind, Value, elements, fields_at, text};
use crate::limits;
use crate::llm::action::Action;

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
    /// Searches of the web that the provider has made for the model, each for a fee.
    pub web_searches: u64,
    /// Pages that the provider has fetched for the model.
    pub web_fetches: u64,
    /// Programs that the provider has run for the model, where it counts them.
    pub code_executions: u64,
    /// Whether the provider gave any of these numbers.
    pub seen: bool,
}

impl Usage {
    /// Takes the numbers of the `usage` object at `span` of `doc`; those it does not name stay.
    ///
    /// # Errors
    /// The first [`Fault`] of the object; the numbers before it have been taken.
    pub fn read(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        self.read_with(doc, span, |_, _| Ok(()))
    }

    /// As [`Usage::read`]; members that are no number of ours go to `other`, so that one walk is enough.
    fn read_with(
        &mut self,
        doc: &[u8],
        span: Range<usize>,
        mut other: impl FnMut(&[u8], Value) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (mut total, mut split) = (None, None);
        let read = fields_at(doc, span, |Field { key, value }| {
            match key.raw {
                b"input_tokens" => take(&mut self.input_tokens, &value, doc, &mut self.seen),
                b"output_tokens" => take(&mut self.output_tokens, &value, doc, &mut self.seen),
                b"cache_read_input_tokens" => take(&mut self.cache_read_tokens, &value, doc, &mut self.seen),
                b"cache_creation_input_tokens" => total = value.as_u64(doc).or(total),
                b"cache_creation" => split = split_of(doc, value.span).or(split),
                b"server_tool_use" if value.kind == Kind::Object => self.server_tools(doc, value.span)?,
                name => other(name, value)?,
            }
            Ok(())
        });
        self.cache_writes(total, split);
        read
    }

    /// Reads `{"web_search_requests", "web_fetch_requests", "code_execution_requests"}`.
    fn server_tools(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        fields_at(doc, span, |Field { key, value }| {
            match key.raw {
                b"web_search_requests" => take(&mut self.web_searches, &value, doc, &mut self.seen),
                b"web_fetch_requests" => take(&mut self.web_fetches, &value, doc, &mut self.seen),
                b"code_execution_requests" => take(&mut self.code_executions, &value, doc, &mut self.seen),
                _ => {}
            }
            Ok(())
        })
    }

    /// Adds the numbers of `other`.
    fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_write_5m_tokens, other.cache_write_5m_tokens),
            (&mut self.cache_write_1h_tokens, other.cache_write_1h_tokens),
            (&mut self.web_searches, other.web_searches),
            (&mut self.web_fetches, other.web_fetches),
            (&mut self.code_executions, other.code_executions),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.seen |= other.seen;
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

/// What a price depends on beside the tokens. In a request it is what was asked for, in an answer what was
/// given. Each word is the provider's own, of at most `limits::MODEL_NAME_BYTES_MAX` bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// `standard`, `priority`, `batch`; asked for: `auto`, `standard_only`.
    pub service_tier: Option<Box<str>>,
    /// `standard`, `fast`.
    pub speed: Option<Box<str>>,
    /// Where the model runs, such as `us`.
    pub inference_geo: Option<Box<str>>,
}

impl Terms {
    /// Takes the member `key` of an object when it is one of these.
    pub(crate) fn take(&mut self, key: &[u8], doc: &[u8], value: &Value) {
        match key {
            b"service_tier" => replace(&mut self.service_tier, doc, value),
            b"speed" => replace(&mut self.speed, doc, value),
            b"inference_geo" => replace(&mut self.inference_geo, doc, value),
            _ => {}
        }
    }
}

/// What work beside the message was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideWork {
    /// The provider has put the conversation into fewer words.
    Compaction,
    /// The model has asked another one for advice.
    Advice,
}

/// Work beside the message, whose tokens the totals of [`Answer::usage`] do not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iteration {
    /// What it was for.
    pub work: SideWork,
    /// The model that did it, where that is another one than of the message.
    pub model: Option<Box<str>>,
    /// Its tokens.
    pub usage: Usage,
}

/// Everything that is read from a passing answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The tokens.
    pub usage: Usage,
    /// What their price depends on.
    pub terms: Terms,
    /// Work beside the message, at most `limits::ITERATIONS_MAX`; what exceeds them is added to the last.
    pub iterations: Vec<Iteration>,
    /// Bytes of text, thinking and input of tools that have passed, as they are written in JSON, for an
    /// answer that breaks off before its usage is told: about 3.5 of them are a token. Counted without
    /// looking into the events, so what a provider pads them with counts, too. Of thinking that is not
    /// shown, the provider's estimate of its tokens counts as 3.5 bytes each.
    pub produced_bytes: u64,
    /// The uses of tools, in their order, at most `limits::ACTIONS_OF_ENTRY_MAX`.
    pub actions: Vec<Action>,
    /// How many more uses of tools there were.
    pub actions_left_out: u32,
    /// Why the model stopped: `end_turn`, `tool_use`, `max_tokens`, ...
    pub stop_reason: Option<Box<str>>,
    /// The model that answered, by the provider's word.
    pub model: Option<Box<str>>,
    /// The provider's id of the message.
    pub message_id: Option<Box<str>>,
}

impl Answer {
    /// Takes all of the `usage` object at `span` of `doc`.
    ///
    /// # Errors
    /// The first [`Fault`] of the object; what is before it has been taken.
    pub(crate) fn read_usage(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        let (mut iterations, terms) = (None, &mut self.terms);
        let read = self.usage.read_with(doc, span, |name, value| {
            match (name, value.kind) {
                (b"iterations", Kind::Array) => iterations = Some(value.span),
                (name, Kind::String) => terms.take(name, doc, &value),
                _ => {}
            }
            Ok(())
        });
        iterations.map_or(Ok(()), |span| self.read_iterations(doc, span))?;
        read
    }

    /// Reads `[{"type", "model", ...}]`, where the rest of an element is as in `usage`. The list is whole
    /// each time that it comes.
    fn read_iterations(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Fault> {
        self.iterations.clear();
        elements(doc, span, |element| {
            if element.kind != Kind::Object {
                return Ok(());
            }
            let (mut work, mut model, mut served) = (None, None, false);
            fields_at(doc, element.span.clone(), |Field { key, value }| {
                match (key.raw, value.inner(doc)) {
                    (b"type", Some(b"compaction")) => work = Some(SideWork::Compaction),
                    (b"type", Some(b"advisor_message")) => work = Some(SideWork::Advice),
                    (b"type", Some(b"fallback_message")) => served = true,
                    (b"model", Some(_)) => replace(&mut model, doc, &value),
                    _ => {}
                }
                Ok::<_, Fault>(())
            })?;
            if served && model.is_some() {
                self.model = model;
                return Ok(());
            }
            let Some(work) = work else { return Ok(()) };
            let mut usage = Usage::default();
            usage.read(doc, element.span)?;
            self.add_iteration(Iteration { work, model, usage });
            Ok(())
        })
    }

    fn add_iteration(&mut self, iteration: Iteration) {
        let full = self.iterations.len() >= limits::ITERATIONS_MAX;
        match self.iterations.last_mut().filter(|_| full) {
            Some(last) => last.usage.add(&iteration.usage),
            None => self.iterations.push(iteration),
        }
    }

    /// Adds a use of a tool, unless there are too many; a detail that finds no room is left out.
    pub(crate) fn add_action(&mut self, mut action: Action) {
        let size = |action: &Action| action.id.len() + action.name.len() + action.detail.len();
        let held: usize = self.actions.iter().map(size).sum();
        let room = limits::ACTIONS_BYTES_MAX.saturating_sub(held);
        if size(&action) > room {
            action.detail = Box::default();
        }
        if self.actions.len() < limits::ACTIONS_OF_ENTRY_MAX && size(&action) <= room {
            self.actions.push(action);
        } else {
            self.actions_left_out = self.actions_left_out.saturating_add(1);
        }
    }
}

/// Replaces a word by the string `value`, unless that is longer than `limits::MODEL_NAME_BYTES_MAX`;
/// allocates only when the word has changed.
pub(crate) fn replace(word: &mut Option<Box<str>>, doc: &[u8], value: &Value) {
    let Some(found) = value.inner(doc).and_then(|raw| text(raw).ok()) else { return };
    if found.len() <= limits::MODEL_NAME_BYTES_MAX && word.as_deref() != Some(&*found) {
        *word = Some(found.into());
    }
}
