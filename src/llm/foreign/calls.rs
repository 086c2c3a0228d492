//! Calls of tools and their results: each call has to have one, and each result its call.

use std::collections::BTreeSet;

use crate::llm::conversation::{Refusal, Why};
use crate::llm::written::Written;

/// The calls of the model's last turn.
#[derive(Clone, Debug, Default)]
pub(in crate::llm) struct Calls<'a> {
    /// In their order.
    made: Vec<Written<'a>>,
    /// Those without a result.
    open: BTreeSet<&'a [u8]>,
}

impl<'a> Calls<'a> {
    /// Takes a call of the turn `index`.
    ///
    /// # Errors
    /// There is one of its id.
    pub(in crate::llm) fn call(&mut self, id: Written<'a>, index: usize) -> Result<(), Refusal> {
        if !self.open.insert(id.bytes()) {
            return Err(Refusal::new(format!("messages.{index}.content.id"), Why::Twice));
        }
        self.made.push(id);
        Ok(())
    }

    /// Takes a result at `place`.
    ///
    /// # Errors
    /// There is no call that waits for it.
    pub(in crate::llm) fn answer(&mut self, id: Written<'a>, place: &str) -> Result<(), Refusal> {
        if self.open.remove(id.bytes()) {
            return Ok(());
        }
        Err(Refusal::new(
            format!("{place}.tool_use_id"),
            Why::Unsupported("each result has to follow a call of its id, once"),
        ))
    }

    /// Whether there are calls without a result.
    pub(in crate::llm) fn any_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Forgets the turn, and says which of its calls have no result. Whoever was interrupted has none.
    pub(in crate::llm) fn settle(&mut self) -> Vec<Written<'a>> {
        let open = std::mem::take(&mut self.open);
        let mut made = std::mem::take(&mut self.made);
        made.retain(|id| open.contains(id.bytes()));
        made
    }
}
