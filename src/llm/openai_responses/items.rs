//! Writes the items of a conversation in the order in which everything was said.

use crate::json::{Fault, Field, Kind, fields};
use crate::llm::conversation::{Block, Content, Conversation, Refusal, Role, Tool, Turn, Why};
use crate::llm::foreign::calls::Calls;
use crate::llm::foreign::parts::{Ground, Marked, Part, Piece, frame, parts_of, write_pieces};
use crate::llm::foreign::target::Breakpoints;
use crate::llm::foreign::tools::Shelf;
use crate::llm::foreign::{FAILED, MidSystem, NO_RESULT, request};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::{self, Names};
use crate::llm::openai_responses::target::{SystemPlace, Target};
use crate::llm::openai_responses::thoughts::{self, Carried};
use crate::llm::openai_responses::tools;
use crate::llm::openai_responses::writing::{put_in_front, write_joined, write_parts};
use crate::llm::written::{Raw, Writer, Written};

/// The items under way.
pub(super) struct Items<'c, 'a, 't> {
    pub(super) conversation: &'c Conversation<'a>,
    pub(super) target: &'t Target<'t>,
    pub(super) ground: Ground<'t>,
    pub(super) losses: &'t mut Losses,
    pub(super) shelf: Shelf<'c, 'a>,
    marks: Breakpoints,
    calls: Calls<'a>,
    /// The instructions at the front, when they are not told beside the items.
    system: Vec<Marked<'c, 'a>>,
    /// Images and files of results, which the results themselves cannot hold.
    beside: Vec<Marked<'c, 'a>>,
    /// Thinking that has to be followed by something that came of it.
    thoughts: Vec<(Written<'a>, Carried)>,
    /// How many thoughts have been written.
    thought_so_far: usize,
}

/// Which blocks of a turn are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    All,
    Results,
    Rest,
}

impl<'c, 'a, 't> Items<'c, 'a, 't> {
    pub(super) fn new(
        conversation: &'c Conversation<'a>,
        target: &'t Target<'t>,
        names: &'t Names,
        losses: &'t mut Losses,
    ) -> Result<Self, Refusal> {
        let Target { images, image_urls, files, file_urls, .. } = *target;
        let ground = Ground { names, images, image_urls, files, file_urls };
        let shelf = tools::shelf(conversation, target, losses)?;
        let marks = request::marks(conversation, target.cache_marks, losses);
        Ok(Self {
            conversation,
            target,
            ground,
            losses,
            shelf,
            marks,
            calls: Calls::default(),
            system: Vec::new(),
            beside: Vec::new(),
            thoughts: Vec::new(),
            thought_so_far: 0,
        })
    }

    /// Writes `instructions`, or keeps them for the first item.
    pub(super) fn instructions(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let lines = request::instructions(self.conversation, self.losses);
        let parts = parts_of(lines.into_iter(), self.ground, "system", self.losses)?;
        let plain = parts.iter().all(|(part, _)| matches!(part, Part::Text(_)));
        if parts.is_empty() || !plain || self.target.system_place == SystemPlace::FirstItem {
            self.system = parts;
            return Ok(());
        }
        for (_, marked) in &parts {
            if *marked {
                self.marks.take();
            }
        }
        out.key("instructions");
        write_joined(&parts, out);
        Ok(())
    }

    /// Writes all items, without the brackets around them.
    pub(super) fn write(&mut self, out: &mut Writer) -> Result<(), Refusal> {
        let conversation = self.conversation;
        let system = std::mem::take(&mut self.system);
        if !system.is_empty() {
            self.message(self.target.system_role.word(), system, out);
        }
        // A compaction stands for everything before it.
        let mut start = conversation.turns.iter().rposition(|turn| self.compacts(turn)).unwrap_or(0);
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
        if self.target.found_in_place {
            self.shelf.tell_hidden(self.losses);
        }
        Ok(())
    }

    /// Writes the turns between two of the model, the first of which is number `first`.
    fn between(&mut self, first: usize, turns: &'c [Turn<'a>], out: &mut Writer) -> Result<(), Refusal> {
        let in_place = self.target.mid_system == MidSystem::InPlace;
        for (index, turn) in (first..).zip(turns) {
            self.turn(index, turn, if in_place { Pass::All } else { Pass::Results }, out)?;
        }
        for id in self.calls.settle() {
            self.losses.note("messages.tool_result", Treatment::Emulated);
            let parts = vec![(Part::Text(vec![Piece::Ours(NO_RESULT.to_owned())]), false)];
            self.output(id, true, parts, out);
        }
        self.tell_beside(out);
        if !in_place {
            for (index, turn) in (first..).zip(turns) {
                self.turn(index, turn, Pass::Rest, out)?;
            }
        }
        Ok(())
    }

    fn turn(
        &mut self,
        index: usize,
        turn: &'c Turn<'a>,
        pass: Pass,
        out: &mut Writer,
    ) -> Result<(), Refusal> {
        let is_result = |block: &Block<'_>| matches!(block.content, Content::ToolResult { .. });
        let place = format!("messages.{index}.content");
        for run in turn.blocks.chunk_by(|one, next| is_result(one) == is_result(next)) {
            let results = run.first().is_some_and(is_result);
            match pass {
                Pass::Results if !results => {}
                Pass::Rest if results => {}
                _ if results => run.iter().try_for_each(|block| self.result(&place, block, out))?,
                _ => self.plain(&place, turn.role, run, out)?,
            }
        }
        Ok(())
    }

    fn result(&mut self, place: &str, block: &'c Block<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let Content::ToolResult { id, failed, blocks } = &block.content else { return Ok(()) };
        self.calls.answer(*id, place)?;
        let mut parts = parts_of(blocks.iter(), self.ground, place, self.losses)?;
        if let (Some(_), Some((_, marked))) = (block.mark, parts.last_mut()) {
            *marked = true;
        }
        self.output(*id, *failed, parts, out);
        self.found(blocks.iter(), out);
        Ok(())
    }

    fn output(&mut self, id: Written<'a>, failed: bool, mut parts: Vec<Marked<'c, 'a>>, out: &mut Writer) {
        self.settle_marks(&mut parts);
        if failed {
            self.losses.note("messages.content.is_error", Treatment::Emulated);
            put_in_front(FAILED, &mut parts);
        }
        let text = id.text();
        let id = names::to_target(&text, self.target.call_id_chars_max);
        out.open('{').key("type").text("function_call_output").key("call_id").text(&id).key("output");
        if self.target.output_parts {
            write_parts(&parts, out);
        } else {
            write_joined(&parts, out);
            let others = parts.into_iter().filter(|(part, _)| !matches!(part, Part::Text(_)));
            let mut others = others.peekable();
            if others.peek().is_some() {
                let label = Piece::Ours(format!("[output of the tool call {id}]"));
                self.beside.push((Part::Text(vec![label]), false));
                self.beside.extend(others);
            }
        }
        out.close('}');
    }

    /// Writes what results could not hold.
    fn tell_beside(&mut self, out: &mut Writer) {
        let beside = std::mem::take(&mut self.beside);
        if !beside.is_empty() {
            self.losses.note("messages.content.tool_result.image", Treatment::Emulated);
            write_message("user", &beside, out);
        }
    }

    /// Writes what else is in a turn of the user or the system.
    fn plain(
        &mut self,
        place: &str,
        role: Role,
        run: &'c [Block<'a>],
        out: &mut Writer,
    ) -> Result<(), Refusal> {
        self.tell_beside(out);
        let mut parts = parts_of(run.iter(), self.ground, place, self.losses)?;
        if !parts.is_empty() {
            let role = match (role, self.target.mid_system) {
                (Role::System, MidSystem::InPlace) => self.target.system_role.word(),
                (Role::System, MidSystem::AsUser) => {
                    self.losses.note("messages.role.system", Treatment::Emulated);
                    frame(&mut parts);
                    "user"
                }
                (Role::User | Role::Assistant, _) => "user",
            };
            self.message(role, parts, out);
        }
        self.found(run.iter(), out);
        Ok(())
    }

    fn message(&mut self, role: &str, mut parts: Vec<Marked<'c, 'a>>, out: &mut Writer) {
        self.settle_marks(&mut parts);
        write_message(role, &parts, out);
    }

    fn settle_marks(&mut self, parts: &mut [Marked<'_, '_>]) {
        for (_, marked) in parts {
            *marked = *marked && self.marks.take();
        }
    }

    /// Writes the tools that blocks have found, where they may stand here.
    fn found(&mut self, blocks: impl Iterator<Item = &'c Block<'a>>, out: &mut Writer) {
        if !self.target.found_in_place {
            return;
        }
        let found: Vec<&Tool<'_>> = blocks.filter_map(|block| self.shelf.found_by(&block.content)).collect();
        if found.is_empty() {
            return;
        }
        out.open('{').key("type").text("additional_tools").key("role").text("developer");
        out.key("tools").open('[');
        for tool in found {
            tools::one(tool, self, out);
        }
        out.close(']').close('}');
    }

    fn assistant(&mut self, index: usize, turn: &'c Turn<'a>, out: &mut Writer) -> Result<(), Refusal> {
        let place = format!("messages.{index}.content");
        let last_call =
            turn.blocks.iter().rposition(|block| matches!(block.content, Content::ToolUse { .. }));
        let mut texts: Vec<Piece<'a>> = Vec::new();
        let from = turn.blocks.iter().rposition(|block| self.is_compaction(block)).unwrap_or(0);
        for (at, block) in turn.blocks.iter().enumerate().skip(from) {
            // Breakpoints are for what the model reads, so marks on what it wrote are as those on nothing.
            if block.mark.is_some() {
                self.marks.take();
            }
            let comments = last_call.is_some_and(|call| at <= call);
            match &block.content {
                Content::ToolUse { id, name, input } => {
                    self.said(&mut texts, comments, out);
                    self.found(std::iter::once(block), out);
                    self.think(out);
                    self.calls.call(*id, index)?;
                    self.call(*id, *name, *input, out);
                }
                Content::Thinking { text, signature } => {
                    self.said(&mut texts, comments, out);
                    self.thought(*text, *signature);
                }
                Content::RedactedThinking(_) => {
                    self.losses.note("messages.content.redacted_thinking", Treatment::Dropped);
                }
                Content::Server(raw, _) if self.is_compaction(block) => {
                    self.said(&mut texts, comments, out);
                    self.compacted(*raw, out);
                }
                // What the model writes is one text, wherever its blocks begin.
                Content::Text(text) => {
                    if matches!(texts.last(), Some(Piece::Ours(_))) {
                        texts.push(Piece::Ours("\n".to_owned()));
                    }
                    texts.push(Piece::Written(*text));
                }
                _ => {
                    for (part, _) in parts_of(std::iter::once(block), self.ground, &place, self.losses)? {
                        let Part::Text(pieces) = part else {
                            let why = "its models write text only, no images or files";
                            return Err(Refusal::new(place, Why::Unsupported(why)));
                        };
                        if !texts.is_empty() {
                            texts.push(Piece::Ours("\n".to_owned()));
                        }
                        texts.extend(pieces);
                    }
                }
            }
        }
        self.said(&mut texts, false, out);
        // Thinking of which nothing has come is refused by the server.
        for _ in std::mem::take(&mut self.thoughts) {
            self.losses.note("messages.content.thinking", Treatment::Dropped);
        }
        Ok(())
    }

    /// Writes what the model has said so far.
    fn said(&mut self, texts: &mut Vec<Piece<'a>>, comments: bool, out: &mut Writer) {
        let texts = std::mem::take(texts);
        let blank = |piece: &Piece<'_>| match piece {
            Piece::Written(text) => text.bytes().is_empty(),
            Piece::Ours(text) => text.is_empty(),
        };
        if texts.iter().all(blank) {
            return;
        }
        self.think(out);
        out.open('{').key("type").text("message").key("role").text("assistant").key("content");
        write_pieces(&texts, out.begin_text()).end_text();
        if self.target.phases {
            out.key("phase").text(if comments { "commentary" } else { "final_answer" });
        }
        out.close('}');
    }

    fn call(&mut self, id: Written<'a>, name: Written<'a>, input: Raw<'a>, out: &mut Writer) {
        let text = id.text();
        let id = names::to_target(&text, self.target.call_id_chars_max);
        out.open('{').key("type").text("function_call").key("call_id").text(&id);
        out.key("name").text(&self.ground.names.foreign(name)).key("arguments");
        out.begin_text().more_json(input.bytes()).end_text().close('}');
    }

    /// Takes what the model thought, when it came from here and this provider wants it back.
    fn thought(&mut self, text: Written<'a>, signature: Written<'a>) {
        let own = thoughts::unwrap(self.target.origin, signature.text()).filter(|carried| {
            let encrypted = !carried.encrypted.is_empty();
            if encrypted { self.target.encrypted_reasoning } else { self.target.reasoning_back }
        });
        match own {
            Some(carried) => self.thoughts.push((text, carried)),
            None => self.losses.note("messages.content.thinking", Treatment::Dropped),
        }
    }

    /// Writes the thinking that waits for something that came of it.
    fn think(&mut self, out: &mut Writer) {
        for (text, carried) in std::mem::take(&mut self.thoughts) {
            out.open('{').key("type").text("reasoning");
            // The provider's own id belongs to what it has encrypted; any will do for the rest.
            match carried.id.as_str() {
                "" => out.key("id").text(&format!("rs_{}", self.thought_so_far)),
                id => out.key("id").text(id),
            };
            self.thought_so_far += 1;
            let words = |kind: &str, out: &mut Writer| {
                if !text.bytes().is_empty() {
                    out.open('{').key("type").text(kind).key("text").written(text).close('}');
                }
            };
            out.key("summary").open('[');
            if carried.encrypted.is_empty() {
                out.close(']').key("content").open('[');
                words("reasoning_text", out);
                out.close(']');
            } else {
                words("summary_text", out);
                out.close(']').key("encrypted_content").text(&carried.encrypted);
            }
            out.close('}');
        }
    }

    fn compacts(&self, turn: &Turn<'_>) -> bool {
        turn.role == Role::Assistant && turn.blocks.iter().any(|block| self.is_compaction(block))
    }

    /// Whether a block is a compaction that this provider has made.
    fn is_compaction(&self, block: &Block<'_>) -> bool {
        match &block.content {
            Content::Server(raw, kind) if kind.is("compaction") => {
                self.target.compaction && self.carried(*raw).is_some()
            }
            _ => false,
        }
    }

    fn carried(&self, raw: Raw<'_>) -> Option<Carried> {
        let (doc, mut content) = (raw.bytes(), None);
        let walked = fields(doc, |Field { key, value }| {
            if let (b"content", Kind::String) = (key.raw, value.kind) {
                content = value.inner(doc);
            }
            Ok::<_, Fault>(())
        });
        walked.ok()?;
        let carried = thoughts::unwrap(self.target.origin, Written::new(content?).text())?;
        (!carried.encrypted.is_empty()).then_some(carried)
    }

    fn compacted(&mut self, raw: Raw<'_>, out: &mut Writer) {
        let Some(carried) = self.carried(raw) else { return };
        out.open('{').key("type").text("compaction");
        if !carried.id.is_empty() {
            out.key("id").text(&carried.id);
        }
        out.key("encrypted_content").text(&carried.encrypted).close('}');
    }
}

fn write_message(role: &str, parts: &[Marked<'_, '_>], out: &mut Writer) {
    out.open('{').key("type").text("message").key("role").text(role).key("content");
    write_parts(parts, out);
    out.close('}');
}
