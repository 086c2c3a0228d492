//! Writes an answer as one document, for callers without a stream.

use crate::json::write_string;
use crate::limits;
use crate::llm::said::cut::Cut;
use crate::llm::said::input::Input;
use crate::llm::said::tail::Tail;
use crate::llm::said::whole::Whole;
use crate::llm::said::{Event, Failure, Kind, Setup};
use crate::llm::usage::Usage;

/// A message in the making.
#[derive(Clone, Debug)]
pub struct DocumentWriter {
    setup: Setup,
    blocks: Vec<Block>,
    cut: Cut,
    tail: Tail,
    ended: bool,
    failure: Option<Failure>,
    /// Bytes in `blocks`, <= `limits::FOREIGN_ANSWER_BYTES_MAX`.
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Block {
    Text(String),
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

impl DocumentWriter {
    /// A writer of one answer.
    pub fn new(mut setup: Setup) -> Self {
        let cut = Cut::new(std::mem::take(&mut setup.stops));
        let (blocks, tail) = (Vec::new(), Tail::default());
        Self { setup, blocks, cut, tail, ended: false, failure: None, bytes: 0 }
    }

    /// Takes what comes next.
    pub fn take(&mut self, event: &Event<'_>) {
        if self.ended || self.failure.is_some() {
            return;
        }
        self.tail.take(event);
        if let Err(failure) = self.taken(event) {
            self.failure = Some(failure);
        }
    }

    fn taken(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        match event {
            Event::Failed(_) | Event::Ended if self.tail.cut => self.ended = true,
            Event::Failed(failure) => return Err((*failure).clone()),
            Event::Ended => return self.end(),
            _ if self.tail.cut => {}
            Event::Text(text) => {
                let mut pieces = Vec::new();
                let stop = self.cut.push(text, |piece| pieces.push(piece.to_owned()));
                for piece in pieces {
                    self.text(&piece)?;
                }
                if let Some(stop) = stop {
                    self.tail.cut_by(&stop);
                }
            }
            Event::Thinking(text) => {
                self.flush()?;
                self.grow(text.len())?;
                match self.blocks.last_mut() {
                    Some(Block::Thinking(so_far, None)) => so_far.push_str(text),
                    _ if text.is_empty() => {}
                    _ => self.blocks.push(Block::Thinking((*text).to_owned(), None)),
                }
            }
            Event::Signature(signature) => {
                self.flush()?;
                self.grow(signature.len())?;
                let own = Some((*signature).into());
                match self.blocks.last_mut() {
                    Some(Block::Thinking(_, place @ None)) => *place = own,
                    _ => self.blocks.push(Block::Thinking(String::new(), own)),
                }
            }
            Event::Searched(search) => {
                self.flush()?;
                for whole in Whole::of_search(search) {
                    self.whole(whole)?;
                }
            }
            Event::Compacted(text) if !text.is_empty() => {
                self.flush()?;
                self.whole(Whole::of_compaction(text))?;
            }
            Event::ToolStarted { index, id, name } => {
                self.flush()?;
                self.grow(id.len() + name.len())?;
                let (id, name, input) = ((*id).into(), (*name).into(), Input::default());
                let call = Call { index: *index, id, name, input, ended: false };
                self.blocks.push(Block::Tool(Box::new(call)));
            }
            Event::ToolInput { index, json } => {
                self.grow(json.len())?;
                match self.call(*index).filter(|call| !call.ended) {
                    Some(call) => call.input.push(json)?,
                    None if json.trim_ascii().is_empty() => {}
                    None => return Err(Failure::after_end()),
                }
            }
            Event::ToolEnded { index } => {
                if let Some(call) = self.call(*index) {
                    call.ended = true;
                }
            }
            Event::Started { .. } | Event::Usage(_) | Event::Stopped(_) | Event::Compacted(_) => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.ended = true;
        if !self.tail.is_known() {
            return Err(Failure::new(Kind::CutShort, "the provider ended its answer without a reason"));
        }
        Ok(())
    }

    fn call(&mut self, index: usize) -> Option<&mut Call> {
        self.blocks.iter_mut().find_map(|block| match block {
            Block::Tool(call) if call.index == index => Some(&mut **call),
            Block::Tool(_) | Block::Text(_) | Block::Thinking(..) | Block::Whole(_) => None,
        })
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        // Each block costs a little more than its bytes, so they are counted, too.
        if self.bytes > limits::FOREIGN_ANSWER_BYTES_MAX || self.blocks.len() > limits::ANSWER_BLOCKS_MAX {
            return Err(Failure::new(Kind::Unreadable, "the answer of the provider is too long"));
        }
        Ok(())
    }

    fn whole(&mut self, whole: Whole) -> Result<(), Failure> {
        self.grow(whole.bytes())?;
        self.blocks.push(Block::Whole(whole));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut rest = None;
        self.cut.flush(|piece| rest = Some(piece.to_owned()));
        rest.map_or(Ok(()), |rest| self.text(&rest))
    }

    fn text(&mut self, piece: &str) -> Result<(), Failure> {
        self.grow(piece.len())?;
        match self.blocks.last_mut() {
            Some(Block::Text(so_far)) => so_far.push_str(piece),
            _ if piece.is_empty() => {}
            _ => self.blocks.push(Block::Text(piece.to_owned())),
        }
        Ok(())
    }

    /// What was used, as far as the provider has said.
    pub const fn usage(&self) -> &Usage {
        &self.tail.usage
    }

    /// The document.
    ///
    /// # Errors
    /// Why there is none: the provider's failure, an input of a tool that is no JSON object, or no end.
    pub fn finish(mut self) -> Result<Vec<u8>, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.tail.cut {
            self.flush()?;
        } else if !self.ended {
            return Err(Failure::new(Kind::CutShort, "the provider broke off before the end of its answer"));
        }
        let mut out = Vec::with_capacity(self.bytes + 512);
        out.extend_from_slice(b"{\"id\":");
        write_string(&mut out, &format!("msg_{:032x}", self.setup.call.0));
        out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
        write_string(&mut out, &self.setup.model);
        out.extend_from_slice(b",\"content\":[");
        let mut first = true;
        for block in &self.blocks {
            if matches!(block, Block::Text(text) if text.trim().is_empty()) {
                continue;
            }
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            self.write_block(block, &mut out)?;
        }
        out.extend_from_slice(b"],");
        self.tail.write_stop(&mut out);
        out.push(b',');
        self.tail.write_usage(&self.setup, &mut out);
        out.push(b'}');
        Ok(out)
    }

    fn write_block(&self, block: &Block, out: &mut Vec<u8>) -> Result<(), Failure> {
        match block {
            Block::Text(text) => {
                out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
                write_string(out, text);
            }
            Block::Thinking(text, signature) => {
                out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":");
                write_string(out, text);
                out.extend_from_slice(b",\"signature\":");
                write_string(out, signature.as_deref().unwrap_or(&self.setup.signature));
            }
            Block::Tool(call) => {
                // What was cut off by the end of the model's room cannot be told as a value.
                let whole = match call.input.whole() {
                    Err(_) if self.tail.out_of_room() => "{}",
                    whole => whole?,
                };
                out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
                write_string(out, &call.id);
                out.extend_from_slice(b",\"name\":");
                write_string(out, &call.name);
                out.extend_from_slice(b",\"input\":");
                out.extend_from_slice(whole.as_bytes());
            }
            Block::Whole(whole) => {
                out.extend_from_slice(b"{\"type\":");
                out.extend_from_slice(whole.all());
            }
        }
        out.push(b'}');
        Ok(())
    }
}
