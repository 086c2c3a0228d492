//! The fuzz body of the files of a table: both may be anything.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use crate::limits;
use crate::mcp::search::meaning::embedding::Embedding;
use crate::mcp::search::meaning::pieces::Pieces;

/// Reads the two files that `data` has: two bytes (little endian) with the length of the table, the table,
/// then its tokenizer, which is also the word that is taken apart.
pub fn fuzz_files(data: &[u8]) {
    let Some((length, files)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(files.len());
    let (weights, tokenizer) = files.split_at(length);
    let text = String::from_utf8_lossy(tokenizer);
    let word = text.get(..text.floor_char_boundary(limits::SEARCH_WORD_BYTES_MAX)).expect("it was cut there");
    if let Ok(pieces) = Pieces::new(tokenizer) {
        let of = pieces.of(word);
        // Each character is as many pieces as it has bytes at most, and so is the mark.
        assert!(of.len() <= word.len() + 3);
        assert!(of.iter().all(|piece| *piece <= pieces.largest()));
    }
    if let Ok(embedding) = Embedding::new(weights.to_vec(), tokenizer) {
        assert!(embedding.rows() * embedding.dimensions() <= weights.len());
        let mut sum = vec![0.0; embedding.dimensions()];
        for piece in embedding.pieces(word) {
            embedding.add(piece, 1.0, &mut sum);
        }
        assert!(sum.iter().all(|value| value.is_finite()));
    }
}
