//! What can be wrong with the files of a table of embeddings, and what to do about it.

use crate::limits;

/// Why two files make no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file of the weights.
    #[error("{0}")]
    Weights(#[from] WeightsFault),
    /// The file of the tokenizer.
    #[error("{0}")]
    Tokenizer(#[from] TokenizerFault),
    /// Each is well by itself, but they do not belong together.
    #[error("the tokenizer has piece {piece}, the weights have {rows} rows: take both files of one package")]
    Apart {
        /// The largest number of a piece.
        piece: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// The program was built without the ranker.
    #[error("this build cannot rank by meaning: leave it out, or build with `--features embedding`")]
    LeftOut,
}

/// Why a file is no table of weights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightsFault {
    /// It ends before its header does, or the header's length is no length.
    #[error(
        "it is no safetensors file: it has no header of at most {} bytes",
        limits::EMBEDDING_HEADER_BYTES_MAX
    )]
    NoHeader,
    /// The header is not what it has to be.
    #[error("it is no safetensors file: its header: {0}")]
    Header(String),
    /// None, or several.
    #[error("it has {0} tensors: expected one, a row for each piece of a word")]
    Tensors(usize),
    /// Neither of the two.
    #[error("its values are {0}: expected F16 or F32")]
    Values(String),
    /// Too many rows or columns, or none, or not two dimensions.
    #[error(
        "its tensor has the shape {0:?}: expected 1 to {rows} rows of 1 to {columns} values",
        rows = limits::EMBEDDING_ROWS_MAX,
        columns = limits::EMBEDDING_DIMENSIONS_MAX
    )]
    Shape(Vec<u64>),
    /// The shape and the bytes do not fit, as when the file was cut short.
    #[error("it is cut short, or its header is wrong: its shape takes {wanted} bytes, and it has {found}")]
    Size {
        /// Bytes by the shape.
        wanted: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A value that is no number, or larger than any F16.
    #[error("row {0} has a value that is not finite or far too large")]
    Value(usize),
}

/// Why a file is no tokenizer that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerFault {
    /// Not JSON, or without what is needed.
    #[error("it is no tokenizer.json with `model.vocab` and `model.merges`: {0}")]
    Form(String),
    /// Another way to take words apart.
    #[error("its model is {0:?}: only \"BPE\" is read")]
    Model(String),
    /// Words do not begin with the mark.
    #[error("its vocabulary has no \u{2581}: only tokenizers that write it before words are read")]
    Mark,
    /// A merge of pieces that are none.
    #[error("merge {0} names pieces that its vocabulary does not have")]
    Merge(usize),
}
