//! The input of one call of a tool as it comes in, until it is known to be a JSON object.

use crate::json;
use crate::limits;
use crate::llm::said::{Failure, Kind};

/// An input under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    /// All of it so far, <= `limits::CALL_INPUT_BYTES_MAX`.
    all: String,
    /// Bytes of `all` that have been handed on.
    given: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The object has been closed.
    complete: bool,
    /// More than white space follows its end.
    trailing: bool,
}

impl Input {
    /// Takes a piece.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn push(&mut self, piece: &str) -> Result<(), Failure> {
        if self.all.len() + piece.len() > limits::CALL_INPUT_BYTES_MAX {
            return Err(Failure::new(
                Kind::Unreadable,
                "the model wrote an input for a tool that is over 1 MiB",
            ));
        }
        self.all.push_str(piece);
        for byte in piece.bytes() {
            self.step(byte);
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        self.trailing |= self.complete && !byte.is_ascii_whitespace();
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.complete |= self.depth == 0;
            }
            _ => {}
        }
    }

    /// Whether the object is closed: nothing but white space may follow.
    pub(super) const fn complete(&self) -> bool {
        self.complete
    }

    /// Whether it is complete, or there is none.
    pub(super) fn may_be_whole(&self) -> bool {
        self.complete || self.is_blank()
    }

    /// What has not been handed on and may be: nothing before it is known to begin an object.
    pub(super) fn fresh(&mut self) -> &str {
        if !self.all.trim_ascii_start().starts_with('{') {
            return "";
        }
        let from = std::mem::replace(&mut self.given, self.all.len());
        self.all.get(from..).unwrap_or_default()
    }

    /// Bytes that have not been handed on.
    pub(super) const fn held_bytes(&self) -> usize {
        self.all.len() - self.given
    }

    /// All of it, checked; `{}` where the model gave none.
    ///
    /// # Errors
    /// It is no JSON object.
    pub(super) fn whole(&self) -> Result<&str, Failure> {
        let text = self.all.trim_ascii();
        if matches!(text, "" | "null" | "\"\"") {
            return Ok("{}");
        }
        let sound = self.complete && !self.trailing && text.starts_with('{');
        if !sound || json::strict(&mut text.as_bytes().to_vec()).is_err() {
            return Err(Failure::new(
                Kind::Unreadable,
                "the model wrote an input for a tool that is not a JSON object",
            ));
        }
        Ok(text)
    }

    /// Whether any of it has been handed on.
    pub(super) const fn begun(&self) -> bool {
        self.given > 0
    }

    /// Whether there is any of it.
    pub(super) fn is_blank(&self) -> bool {
        self.all.trim_ascii().is_empty()
    }
}
