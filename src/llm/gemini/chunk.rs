//! Reads the documents of an answer, chunks of a stream or the whole, and tells what they say.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::json::{Field, Kind, elements, fields, fields_at};
use crate::limits;
use crate::llm::foreign::stream::{Answer, Each, Trouble, cut_short};
use crate::llm::foreign::text::text_of;
use crate::llm::gemini::carried::Carried;
use crate::llm::gemini::error;
use crate::llm::names::{self, Names};
use crate::llm::said::{self, Event, Failure, Hit, Search, Stop};
use crate::llm::usage::Usage;

/// What an answer is read with, from the translation of its request.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The way back for names of tools.
    pub names: Names,
    /// What signatures are tagged with, as in the target.
    pub origin: Box<str>,
    /// A number that tells this answer from others of the conversation, for ids of calls.
    pub nonce: u32,
}

impl Default for Reading {
    fn default() -> Self {
        Self { names: Names::default(), origin: super::ORIGIN.into(), nonce: 0 }
    }
}

/// What is known of an answer so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    reading: Reading,
    started: bool,
    /// Calls so far.
    calls: usize,
    /// The server's ids of them.
    ids: BTreeSet<Box<str>>,
    stop: Option<Stop<'static>>,
    usage: Usage,
    /// What the model has searched for, at most `limits::SOURCES_MAX`.
    queries: Vec<String>,
    /// What it has found, at most `limits::SOURCES_MAX`.
    hits: Vec<Hit<'static>>,
    /// Nothing counts any more.
    over: bool,
}

impl Chunks {
    pub(super) fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    /// Takes one document, or several in an array; `whole` when it is all of an answer.
    pub(super) fn take(&mut self, doc: &[u8], whole: bool, each: Each<'_>) {
        if self.over {
            return;
        }
        let read = if doc.trim_ascii_start().first() == Some(&b'[') {
            elements(doc, 0..doc.len(), |one| match one.kind {
                Kind::Object if !self.over => self.read(one.bytes(doc), whole, each),
                _ => Ok(()),
            })
        } else {
            self.read(doc, whole, each)
        };
        if let Err(trouble) = read {
            Answer::fail(self, &trouble.failure(), each);
        }
    }

    fn read(&mut self, doc: &[u8], whole: bool, each: Each<'_>) -> Result<(), Trouble> {
        let mut top = Top::default();
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"responseId", Kind::String) => top.id = text_of(doc, &value),
                (b"modelVersion", Kind::String) => top.model = text_of(doc, &value),
                (b"candidates", Kind::Array) => top.candidates = Some(value.span),
                (b"promptFeedback", Kind::Object) => top.feedback = Some(value.span),
                (b"usageMetadata", Kind::Object) => top.usage = Some(value.span),
                (b"error", Kind::Object | Kind::String) => top.error = true,
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        let says_nothing = top.candidates.is_none() && top.feedback.is_none() && top.usage.is_none();
        if top.error || (whole && says_nothing) {
            return Err(Trouble::Failed(error::read(0, doc)));
        }
        if !std::mem::replace(&mut self.started, true) {
            each(&Event::Started { model: &top.model, id: &top.id });
        }
        let mut ended = None;
        if let Some(span) = top.candidates {
            let mut first = true;
            elements(doc, span, |candidate| {
                if candidate.kind == Kind::Object && std::mem::take(&mut first) {
                    ended = self.candidate(doc, candidate.span, each)?;
                }
                Ok::<_, Trouble>(())
            })?;
        }
        if let Some(span) = top.usage {
            self.counts(doc, span, each)?;
        }
        if let Some(span) = top.feedback {
            self.feedback(doc, span)?;
        }
        ended.map_or(Ok(()), |ended| self.finish_reason(&ended.reason, &ended.message))
    }

    /// Reads `{"content", "finishReason", "finishMessage", "groundingMetadata"}` and gives the reason and the
    /// message of the end.
    fn candidate<'d>(
        &mut self,
        doc: &'d [u8],
        span: Range<usize>,
        each: Each<'_>,
    ) -> Result<Option<Ending<'d>>, Trouble> {
        let (mut content, mut grounding, mut reason, mut message) = (None, None, None, Cow::Borrowed(""));
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"content", Kind::Object) => content = Some(value.span),
                (b"groundingMetadata", Kind::Object) => grounding = Some(value.span),
                (b"finishReason", Kind::String) => reason = Some(text_of(doc, &value)),
                (b"finishMessage", Kind::String) => message = text_of(doc, &value),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        if let Some(span) = content {
            fields_at(doc, span, |Field { key, value }| match (key.raw, value.kind) {
                (b"parts", Kind::Array) => elements(doc, value.span, |part| match part.kind {
                    Kind::Object => self.part(doc, part.span, each),
                    _ => Ok(()),
                }),
                _ => Ok(()),
            })?;
        }
        if let Some(span) = grounding {
            self.grounding(doc, span)?;
        }
        Ok(reason.map(|reason| Ending { reason, message }))
    }

    /// Reads `{"text", "thought", "thoughtSignature"}` or `{"functionCall", "thoughtSignature"}`, or what the
    /// model has made beside them.
    fn part(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        let (mut text, mut thought, mut signature, mut call, mut made) = (None, false, None, None, None);
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"text", Kind::String) => text = Some(text_of(doc, &value)),
                (b"thought", Kind::True) => thought = true,
                (b"thoughtSignature" | b"thought_signature", Kind::String) => {
                    signature = Some(text_of(doc, &value)).filter(|text| !text.is_empty());
                }
                (b"functionCall", Kind::Object) => call = Some(value.span),
                (b"executableCode" | b"codeExecutionResult" | b"inlineData" | b"fileData", Kind::Object) => {
                    made = Some((key.raw, value.span));
                }
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        match (text.filter(|text| !text.is_empty()), thought) {
            (Some(text), true) => each(&Event::Thinking(&text)),
            (Some(text), false) => each(&Event::Text(&text)),
            (None, _) => {}
        }
        if let Some((kind, span)) = made {
            beside(doc, kind, span, each)?;
        }
        // Those of texts are not asked for, and Anthropic's form has no place for them behind a text.
        let carried = match signature {
            Some(own) if call.is_some() => Some(Carried::OfCall(own.into_owned())),
            Some(own) if thought => Some(Carried::OfThought(own.into_owned())),
            _ => None,
        };
        if let Some(carried) = carried {
            each(&Event::Signature(&carried.tag(&self.reading.origin)));
        }
        call.map_or(Ok(()), |span| self.call(doc, span, each))
    }

    /// Reads `{"id", "name", "args"}`, which comes whole.
    fn call(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        let (mut id, mut name, mut args) = (Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed(""));
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"id", Kind::String) => id = text_of(doc, &value),
                (b"name", Kind::String) => name = text_of(doc, &value),
                (b"args", Kind::Object) => args = String::from_utf8_lossy(value.bytes(doc)),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        if name.is_empty() || name.len() > limits::CALL_NAME_BYTES_MAX {
            return Err(Trouble::NotJson);
        }
        if self.calls >= limits::CALLS_OF_ANSWER_MAX {
            return Err(Trouble::Failed(Failure::new(
                said::Kind::Unreadable,
                "the provider calls more tools in one answer than can be held",
            )));
        }
        let (index, nonce) = (self.calls, self.reading.nonce);
        self.calls += 1;
        let new = !id.is_empty() && self.ids.insert((&*id).into());
        let id = if new { names::to_caller(&id, nonce) } else { names::made(nonce, index) };
        // Some models put the word that is in their prompts before each name.
        let name = name.strip_prefix("default_api:").unwrap_or(&name);
        each(&Event::ToolStarted { index, id: &id, name: self.reading.names.original(name) });
        if !args.is_empty() {
            each(&Event::ToolInput { index, json: &args });
        }
        each(&Event::ToolEnded { index });
        Ok(())
    }

    fn finish_reason(&mut self, reason: &str, message: &str) -> Result<(), Trouble> {
        let failed = |kind: said::Kind, words: &'static str| {
            let mut failure = Failure::new(kind, words);
            let detail = format!("{reason} {message}");
            let end = detail.floor_char_boundary(limits::ERROR_DETAIL_BYTES_MAX);
            failure.detail = detail.get(..end).unwrap_or_default().trim_end().into();
            Err(Trouble::Failed(failure))
        };
        let stop = match reason {
            "" | "FINISH_REASON_UNSPECIFIED" => return Ok(()),
            "STOP" => Stop::EndTurn,
            "MAX_TOKENS" => Stop::MaxTokens,
            "SAFETY"
            | "PROHIBITED_CONTENT"
            | "BLOCKLIST"
            | "SPII"
            | "RECITATION"
            | "LANGUAGE"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "MODEL_ARMOR" => Stop::Refusal,
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE" => {
                return failed(
                    said::Kind::Broken,
                    "the model wrote a call of a tool that cannot be read, try again",
                );
            }
            "TOO_MANY_TOOL_CALLS" => {
                return failed(
                    said::Kind::Broken,
                    "the model called too many tools one after the other, try again",
                );
            }
            "MISSING_THOUGHT_SIGNATURE" => {
                return failed(said::Kind::Broken, "the provider misses a signature of the model's thinking");
            }
            // What is not known to be an end is none.
            _ => {
                return failed(said::Kind::Broken, "the provider gave up in the middle of its answer");
            }
        };
        self.stop = Some(stop);
        Ok(())
    }

    /// Reads `{"blockReason"}`: the prompt itself is refused.
    fn feedback(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Trouble> {
        fields_at(doc, span, |Field { key, value }| {
            let blocked = key.raw == b"blockReason" && value.kind == Kind::String;
            if blocked && value.inner(doc) != Some(b"BLOCKED_REASON_UNSPECIFIED") {
                self.stop = Some(Stop::Refusal);
            }
            Ok::<_, Trouble>(())
        })
    }

    /// Reads `{"webSearchQueries", "groundingChunks": [{"web": {"uri", "title"}}]}`.
    fn grounding(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Trouble> {
        fields_at(doc, span, |Field { key, value }| match (key.raw, value.kind) {
            (b"webSearchQueries", Kind::Array) => {
                let mut searches = 0;
                elements(doc, value.span, |query| {
                    searches += 1;
                    let text = text_of(doc, &query);
                    let short = text.len() <= limits::SOURCE_BYTES_MAX;
                    let known = self.queries.iter().any(|known| **known == *text);
                    if short && !known && self.queries.len() < limits::SOURCES_MAX {
                        self.queries.push(text.into_owned());
                    }
                    Ok::<_, Trouble>(())
                })?;
                self.usage.web_searches = self.usage.web_searches.max(searches);
                Ok(())
            }
            (b"groundingChunks", Kind::Array) => elements(doc, value.span, |chunk| match chunk.kind {
                Kind::Object => self.source(doc, chunk.span),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn source(&mut self, doc: &[u8], span: Range<usize>) -> Result<(), Trouble> {
        let mut web = None;
        fields_at(doc, span, |Field { key, value }| {
            if key.raw == b"web" && value.kind == Kind::Object {
                web = Some(value.span);
            }
            Ok::<_, Trouble>(())
        })?;
        let Some(span) = web else { return Ok(()) };
        let (mut uri, mut title) = (Cow::Borrowed(""), Cow::Borrowed(""));
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"uri", Kind::String) => uri = text_of(doc, &value),
                (b"title", Kind::String) => title = text_of(doc, &value),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        let known = self.hits.iter().any(|hit| hit.url == uri);
        let long = uri.len() + title.len() > limits::SOURCE_BYTES_MAX;
        if !uri.is_empty() && !known && !long && self.hits.len() < limits::SOURCES_MAX {
            let (url, title) = (uri.into_owned().into(), title.into_owned().into());
            self.hits.push(Hit { url, title });
        }
        Ok(())
    }

    /// Reads tokens: those of the cache are among those of the prompt, thoughts are not among those of the
    /// candidates.
    fn counts(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        let (mut prompt, mut cached, mut written, mut thoughts, mut tools) = (0, 0, 0, 0, 0);
        fields_at(doc, span, |Field { key, value }| {
            let place = match key.raw {
                b"promptTokenCount" => &mut prompt,
                b"cachedContentTokenCount" => &mut cached,
                b"candidatesTokenCount" => &mut written,
                b"thoughtsTokenCount" => &mut thoughts,
                b"toolUsePromptTokenCount" => &mut tools,
                _ => return Ok(()),
            };
            *place = value.as_u64(doc).unwrap_or(0);
            Ok::<_, Trouble>(())
        })?;
        self.usage.input_tokens = prompt.saturating_sub(cached).saturating_add(tools);
        self.usage.cache_read_tokens = cached;
        self.usage.output_tokens = written.saturating_add(thoughts);
        self.usage.seen |= prompt > 0 || written > 0;
        if self.usage.seen {
            each(&Event::Usage(self.usage));
        }
        Ok(())
    }
}

impl Answer for Chunks {
    fn event(&mut self, name: &[u8], data: &[u8], each: Each<'_>) {
        match data {
            // The API has no such sign; proxies before it do.
            b"[DONE]" => self.end(each),
            _ if name == b"error" => self.fail(&error::read(0, data), each),
            doc => self.take(doc, false, each),
        }
    }

    fn document(&mut self, doc: &[u8], each: Each<'_>) {
        self.take(doc, true, each);
    }

    /// The dialect has no sign of its end but the reason to stop, which older servers give more than once.
    fn end(&mut self, each: Each<'_>) {
        if self.over {
            return;
        }
        let Some(stop) = self.stop else {
            return self.fail(&cut_short(), each);
        };
        if self.usage.web_searches > 0 || !self.hits.is_empty() {
            let (id, query) = (format!("srvtoolu_s{:08x}_0", self.reading.nonce), self.queries.join("; "));
            each(&Event::Searched(&Search { id: &id, query: &query, hits: &self.hits }));
        }
        if self.usage.web_searches > 0 {
            each(&Event::Usage(self.usage));
        }
        self.over = true;
        each(&Event::Stopped(stop));
        each(&Event::Ended);
    }

    fn fail(&mut self, failure: &Failure, each: Each<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            each(&Event::Failed(failure));
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// What stands at the top of a document.
#[derive(Default)]
struct Top<'d> {
    id: Cow<'d, str>,
    model: Cow<'d, str>,
    candidates: Option<Range<usize>>,
    feedback: Option<Range<usize>>,
    usage: Option<Range<usize>>,
    error: bool,
}

/// Why a candidate ends.
struct Ending<'d> {
    reason: Cow<'d, str>,
    message: Cow<'d, str>,
}

/// Tells as text what the model has made beside text: code that the provider ran, and what came of it. Of
/// data there is no form but a word that they were there.
fn beside(doc: &[u8], kind: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
    let mut text = None;
    let mut media = Cow::Borrowed("data");
    fields_at(doc, span, |Field { key, value }| {
        match (key.raw, value.kind) {
            (b"code" | b"output", Kind::String) => text = Some(text_of(doc, &value)),
            (b"mimeType", Kind::String) => media = text_of(doc, &value),
            _ => {}
        }
        Ok::<_, Trouble>(())
    })?;
    let told = match (kind, text) {
        (b"executableCode" | b"codeExecutionResult", Some(text)) => format!("\n```\n{text}\n```\n"),
        (b"inlineData" | b"fileData", _) => format!("[the model has made {media}, which cannot be shown]"),
        _ => return Ok(()),
    };
    each(&Event::Text(&told));
    Ok(())
}
