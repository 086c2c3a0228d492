//! Reads along in an answer that passes in the caller's own dialect.

use memchr::memmem;

use crate::json::write_string;
use crate::limits;
use crate::llm::action::Block;
use crate::llm::inward::Dialect;
use crate::llm::inward::hide::Hide;
use crate::llm::said::{Event, Failure};
use crate::llm::usage::Answer;
use crate::llm::{names, openai_chat, openai_responses};

/// Reads an answer in pieces of any size.
#[derive(Clone, Debug)]
pub struct Along {
    dialect: Dialect,
    reader: Reader,
    hide: Option<Hide>,
    noted: Noted,
    /// The last byte ended a line that was empty.
    between: bool,
    ended: bool,
    /// Whether it is a stream, as soon as that can be seen.
    events: Option<bool>,
}

#[derive(Clone, Debug)]
enum Reader {
    Chat(Box<openai_chat::StreamReader>),
    Responses(Box<openai_responses::StreamReader>),
}

/// What has been read so far.
#[derive(Clone, Debug, Default)]
struct Noted {
    answer: Answer,
    /// Uses of tools that are under way, by their place in the answer.
    uses: Vec<(usize, Block)>,
    failure: Option<Failure>,
}

impl Along {
    /// A reader of one answer. `hides` keeps the chunk of usage from the caller, see [`Along::pass`].
    pub fn new(dialect: Dialect, hides: bool) -> Self {
        let reader = match dialect {
            Dialect::Chat => Reader::Chat(Box::new(openai_chat::StreamReader::new(Default::default()))),
            Dialect::Responses => {
                Reader::Responses(Box::new(openai_responses::StreamReader::new(Default::default())))
            }
        };
        let hide = hides.then(Hide::default);
        Self { dialect, reader, hide, noted: Noted::default(), between: true, ended: false, events: None }
    }

    /// The dialect that passes.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Looks at the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { reader, noted, between, events, .. } = self;
        if bytes.is_empty() {
            return;
        }
        if let (None, Some(first)) = (&events, bytes.trim_ascii_start().first()) {
            *events = Some(!matches!(first, b'{' | b'['));
        }
        noted.tier(bytes);
        let each = &mut |event: &Event<'_>| noted.take(event);
        match reader {
            Reader::Chat(reader) => reader.push(bytes, each),
            Reader::Responses(reader) => reader.push(bytes, each),
        }
        *between = bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n");
    }

    /// The answer is over.
    pub fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let Self { reader, noted, .. } = self;
        let each = &mut |event: &Event<'_>| noted.take(event);
        match reader {
            Reader::Chat(reader) => reader.finish(each),
            Reader::Responses(reader) => reader.finish(each),
        }
    }

    /// Whether less may leave than has come.
    pub const fn hides(&self) -> bool {
        self.hide.is_some()
    }

    /// What leaves in place of these bytes, where that is something else.
    pub fn pass(&mut self, bytes: &[u8], done: bool) -> Option<Vec<u8>> {
        self.hide.as_mut().map(|hide| hide.pass(bytes, done))
    }

    /// What has been read so far.
    pub const fn answer(&self) -> &Answer {
        &self.noted.answer
    }

    /// Why the answer is none, or breaks off, by the provider's word.
    pub const fn failure(&self) -> Option<&Failure> {
        self.noted.failure.as_ref()
    }

    /// Whether an event of ours may follow: what passes is a stream between two events, and not at its end.
    pub fn takes_event(&self) -> bool {
        let whole = self.between || self.hide.is_some();
        self.events == Some(true) && whole && !self.said_all()
    }

    /// Whether all of the answer has passed, and no event is under way.
    pub fn said_all(&self) -> bool {
        let finished = match &self.reader {
            Reader::Chat(reader) => reader.finished(),
            Reader::Responses(reader) => reader.finished(),
        };
        finished && self.between
    }
}

impl Noted {
    fn take(&mut self, event: &Event<'_>) {
        let answer = &mut self.answer;
        let produced = |answer: &mut Answer, bytes: usize| {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            answer.produced_bytes = answer.produced_bytes.saturating_add(bytes);
        };
        match event {
            Event::Started { model, id } => {
                replace(&mut answer.model, model);
                replace(&mut answer.message_id, id);
            }
            Event::Text(text) | Event::Thinking(text) => produced(answer, text.len()),
            Event::ToolStarted { index, id, name } => {
                let mut head = Vec::with_capacity(64);
                head.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
                write_string(&mut head, &names::to_target(id, limits::CALL_ID_BYTES_MAX));
                head.extend_from_slice(b",\"name\":");
                write_string(&mut head, name);
                head.extend_from_slice(b",\"input\":{}}");
                let mut block = Block::default();
                block.push(&head);
                if self.uses.len() < limits::CALLS_OF_ANSWER_MAX {
                    self.uses.push((*index, block));
                }
            }
            Event::ToolInput { index, json } => {
                produced(answer, json.len());
                if let Some((_, block)) = self.uses.iter_mut().find(|(place, _)| place == index) {
                    block.push_input(json.as_bytes());
                }
            }
            Event::Usage(usage) => answer.usage = *usage,
            Event::Stopped(stop) => answer.stop_reason = Some(stop.word().into()),
            Event::Ended => self.settle(),
            Event::Failed(failure) => {
                self.failure = Some((*failure).clone());
                self.settle();
            }
            Event::Signature(_) | Event::ToolEnded { .. } | Event::Searched(_) | Event::Compacted(_) => {}
        }
    }

    fn settle(&mut self) {
        for (_, block) in self.uses.drain(..) {
            block.action().into_iter().for_each(|action| self.answer.add_action(action));
        }
    }

    /// Notes the class of service, on which the price depends. Quotes inside of texts are escaped, so what is
    /// found is a member.
    fn tier(&mut self, bytes: &[u8]) {
        const NAME: &[u8] = b"\"service_tier\":";
        if self.answer.terms.service_tier.is_some() {
            return;
        }
        let Some(at) = memmem::find(bytes, NAME) else { return };
        let rest = bytes.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b"\"") else { return };
        let word = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
        let whole = rest.len() > word.len() && word.iter().all(u8::is_ascii_alphanumeric);
        if whole && word.len() <= limits::MODEL_NAME_BYTES_MAX && word != b"auto" {
            self.answer.terms.service_tier = str::from_utf8(word).ok().map(Into::into);
        }
    }
}

fn replace(word: &mut Option<Box<str>>, found: &str) {
    let fits = !found.is_empty() && found.len() <= limits::MODEL_NAME_BYTES_MAX;
    if fits && word.as_deref() != Some(found) {
        *word = Some(found.into());
    }
}
