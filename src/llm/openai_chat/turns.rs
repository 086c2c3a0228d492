//! Writes the messages of a conversation, each in the place that the dialect wants it in.
//!
//! Between two turns of the model stand turns of the user and of the system. Of those, the results of tools
//! come first, since they have to follow the calls; then what results hold beside text; then everything else
//! in its order.

use std::collections::BTreeSet;

use crate::llm::conversation::{Block, Content, Conversation, Refusal, Role, Turn, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::{self, Names};
use crate::llm::openai_chat::parts::{Ground, Marked, Part, Piece, parts_of, write_as_text, write_content};
use crate::llm::openai_chat::target::{CacheMarks, MidSystem, Target};
use crate::llm::openai_chat::{ORIGIN, request};
use crate::llm::signature;
use crate::llm::written::{Writer, Written};

/// What Claude Code puts in front of its instructions for Anthropic's accounting.
const ATTRIBUTION: &[u8] = b"x-anthropic-billing-header:";

/// Breakpoints that one request may have.
const BREAKPOINTS_MAX: usize = 4;

/// What stands in front of the result of a tool that failed: the dialect has no field for it.
const FAILED: &str = "[tool error] ";

/// The frame of instructions where only a user can give them.
pub(in crate::llm) const FRAME: [&str; 2] = ["<system-reminder>\n", "\n</system-reminder>"];

/// The messages under way.
pub(super) struct Turns<'c, 'a, 't> {
    conversation: &'c Conversation<'a>,
    ground: Ground<'t>,
    losses: &'t mut Losses,
    /// Marked parts that get no breakpoint, because more come after them.
    marks_to_skip: usize,
    /// Calls of the model's last turn, in their order.
    calls: Vec<Written<'a>>,
    /// The same, to be found fast.
    called: BTreeSet<&'a [u8]>,
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
        let ground = Ground { target, names };
        let (calls, called) = (Vec::new(), BTreeSet::new());
        let mut turns = Self { conversation, ground, losses, marks_to_skip: 0, calls, called };
        turns.count_marks();
        turns
    }

    /// Of all marks the last four count; earlier ones say nothing that those do not.
    fn count_marks(&mut self) {
        let mut marks = self.conversation.system.iter().filter(|block| block.mark.is_some()).count();
        self.conversation.each_block(|_, block| marks += usize::from(block.mark.is_some()));
        if marks == 0 {
            return;
        }
        match self.ground.target.cache_marks {
            CacheMarks::Automatic => {
                self.marks_to_skip = usize::MAX;
                self.losses.note("cache_control", Treatment::Emulated);
            }
            CacheMarks::Breakpoints => self.marks_to_skip = marks.saturating_sub(BREAKPOINTS_MAX),
        }
    }

    /// Writes all messages, without the brackets around them.
    pub(super) fn write(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let conversation = self.conversation;
        let lines = conversation.system.iter().filter(|block| !is_attribution(block));
        let lines: Vec<&Block<'a>> = lines.collect();
        if lines.len() < conversation.system.len() {
            self.losses.note("system.attribution", Treatment::Dropped);
        }
        let parts = parts_of(lines.into_iter(), self.ground, "system", self.losses)?;
        if !parts.is_empty() {
            self.message(self.ground.target.system_word(), parts, out);
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
        if !self.calls.is_empty() {
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
        let mut answered = BTreeSet::new();
        for (index, turn) in (first..).zip(turns) {
            for block in &turn.blocks {
                if let Content::ToolResult { id, failed, blocks } = &block.content {
                    let place = format!("messages.{index}.content");
                    if !self.called.contains(id.bytes()) || !answered.insert(id.bytes()) {
                        return Err(Refusal::new(
                            format!("{place}.tool_use_id"),
                            Why::Unsupported("each result has to follow a call of its id, once"),
                        ));
                    }
                    let parts = parts_of(blocks.iter(), self.ground, &place, self.losses)?;
                    let marked = block.mark.is_some() && self.takes_mark();
                    self.result(Outcome { id: *id, failed: *failed, marked, parts }, &mut beside, out);
                }
            }
        }
        self.called.clear();
        for id in std::mem::take(&mut self.calls) {
            // Whoever was interrupted has no result; the dialect wants one for each call.
            if !answered.contains(id.bytes()) {
                self.losses.note("messages.tool_result", Treatment::Emulated);
                let parts = vec![(Part::Text(vec![Piece::Ours("[no result]".to_owned())]), false)];
                self.result(Outcome { id, failed: true, marked: false, parts }, &mut Vec::new(), out);
            }
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

    /// Whether the next mark gets its breakpoint.
    fn takes_mark(&mut self) -> bool {
        match self.marks_to_skip {
            0 => true,
            usize::MAX => false,
            _ => {
                self.marks_to_skip -= 1;
                false
            }
        }
    }

    fn result(&mut self, outcome: Outcome<'c, 'a>, beside: &mut Vec<Marked<'c, 'a>>, out: &mut Writer) {
        let Outcome { id, failed, marked, parts } = outcome;
        let text = id.text();
        let id = names::to_target(&text, self.ground.target.call_id_chars_max);
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
        let role = match (turn.role, self.ground.target.mid_system) {
            (Role::System, MidSystem::InPlace) => self.ground.target.system_word(),
            (Role::System, MidSystem::AsUser) => {
                self.losses.note("messages.role.system", Treatment::Emulated);
                if let Some((Part::Text(pieces), _)) = parts.first_mut() {
                    pieces.insert(0, Piece::Ours(FRAME[0].to_owned()));
                }
                if let Some((Part::Text(pieces), _)) = parts.last_mut() {
                    pieces.push(Piece::Ours(FRAME[1].to_owned()));
                }
                "user"
            }
            (Role::User | Role::Assistant, _) => "user",
        };
        self.message(role, parts, out);
        Ok(())
    }

    fn message(&mut self, role: &str, mut parts: Vec<Marked<'c, 'a>>, out: &mut Writer) {
        for (_, marked) in &mut parts {
            *marked = *marked && self.takes_mark();
        }
        out.open('{').key("role").text(role).key("content");
        write_content(&parts, self.ground.target, out);
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
            self.takes_mark();
        }
        match parts.is_empty() {
            true if called => drop(out.raw(b"null")),
            _ => write_content(&parts, self.ground.target, out),
        }
        self.thinking(turn, out);
        if called {
            out.key("tool_calls").open('[');
            for block in &turn.blocks {
                if let Content::ToolUse { id, name, input } = &block.content {
                    let text = id.text();
                    out.open('{')
                        .key("id")
                        .text(&names::to_target(&text, self.ground.target.call_id_chars_max));
                    out.key("type").text("function").key("function").open('{');
                    out.key("name").text(&self.ground.names.foreign(*name)).key("arguments");
                    out.begin_text().more_json(input.bytes()).end_text().close('}').close('}');
                    if !self.called.insert(id.bytes()) {
                        return Err(Refusal::new(format!("messages.{index}.content.id"), Why::Twice));
                    }
                    self.calls.push(*id);
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
                    if !own || !self.ground.target.reasoning_back {
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

/// Whether a block is what Claude Code writes for the accounting of Anthropic.
pub(in crate::llm) fn is_attribution(block: &Block<'_>) -> bool {
    matches!(block.content, Content::Text(text) if text.bytes().starts_with(ATTRIBUTION))
}
