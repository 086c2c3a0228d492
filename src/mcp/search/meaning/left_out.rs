//! Stands for what a build without the feature `embedding` does not have: no value of these types can be.

use std::sync::Arc;

use crate::mcp::search::Hit;
use crate::mcp::search::meaning::fault::Fault;

/// A table that no such build can read.
#[derive(Debug)]
pub enum Embedding {}

impl Embedding {
    /// Refuses.
    ///
    /// # Errors
    /// Always [`Fault::LeftOut`].
    pub fn new(_weights: Vec<u8>, _tokenizer: &[u8]) -> Result<Self, Fault> {
        Err(Fault::LeftOut)
    }

    /// Never asked.
    pub fn rows(&self) -> usize {
        match *self {}
    }

    /// Never asked.
    pub fn dimensions(&self) -> usize {
        match *self {}
    }
}

/// Never made.
#[derive(Debug)]
pub(crate) struct Gathered(Arc<Embedding>);

impl Gathered {
    pub(crate) fn new(embedding: &Arc<Embedding>) -> Self {
        match **embedding {}
    }

    #[expect(clippy::needless_pass_by_ref_mut, reason = "the one that is not left out adds to itself")]
    pub(crate) fn add(&mut self, _texts: &[(&str, f32)]) {
        match *self.0 {}
    }

    pub(crate) fn finish(self) -> Meanings {
        match *self.0 {}
    }
}

/// Never made.
#[derive(Debug)]
pub(crate) struct Meanings(Arc<Embedding>);

impl Meanings {
    pub(crate) fn rank(&self, _question: &str, _may: impl Fn(usize) -> bool) -> Vec<Hit> {
        match *self.0 {}
    }
}
