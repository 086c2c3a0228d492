//! The turns of a conversation in the making, as Anthropic's form wants them: one after the other, of two
//! speakers, and results of tools at the front of the turn that follows their calls.

use crate::limits;
use crate::llm::conversation::{Refusal, Why};
use crate::llm::foreign::parts::FRAME;
use crate::llm::inward::thoughts::Thought;
use crate::llm::names;
use crate::llm::written::{Writer, Written};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Model,
}

/// A block as it is written, without its closing brace.
#[derive(Clone, Debug)]
struct Block {
    written: Vec<u8>,
    is_result: bool,
}

#[derive(Clone, Debug)]
struct Turn {
    speaker: Speaker,
    blocks: Vec<Block>,
}

/// Instructions and turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Blocks of `system`.
    system: Vec<Block>,
    turns: Vec<Turn>,
    /// <= `limits::BLOCKS_MAX`.
    blocks: usize,
    bytes: usize,
}

/// A block that is being written.
pub(super) struct Open(Writer);

impl Open {
    /// A block of this type, with room for so many bytes.
    pub(super) fn new(kind: &str, bytes: usize) -> Self {
        let mut out = Writer::with_room(bytes + 96);
        out.open('{').key("type").text(kind);
        Self(out)
    }

    /// Where its members are written.
    pub(super) fn out(&mut self) -> &mut Writer {
        &mut self.0
    }
}

impl Turns {
    /// Adds a block to the turn of this speaker, which begins unless it is under way.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn add(&mut self, speaker: Speaker, block: Open) -> Result<(), Refusal> {
        self.put(speaker, block, false)
    }

    fn put(&mut self, speaker: Speaker, block: Open, is_result: bool) -> Result<(), Refusal> {
        let written = self.count(block)?;
        let block = Block { written, is_result };
        match self.turns.last_mut().filter(|turn| turn.speaker == speaker) {
            Some(turn) => turn.blocks.push(block),
            None => self.turns.push(Turn { speaker, blocks: vec![block] }),
        }
        Ok(())
    }

    fn count(&mut self, block: Open) -> Result<Vec<u8>, Refusal> {
        self.blocks += 1;
        if self.blocks > limits::BLOCKS_MAX {
            return Err(Refusal::new("messages", Why::TooMany(limits::BLOCKS_MAX)));
        }
        let written = block.0.done();
        self.bytes += written.len() + 1;
        Ok(written)
    }

    /// Adds a text, unless there is nothing in it: no vendor takes blank ones.
    pub(super) fn text(&mut self, speaker: Speaker, text: Written<'_>) -> Result<(), Refusal> {
        if text.is_blank() {
            return Ok(());
        }
        let mut block = Open::new("text", text.bytes().len());
        block.out().key("text").written(text);
        self.add(speaker, block)
    }

    /// Adds what the model has thought, under the signature by which it is known again.
    pub(super) fn thought(&mut self, thought: &Thought) -> Result<(), Refusal> {
        let mut block = Open::new("thinking", thought.text.len() + thought.signature.len());
        block.out().key("thinking").text(&thought.text).key("signature").text(&thought.signature);
        self.add(Speaker::Model, block)
    }

    /// Adds an instruction: at the front to the system's words, later to those of the user in a frame, so
    /// that what stands before it stays as it is.
    pub(super) fn instruction(&mut self, text: Written<'_>) -> Result<(), Refusal> {
        if text.is_blank() {
            return Ok(());
        }
        let mut block = Open::new("text", text.bytes().len() + 48);
        if self.turns.is_empty() {
            block.out().key("text").written(text);
            let written = self.count(block)?;
            self.system.push(Block { written, is_result: false });
            return Ok(());
        }
        let [before, after] = FRAME;
        block.out().key("text").begin_text().more_text(before).more(text).more_text(after).end_text();
        self.add(Speaker::User, block)
    }

    /// Adds a call of a tool, with arguments as the text that OpenAI's dialects have them in.
    ///
    /// # Errors
    /// Arguments that are no JSON object.
    pub(super) fn call(
        &mut self,
        (id, name): (Written<'_>, Written<'_>),
        arguments: Option<Written<'_>>,
        place: &str,
    ) -> Result<(), Refusal> {
        let text = arguments.unwrap_or_default().text();
        let text = if text.trim().is_empty() { "{}" } else { &*text };
        let fault = || Refusal::new(place, Why::Kind("a string that is a JSON object"));
        if text.len() > limits::CALL_INPUT_BYTES_MAX {
            return Err(Refusal::new(place, Why::TooLong(limits::CALL_INPUT_BYTES_MAX)));
        }
        let is_object = text.trim_ascii_start().starts_with('{');
        if !is_object || crate::json::strict(&mut text.as_bytes().to_vec()).is_err() {
            return Err(fault());
        }
        let mut block = Open::new("tool_use", text.len() + id.bytes().len() + name.bytes().len());
        block.out().key("id").text(&own_id(id)).key("name").written(name);
        block.out().key("input").raw(text.trim_ascii().as_bytes());
        self.add(Speaker::Model, block)
    }

    /// Adds what came of a call; `content` writes the value of that member, where there is one.
    pub(super) fn result(
        &mut self,
        id: Written<'_>,
        bytes: usize,
        content: impl FnOnce(&mut Writer) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut block = Open::new("tool_result", bytes + id.bytes().len());
        block.out().key("tool_use_id").text(&own_id(id));
        content(block.out())?;
        self.put(Speaker::User, block, true)
    }

    /// Whether nobody has said anything.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Bytes of all blocks.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes `system` and `messages`; with breakpoints for the prompt cache behind both where `marked`.
    pub(super) fn write(&self, marked: bool, out: &mut Writer) {
        if !self.system.is_empty() {
            out.key("system").open('[');
            let last = self.system.len().saturating_sub(1);
            for (index, block) in self.system.iter().enumerate() {
                write_block(block, marked && index == last, out);
            }
            out.close(']');
        }
        out.key("messages").open('[');
        let last = self.turns.len().saturating_sub(1);
        for (index, turn) in self.turns.iter().enumerate() {
            let role = if turn.speaker == Speaker::User { "user" } else { "assistant" };
            out.open('{').key("role").text(role).key("content").open('[');
            let results = turn.blocks.iter().filter(|block| block.is_result);
            let others = turn.blocks.iter().filter(|block| !block.is_result);
            let mut blocks = results.chain(others).peekable();
            while let Some(block) = blocks.next() {
                let is_end = index == last && blocks.peek().is_none() && turn.speaker == Speaker::User;
                write_block(block, marked && is_end, out);
            }
            out.close(']').close('}');
        }
        out.close(']');
    }
}

fn write_block(block: &Block, marked: bool, out: &mut Writer) {
    out.raw(&block.written);
    if marked {
        out.key("cache_control").raw(b"{\"type\":\"ephemeral\"}");
    }
    out.close('}');
}

/// An id of a call with the letters that Anthropic's have: another one in base64, from which dialects of
/// providers find the way back.
fn own_id(id: Written<'_>) -> String {
    let id = id.text();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if id.bytes().all(plain) && id.len() <= limits::CALL_ID_BYTES_MAX {
        return id.into_owned();
    }
    names::to_caller(&id, 0)
}
