//! Writes the messages of a conversation so that user and assistant take turns.
//!
//! All turns between two of the model become one message of the user: the results of tools first, then what
//! results hold beside text, then everything else in its order.

use std::collections::BTreeSet;

use crate::llm::bedrock::converse::ORIGIN;
use crate::llm::bedrock::converse::content::{self, Ground};
use crate::llm::conversation::{Block, Content, Conversation, Refusal, Role, Turn, Why};
use crate::llm::foreign::parts::{FRAME, Marked, Part, Piece, parts_of};
use crate::llm::foreign::request::is_attribution;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names;
use crate::llm::signature;
use crate::llm::written::{Raw, Writer, Written};

/// Points that one request may have.
const POINTS_MAX: usize = 4;

/// Characters of a call's id that the service takes.
const ID_CHARS_MAX: usize = 64;

/// What stands for a message without content, which the service refuses.
const NOTHING: &[u8] = b"{\"text\":\"(nothing)\"}";

/// The messages under way.
pub(super) struct Turns<'c, 'a, 't> {
    conversation: &'c Conversation<'a>,
    ground: Ground<'t>,
    pub(super) losses: &'t mut Losses,
    /// Marks that get no point, because more come after them.
    marks_to_skip: usize,
    /// Calls of the model's last turn, in their order.
    calls: Vec<Written<'a>>,
    documents: usize,
}

/// One message under way.
#[derive(Default)]
struct Open {
    /// Whose it is; nobody's before the first block.
    role: Option<&'static str>,
    /// A block has been written.
    begun: bool,
    /// A file has been written, which wants a text beside it.
    file: bool,
    text: bool,
}

impl Open {
    /// Goes on with the message of `role`, after the end of another one's.
    fn begin(&mut self, role: &'static str, out: &mut Writer) {
        if self.role == Some(role) {
            return;
        }
        self.end(out);
        out.open('{').key("role").text(role).key("content").open('[');
        self.role = Some(role);
    }

    /// Adds what a message has to have, and closes it.
    fn end(&mut self, out: &mut Writer) {
        if self.role.is_some() {
            if self.file && !self.text {
                out.raw(b"{\"text\":\"(document)\"}");
            }
            if !self.begun {
                out.raw(NOTHING);
            }
            out.close(']').close('}');
        }
        *self = Self::default();
    }
}

impl<'c, 'a, 't> Turns<'c, 'a, 't> {
    pub(super) fn new(
        conversation: &'c Conversation<'a>,
        ground: Ground<'t>,
        losses: &'t mut Losses,
    ) -> Self {
        let mut marks = conversation.system.iter().filter(|block| block.mark.is_some()).count();
        marks += conversation.tools.iter().filter(|tool| tool.mark.is_some()).count();
        conversation.each_block(|_, block| marks += usize::from(block.mark.is_some()));
        if marks > 0 && !ground.target.cache_points {
            losses.note("cache_control", Treatment::Dropped);
        }
        let marks_to_skip = marks.saturating_sub(POINTS_MAX);
        Self { conversation, ground, losses, marks_to_skip, calls: Vec::new(), documents: 0 }
    }

    /// Writes the point of a mark, unless it is one of too many.
    pub(super) fn cache_point(&mut self, mark: Raw<'_>, out: &mut Writer) {
        if !self.ground.target.cache_points {
            return;
        }
        if self.marks_to_skip > 0 {
            self.marks_to_skip -= 1;
            return;
        }
        out.open('{').key("cachePoint").open('{').key("type").text("default");
        let hour = memchr::memmem::find(mark.bytes(), b"\"1h\"").is_some();
        if hour && self.ground.target.cache_ttl {
            out.key("ttl").text("1h");
        } else if hour {
            self.losses.note("cache_control.ttl", Treatment::Dropped);
        }
        out.close('}').close('}');
    }

    /// Writes `system`, where there is any.
    pub(super) fn system(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let conversation = self.conversation;
        let mut begun = false;
        for block in &conversation.system {
            if is_attribution(block) {
                self.losses.note("system.attribution", Treatment::Dropped);
                continue;
            }
            for (part, _) in self.parts(std::iter::once(block), "system")? {
                if !matches!(part, Part::Text(_)) {
                    return Err(Refusal::new("system", Why::Unsupported("instructions are text only")));
                }
                if !std::mem::replace(&mut begun, true) {
                    out.key("system").open('[');
                }
                content::write(&part, "system", &mut self.documents, out)?;
            }
            if let (Some(mark), true) = (block.mark, begun) {
                self.cache_point(mark, out);
            }
        }
        if begun {
            out.close(']');
        }
        Ok(())
    }

    /// Parts that are not blank.
    fn parts(
        &mut self,
        blocks: impl Iterator<Item = &'c Block<'a>>,
        place: &str,
    ) -> Result<Vec<Marked<'c, 'a>>, Refusal> {
        let mut parts = parts_of(blocks, self.ground.parts(), place, self.losses)?;
        parts.retain(|(part, _)| !content::is_blank(part));
        Ok(parts)
    }

    /// Writes all messages, without the brackets around them.
    pub(super) fn write(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let turns = self.conversation.turns.as_slice();
        let mut start = 0;
        while let Some(rest) = turns.get(start..).filter(|rest| !rest.is_empty()) {
            let ours = |turn: &Turn<'_>| turn.role == Role::Assistant;
            let others = rest.iter().position(ours).unwrap_or(rest.len());
            if others > 0 || !self.calls.is_empty() {
                self.between(start, rest.get(..others).unwrap_or_default(), out)?;
            }
            start += others;
            let rest = rest.get(others..).unwrap_or_default();
            let said = rest.iter().position(|turn| !ours(turn)).unwrap_or(rest.len());
            if said > 0 {
                self.assistant(start, rest.get(..said).unwrap_or_default(), out)?;
            }
            start += said;
        }
        if self.calls.is_empty() {
            if turns.last().is_some_and(|turn| turn.role == Role::Assistant) {
                self.losses.note("messages.prefill", Treatment::Emulated);
            }
            return Ok(());
        }
        self.between(turns.len(), &[], out)
    }

    /// Writes the turns between two of the model, the first of which is number `first`.
    fn between(&mut self, first: usize, turns: &'c [Turn<'a>], out: &mut Writer) -> Result<(), Refusal> {
        let mut open = Open::default();
        let mut said = !self.calls.is_empty();
        if said {
            open.begin("user", out);
        }
        let beside = self.results(first, turns, &mut open, out)?;
        if !beside.is_empty() {
            self.losses.note("messages.content.tool_result.image", Treatment::Emulated);
        }
        for part in &beside {
            self.block(part, "messages.content", &mut open, out)?;
        }
        for (index, turn) in (first..).zip(turns) {
            let place = format!("messages.{index}.content");
            let in_place = turn.role == Role::System && self.ground.target.system_in_place;
            let role = if in_place { "system" } else { "user" };
            let framed = turn.role == Role::System && !in_place;
            if framed {
                self.losses.note("messages.role.system", Treatment::Emulated);
            }
            said |= self.plain(turn, (role, framed.then_some(FRAME)), &place, &mut open, out)?;
        }
        if !said {
            open.begin("user", out);
        }
        open.end(out);
        Ok(())
    }

    /// Writes the results of all calls, and gives back what has to stand beside them.
    fn results(
        &mut self,
        first: usize,
        turns: &'c [Turn<'a>],
        open: &mut Open,
        out: &mut Writer,
    ) -> Result<Vec<Part<'c, 'a>>, Refusal> {
        let mut beside = Vec::new();
        let calls = std::mem::take(&mut self.calls);
        let called: BTreeSet<&[u8]> = calls.iter().map(|id| id.bytes()).collect();
        let mut answered = BTreeSet::new();
        for (index, turn) in (first..).zip(turns) {
            let place = format!("messages.{index}.content");
            for block in &turn.blocks {
                let Content::ToolResult { id, failed, blocks } = &block.content else { continue };
                if !called.contains(id.bytes()) || !answered.insert(id.bytes()) {
                    let why = Why::Unsupported("each result has to follow a call of its id, once");
                    return Err(Refusal::new(format!("{place}.tool_use_id"), why));
                }
                let parts = self.parts(blocks.iter(), &place)?;
                beside.extend(self.result((*id, *failed), parts, &place, out)?);
                open.begun = true;
                if let Some(mark) = block.mark {
                    self.cache_point(mark, out);
                }
            }
        }
        for id in calls {
            // Whoever was interrupted has no result; the service wants one for each call.
            if !answered.contains(id.bytes()) {
                self.losses.note("messages.tool_result", Treatment::Emulated);
                let parts = vec![(Part::Text(vec![Piece::Ours("[no result]".to_owned())]), false)];
                self.result((id, true), parts, "messages", out)?;
                open.begun = true;
            }
        }
        Ok(beside)
    }

    fn result(
        &mut self,
        (id, failed): (Written<'a>, bool),
        parts: Vec<Marked<'c, 'a>>,
        place: &str,
        out: &mut Writer,
    ) -> Result<Vec<Part<'c, 'a>>, Refusal> {
        let text = id.text();
        let id = names::to_target(&text, ID_CHARS_MAX);
        let mut beside = Vec::new();
        out.open('{').key("toolResult").open('{').key("toolUseId").text(&id);
        if failed {
            out.key("status").text("error");
        }
        out.key("content").open('[');
        if parts.is_empty() {
            out.raw(NOTHING);
        }
        for (part, _) in parts {
            if matches!(part, Part::Text(_)) || self.ground.target.files_in_results {
                content::write(&part, place, &mut self.documents, out)?;
                continue;
            }
            out.raw(b"{\"text\":\"[it follows behind the results]\"}");
            if beside.is_empty() {
                let label = format!("[output of the tool call {id}]");
                beside.push(Part::Text(vec![Piece::Ours(label)]));
            }
            beside.push(part);
        }
        out.close(']').close('}').close('}');
        Ok(beside)
    }

    /// Writes what else is in a turn of the user or the system, in a frame where it wants one; whether there
    /// is anything.
    fn plain(
        &mut self,
        turn: &'c Turn<'a>,
        (role, frame): (&'static str, Option<[&str; 2]>),
        place: &str,
        open: &mut Open,
        out: &mut Writer,
    ) -> Result<bool, Refusal> {
        let mut said = false;
        let last = turn.blocks.len().saturating_sub(1);
        for (index, block) in turn.blocks.iter().enumerate() {
            for (mut part, _) in self.parts(std::iter::once(block), place)? {
                if let (Some([before, after]), Part::Text(pieces)) = (frame, &mut part) {
                    if index == 0 {
                        pieces.insert(0, Piece::Ours(before.to_owned()));
                    }
                    if index == last {
                        pieces.push(Piece::Ours(after.to_owned()));
                    }
                }
                open.begin(role, out);
                self.block(&part, place, open, out)?;
                said = true;
            }
            let result = matches!(block.content, Content::ToolResult { .. });
            if let (Some(mark), true, false) = (block.mark, open.begun, result) {
                self.cache_point(mark, out);
            }
        }
        Ok(said)
    }

    fn block(
        &mut self,
        part: &Part<'_, '_>,
        place: &str,
        open: &mut Open,
        out: &mut Writer,
    ) -> Result<(), Refusal> {
        open.begun = true;
        open.file |= matches!(part, Part::File(..));
        open.text |= matches!(part, Part::Text(_));
        content::write(part, place, &mut self.documents, out)
    }

    fn assistant(&mut self, first: usize, turns: &'c [Turn<'a>], out: &mut Writer) -> Result<(), Refusal> {
        let mut open = Open::default();
        open.begin("assistant", out);
        let blocks =
            (first..).zip(turns).flat_map(|(index, turn)| turn.blocks.iter().map(move |it| (index, it)));
        for (index, block) in blocks {
            let place = format!("messages.{index}.content");
            match &block.content {
                Content::ToolUse { id, name, input } => {
                    let text = id.text();
                    if self.calls.iter().any(|call| call.bytes() == id.bytes()) {
                        return Err(Refusal::new(format!("{place}.id"), Why::Twice));
                    }
                    let id_there = names::to_target(&text, ID_CHARS_MAX);
                    out.open('{').key("toolUse").open('{').key("toolUseId").text(&id_there);
                    out.key("name").text(&self.ground.names.foreign(*name));
                    out.key("input").raw(input.bytes()).close('}').close('}');
                    open.begun = true;
                    self.calls.push(*id);
                }
                Content::Thinking { text, signature } => {
                    open.begun |= self.thinking(*text, *signature, out);
                    continue;
                }
                Content::RedactedThinking(_) => {
                    self.losses.note("messages.content.redacted_thinking", Treatment::Dropped);
                    continue;
                }
                _ => {
                    for (part, _) in self.parts(std::iter::once(block), &place)? {
                        if !matches!(part, Part::Text(_)) {
                            let why = Why::Unsupported("its models write text only, no images or files");
                            return Err(Refusal::new(place, why));
                        }
                        self.block(&part, &place, &mut open, out)?;
                    }
                }
            }
            if let (Some(mark), true) = (block.mark, open.begun) {
                self.cache_point(mark, out);
            }
        }
        open.end(out);
        Ok(())
    }

    /// What the model thought, where it wants that back and it is its own; whether it has been written.
    fn thinking(&mut self, text: Written<'a>, signature: Written<'a>, out: &mut Writer) -> bool {
        let signature = signature.text();
        let tagged = signature::read(&signature).filter(|tagged| tagged.origin == ORIGIN);
        let Some(tagged) = tagged.filter(|_| self.ground.target.reasoning_back && !text.is_blank()) else {
            self.losses.note("messages.content.thinking", Treatment::Dropped);
            return false;
        };
        out.open('{').key("reasoningContent").open('{').key("reasoningText").open('{');
        out.key("text").written(text);
        if let Some(own) = std::str::from_utf8(&tagged.payload).ok().filter(|own| !own.is_empty()) {
            out.key("signature").text(own);
        }
        out.close('}').close('}').close('}');
        true
    }
}
