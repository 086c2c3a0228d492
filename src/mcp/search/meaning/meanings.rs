//! What the tools of an index mean, and which of them a question is near to.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::limits;
use crate::mcp::search::meaning::Embedding;
use crate::mcp::search::{Hit, words};

/// A table with the pieces of words that have been met: the same few thousand come again and again.
struct Dictionary {
    embedding: Arc<Embedding>,
    words: HashMap<Box<str>, Box<[u32]>>,
}

/// The pieces of tools, before it is known how rare they are.
pub(crate) struct Gathered {
    dictionary: Dictionary,
    /// For each tool its pieces, each once, with how much they count.
    tools: Vec<Vec<(u32, f32)>>,
    /// By piece, how many tools have it.
    having: Vec<f32>,
}

/// What each tool means, as a vector of length one. Immutable.
pub(crate) struct Meanings {
    dictionary: Dictionary,
    /// By piece, how rare it is among the tools.
    rarity: Vec<f32>,
    /// The vectors, [`BLOCK`] tools at a time: the first numbers of all of these, then the second ones, so
    /// that a question is held against all of them at once, without a special instruction.
    blocks: Vec<f32>,
    tools: usize,
}

/// Tools whose vectors lie side by side: as many sums as a processor has room for without spilling. At 3,000
/// tools and 256 dimensions it is 45 us instead of the 94 us of one vector after the other.
const BLOCK: usize = 16;

impl Dictionary {
    /// The pieces of a word, kept for the next time unless too many are.
    fn learn(&mut self, word: &str) -> Cow<'_, [u32]> {
        if !self.words.contains_key(word) {
            let pieces = self.embedding.pieces(word);
            if self.words.len() >= limits::SEARCH_WORDS_KEPT_MAX {
                return Cow::Owned(pieces.into());
            }
            self.words.insert(word.into(), pieces);
        }
        Cow::Borrowed(self.words.get(word).map_or(&[], |pieces| pieces))
    }

    /// Gives the pieces of a word.
    fn look_up(&self, word: &str, take: impl FnOnce(&[u32])) {
        match self.words.get(word) {
            Some(known) => take(known),
            None => take(&self.embedding.pieces(word)),
        }
    }
}

impl Gathered {
    /// Nothing yet.
    pub(crate) fn new(embedding: &Arc<Embedding>) -> Self {
        let having = vec![0.0; embedding.rows()];
        let dictionary = Dictionary { embedding: Arc::clone(embedding), words: HashMap::new() };
        Self { dictionary, tools: Vec::new(), having }
    }

    /// Adds the next tool: its texts, and how much a word of each counts.
    pub(crate) fn add(&mut self, texts: &[(&str, f32)]) {
        let mut pieces: Vec<(u32, f32)> = Vec::new();
        for (text, weight) in texts {
            words::each_whole(text, |word| {
                pieces.extend(self.dictionary.learn(word).iter().map(|piece| (*piece, *weight)));
            });
        }
        pieces.sort_by_key(|(piece, _)| *piece);
        pieces.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        for (piece, _) in &pieces {
            if let Some(count) = usize::try_from(*piece).ok().and_then(|at| self.having.get_mut(at)) {
                *count += 1.0;
            }
        }
        self.tools.push(pieces);
    }

    /// Makes the vectors.
    pub(crate) fn finish(self) -> Meanings {
        let Self { dictionary, tools, having } = self;
        let all = tools.iter().fold(0.0_f32, |sum, _| sum + 1.0);
        let rarity = |having: f32| (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
        let rarity = having.into_iter().map(rarity).collect();
        let dimensions = dictionary.embedding.dimensions();
        let blocks = vec![0.0; tools.len().div_ceil(BLOCK) * BLOCK * dimensions];
        let mut meanings = Meanings { dictionary, rarity, blocks, tools: tools.len() };
        for (place, pieces) in tools.iter().enumerate() {
            let vector = meanings.vector(pieces);
            let begin = place / BLOCK * BLOCK * dimensions + place % BLOCK;
            let column = meanings.blocks.iter_mut().skip(begin).step_by(BLOCK);
            for (to, value) in column.zip(vector) {
                *to = value;
            }
        }
        meanings
    }
}

impl Meanings {
    /// The tools that a question is nearest to among those for which `may` holds, at most
    /// `limits::SEARCH_RANKED_MAX`, the nearest first and of equal ones the first. Their score is the cosine
    /// of the angle between both.
    pub(crate) fn rank(&self, question: &str, may: impl Fn(usize) -> bool) -> Vec<Hit> {
        let mut pieces = Vec::new();
        words::each_whole(question, |word| {
            if pieces.len() < limits::SEARCH_PIECES_MAX {
                self.dictionary.look_up(word, |found| pieces.extend(found.iter().map(|piece| (*piece, 1.0))));
            }
        });
        if pieces.is_empty() {
            return Vec::new();
        }
        let question = self.vector(&pieces);
        let scores = self.scores(&question).into_iter().take(self.tools).enumerate();
        let hits = scores.filter(|(place, score)| *score > 0.0 && may(*place));
        Hit::first(hits.map(|(place, score)| Hit { place, score }).collect(), limits::SEARCH_RANKED_MAX)
    }

    /// The cosines of a vector of length one with those of all tools, and of what fills the last block.
    fn scores(&self, question: &[f32]) -> Vec<f32> {
        let mut scores = Vec::with_capacity(self.tools.next_multiple_of(BLOCK));
        for block in self.blocks.chunks_exact(BLOCK * question.len()) {
            let mut sums = [0.0_f32; BLOCK];
            for (values, part) in block.as_chunks::<BLOCK>().0.iter().zip(question) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value * part;
                }
            }
            scores.extend_from_slice(&sums);
        }
        scores
    }

    /// The sum of pieces by what each counts and how rare it is, of length one; all zero where they cancel
    /// out.
    fn vector(&self, pieces: &[(u32, f32)]) -> Vec<f32> {
        let mut vector = vec![0.0; self.dictionary.embedding.dimensions()];
        for (piece, weight) in pieces {
            let rarity = usize::try_from(*piece).ok().and_then(|at| self.rarity.get(at));
            self.dictionary.embedding.add(*piece, weight * rarity.copied().unwrap_or_default(), &mut vector);
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        let scale = if length > f32::MIN_POSITIVE && length.is_finite() { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|value| *value *= scale);
        vector
    }
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Meanings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meanings").field("tools", &self.tools).finish_non_exhaustive()
    }
}
