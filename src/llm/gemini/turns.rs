//! Writes the turns of a conversation as contents, each side's in one as long as it speaks.
//!
//! Between two turns of the model stand turns of the user and of the system. Of those, the results of tools
//! come first, in the order of their calls, which is what tells them apart where calls have no ids; then what
//! results hold beside text; then everything else in its order.

use std::collections::BTreeMap;

use crate::llm::conversation::{Block, Content, Conversation, Refusal, Role, Turn, Why};
use crate::llm::foreign::calls::Calls;
use crate::llm::foreign::parts::{Ground, Marked, Part, Piece, frame, parts_of, write_pieces};
use crate::llm::foreign::{NO_RESULT, request};
use crate::llm::gemini::carried::{Carried, NO_SIGNATURE};
use crate::llm::gemini::parts::{media_of, write_media, write_part};
use crate::llm::gemini::target::Target;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names;
use crate::llm::written::{Raw, Writer, Written};

/// Characters of a call's id: as many as a name of ours may carry.
const CALL_ID_CHARS_MAX: usize = crate::limits::CALL_ID_BYTES_MAX;

/// Whose content it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    User,
    Model,
}

/// The contents under way.
pub(super) struct Turns<'c, 'a, 't> {
    conversation: &'c Conversation<'a>,
    target: &'t Target<'t>,
    ground: Ground<'t>,
    losses: &'t mut Losses,
    /// The content that is open.
    open: Option<Side>,
    /// The model's content that is open has a call.
    called: bool,
    /// Calls of the model's last turn, by which results are judged.
    calls: Calls<'a>,
    /// The same, with the names of their tools.
    made: Vec<(Written<'a>, Written<'a>)>,
}

/// What came of a call.
struct Outcome<'c, 'a> {
    failed: bool,
    place: String,
    parts: Vec<Marked<'c, 'a>>,
}

impl<'c, 'a, 't> Turns<'c, 'a, 't> {
    pub(super) fn new(
        conversation: &'c Conversation<'a>,
        target: &'t Target<'t>,
        ground: Ground<'t>,
        losses: &'t mut Losses,
    ) -> Self {
        let (calls, made) = (Calls::default(), Vec::new());
        Self { conversation, target, ground, losses, open: None, called: false, calls, made }
    }

    /// Writes all contents, without the brackets around them.
    pub(super) fn write(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let conversation = self.conversation;
        let mut start = 0;
        while let Some(rest) = conversation.turns.get(start..).filter(|rest| !rest.is_empty()) {
            let others = rest.iter().position(|turn| turn.role == Role::Assistant).unwrap_or(rest.len());
            self.between(start, rest.get(..others).unwrap_or_default(), out)?;
            if let Some(turn) = rest.get(others) {
                self.model(start + others, turn, out)?;
            }
            start += others + 1;
        }
        if !self.made.is_empty() {
            self.between(conversation.turns.len(), &[], out)?;
        }
        if request::is_prefilled(conversation) {
            self.losses.note("messages.prefill", Treatment::Emulated);
        }
        match self.open {
            Some(_) => drop(out.close(']').close('}')),
            None => return Err(Refusal::new("messages", Why::Missing)),
        }
        Ok(())
    }

    /// Makes `side` the one that speaks.
    fn side(&mut self, side: Side, out: &mut Writer) {
        if self.open == Some(side) {
            return;
        }
        match (self.open, side) {
            (Some(_), _) => drop(out.close(']').close('}')),
            (None, Side::User) => {}
            (None, Side::Model) => {
                // The first word is the user's.
                self.losses.note("messages.0.role", Treatment::Emulated);
                out.raw(b"{\"role\":\"user\",\"parts\":[{\"text\":\"[the conversation goes on]\"}]}");
            }
        }
        let role = if side == Side::User { "user" } else { "model" };
        out.open('{').key("role").text(role).key("parts").open('[');
        self.open = Some(side);
        self.called = false;
    }

    /// Writes the turns between two of the model, the first of which is number `first`.
    fn between(&mut self, first: usize, turns: &'c [Turn<'a>], out: &mut Writer) -> Result<(), Refusal> {
        let mut outcomes = BTreeMap::new();
        for (index, turn) in (first..).zip(turns) {
            for block in &turn.blocks {
                if let Content::ToolResult { id, failed, blocks } = &block.content {
                    let place = format!("messages.{index}.content");
                    self.calls.answer(*id, &place)?;
                    let parts = parts_of(blocks.iter(), self.ground, &place, self.losses)?;
                    outcomes.insert(id.bytes(), Outcome { failed: *failed, place, parts });
                }
            }
        }
        self.calls.settle();
        let mut beside = Vec::new();
        for (id, name) in std::mem::take(&mut self.made) {
            let outcome = outcomes.remove(id.bytes()).unwrap_or_else(|| {
                // Whoever was interrupted has no result; the dialect wants one for each call.
                self.losses.note("messages.tool_result", Treatment::Emulated);
                let parts = vec![(Part::Text(vec![Piece::Ours(NO_RESULT.to_owned())]), false)];
                Outcome { failed: true, place: String::new(), parts }
            });
            self.result((id, name), outcome, &mut beside, out)?;
        }
        if !beside.is_empty() {
            self.losses.note("messages.content.tool_result.image", Treatment::Emulated);
        }
        for (part, place) in &beside {
            write_part(part, place, out)?;
        }
        for (index, turn) in (first..).zip(turns) {
            self.plain(index, turn, out)?;
        }
        Ok(())
    }

    /// Writes `functionResponse`; what it cannot hold goes to `beside`.
    fn result(
        &mut self,
        (id, name): (Written<'a>, Written<'a>),
        outcome: Outcome<'c, 'a>,
        beside: &mut Vec<(Part<'c, 'a>, String)>,
        out: &mut Writer,
    ) -> Result<(), Refusal> {
        use crate::llm::conversation::Source;
        let Outcome { failed, place, parts } = outcome;
        self.side(Side::User, out);
        let name = self.ground.names.foreign(name);
        out.open('{').key("functionResponse").open('{');
        self.id(id, out);
        out.key("name").text(&name).key("response").open('{');
        out.key(if failed { "error" } else { "output" }).begin_text();
        // What is at an address cannot be inside of a result.
        let result_media = self.target.result_media;
        let inside = |part: &Part<'_, '_>| {
            let (Part::Image(source) | Part::File(source, _)) = part else { return false };
            result_media && matches!(source, Source::Base64 { .. })
        };
        for (index, (part, _)) in parts.iter().enumerate() {
            out.more_text(if index > 0 { "\n" } else { "" });
            match part {
                Part::Text(pieces) => drop(write_pieces(pieces, out)),
                Part::Image(_) if inside(part) => drop(out.more_text("[image: it is part of this result]")),
                Part::File(..) if inside(part) => drop(out.more_text("[file: it is part of this result]")),
                Part::Image(_) => drop(out.more_text("[image: it follows the results]")),
                Part::File(..) => drop(out.more_text("[file: it follows the results]")),
            }
        }
        out.end_text().close('}');
        if parts.iter().any(|(part, _)| inside(part)) {
            out.key("parts").open('[');
            for (part, _) in parts.iter().filter(|(part, _)| inside(part)) {
                if let (Part::Image(source) | Part::File(source, _), Some(media)) =
                    (part, media_of(part, &place)?)
                {
                    out.open('{');
                    write_media(source, media, out);
                    out.close('}');
                }
            }
            out.close(']');
        }
        out.close('}').close('}');
        let others = parts.into_iter().filter(|(part, _)| !matches!(part, Part::Text(_)) && !inside(part));
        let mut others = others.peekable();
        if others.peek().is_some() {
            let label = Piece::Ours(format!("[output of the tool {name}]"));
            beside.push((Part::Text(vec![label]), String::new()));
            beside.extend(others.map(|(part, _)| (part, place.clone())));
        }
        Ok(())
    }

    /// Writes the id of a call, where the target knows ids and the model has given one.
    fn id(&self, id: Written<'_>, out: &mut Writer) {
        let id = id.text();
        if self.target.call_ids && !names::is_made(&id) {
            out.key("id").text(&names::to_target(&id, CALL_ID_CHARS_MAX));
        }
    }

    /// Writes what else is in a turn of the user or the system.
    fn plain(&mut self, index: usize, turn: &'c Turn<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let place = format!("messages.{index}.content");
        let mut parts = parts_of(turn.blocks.iter(), self.ground, &place, self.losses)?;
        if parts.is_empty() {
            return Ok(());
        }
        if turn.role == Role::System {
            self.losses.note("messages.role.system", Treatment::Emulated);
            frame(&mut parts);
        }
        self.side(Side::User, out);
        for (part, _) in &parts {
            write_part(part, &place, out)?;
        }
        Ok(())
    }

    /// Writes a turn of the model.
    fn model(&mut self, index: usize, turn: &'c Turn<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let place = format!("messages.{index}.content");
        // What the next call is signed with.
        let mut pending = None;
        for block in &turn.blocks {
            match &block.content {
                Content::ToolUse { id, name, input } => {
                    self.calls.call(*id, index)?;
                    self.made.push((*id, *name));
                    self.call((*id, *name), *input, pending.take(), out);
                }
                Content::Thinking { text, signature } => {
                    match Carried::read(&signature.text(), self.target.origin) {
                        Some(Carried::OfCall(signature)) => pending = Some(signature),
                        Some(Carried::OfThought(signature)) => {
                            self.side(Side::Model, out);
                            out.open('{').key("text").written(*text).key("thought").raw(b"true");
                            out.key("thoughtSignature").text(&signature).close('}');
                        }
                        None => self.losses.note("messages.content.thinking", Treatment::Dropped),
                    }
                }
                Content::RedactedThinking(_) => {
                    self.losses.note("messages.content.redacted_thinking", Treatment::Dropped);
                }
                _ => self.said(block, &place, out)?,
            }
        }
        if pending.is_some() {
            self.losses.note("messages.content.thinking", Treatment::Dropped);
        }
        Ok(())
    }

    /// Writes what the model has said, and what was said in its name.
    fn said(&mut self, block: &'c Block<'a>, place: &str, out: &mut Writer) -> Result<(), Refusal> {
        for (part, _) in parts_of([block].into_iter(), self.ground, place, self.losses)? {
            if !matches!(part, Part::Text(_)) {
                let why = Why::Unsupported("its models write text only, no images or files");
                return Err(Refusal::new(place, why));
            }
            self.side(Side::Model, out);
            write_part(&part, place, out)?;
        }
        Ok(())
    }

    /// Writes `functionCall`. The first one of a content needs a signature; those beside it may have one.
    fn call(
        &mut self,
        (id, name): (Written<'a>, Written<'a>),
        input: Raw<'a>,
        signature: Option<String>,
        out: &mut Writer,
    ) {
        self.side(Side::Model, out);
        let first = !std::mem::replace(&mut self.called, true);
        out.open('{').key("functionCall").open('{');
        self.id(id, out);
        out.key("name").text(&self.ground.names.foreign(name)).key("args").raw(input.bytes()).close('}');
        if let Some(signature) = signature {
            out.key("thoughtSignature").text(&signature);
        } else if first && self.target.signatures {
            self.losses.note("messages.content.tool_use.signature", Treatment::Emulated);
            out.key("thoughtSignature").text(NO_SIGNATURE);
        }
        out.close('}');
    }
}
