//! Writes an answer as Anthropic's event stream.

use std::collections::VecDeque;

use crate::json::{write_escaped, write_string};
use crate::limits;
use crate::llm::said::cut::Cut;
use crate::llm::said::input::Input;
use crate::llm::said::tail::{Tail, write_usage};
use crate::llm::said::whole::Whole;
use crate::llm::said::{Event, Failure, Kind, Setup};
use crate::llm::usage::Usage;

/// A stream in the making.
///
/// Blocks go out one after the other. The first of `queue` is the one that is open or comes next; what
/// belongs to a later one is held until those before it are closed: by their end, or for the input of a tool
/// by the bracket that closes it.
///
/// ```text
/// Before -> Open -> Ended
///     \________\--> Failed
/// ```
#[derive(Clone, Debug)]
pub struct StreamWriter {
    setup: Setup,
    stage: Stage,
    queue: VecDeque<Block>,
    /// The first of `queue` has been opened.
    live: bool,
    /// The index of the block that is open or comes next.
    index: usize,
    cut: Cut,
    tail: Tail,
    failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Open,
    Ended,
    Failed,
}

/// A block that is open or waits.
#[derive(Clone, Debug)]
enum Block {
    /// With what is held of it.
    Text(String),
    /// The same, and its signature.
    Thinking(String, Option<Box<str>>),
    Tool(Box<Call>),
    Whole(Whole),
}

#[derive(Clone, Debug)]
struct Call {
    index: usize,
    id: Box<str>,
    name: Box<str>,
    input: Input,
    ended: bool,
}

impl StreamWriter {
    /// A writer of one answer.
    pub fn new(mut setup: Setup) -> Self {
        let cut = Cut::new(std::mem::take(&mut setup.stops));
        let (stage, queue, tail) = (Stage::Before, VecDeque::new(), Tail::default());
        Self { setup, stage, queue, live: false, index: 0, cut, tail, failure: None }
    }

    /// Takes what comes next and appends the events that it makes, each whole.
    pub fn take(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if matches!(self.stage, Stage::Ended | Stage::Failed) {
            return;
        }
        self.tail.take(event);
        if let Err(failure) = self.taken(event, out) {
            self.fail(failure, out);
        }
    }

    fn taken(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        match event {
            Event::Failed(_) | Event::Ended if self.tail.cut => return self.end(out),
            Event::Failed(failure) => return Err((*failure).clone()),
            Event::Ended => return self.end(out),
            Event::Usage(_) | Event::Stopped(_) | Event::Compacted("") => {}
            Event::Started { .. } => self.begin(out),
            _ if self.tail.cut => {}
            Event::Text(text) => {
                let mut held = std::mem::take(&mut self.cut);
                let mut done = Ok(());
                let stop = held.push(text, |piece| {
                    if done.is_ok() {
                        done = self.text(piece, out);
                    }
                });
                self.cut = held;
                done?;
                if let Some(stop) = stop {
                    self.tail.cut_by(&stop);
                }
            }
            Event::Thinking(text) => return self.thinking(text, out),
            Event::Signature(signature) => {
                self.flush(out)?;
                if let Some(Block::Thinking(_, place @ None)) = self.queue.back_mut() {
                    *place = Some((*signature).into());
                } else {
                    let own = Some((*signature).into());
                    self.queue.push_back(Block::Thinking(String::new(), own));
                    return self.pump(false, out);
                }
            }
            Event::Searched(search) => {
                self.flush(out)?;
                self.queue.extend(Whole::of_search(search).map(Block::Whole));
                return self.pump(false, out);
            }
            Event::Compacted(text) => {
                self.flush(out)?;
                self.queue.push_back(Block::Whole(Whole::of_compaction(text)));
                return self.pump(false, out);
            }
            Event::ToolStarted { index, id, name } => {
                self.flush(out)?;
                let (id, name, input) = ((*id).into(), (*name).into(), Input::default());
                self.queue.push_back(Block::Tool(Box::new(Call {
                    index: *index,
                    id,
                    name,
                    input,
                    ended: false,
                })));
                return self.pump(false, out);
            }
            Event::ToolInput { index, json } => match self.call(*index).filter(|call| !call.ended) {
                Some(call) => {
                    call.input.push(json)?;
                    return self.pump(false, out);
                }
                None if json.trim_ascii().is_empty() => {}
                None => return Err(Failure::after_end()),
            },
            Event::ToolEnded { index } => {
                if let Some(call) = self.call(*index) {
                    call.ended = true;
                }
                return self.pump(false, out);
            }
        }
        Ok(())
    }

    fn call(&mut self, index: usize) -> Option<&mut Call> {
        self.queue.iter_mut().find_map(|block| match block {
            Block::Tool(call) if call.index == index => Some(&mut **call),
            Block::Tool(_) | Block::Text(_) | Block::Thinking(..) | Block::Whole(_) => None,
        })
    }

    fn thinking(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.flush(out)?;
        if text.is_empty() {
            return Ok(());
        }
        if let (true, 1, Some(Block::Thinking(_, None))) = (self.live, self.queue.len(), self.queue.front()) {
            delta(self.index, ("thinking_delta", "thinking"), text, out);
            return Ok(());
        }
        match self.queue.back_mut() {
            Some(Block::Thinking(held, None)) => held.push_str(text),
            _ => self.queue.push_back(Block::Thinking(text.to_owned(), None)),
        }
        self.pump(false, out)
    }

    /// Text in which no stop sequence is.
    fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        if let (true, 1, Some(Block::Text(_))) = (self.live, self.queue.len(), self.queue.front()) {
            delta(self.index, ("text_delta", "text"), text, out);
            return Ok(());
        }
        match self.queue.back_mut() {
            Some(Block::Text(held)) => held.push_str(text),
            _ => self.queue.push_back(Block::Text(text.to_owned())),
        }
        self.pump(false, out)
    }

    /// Lets go of text that was held in case of a stop sequence.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut rest = None;
        self.cut.flush(|piece| rest = Some(piece.to_owned()));
        rest.map_or(Ok(()), |rest| self.text(&rest, out))
    }

    /// Opens, fills and closes blocks as far as that can be done; all of them when it is the end.
    fn pump(&mut self, end: bool, out: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            let more = self.queue.len() > 1;
            let room = self.tail.out_of_room();
            let Some(block) = self.queue.front_mut() else { return Ok(()) };
            if !self.live {
                if let Block::Text(text) = block
                    && text.trim().is_empty()
                {
                    // Anthropic takes no blank text back, so none is sent.
                    if !more && !end {
                        return Ok(());
                    }
                    self.queue.pop_front();
                    continue;
                }
                if self.stage == Stage::Before {
                    self.stage = Stage::Open;
                    begin(&self.setup, out);
                }
                open(self.index, block, out);
                self.live = true;
            }
            fill(self.index, block, out);
            let over = match block {
                Block::Text(_) | Block::Thinking(..) => more,
                Block::Whole(_) => true,
                // One that has ended without being whole may be so for want of room: the end will tell.
                Block::Tool(call) => {
                    (more && call.input.complete()) || (call.ended && call.input.may_be_whole())
                }
            };
            if !over && !end {
                return self.bounded();
            }
            close(self.index, block, &self.setup.signature, room, out)?;
            self.queue.pop_front();
            self.live = false;
            self.index += 1;
        }
    }

    fn bounded(&self) -> Result<(), Failure> {
        let held = |block: &Block| match block {
            Block::Text(text) | Block::Thinking(text, _) => text.len(),
            Block::Tool(call) => call.input.held_bytes(),
            Block::Whole(whole) => whole.bytes(),
        };
        let waits = self.queue.len() > 1;
        let over = waits && self.queue.iter().map(held).sum::<usize>() > limits::HELD_BYTES_MAX;
        if over || self.queue.len() > limits::ANSWER_BLOCKS_MAX {
            return Err(Failure::new(Kind::Unreadable, "the provider mixes more blocks than can be held"));
        }
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.stage == Stage::Before {
            self.stage = Stage::Open;
            begin(&self.setup, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.tail.is_known() {
            return Err(Failure::new(Kind::CutShort, "the provider ended its answer without a reason"));
        }
        self.flush(out)?;
        self.begin(out);
        self.pump(true, out)?;
        out.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
        self.tail.write_stop(out);
        out.extend_from_slice(b"},");
        self.tail.write_usage(&self.setup, out);
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        self.stage = Stage::Ended;
        Ok(())
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":");
        write_string(out, failure.kind.shown().1);
        out.extend_from_slice(b",\"message\":");
        write_string(out, &failure.message);
        out.extend_from_slice(b"},\"request_id\":\"");
        out.extend_from_slice(&self.setup.call.shown());
        out.extend_from_slice(b"\"}\n\n");
        self.stage = Stage::Failed;
        self.failure = Some(failure);
    }

    /// Whether a content block or the end has been written: until then another provider can still answer.
    pub fn committed(&self) -> bool {
        self.live || self.index > 0 || self.stage == Stage::Ended
    }

    /// Whether a stop sequence has ended the answer: what the provider still sends is of interest for its
    /// usage alone, and it may be hung up on after an `Ended` of the gateway's own.
    pub const fn is_cut(&self) -> bool {
        self.tail.cut
    }

    /// Whether the last event has been written, `message_stop` or `error`.
    pub const fn finished(&self) -> bool {
        matches!(self.stage, Stage::Ended | Stage::Failed)
    }

    /// Why the answer failed.
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What was used, as far as the provider has said.
    pub const fn usage(&self) -> &Usage {
        &self.tail.usage
    }
}

fn begin(setup: &Setup, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":");
    write_string(out, &format!("msg_{:032x}", setup.call.0));
    out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    write_string(out, &setup.model);
    out.extend_from_slice(b",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
    let estimate = Usage { input_tokens: setup.input_tokens, output_tokens: 1, ..Usage::default() };
    write_usage(&estimate, out);
    out.extend_from_slice(b"}}\n\n");
}

/// Appends the head of an event about the block at `index`.
fn head(name: &str, index: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"index\":");
    out.extend_from_slice(index.to_string().as_bytes());
}

fn open(index: usize, block: &Block, out: &mut Vec<u8>) {
    head("content_block_start", index, out);
    out.extend_from_slice(b",\"content_block\":{\"type\":");
    match block {
        Block::Text(_) => out.extend_from_slice(b"\"text\",\"text\":\"\""),
        Block::Thinking(..) => {
            out.extend_from_slice(b"\"thinking\",\"thinking\":\"\",\"signature\":\"\"");
        }
        Block::Tool(call) => {
            out.extend_from_slice(b"\"tool_use\",\"id\":");
            write_string(out, &call.id);
            out.extend_from_slice(b",\"name\":");
            write_string(out, &call.name);
            out.extend_from_slice(b",\"input\":{}");
        }
        Block::Whole(whole) => out.extend_from_slice(whole.opened()),
    }
    out.extend_from_slice(b"}}\n\n");
}

/// Appends a delta of the kind and with the member that are named.
fn delta(index: usize, (kind, member): (&str, &str), text: &str, out: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    head("content_block_delta", index, out);
    out.extend_from_slice(b",\"delta\":{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":\"");
    write_escaped(out, text);
    out.extend_from_slice(b"\"}}\n\n");
}

/// Sends what is held of the open block.
fn fill(index: usize, block: &mut Block, out: &mut Vec<u8>) {
    match block {
        Block::Text(held) => delta(index, ("text_delta", "text"), &std::mem::take(held), out),
        Block::Thinking(held, _) => {
            delta(index, ("thinking_delta", "thinking"), &std::mem::take(held), out);
        }
        Block::Tool(call) => {
            delta(index, ("input_json_delta", "partial_json"), call.input.fresh(), out);
        }
        Block::Whole(whole) => {
            if let Some((kind, text)) = whole.delta() {
                delta(index, kind, text, out);
            }
        }
    }
}

fn close(
    index: usize,
    block: &Block,
    signature: &str,
    out_of_room: bool,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    match block {
        Block::Text(_) | Block::Whole(_) => {}
        Block::Thinking(_, own) => {
            let signature = own.as_deref().unwrap_or(signature);
            delta(index, ("signature_delta", "signature"), signature, out);
        }
        Block::Tool(call) => match call.input.whole() {
            Err(failure) if !out_of_room => return Err(failure),
            // What was cut off by the end of the model's room stays cut off, as with Anthropic.
            Err(_) => {}
            Ok(_) if call.input.begun() || (out_of_room && call.input.is_blank()) => {}
            Ok(whole) => delta(index, ("input_json_delta", "partial_json"), whole, out),
        },
    }
    head("content_block_stop", index, out);
    out.extend_from_slice(b"}\n\n");
    Ok(())
}
