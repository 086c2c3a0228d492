//! Finds the tools that a sentence or a few words are about.
//!
//! It is BM25 (Robertson and Zaragoza, 2009) over names, descriptions, parameters and servers, with three
//! things that tools need: identifiers are taken apart into words, a word counts a little for the words that
//! begin as it does (`summary`, `summarize`), and a tool whose whole name has been said is before one of
//! which only a part has. Where there is a table of embeddings, what words mean makes a second ranking
//! (`meaning/`), and both are merged (`fusion.rs`). An index is made for a catalog once and asked by all; who
//! may see what is asked before anything is ranked, so that what somebody may not see pushes nothing aside.

pub mod catalog;
mod fusion;
pub mod meaning;
mod words;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use crate::limits;
use crate::mcp::search::meaning::{Embedding, Gathered, Meanings};

#[cfg(test)]
mod tests;

/// What is searched of one tool.
#[derive(Clone, Copy, Debug, Default)]
pub struct Document<'a> {
    /// Name of its server.
    pub server: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its description.
    pub description: &'a str,
    /// Names of its parameters, separated by anything that is no letter.
    pub parameters: &'a str,
}

impl<'a> Document<'a> {
    /// Its texts with what a word of each counts, the name first.
    const fn texts(&self) -> [(&'a str, f32); 4] {
        [(self.name, NAME), (self.description, TEXT), (self.server, TEXT), (self.parameters, PARAMETER)]
    }
}

/// A tool that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its place among the documents of the index.
    pub place: usize,
    /// How well it fits; to be compared with others of the same question only.
    pub score: f32,
}

impl Hit {
    /// The order of hits: the better one first, and of equal ones the first of the index.
    fn better_first(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.place.cmp(&other.place))
    }

    /// The best hits of many, at most `most`, in their order.
    fn first(mut hits: Vec<Self>, most: usize) -> Vec<Self> {
        if hits.len() > most {
            hits.select_nth_unstable_by(most, Self::better_first);
            hits.truncate(most);
        }
        hits.sort_unstable_by(Self::better_first);
        hits
    }
}

/// An index over the tools of a catalog. Immutable.
#[derive(Debug, Default)]
pub struct Index {
    terms: HashMap<Box<str>, Term>,
    /// For each document, how many different words its name has.
    names: Vec<f32>,
    /// What they mean, where there is a table that says so.
    meanings: Option<Meanings>,
}

/// Where a word, or the beginning of words, stands.
#[derive(Debug, Default)]
struct Term {
    found: Vec<Found>,
}

/// A word in a document.
#[derive(Clone, Copy, Debug)]
struct Found {
    document: u32,
    /// What it adds to the score: first how often it stands there, then that with its rarity.
    weight: f32,
    /// Whether it is a word of the name.
    in_name: bool,
}

/// How often a word counts that stands once in a name, in a description or server, or in a parameter.
const NAME: f32 = 2.0;
const TEXT: f32 = 1.0;
const PARAMETER: f32 = 0.6;

/// How soon more of the same word adds nothing, and how much long texts are held against a tool: the
/// customary values of BM25.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What the beginning of a word counts against the word.
const BEGINNING: f32 = 0.3;

/// What is added to the score of a tool whose whole name has been said, as a part of it.
const WHOLE_NAME: f32 = 0.4;

/// Characters of the beginning of a word.
const BEGINNING_CHARS: usize = 5;

/// Marks beginnings among the terms: no word has such a character.
const MARK: char = '^';

/// Whether a search goes by anything in a text: it leaves small words out.
pub fn says_something(text: &str) -> bool {
    let mut says = false;
    words::each(text, |_| says = true);
    says
}

impl Index {
    /// Makes the index of some tools, at most `limits::SEARCH_DOCUMENTS_MAX` of them; what is more is not
    /// found. With a table they are found by what they mean as well.
    pub fn new<'a>(
        documents: impl IntoIterator<Item = Document<'a>>,
        embedding: Option<&Arc<Embedding>>,
    ) -> Self {
        let mut index = Self::default();
        let mut lengths = Vec::new();
        let mut gathered = embedding.map(Gathered::new);
        for (number, document) in (0_u32..).zip(documents).take(limits::SEARCH_DOCUMENTS_MAX) {
            let texts = document.texts();
            lengths.push(index.add(number, &texts));
            if let Some(gathered) = &mut gathered {
                gathered.add(&texts);
            }
        }
        index.weigh(&lengths);
        index.meanings = gathered.map(Gathered::finish);
        index
    }

    /// How many tools can be found.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing can be found.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Counts the words of a document; how many there are, by what they count.
    fn add(&mut self, document: u32, texts: &[(&str, f32)]) -> f32 {
        let (mut length, mut of_name) = (0.0, 0.0);
        let mut begins = String::new();
        for (place, (text, weight)) in texts.iter().copied().enumerate() {
            let in_name = place == 0;
            words::each(text, |word| {
                length += weight;
                of_name += if self.count(word, document, weight, in_name) { 1.0 } else { 0.0 };
                write_beginning(word, &mut begins);
                self.count(&begins, document, weight, in_name);
            });
        }
        self.names.push(of_name);
        length
    }

    /// Counts a term of a document; whether it is the first of its kind in the name.
    fn count(&mut self, term: &str, document: u32, weight: f32, in_name: bool) -> bool {
        let fresh = Found { document, weight, in_name };
        let Some(term) = self.terms.get_mut(term) else {
            self.terms.insert(term.into(), Term { found: vec![fresh] });
            return in_name;
        };
        match term.found.last_mut().filter(|last| last.document == document) {
            // A document's name comes first, so what is not in it by then never is.
            Some(last) => {
                last.weight += weight;
                false
            }
            None => {
                term.found.push(fresh);
                in_name
            }
        }
    }

    /// Turns counts into what each word adds to a score.
    fn weigh(&mut self, lengths: &[f32]) {
        let all = lengths.iter().fold(0.0_f32, |sum, _| sum + 1.0);
        let average = lengths.iter().sum::<f32>() / all.max(1.0);
        for (name, term) in &mut self.terms {
            let having = term.found.iter().fold(0.0_f32, |sum, _| sum + 1.0);
            let rarity = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
            let share = if name.starts_with(MARK) { BEGINNING } else { 1.0 };
            for found in &mut term.found {
                let length = usize::try_from(found.document).ok().and_then(|at| lengths.get(at));
                let relative = length.map_or(1.0, |length| length / average.max(f32::MIN_POSITIVE));
                let count = found.weight;
                found.weight = share * rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * relative));
            }
        }
    }

    /// Finds at most `most` tools among those for which `may` holds, the best first, and of equal ones the
    /// first. Fewer where the others fit much worse than the best: see `limits::SEARCH_MARGIN`.
    pub fn find(&self, question: &str, most: usize, may: impl Fn(usize) -> bool) -> Vec<Hit> {
        let by_words = self.by_words(question, &may);
        match &self.meanings {
            Some(meanings) => {
                let by_words = Hit::first(by_words, limits::SEARCH_RANKED_MAX);
                fusion::merged(&by_words, &meanings.rank(question, may), most)
            }
            None => best(Hit::first(by_words, most)),
        }
    }

    /// All tools that have a word of a question and for which `may` holds, in no order.
    fn by_words(&self, question: &str, may: impl Fn(usize) -> bool) -> Vec<Hit> {
        let mut sought: Vec<String> = Vec::new();
        words::each(question, |word| {
            if sought.len() < limits::SEARCH_WORDS_MAX && !sought.iter().any(|known| known == word) {
                sought.push(word.to_owned());
            }
        });
        let mut scores = vec![Sum::default(); self.names.len()];
        let mut touched = Vec::new();
        let mut begins = String::new();
        for word in &sought {
            write_beginning(word, &mut begins);
            for (term, is_word) in [(word.as_str(), true), (begins.as_str(), false)] {
                for found in self.terms.get(term).map_or(&[][..], |term| &term.found) {
                    let Ok(place) = usize::try_from(found.document) else { continue };
                    let Some(sum) = scores.get_mut(place) else { continue };
                    if sum.score == 0.0 {
                        touched.push(place);
                    }
                    sum.score += found.weight;
                    sum.of_name += if is_word && found.in_name { 1.0 } else { 0.0 };
                }
            }
        }
        let scored = touched.into_iter().filter(|place| may(*place)).filter_map(|place| {
            let (sum, words) = (scores.get(place)?, self.names.get(place)?);
            let whole = if *words > 0.0 { sum.of_name / words } else { 0.0 };
            Some(Hit { place, score: sum.score * (1.0 + WHOLE_NAME * whole) })
        });
        scored.collect()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    score: f32,
    /// Words of the name that have been said.
    of_name: f32,
}

/// Leaves out what fits much worse than the first.
fn best(mut hits: Vec<Hit>) -> Vec<Hit> {
    let least = hits.first().map_or(0.0, |best| best.score * limits::SEARCH_MARGIN);
    hits.retain(|hit| hit.score >= least);
    hits
}

/// Writes the term of the words that begin as this one does, in place of what was there.
fn write_beginning(word: &str, term: &mut String) {
    term.clear();
    term.push(MARK);
    term.extend(word.chars().take(BEGINNING_CHARS));
}
