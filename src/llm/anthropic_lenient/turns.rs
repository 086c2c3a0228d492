//! Writes the instructions and the turns of a conversation, users and models in turn.
//!
//! All that stands between two turns of the model is one turn of the user: the results of tools first, then
//! what they hold beside text, then everything else in its order.

use crate::llm::anthropic_lenient::ORIGIN;
use crate::llm::anthropic_lenient::target::Target;
use crate::llm::conversation::{Block, Content, Conversation, Refusal, Role, Source, Turn, Why};
use crate::llm::foreign::calls::Calls;
use crate::llm::foreign::parts::{Ground, Marked, Part, Piece, frame, parts_of, write_pieces};
use crate::llm::foreign::target::Breakpoints;
use crate::llm::foreign::{FAILED, NO_RESULT, request};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::{self, Names};
use crate::llm::signature;
use crate::llm::written::{Writer, Written};

/// What stands for a turn of the model of which nothing is left.
const NOTHING_SAID: &str = "[nothing said]";

/// The turns under way.
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

    /// Writes `system` and `messages`.
    pub(super) fn write(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let conversation = self.conversation;
        let lines = request::instructions(conversation, self.losses);
        let parts = parts_of(lines.into_iter(), self.ground, "system", self.losses)?;
        if !parts.is_empty() {
            out.key("system").open('[');
            self.parts(&parts, out);
            out.close(']');
        }
        out.key("messages").open('[');
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
        out.close(']');
        Ok(())
    }

    /// Writes the turns between two of the model, the first of which is number `first`.
    fn between(&mut self, first: usize, turns: &'c [Turn<'a>], out: &mut Writer) -> Result<(), Refusal> {
        let (mut results, mut beside) = (Vec::new(), Vec::new());
        for (index, turn) in (first..).zip(turns) {
            for block in &turn.blocks {
                if let Content::ToolResult { id, failed, blocks } = &block.content {
                    let place = format!("messages.{index}.content");
                    self.calls.answer(*id, &place)?;
                    let parts = parts_of(blocks.iter(), self.ground, &place, self.losses)?;
                    results.push(Outcome { id: *id, failed: *failed, marked: block.mark.is_some(), parts });
                }
            }
        }
        for id in self.calls.settle() {
            self.losses.note("messages.tool_result", Treatment::Emulated);
            let parts = vec![(Part::Text(vec![Piece::Ours(NO_RESULT.to_owned())]), false)];
            results.push(Outcome { id, failed: true, marked: false, parts });
        }
        let mut rest = Vec::new();
        for (index, turn) in (first..).zip(turns) {
            let place = format!("messages.{index}.content");
            let mut parts = parts_of(turn.blocks.iter(), self.ground, &place, self.losses)?;
            if turn.role == Role::System && !parts.is_empty() {
                self.losses.note("messages.role.system", Treatment::Emulated);
                frame(&mut parts);
            }
            rest.extend(parts);
        }
        if results.is_empty() && rest.is_empty() {
            return Ok(());
        }
        out.open('{').key("role").text("user").key("content").open('[');
        for outcome in results {
            self.result(outcome, &mut beside, out);
        }
        if !beside.is_empty() {
            self.losses.note("messages.content.tool_result.image", Treatment::Emulated);
        }
        self.parts(&beside, out);
        self.parts(&rest, out);
        out.close(']').close('}');
        Ok(())
    }

    fn result(&mut self, outcome: Outcome<'c, 'a>, beside: &mut Vec<Marked<'c, 'a>>, out: &mut Writer) {
        let Outcome { id, failed, marked, parts } = outcome;
        let text = id.text();
        let id = names::to_target(&text, self.target.call_id_chars_max);
        out.open('{').key("type").text("tool_result").key("tool_use_id").text(&id).key("content");
        out.begin_text().more_text(if failed { FAILED } else { "" });
        for (index, (part, _)) in parts.iter().enumerate() {
            if index > 0 {
                out.more_text("\n");
            }
            match part {
                Part::Text(pieces) => drop(write_pieces(pieces, out)),
                Part::Image(_) => drop(out.more_text("[image: it follows behind the results]")),
                Part::File(..) => drop(out.more_text("[file: it follows behind the results]")),
            }
        }
        out.end_text();
        if failed {
            out.key("is_error").raw(b"true");
            self.losses.note("messages.content.is_error", Treatment::Emulated);
        }
        self.mark(marked, out);
        out.close('}');
        let mut others = parts.into_iter().filter(|(part, _)| !matches!(part, Part::Text(_))).peekable();
        if others.peek().is_some() {
            let label = Piece::Ours(format!("[output of the tool call {id}]"));
            beside.push((Part::Text(vec![label]), false));
            beside.extend(others);
        }
    }

    /// Writes what the model said: texts and calls in their order.
    fn assistant(&mut self, index: usize, turn: &'c Turn<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let place = format!("messages.{index}.content");
        out.open('{').key("role").text("assistant").key("content").open('[');
        let mut any = false;
        for block in &turn.blocks {
            any |= self.said(block, &place, index, out)?;
        }
        if !any {
            out.open('{').key("type").text("text").key("text").text(NOTHING_SAID).close('}');
        }
        out.close(']').close('}');
        Ok(())
    }

    /// Writes a block of the model. False when nothing of it is left.
    fn said(
        &mut self,
        block: &'c Block<'a>,
        place: &str,
        index: usize,
        out: &mut Writer,
    ) -> Result<bool, Refusal> {
        match &block.content {
            Content::ToolUse { id, name, input } => {
                let text = id.text();
                out.open('{').key("type").text("tool_use").key("id");
                out.text(&names::to_target(&text, self.target.call_id_chars_max));
                out.key("name").text(&self.ground.names.foreign(*name)).key("input").raw(input.bytes());
                self.mark(block.mark.is_some(), out);
                out.close('}');
                self.calls.call(*id, index)?;
                Ok(true)
            }
            Content::Thinking { text, signature } => {
                let signature = signature.text();
                let own = signature::read(&signature).is_some_and(|tagged| tagged.origin == ORIGIN);
                if own && self.target.reasoning_back {
                    out.open('{').key("type").text("thinking").key("thinking").written(*text);
                    out.key("signature").text("").close('}');
                    return Ok(true);
                }
                self.losses.note("messages.content.thinking", Treatment::Dropped);
                Ok(false)
            }
            Content::RedactedThinking(_) => {
                self.losses.note("messages.content.redacted_thinking", Treatment::Dropped);
                Ok(false)
            }
            _ => {
                let parts = parts_of(std::iter::once(block), self.ground, place, self.losses)?;
                if parts.iter().any(|(part, _)| !matches!(part, Part::Text(_))) {
                    let why = Why::Unsupported("its models write text only, no images or files");
                    return Err(Refusal::new(place, why));
                }
                self.parts(&parts, out);
                Ok(!parts.is_empty())
            }
        }
    }

    fn parts(&mut self, parts: &[Marked<'_, '_>], out: &mut Writer) {
        for (part, marked) in parts {
            out.open('{').key("type");
            match part {
                Part::Text(pieces) => {
                    out.text("text").key("text");
                    write_pieces(pieces, out.begin_text()).end_text();
                }
                Part::Image(source) => write_source("image", source, out),
                Part::File(source, title) => {
                    write_source("document", source, out);
                    if let Some(title) = title {
                        out.key("title").written(*title);
                    }
                }
            }
            self.mark(*marked, out);
            out.close('}');
        }
    }

    /// Writes a breakpoint where one is wanted and taken: of which scope and for how long is Anthropic's own.
    fn mark(&mut self, marked: bool, out: &mut Writer) {
        if marked && self.marks.take() {
            out.key("cache_control").raw(b"{\"type\":\"ephemeral\"}");
        }
    }
}

fn write_source(kind: &str, source: &Source<'_>, out: &mut Writer) {
    out.text(kind).key("source").open('{').key("type");
    match source {
        Source::Base64 { media, data } => {
            out.text("base64").key("media_type").written(*media).key("data").written(*data);
        }
        Source::Url(url) => drop(out.text("url").key("url").written(*url)),
        // None of the others is made a part.
        _ => drop(out.text("text")),
    }
    out.close('}');
}
