//! Reads usage and names from a passing answer that is one JSON document, without changing or holding it.
//!
//! It follows strings and brackets only, so it cannot fail: of an answer that is not what it should be, the
//! usage stays unseen. The values it wants are small and kept until they are complete; all else is passed
//! over.

use memchr::memchr2;

use crate::json::{Kind, Part, Parts, Value};
use crate::limits;
use crate::llm::action::Block;
use crate::llm::usage::{Answer, replace};

/// The longest name that we look for is `stop_reason`; one byte more tells a longer one from it.
const NAME_BYTES_MAX: usize = 12;

/// A field of the top level that we want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Usage,
    StopReason,
    Model,
    Id,
    Content,
}

impl Wanted {
    fn of(name: &[u8]) -> Self {
        match name {
            b"usage" => Self::Usage,
            b"stop_reason" => Self::StopReason,
            b"model" => Self::Model,
            b"id" => Self::Id,
            b"content" => Self::Content,
            _ => Self::Nothing,
        }
    }
}

/// Where the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the opening brace.
    Before,
    /// Outside of strings.
    Between,
    /// Inside of one.
    String,
    /// After a back slash inside of one.
    Escape,
    /// After the end.
    Done,
    /// In something that is no object.
    Lost,
}

/// Reads an answer in pieces of any size.
#[derive(Clone, Debug)]
pub struct AnswerReader {
    place: Place,
    /// Brackets open, the outermost included.
    depth: usize,
    /// The string under way is a name of the top level.
    in_name: bool,
    /// The first bytes of the last name, <= `NAME_BYTES_MAX`.
    name: Vec<u8>,
    wanted: Wanted,
    /// The value under way when it is wanted, <= `limits::ANSWER_VALUE_BYTES_MAX`.
    value: Vec<u8>,
    too_long: bool,
    /// The walk over `content`.
    content: Parts,
    block: Block,
    answer: Answer,
}

impl Default for AnswerReader {
    fn default() -> Self {
        Self {
            place: Place::Before,
            depth: 0,
            in_name: false,
            name: Vec::new(),
            wanted: Wanted::Nothing,
            value: Vec::new(),
            too_long: false,
            content: Parts::default(),
            block: Block::default(),
            answer: Answer::default(),
        }
    }
}

impl AnswerReader {
    /// Looks at the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            rest = match self.place {
                Place::Done | Place::Lost => return,
                Place::String => self.string(rest),
                Place::Escape => {
                    self.keep(&[first]);
                    self.place = Place::String;
                    after
                }
                Place::Before => {
                    self.begin(first);
                    after
                }
                Place::Between => {
                    self.between(first);
                    after
                }
            };
        }
    }

    /// What has been read so far.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Whether the document's closing brace has passed.
    pub fn finished(&self) -> bool {
        self.place == Place::Done
    }

    fn begin(&mut self, byte: u8) {
        match byte {
            b'{' => {
                self.place = Place::Between;
                self.depth = 1;
                self.in_name = true;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.place = Place::Lost,
        }
    }

    /// Passes a part of a string, up to its end or a back slash, and returns what follows.
    fn string<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr2(b'"', b'\\', bytes);
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.keep(part);
        match part.last() {
            Some(b'"') if end.is_some() => self.place = Place::Between,
            Some(b'\\') if end.is_some() => self.place = Place::Escape,
            _ => {}
        }
        rest
    }

    fn between(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.place = Place::String;
                if self.in_name && self.depth == 1 {
                    self.name.clear();
                    return;
                }
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.settle();
                    self.place = Place::Done;
                    return;
                }
            }
            b',' if self.depth == 1 => {
                self.settle();
                self.in_name = true;
                return;
            }
            b':' if self.depth == 1 && self.in_name => {
                self.in_name = false;
                // The name was kept with its closing quote.
                self.wanted = Wanted::of(self.name.strip_suffix(b"\"").unwrap_or_default());
                return;
            }
            _ => {}
        }
        if !self.in_name {
            self.keep(&[byte]);
        }
    }

    /// Keeps bytes of a name or of a value that is wanted.
    fn keep(&mut self, bytes: &[u8]) {
        if self.in_name {
            let room = (NAME_BYTES_MAX + 1).saturating_sub(self.name.len());
            self.name.extend(bytes.iter().take(room));
        } else if self.wanted == Wanted::Content {
            self.content(bytes);
        } else if self.wanted != Wanted::Nothing {
            if self.value.len() + bytes.len() > limits::ANSWER_VALUE_BYTES_MAX {
                self.too_long = true;
            } else if !self.too_long {
                self.value.extend_from_slice(bytes);
            }
        }
    }

    /// Looks at the next bytes of the list of content blocks.
    fn content(&mut self, bytes: &[u8]) {
        let Self { content, block, answer, .. } = self;
        let passed = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        answer.produced_bytes = answer.produced_bytes.saturating_add(passed);
        content.push(bytes, |part| match part {
            Part::Name(_) | Part::Colon => {}
            Part::Value(piece) => block.push(piece),
            Part::End => {
                block.action().into_iter().for_each(|action| answer.add_action(action));
                block.clear();
            }
        });
    }

    /// Reads the value that has just ended.
    fn settle(&mut self) {
        let wanted = std::mem::replace(&mut self.wanted, Wanted::Nothing);
        let doc = self.value.trim_ascii();
        let text = Value { kind: Kind::String, span: 0..doc.len() };
        let answer = &mut self.answer;
        let is_text = doc.len() >= 2 && doc.starts_with(b"\"");
        match wanted {
            _ if self.too_long => {}
            // Of a broken object the numbers before the break are as good as we get.
            Wanted::Usage => drop(answer.read_usage(doc, 0..doc.len())),
            Wanted::StopReason if is_text => replace(&mut answer.stop_reason, doc, &text),
            Wanted::Model if is_text => replace(&mut answer.model, doc, &text),
            Wanted::Id if is_text => replace(&mut answer.message_id, doc, &text),
            Wanted::Nothing | Wanted::StopReason | Wanted::Model | Wanted::Id | Wanted::Content => {}
        }
        if wanted == Wanted::Content {
            // Of a list given twice the uses of both are told.
            self.content = Parts::default();
            self.block.clear();
        }
        self.value.clear();
        self.too_long = false;
    }
}
