//! Writes the messages of a conversation, each in the place that the dialect wants it in.
//!
//! Between two turns of the model stand turns of the user and of the system. Of those, the results of tools
//! come first, since they have to follow the calls; then what results hold beside text; then everything else
//! in its order.

use crate::llm::conversation::{Block, Content, Conversation, Refusal, Role, Turn, Why};
use crate::llm::foreign::calls::Calls;
use crate::llm::foreign::parts::{Ground, Marked, Part, Piece, frame, parts_of};
use crate::llm::foreign::target::Breakpoints;
use crate::llm::foreign::{FAILED, MidSystem, NO_RESULT, request};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::{self, Names};
use crate::llm::openai_chat::ORIGIN;
use crate::llm::openai_chat::parts::{write_as_text, write_content};
use crate::llm::openai_chat::target::Target;
use crate::llm::signature;
use crate::llm::written::{Writer, Written};

/// The messages under way.
pub(super) struct Turns<'c, 'a, 't> {
    conversation: &'c Conversation<'a>,
    target: &'t Target<'t>,
    ground: Ground<'t>,
    losses: &'t mut Losses,
    marks: Breakpoints,
    calls: Calls<'a>,
}

/// What came of a call.
struct Outcome<'c, 'a> {
    id: Written<'a>,
    failed: bool,
    /// The prompt up to here is to be kept.
    marked: bool,
    parts: Vec<Marked<'c, 'a>>,
}

impl<'c, 'a, 't> Turns<'c, 'a, 't> {
    pub(super) fn new(
        conversation: &'c Conversation<'a>,
        target: &'t Target<'t>,
        names: &'t Names,
        losses: &'t mut Losses,
    ) -> Self {
        let Target { images, image_urls, files, .. } = *target;
        let ground = Ground { names, images, image_urls, files, file_urls: false };
        let marks = request::marks(conversation, target.cache_marks, losses);
        Self { conversation, target, ground, losses, marks, calls: Calls::default() }
    }

    /// Writes all messages, without the brackets around them.
    pub(super) fn write(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let conversation = self.conversation;
        let lines = request::instructions(conversation, self.losses);
        let parts = parts_of(lines.into_iter(), self.ground, "system", self.losses)?;
        if !parts.is_empty() {
            self.message(self.target.system_role.word(), parts, out);
        }
        let mut start = 0;
        while let Some(rest) = conversation.turns.get(start..).filter(|rest| !rest.is_empty()) {
            let others = rest.iter().position(|turn| turn.role == Role::Assistant).unwrap_or(rest.len());
            self.between(start, rest.get(..others).unwrap_or_default(), out)?;
            if let Some(turn) = rest.get(others) {
                self.assistant(start + others, turn, out)?;
            }
            start += others + 1;
        }
        if self.calls.any_open() {
            self.between(conversation.turns.len(), &[], out)?;
        }
        if request::is_prefilled(conversation) {
            self.losses.note("messages.prefill", Treatment::Emulated);
        }
        Ok(())
    }

    /// Writes the turns between two of the model, the first of which is number `first`.
    fn between(&mut self, first: usize, turns: &'c [Turn<'a>], out: &mut Writer) -> Result<(), Refusal> {
        let mut beside = Vec::new();
        for (index, turn) in (first..).zip(turns) {
            for block in &turn.blocks {
                if let Content::ToolResult { id, failed, blocks } = &block.content {
                    let place = format!("messages.{index}.content");
                    self.calls.answer(*id, &place)?;
                    let parts = parts_of(blocks.iter(), self.ground, &place, self.losses)?;
                    let marked = block.mark.is_some() && self.marks.take();
                    self.result(Outcome { id: *id, failed: *failed, marked, parts }, &mut beside, out);
                }
            }
        }
        for id in self.calls.settle() {
            self.losses.note("messages.tool_result", Treatment::Emulated);
            let parts = vec![(Part::Text(vec![Piece::Ours(NO_RESULT.to_owned())]), false)];
            self.result(Outcome { id, failed: true, marked: false, parts }, &mut Vec::new(), out);
        }
        if !beside.is_empty() {
            self.losses.note("messages.content.tool_result.image", Treatment::Emulated);
            self.message("user", beside, out);
        }
        for (index, turn) in (first..).zip(turns) {
            self.plain(index, turn, out)?;
        }
        Ok(())
    }

    fn result(&mut self, outcome: Outcome<'c, 'a>, beside: &mut Vec<Marked<'c, 'a>>, out: &mut Writer) {
        let Outcome { id, failed, marked, parts } = outcome;
        let text = id.text();
        let id = names::to_target(&text, self.target.call_id_chars_max);
        out.open('{').key("role").text("tool").key("tool_call_id").text(&id).key("content");
        write_as_text(&parts, if failed { FAILED } else { "" }, marked, out);
        out.close('}');
        if failed {
            self.losses.note("messages.content.is_error", Treatment::Emulated);
        }
        let others = parts.into_iter().filter(|(part, _)| !matches!(part, Part::Text(_)));
        let mut others = others.peekable();
        if others.peek().is_some() {
            let label = Piece::Ours(format!("[output of the tool call {id}]"));
            beside.push((Part::Text(vec![label]), false));
            beside.extend(others);
        }
    }

    /// Writes what else is in a turn of the user or the system.
    fn plain(&mut self, index: usize, turn: &'c Turn<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let place = format!("messages.{index}.content");
        let mut parts = parts_of(turn.blocks.iter(), self.ground, &place, self.losses)?;
        if parts.is_empty() {
            return Ok(());
        }
        let role = match (turn.role, self.target.mid_system) {
            (Role::System, MidSystem::InPlace) => self.target.system_role.word(),
            (Role::System, MidSystem::AsUser) => {
                self.losses.note("messages.role.system", Treatment::Emulated);
                frame(&mut parts);
                "user"
            }
            (Role::User | Role::Assistant, _) => "user",
        };
        self.message(role, parts, out);
        Ok(())
    }

    fn message(&mut self, role: &str, mut parts: Vec<Marked<'c, 'a>>, out: &mut Writer) {
        for (_, marked) in &mut parts {
            *marked = *marked && self.marks.take();
        }
        out.open('{').key("role").text(role).key("content");
        write_content(&parts, self.target, out);
        out.close('}');
    }

    fn assistant(&mut self, index: usize, turn: &'c Turn<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let place = format!("messages.{index}.content");
        self.check_order(turn);
        let parts = parts_of(turn.blocks.iter(), self.ground, &place, self.losses)?;
        if parts.iter().any(|(part, _)| !matches!(part, Part::Text(_))) {
            return Err(Refusal::new(
                place,
                Why::Unsupported("its models write text only, no images or files"),
            ));
        }
        let called = turn.blocks.iter().any(|block| matches!(block.content, Content::ToolUse { .. }));
        out.open('{').key("role").text("assistant").key("content");
        // Breakpoints are for what the model reads, so marks on what it wrote are as those on nothing.
        let parts: Vec<_> = parts.into_iter().map(|(part, _)| (part, false)).collect();
        for _ in turn.blocks.iter().filter(|block| block.mark.is_some()) {
            self.marks.take();
        }
        match parts.is_empty() {
            true if called => drop(out.raw(b"null")),
            _ => write_content(&parts, self.target, out),
        }
        self.thinking(turn, out);
        if called {
            out.key("tool_calls").open('[');
            for block in &turn.blocks {
                if let Content::ToolUse { id, name, input } = &block.content {
                    let text = id.text();
                    out.open('{').key("id").text(&names::to_target(&text, self.target.call_id_chars_max));
                    out.key("type").text("function").key("function").open('{');
                    out.key("name").text(&self.ground.names.foreign(*name)).key("arguments");
                    out.begin_text().more_json(input.bytes()).end_text().close('}').close('}');
                    self.calls.call(*id, index)?;
                }
            }
            out.close(']');
        }
        out.close('}');
        Ok(())
    }

    /// In this dialect a turn is its text and then its calls.
    fn check_order(&mut self, turn: &Turn<'_>) {
        let call = |block: &Block<'_>| matches!(block.content, Content::ToolUse { .. });
        let behind = turn.blocks.iter().skip_while(|block| !call(block));
        if behind.into_iter().any(|block| matches!(block.content, Content::Text(_))) {
            self.losses.note("messages.content.text", Treatment::Emulated);
        }
    }

    /// What the model thought, where it wants that back and it is its own.
    fn thinking(&mut self, turn: &Turn<'a>, out: &mut Writer) {
        let mut begun = false;
        for block in &turn.blocks {
            match &block.content {
                Content::Thinking { text, signature } => {
                    let signature = signature.text();
                    let own = signature::read(&signature).is_some_and(|tagged| tagged.origin == ORIGIN);
                    if !own || !self.target.reasoning_back {
                        self.losses.note("messages.content.thinking", Treatment::Dropped);
                        continue;
                    }
                    if !std::mem::replace(&mut begun, true) {
                        out.key("reasoning_content").begin_text();
                    }
                    out.more(*text);
                }
                Content::RedactedThinking(_) => {
                    self.losses.note("messages.content.redacted_thinking", Treatment::Dropped);
                }
                _ => {}
            }
        }
        if begun {
            out.end_text();
        }
    }
}
