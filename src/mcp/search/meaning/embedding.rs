//! A table of weights with the tokenizer that goes with it.

use std::fmt;

use crate::mcp::search::meaning::fault::Fault;
use crate::mcp::search::meaning::pieces::Pieces;
use crate::mcp::search::meaning::table::Table;

/// What pieces of words mean. Immutable; some 20 MB, so it is shared.
pub struct Embedding {
    table: Table,
    pieces: Pieces,
}

/// Its sizes: nobody wants to read millions of numbers.
impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, dimensions) = (self.rows(), self.dimensions());
        f.debug_struct("Embedding").field("rows", &rows).field("dimensions", &dimensions).finish()
    }
}

impl Embedding {
    /// Makes it of two files: a safetensors file with one tensor of F16 or F32, and a `tokenizer.json`. For
    /// files of 18 MB this takes a twentieth of a second.
    ///
    /// # Errors
    /// The first thing that is wrong with one of them, or that they do not belong together.
    pub fn new(weights: Vec<u8>, tokenizer: &[u8]) -> Result<Self, Fault> {
        let (table, pieces) = (Table::new(weights)?, Pieces::new(tokenizer)?);
        let (piece, rows) = (pieces.largest(), table.rows());
        if usize::try_from(piece).is_ok_and(|piece| piece < rows) {
            return Ok(Self { table, pieces });
        }
        Err(Fault::Apart { piece, rows })
    }

    /// How many pieces of words it knows.
    pub fn rows(&self) -> usize {
        self.table.rows()
    }

    /// How many numbers say what each of them means.
    pub fn dimensions(&self) -> usize {
        self.table.dimensions()
    }

    /// The pieces of a word.
    pub(super) fn pieces(&self, word: &str) -> Box<[u32]> {
        self.pieces.of(word)
    }

    /// Adds what a piece means, times `weight`.
    pub(super) fn add(&self, piece: u32, weight: f32, to: &mut [f32]) {
        self.table.add(piece, weight, to);
    }
}
