//! Reads the documents of an answer, events of a stream or the whole, and tells what they say.

use std::ops::Range;

use crate::json::{Field, Kind, elements, fields_at};
use crate::limits;
use crate::llm::foreign::stream::{Each, Trouble, cut_short};
use crate::llm::foreign::text::text_of;
use crate::llm::foreign::{counts, error};
use crate::llm::names::{self, Names};
use crate::llm::openai_responses::event::{Line, Response, Said};
use crate::llm::openai_responses::thoughts;
use crate::llm::said::{self, Event, Failure, Hit, Search, Stop};

/// What an answer is read with.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The way back for names of tools, from the translation of the request.
    pub names: Names,
    /// A number that tells this answer from others of the conversation, for ids of calls.
    pub nonce: u32,
    /// The target's origin: only it can read again what it has encrypted.
    pub origin: Box<str>,
}

/// What is known of an answer so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    reading: Reading,
    started: bool,
    /// At most `limits::ANSWER_BLOCKS_MAX`.
    items: Vec<Item>,
    calls: usize,
    searches: u64,
    refused: bool,
    /// Nothing counts any more.
    over: bool,
}

/// An item under way.
#[derive(Clone, Debug, Default)]
struct Item {
    index: Option<u64>,
    /// As it is written.
    id: Box<[u8]>,
    call: Option<Call>,
    /// Bytes of its words, or of its input, that have come in pieces.
    told: usize,
    /// Whether its thinking is a summary, or not: servers that say both say the same twice.
    summary: Option<bool>,
    done: bool,
}

/// A call of a tool.
#[derive(Clone, Debug, Default)]
struct Call {
    /// Its place among the calls, once its beginning has been told.
    place: Option<usize>,
    /// The server's id.
    id: String,
    /// The name as the target knows it.
    name: String,
    /// Input that came before it could be told, <= `limits::CALL_INPUT_BYTES_MAX`.
    held: String,
    /// The input that came with the beginning, which counts when no other comes.
    first: String,
}

impl Output {
    pub(super) fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    /// Whether the end or a failure has been told.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the end of the bytes.
    pub(super) fn end(&mut self, each: Each<'_>) {
        self.fail(&cut_short(), each);
    }

    pub(super) fn fail(&mut self, failure: &Failure, each: Each<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            each(&Event::Failed(failure));
        }
    }

    /// Takes one event.
    pub(super) fn take(&mut self, name: &[u8], doc: &[u8], each: Each<'_>) {
        if self.over {
            return;
        }
        let read = Line::read(name, doc).map_err(Trouble::from);
        if let Err(trouble) = read.and_then(|line| self.line(&line, doc, each)) {
            self.fail(&trouble.failure(), each);
        }
    }

    /// Takes an answer that is one document.
    pub(super) fn take_whole(&mut self, doc: &[u8], each: Each<'_>) {
        if self.over {
            return;
        }
        let read = Response::read(doc, 0..doc.len()).map_err(Trouble::from);
        let done = read.and_then(|response| match response {
            Response { output: None, .. } => Err(Trouble::Failed(error::read(0, doc))),
            response => self.settle(response.status, &response, doc, each),
        });
        if let Err(trouble) = done {
            self.fail(&trouble.failure(), each);
        }
    }

    fn line(&mut self, line: &Line<'_>, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        match line.kind {
            b"response.output_text.delta" => self.words(line, &Event::Text(&line.delta), each),
            b"response.refusal.delta" => {
                self.refused = true;
                self.words(line, &Event::Text(&line.delta), each)
            }
            b"response.reasoning_summary_text.delta" => self.thought(line, true, &line.delta, each),
            b"response.reasoning_text.delta" => self.thought(line, false, &line.delta, each),
            b"response.reasoning_summary_part.added" if line.part > 0 => {
                self.thought(line, true, "\n\n", each)
            }
            b"response.function_call_arguments.delta" => {
                let item = self.item(line.index, line.id)?;
                self.input(item, &line.delta, each)
            }
            b"response.function_call_arguments.done" => self.whole_input(line, each),
            b"response.output_item.added" => line.item.clone().map_or(Ok(()), |span| {
                let said = Said::read(doc, span)?;
                self.added(line.index, &said, each)
            }),
            b"response.output_item.done" => line.item.clone().map_or(Ok(()), |span| {
                let said = Said::read(doc, span)?;
                self.done(line.index, &said, doc, each)
            }),
            b"error" => Err(Trouble::Failed(error::read(0, doc))),
            _ if line.error && line.response.is_none() => Err(Trouble::Failed(error::read(0, doc))),
            _ => {
                let Some(span) = line.response.clone() else { return Ok(()) };
                let response = Response::read(doc, span)?;
                match line.kind {
                    b"response.completed" | b"response.done" => {
                        let status = if response.status.is_empty() { b"completed" } else { response.status };
                        self.settle(status, &response, doc, each)
                    }
                    b"response.incomplete" => self.settle(b"incomplete", &response, doc, each),
                    b"response.failed" | b"response.cancelled" => {
                        self.settle(b"failed", &response, doc, each)
                    }
                    _ => {
                        self.begin(&response, each);
                        Ok(())
                    }
                }
            }
        }
    }

    fn begin(&mut self, response: &Response<'_>, each: Each<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            each(&Event::Started { model: &response.model, id: &response.id });
        }
    }

    /// The place of an item; a new one where it has none.
    fn item(&mut self, index: Option<u64>, id: &[u8]) -> Result<usize, Trouble> {
        let known = match index {
            Some(_) => self.items.iter().rposition(|item| item.index == index),
            None if !id.is_empty() => self.items.iter().rposition(|item| *item.id == *id),
            None => self.items.iter().rposition(|item| !item.done),
        };
        known.map_or_else(|| self.new_item(index, id), Ok)
    }

    fn new_item(&mut self, index: Option<u64>, id: &[u8]) -> Result<usize, Trouble> {
        if self.items.len() >= limits::ANSWER_BLOCKS_MAX {
            return Err(Trouble::Failed(Failure::new(
                said::Kind::Unreadable,
                "the answer of the provider has more parts than can be held",
            )));
        }
        let id = id.get(..limits::CALL_ID_BYTES_MAX).unwrap_or(id).into();
        self.items.push(Item { index, id, ..Item::default() });
        Ok(self.items.len() - 1)
    }

    fn words(&mut self, line: &Line<'_>, event: &Event<'_>, each: Each<'_>) -> Result<(), Trouble> {
        if line.delta.is_empty() {
            return Ok(());
        }
        let item = self.item(line.index, line.id)?;
        if let Some(item) = self.items.get_mut(item) {
            item.told = item.told.saturating_add(line.delta.len());
        }
        each(event);
        Ok(())
    }

    fn thought(&mut self, line: &Line<'_>, summary: bool, text: &str, each: Each<'_>) -> Result<(), Trouble> {
        let place = self.item(line.index, line.id)?;
        let Some(item) = self.items.get_mut(place).filter(|_| !text.is_empty()) else { return Ok(()) };
        if *item.summary.get_or_insert(summary) == summary {
            item.told = item.told.saturating_add(text.len());
            each(&Event::Thinking(text));
        }
        Ok(())
    }

    /// Takes the beginning of an item.
    fn added(&mut self, index: Option<u64>, said: &Said<'_>, each: Each<'_>) -> Result<(), Trouble> {
        let known = self.items.iter().any(|item| match index {
            Some(_) => item.index == index,
            None => !said.id.is_empty() && *item.id == *said.id,
        });
        let place = if known { self.item(index, said.id)? } else { self.new_item(index, said.id)? };
        if said.kind == b"function_call" {
            self.named(place, said)?;
            if let Some(call) = self.call_at(place)
                && call.first.is_empty()
                && said.arguments.len() <= limits::CALL_INPUT_BYTES_MAX
            {
                call.first.push_str(&said.arguments);
            }
            self.tell(place, false, each)?;
        }
        Ok(())
    }

    fn call_at(&mut self, place: usize) -> Option<&mut Call> {
        self.items.get_mut(place)?.call.as_mut()
    }

    /// Takes what an item says of its call.
    fn named(&mut self, place: usize, said: &Said<'_>) -> Result<(), Trouble> {
        let Some(item) = self.items.get_mut(place) else { return Ok(()) };
        let call = item.call.get_or_insert_default();
        if call.id.is_empty() {
            call.id.push_str(&said.call_id);
        }
        if call.name.is_empty() {
            call.name.push_str(&said.name);
        }
        if call.name.len() > limits::CALL_NAME_BYTES_MAX || call.id.len() > limits::CALL_NAME_BYTES_MAX {
            return Err(Trouble::NotJson);
        }
        Ok(())
    }

    /// Tells the beginning of a call and what is held of its input, once it has a name, and an id unless
    /// there will be `none`.
    fn tell(&mut self, place: usize, none: bool, each: Each<'_>) -> Result<(), Trouble> {
        let (nonce, next) = (self.reading.nonce, self.calls);
        let Some((item, earlier)) = self.items.get(..=place).and_then(<[_]>::split_last) else {
            return Ok(());
        };
        let Some(call) = item.call.as_ref().filter(|call| call.place.is_none()) else { return Ok(()) };
        if call.name.is_empty() || (call.id.is_empty() && !none) {
            return Ok(());
        }
        if next >= limits::CALLS_OF_ANSWER_MAX {
            return Err(Trouble::Failed(Failure::new(
                said::Kind::Unreadable,
                "the provider calls more tools in one answer than can be held",
            )));
        }
        let same = |other: &Item| other.call.as_ref().is_some_and(|other| other.id == call.id);
        let taken = call.id.is_empty() || earlier.iter().any(same);
        let id = if taken { names::made(nonce, next) } else { names::to_caller(&call.id, nonce) };
        each(&Event::ToolStarted { index: next, id: &id, name: self.reading.names.original(&call.name) });
        if !call.held.is_empty() {
            each(&Event::ToolInput { index: next, json: &call.held });
        }
        self.calls += 1;
        if let Some(call) = self.call_at(place) {
            call.place = Some(next);
            call.held = String::new();
        }
        Ok(())
    }

    /// Takes a piece of the input of a call.
    fn input(&mut self, place: usize, json: &str, each: Each<'_>) -> Result<(), Trouble> {
        let Some(item) = self.items.get_mut(place).filter(|_| !json.is_empty()) else { return Ok(()) };
        item.told = item.told.saturating_add(json.len());
        let call = item.call.get_or_insert_default();
        match call.place {
            Some(index) => each(&Event::ToolInput { index, json }),
            None if call.held.len() + json.len() > limits::CALL_INPUT_BYTES_MAX => {
                return Err(Trouble::NotJson);
            }
            None => call.held.push_str(json),
        }
        Ok(())
    }

    /// Takes the input of a call as it is at its end; of use where it has not come in pieces.
    fn whole_input(&mut self, line: &Line<'_>, each: Each<'_>) -> Result<(), Trouble> {
        let place = self.item(line.index, line.id)?;
        let said = Said { name: line.name.clone(), ..Said::default() };
        self.named(place, &said)?;
        self.tell(place, false, each)?;
        if self.items.get(place).is_some_and(|item| item.told == 0) {
            self.input(place, &line.arguments, each)?;
        }
        Ok(())
    }

    /// Takes an item as it is at its end.
    fn done(
        &mut self,
        index: Option<u64>,
        said: &Said<'_>,
        doc: &[u8],
        each: Each<'_>,
    ) -> Result<(), Trouble> {
        let place = self.item(index, said.id)?;
        let Some(item) = self.items.get_mut(place) else { return Ok(()) };
        if std::mem::replace(&mut item.done, true) {
            return Ok(());
        }
        let silent = item.told == 0;
        match said.kind {
            b"message" if silent => said.content.clone().map_or(Ok(()), |span| self.texts(doc, span, each)),
            b"reasoning" => {
                if silent {
                    thoughts_of(said, doc, each)?;
                }
                let id = String::from_utf8_lossy(said.id);
                // What has no payload gets the signature that every thinking of this target has.
                if !said.encrypted.is_empty() {
                    each(&Event::Signature(&thoughts::wrap(&self.reading.origin, &id, &said.encrypted)));
                }
                Ok(())
            }
            b"function_call" => {
                self.named(place, said)?;
                if silent {
                    let first = self.call_at(place).map(|call| std::mem::take(&mut call.first));
                    let void = |json: &str| matches!(json.trim(), "" | "{}");
                    match first {
                        Some(first) if void(&said.arguments) && !void(&first) => {
                            self.input(place, &first, each)?;
                        }
                        _ => self.input(place, &said.arguments, each)?,
                    }
                }
                self.close_call(place, each)
            }
            b"web_search_call" => self.searched(said, doc, each),
            b"compaction" if !said.encrypted.is_empty() => {
                let id = String::from_utf8_lossy(said.id);
                each(&Event::Compacted(&thoughts::wrap(&self.reading.origin, &id, &said.encrypted)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Tells a call that has not been told, and its end.
    fn close_call(&mut self, place: usize, each: Each<'_>) -> Result<(), Trouble> {
        self.tell(place, true, each)?;
        match self.call_at(place).map(|call| call.place) {
            Some(Some(index)) => each(&Event::ToolEnded { index }),
            // A call without a name is one that nobody can make.
            Some(None) => return Err(Trouble::NotJson),
            None => {}
        }
        Ok(())
    }

    /// Reads `[{"type": "output_text", "text"} | {"type": "refusal", "refusal"}]`.
    fn texts(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        elements(doc, span, |part| {
            if part.kind != Kind::Object {
                return Ok(());
            }
            fields_at(doc, part.span, |Field { key, value }| {
                if let (b"text" | b"refusal", Kind::String) = (key.raw, value.kind) {
                    let text = text_of(doc, &value);
                    self.refused |= key.raw == b"refusal" && !text.is_empty();
                    if !text.is_empty() {
                        each(&Event::Text(&text));
                    }
                }
                Ok::<_, Trouble>(())
            })
        })
    }

    /// Reads `{"type": "search", "query", "queries", "sources": [{"url", "title"}]}`; pages that the model
    /// opens have no block of their own.
    fn searched(&mut self, said: &Said<'_>, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let Some(span) = said.action.clone() else { return Ok(()) };
        let (mut query, mut queries, mut sources, mut search) = (None, None, None, true);
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"type", Kind::String) => search = value.inner(doc) == Some(b"search"),
                (b"query", Kind::String) => query = Some(text_of(doc, &value)),
                (b"queries", Kind::Array) => queries = Some(value.span),
                (b"sources", Kind::Array) => sources = Some(value.span),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        if !search {
            return Ok(());
        }
        if let (None, Some(span)) = (query.as_ref().filter(|query| !query.is_empty()), queries) {
            elements(doc, span, |value| {
                query.get_or_insert_with(|| text_of(doc, &value));
                Ok::<_, Trouble>(())
            })?;
        }
        let mut hits: Vec<Hit<'_>> = Vec::new();
        if let Some(span) = sources {
            elements(doc, span, |source| {
                if source.kind != Kind::Object || hits.len() >= limits::SEARCH_HITS_MAX {
                    return Ok(());
                }
                let mut hit = Hit::default();
                fields_at(doc, source.span, |Field { key, value }| {
                    match key.raw {
                        b"url" => hit.url = text_of(doc, &value),
                        b"title" => hit.title = text_of(doc, &value),
                        _ => {}
                    }
                    Ok::<_, Trouble>(())
                })?;
                if !hit.url.is_empty() {
                    hits.push(hit);
                }
                Ok::<_, Trouble>(())
            })?;
        }
        let id = format!("srvtoolu_x{:08x}_{}", self.reading.nonce, self.searches);
        self.searches += 1;
        each(&Event::Searched(&Search { id: &id, query: &query.unwrap_or_default(), hits: &hits }));
        Ok(())
    }

    /// Takes the end of an answer by the server's word.
    fn settle(
        &mut self,
        status: &[u8],
        response: &Response<'_>,
        doc: &[u8],
        each: Each<'_>,
    ) -> Result<(), Trouble> {
        let stop = match (status, response.reason) {
            (b"completed" | b"", _) if self.refused => Stop::Refusal,
            (b"completed" | b"", _) => Stop::EndTurn,
            (b"incomplete", b"max_output_tokens" | b"max_tokens") => Stop::MaxTokens,
            (b"incomplete", b"content_filter") => Stop::Refusal,
            (b"failed" | b"cancelled", _) => {
                self.used(response, doc, each)?;
                let said = response.error.as_ref().map_or(doc, |error| error.bytes(doc));
                return Err(Trouble::Failed(error::read(0, said)));
            }
            // It is not all of an answer, and nobody says why.
            _ => return Err(Trouble::Failed(cut_short())),
        };
        self.begin(response, each);
        if let Some(span) = response.output.clone() {
            self.rest(span, doc, each)?;
        }
        for place in 0..self.items.len() {
            let open = self.items.get(place).is_some_and(|item| !item.done && item.call.is_some());
            if open && stop == Stop::MaxTokens {
                // Its input may be cut off; without a name there is nothing to tell.
                self.tell(place, true, each)?;
            } else if open {
                self.close_call(place, each)?;
            }
        }
        self.used(response, doc, each)?;
        let stop = if self.refused && stop == Stop::EndTurn { Stop::Refusal } else { stop };
        self.over = true;
        each(&Event::Stopped(stop));
        each(&Event::Ended);
        Ok(())
    }

    fn used(&self, response: &Response<'_>, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let Some(span) = response.usage.clone() else { return Ok(()) };
        if let Some(mut usage) = counts::read(doc, span)? {
            usage.web_searches = response.searches.unwrap_or(self.searches);
            each(&Event::Usage(usage));
        }
        Ok(())
    }

    /// Takes the items that have not come as events, or not to their ends.
    fn rest(&mut self, output: Range<usize>, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let none = self.items.is_empty();
        let mut index = 0;
        elements(doc, output, |value| {
            let place = Some(index);
            index += 1;
            let waits = self.items.iter().any(|item| item.index == place && !item.done);
            if value.kind != Kind::Object || !(none || waits) {
                return Ok(());
            }
            let said = Said::read(doc, value.span)?;
            self.done(place, &said, doc, each)
        })
    }
}

/// Reads what the model thought from `summary`, else from `content`.
fn thoughts_of(said: &Said<'_>, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
    for span in [said.summary.clone(), said.content.clone()].into_iter().flatten() {
        let mut any = false;
        elements(doc, span, |part| {
            if part.kind != Kind::Object {
                return Ok(());
            }
            fields_at(doc, part.span, |Field { key, value }| {
                if let (b"text", Kind::String) = (key.raw, value.kind) {
                    let text = text_of(doc, &value);
                    if !text.is_empty() {
                        if std::mem::replace(&mut any, true) {
                            each(&Event::Thinking("\n\n"));
                        }
                        each(&Event::Thinking(&text));
                    }
                }
                Ok::<_, Trouble>(())
            })
        })?;
        if any {
            break;
        }
    }
    Ok(())
}
