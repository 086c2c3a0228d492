//! Log lines: for people on a terminal, one JSON object a line otherwise. Never a secret, never a prompt.
//!
//! Cores format into memory of their own and hand whole blocks to one writing thread, so that a slow
//! terminal does not slow a request. When nobody takes the lines, they are counted and dropped: the log is
//! for looking, it is not the record.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::clock;
use crate::config::snapshot::LogFormat;
use crate::limits;

/// Bytes of a usual line: room is made for it once instead of piece by piece.
const LINE_BYTES: usize = 768;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line in the making.
pub(super) struct Line<'a> {
    out: &'a mut String,
    json: bool,
}

impl<'a> Line<'a> {
    fn begin(out: &'a mut String, json: bool, level: Level, message: &str) -> Self {
        let at = humantime::format_rfc3339_millis(clock::wall());
        // Writing to a string cannot fail.
        let _infallible = if json {
            write!(out, "{{\"time\":\"{at}\",\"level\":\"{}\",\"msg\":\"{message}\"", level.name())
        } else {
            write!(out, "{at} {:5} {message}", level.name())
        };
        Self { out, json }
    }

    /// A text; nothing when it is empty.
    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        self.name(name);
        if self.json || value.bytes().any(|byte| byte <= b' ' || byte == b'"' || byte >= 0x7f) {
            quote(self.out, value);
        } else {
            self.out.push_str(value);
        }
        self
    }

    /// A number.
    pub(super) fn number(mut self, name: &str, value: u64) -> Self {
        self.name(name);
        // A decimal by hand: a line holds a dozen of them, and the formatter costs more than the digits.
        let mut digits = [0; 20];
        let mut rest = value;
        let mut start = digits.len();
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            start = place;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend(digits.iter().skip(start).copied().map(char::from));
        self
    }

    /// A number, left out when it is zero.
    pub(super) fn count(self, name: &str, value: u64) -> Self {
        if value == 0 { self } else { self.number(name, value) }
    }

    fn name(&mut self, name: &str) {
        self.out.push_str(if self.json { ",\"" } else { " " });
        self.out.push_str(name);
        self.out.push_str(if self.json { "\":" } else { "=" });
    }

    fn end(self) {
        self.out.push_str(if self.json { "}\n" } else { "\n" });
    }
}

/// Where lines go: one thread that writes to standard error.
#[derive(Clone)]
pub(super) struct Sink {
    blocks: SyncSender<String>,
    json: bool,
}

impl Sink {
    /// Starts the writing thread; it ends when the last `Sink` is gone.
    pub(super) fn start(format: LogFormat) -> std::io::Result<(Self, JoinHandle<()>)> {
        let json = match format {
            LogFormat::Json => true,
            LogFormat::Human => false,
            LogFormat::Auto => !std::io::stderr().is_terminal(),
        };
        let (blocks, written) = sync_channel(limits::LOG_BLOCKS_MAX);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || write_blocks(&written))?;
        Ok((Self { blocks, json }, thread))
    }

    /// A sink that nobody empties: lines are dropped.
    pub(super) fn nowhere() -> Self {
        let (blocks, _) = sync_channel(1);
        Self { blocks, json: false }
    }

    /// A sink whose lines, for people, are taken elsewhere.
    #[cfg(test)]
    pub(super) fn heard() -> (Self, Receiver<String>) {
        let (blocks, lines) = sync_channel(64);
        (Self { blocks, json: false }, lines)
    }

    /// Writes one line, waiting for its turn; for threads that serve nobody.
    pub(super) fn line(
        &self,
        level: Level,
        message: &str,
        fields: impl for<'a> FnOnce(Line<'a>) -> Line<'a>,
    ) {
        let mut out = String::new();
        fields(Line::begin(&mut out, self.json, level, message)).end();
        // Only a writing thread that has panicked refuses; there is nobody left to tell then.
        drop(self.blocks.send(out));
    }
}

fn write_blocks(blocks: &Receiver<String>) {
    for block in blocks {
        // A closed standard error must not end the service.
        drop(std::io::stderr().write_all(block.as_bytes()));
    }
}

/// The lines of one core that have not been handed over yet.
pub(super) struct CoreLog {
    sink: Sink,
    held: String,
    /// Lines dropped because nobody took them.
    pub(super) lost: u64,
}

impl CoreLog {
    pub(super) const fn new(sink: Sink) -> Self {
        Self { sink, held: String::new(), lost: 0 }
    }

    /// Adds a line without waiting for anybody.
    pub(super) fn line(
        &mut self,
        level: Level,
        message: &str,
        fields: impl for<'a> FnOnce(Line<'a>) -> Line<'a>,
    ) {
        if self.held.len() > limits::LOG_HELD_BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.held.reserve(LINE_BYTES);
        fields(Line::begin(&mut self.held, self.sink.json, level, message)).end();
        if self.held.len() > limits::LOG_BLOCK_BYTES {
            self.flush();
        }
    }

    /// Hands the lines over if the writing thread has room; to be called every now and then.
    pub(super) fn flush(&mut self) {
        if self.held.is_empty() {
            return;
        }
        if let Err(returned) = self.sink.blocks.try_send(std::mem::take(&mut self.held)) {
            let (std::sync::mpsc::TrySendError::Full(held)
            | std::sync::mpsc::TrySendError::Disconnected(held)) = returned;
            self.held = held;
        }
    }
}

/// Whether a character breaks or turns around a line where it is shown, without being a control character.
const fn reorders(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a JSON string. Nearly all texts are clean and go out in one piece.
fn quote(out: &mut String, value: &str) {
    out.push('"');
    // Without an early end, so that the compiler can look at many bytes at once.
    let clean = |byte: u8| (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    if value.bytes().fold(true, |all, byte| all & clean(byte)) {
        out.push_str(value);
    } else {
        for character in value.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                character if character.is_control() || reorders(character) => {
                    let _infallible = write!(out, "\\u{:04x}", u32::from(character));
                }
                character => out.push(character),
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{Level, Line};

    fn made(json: bool) -> String {
        let mut out = String::new();
        Line::begin(&mut out, json, Level::Info, "call")
            .text("model", "a \"b\"\n\u{1b}")
            .text("empty", "")
            .number("ms", 5)
            .count("zero", 0)
            .number("most", u64::MAX)
            .end();
        out
    }

    #[test]
    fn json_lines_are_json_and_human_lines_cannot_be_forged() {
        let parsed: serde_json::Value = serde_json::from_str(&made(true)).unwrap();
        assert_eq!(parsed["model"], "a \"b\"\n\u{1b}");
        assert_eq!(parsed["ms"], 5);
        assert_eq!(parsed["most"], u64::MAX);
        assert!(parsed.get("empty").is_none() && parsed.get("zero").is_none());
        let human = made(false);
        assert_eq!(human.lines().count(), 1);
        assert!(!human.contains('\u{1b}'));
    }
}
