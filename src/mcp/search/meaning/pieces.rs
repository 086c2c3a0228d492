//! Words as the pieces that a table has rows for: byte pair encoding as `tokenizer.json` describes it.
//!
//! The format is that of huggingface/tokenizers. Of it is read what tokenizers in the manner of
//! SentencePiece need for single words: the characters of the vocabulary, its bytes for all others, and the
//! merges in their order. Where two neighbours can be merged, the earliest merge of the list goes first.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::mcp::search::meaning::fault::TokenizerFault;

/// What stands before a word.
const MARK: char = '\u{2581}';

/// Takes words apart.
pub(super) struct Pieces {
    chars: HashMap<char, u32>,
    /// By byte; for characters that are no pieces.
    bytes: Vec<Option<u32>>,
    merges: HashMap<(u32, u32), Merged>,
    largest: u32,
}

/// What two pieces become, and how early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Merged {
    order: usize,
    piece: u32,
}

/// The kind of a model, read first: other kinds have other members.
#[derive(Deserialize)]
struct KindFile {
    model: Kind,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
    #[expect(dead_code, reason = "it has to be there")]
    vocab: IgnoredAny,
}

#[derive(Deserialize)]
struct File {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Newer files have two texts, older ones one with a space.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair([String; 2]),
    Spaced(String),
}

impl Pieces {
    /// Reads a tokenizer.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn new(file: &[u8]) -> Result<Self, TokenizerFault> {
        let fault = |why: serde_json::Error| TokenizerFault::Form(why.to_string());
        let kind: KindFile = serde_json::from_slice(file).map_err(fault)?;
        if kind.model.kind != "BPE" {
            return Err(TokenizerFault::Model(kind.model.kind.chars().take(32).collect()));
        }
        let File { model: Model { vocab, merges: written } } = serde_json::from_slice(file).map_err(fault)?;
        let mut merges = HashMap::with_capacity(written.len());
        for (order, merge) in written.iter().enumerate() {
            let both = match merge {
                Merge::Pair([left, right]) => Some((left.as_str(), right.as_str())),
                Merge::Spaced(text) => text.split_once(' '),
            };
            let known = both.and_then(|(left, right)| {
                Some(((*vocab.get(left)?, *vocab.get(right)?), *vocab.get(&format!("{left}{right}"))?))
            });
            let (pair, piece) = known.ok_or(TokenizerFault::Merge(order))?;
            merges.entry(pair).or_insert(Merged { order, piece });
        }
        let single = |text: &str| {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        };
        let chars: HashMap<char, u32> =
            vocab.iter().filter_map(|(text, piece)| Some((single(text)?, *piece))).collect();
        if !chars.contains_key(&MARK) {
            return Err(TokenizerFault::Mark);
        }
        let bytes = (0..=u8::MAX).map(|byte| vocab.get(&format!("<0x{byte:02X}>")).copied()).collect();
        let largest = vocab.values().copied().max().unwrap_or_default();
        Ok(Self { chars, bytes, merges, largest })
    }

    /// The largest number that a piece has.
    pub(super) const fn largest(&self) -> u32 {
        self.largest
    }

    /// The pieces of a word, which is short: see `limits::SEARCH_WORD_BYTES_MAX`. What no piece stands for is
    /// left out.
    pub(super) fn of(&self, word: &str) -> Box<[u32]> {
        let mut pieces: Vec<u32> = Vec::new();
        for c in std::iter::once(MARK).chain(word.chars()) {
            match self.chars.get(&c) {
                Some(piece) => pieces.push(*piece),
                None => {
                    let mut space = [0; 4];
                    let bytes = c.encode_utf8(&mut space).bytes();
                    pieces.extend(bytes.filter_map(|byte| *self.bytes.get(usize::from(byte))?));
                }
            }
        }
        while let Some((place, merged)) = self.first_merge(&pieces) {
            pieces.splice(place..place + 2, [merged.piece]);
        }
        pieces.into()
    }

    /// The merge that goes first, and where: of equal ones the first from the left.
    fn first_merge(&self, pieces: &[u32]) -> Option<(usize, Merged)> {
        let neighbours = pieces.iter().zip(pieces.iter().skip(1)).enumerate();
        let can = neighbours
            .filter_map(|(place, (left, right))| Some((place, *self.merges.get(&(*left, *right))?)));
        can.min_by_key(|(_, merged)| *merged)
    }
}
