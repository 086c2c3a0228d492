//! The variables of a line with all values that it gives them, and the texts that a word may come to.

use std::collections::HashMap;

use crate::limits;
use crate::policy::input::bash::{BREAK, Form, NAMES, OUTSIDE, PART, Piece, Set, Value, WORDS, Word};

/// What a line sets, in whatever order: a loop or a function may run any part of it first.
#[derive(Debug, Default)]
pub(super) struct Table {
    values: HashMap<String, Vec<Value>>,
    /// Commands with other names.
    aliases: HashMap<String, String>,
    /// Any variable may have been set to anything.
    pub(super) anything: bool,
    /// Words are not divided at blanks.
    pub(super) divides: bool,
    /// Something was added that had not been there.
    pub(super) grown: bool,
}

impl Table {
    /// Adds a value.
    pub(super) fn add(&mut self, set: &Set) {
        let known = self.values.entry(set.name.clone()).or_default();
        if known.len() > limits::COMMAND_VALUES_MAX {
            // One that is not known has the rest in it.
            return;
        }
        let value = if known.len() == limits::COMMAND_VALUES_MAX { &Value::Unknown } else { &set.value };
        if !known.contains(value) {
            known.push(value.clone());
            self.grown = true;
        }
    }

    /// Says that any variable may have any value.
    pub(super) fn forget(&mut self) {
        self.grown |= !self.anything;
        self.anything = true;
    }

    /// Says that words are divided at other letters than blanks.
    pub(super) fn divide(&mut self) {
        self.grown |= !self.divides;
        self.divides = true;
    }

    /// Gives a command another name.
    pub(super) fn alias(&mut self, name: &str, text: &str) {
        let before = self.aliases.insert(name.to_owned(), text.to_owned());
        // Of two texts for one name nobody knows which is meant.
        if before.as_deref().is_some_and(|before| before != text) {
            self.aliases.insert(name.to_owned(), WORDS.into());
        }
        self.grown |= before.is_none();
    }

    pub(super) fn aliased(&self, name: &str) -> Option<&str> {
        self.aliases.get(name).map(String::as_str)
    }

    /// The texts that a word may come to, at most `limits::COMMAND_VALUES_MAX`, with [`BREAK`] between words.
    pub(super) fn texts(&self, word: &Word, depth: usize) -> Vec<String> {
        let mut budget = limits::COMMAND_VALUES_MAX;
        let mut all = vec![String::new()];
        for (place, pieces) in braces(&word.pieces, &mut budget).iter().enumerate() {
            if place > 0 {
                all.iter_mut().for_each(|text| text.push(BREAK));
            }
            for piece in pieces {
                let parts = self.piece(piece, depth);
                all = product(&all, &parts, WORDS);
            }
        }
        all
    }

    fn piece(&self, piece: &Piece, depth: usize) -> Vec<String> {
        let gap = |quoted: bool| vec![String::from(if quoted { PART } else { WORDS })];
        match piece {
            Piece::Text { text, .. } => vec![text.clone()],
            Piece::Names => vec![NAMES.into()],
            Piece::Made => vec![PART.into()],
            Piece::Open => vec!["{".to_owned()],
            Piece::Comma => vec![",".to_owned()],
            Piece::Close => vec!["}".to_owned()],
            Piece::Printed { known: None, quoted } => gap(*quoted),
            Piece::Printed { known: Some(word), quoted } => {
                let texts = self.texts(word, depth + 1);
                texts.iter().map(|text| self.divided(text.trim_end_matches('\n'), *quoted)).collect()
            }
            Piece::Variable { .. } if depth > limits::COMMAND_DEPTH_MAX => gap(false),
            Piece::Variable { name, quoted, form } => self.variable((name, *quoted), form, depth),
        }
    }

    fn variable(&self, (name, quoted): (&str, bool), form: &Form, depth: usize) -> Vec<String> {
        let gap = String::from(if quoted { PART } else { WORDS });
        let mut all = match form {
            Form::Changed => return vec![gap],
            Form::Instead(word) => {
                let mut all = self.texts(word, depth + 1);
                all.push(String::new());
                return all;
            }
            Form::Plain => Vec::new(),
            Form::Or(word) => self.texts(word, depth + 1),
        };
        let base = name.strip_suffix("[@]").unwrap_or(name);
        match self.values.get(base) {
            None if name == "IFS" => all.push(String::from(if quoted { ' ' } else { BREAK })),
            None if name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') => {
                all.push(OUTSIDE.into());
            }
            None => all.push(gap.clone()),
            Some(values) => {
                for value in values {
                    all.extend(
                        self.value(value, base != name, depth + 1).unwrap_or_else(|| vec![gap.clone()]),
                    );
                }
            }
        }
        let mut all: Vec<String> = all.iter().map(|text| self.divided(text, quoted)).collect();
        if self.anything {
            all.push(gap.clone());
        }
        all.sort_unstable();
        all.dedup();
        if all.len() > limits::COMMAND_VALUES_MAX { vec![gap] } else { all }
    }

    /// The texts of a value; of a list, all its elements where `whole`.
    fn value(&self, value: &Value, whole: bool, depth: usize) -> Option<Vec<String>> {
        match value {
            Value::Known(word) => {
                // Nothing is divided where a variable is set.
                Some(self.texts(word, depth).iter().map(|text| text.replace(BREAK, " ")).collect())
            }
            Value::Each(words) => {
                let texts = words.iter().flat_map(|word| self.texts(word, depth));
                Some(
                    texts.flat_map(|text| text.split(BREAK).map(str::to_owned).collect::<Vec<_>>()).collect(),
                )
            }
            Value::List(words) if whole => {
                let mut all = vec![String::new()];
                for (place, word) in words.iter().enumerate() {
                    if place > 0 {
                        all.iter_mut().for_each(|text| text.push(BREAK));
                    }
                    all = product(&all, &self.texts(word, depth), WORDS);
                }
                Some(all)
            }
            Value::List(_) | Value::Unknown => None,
        }
    }

    /// A text as the shell divides it in words where it stands without quotes.
    fn divided(&self, text: &str, quoted: bool) -> String {
        match quoted {
            true => text.to_owned(),
            false if self.divides && !text.is_empty() => WORDS.into(),
            false => {
                let letter = |letter: char| if " \t\n".contains(letter) { BREAK } else { letter };
                text.chars().map(letter).collect()
            }
        }
    }
}

/// All texts of one list with all of another behind them; a gap for the second where they are too many.
pub(super) fn product(first: &[String], second: &[String], gap: char) -> Vec<String> {
    let size: usize = first.iter().chain(second).map(String::len).sum();
    if first.len() * second.len() > limits::COMMAND_VALUES_MAX || size > limits::INPUT_RULE_BYTES_MAX * 1024 {
        return first.iter().map(|text| format!("{text}{gap}")).collect();
    }
    let join = |text: &String| second.iter().map(|end| format!("{text}{end}")).collect::<Vec<_>>();
    first.iter().flat_map(join).collect()
}

/// The words that braces make of one, in order.
fn braces(pieces: &[Piece], budget: &mut usize) -> Vec<Vec<Piece>> {
    let unknown = || Piece::Printed { known: None, quoted: false };
    let mut from = 0;
    loop {
        let rest = pieces.get(from..).unwrap_or_default();
        let Some(place) = rest.iter().position(|piece| *piece == Piece::Open) else {
            return vec![pieces.to_vec()];
        };
        let open = from + place;
        let Some((parts, close)) = parts(pieces, open) else {
            from = open + 1;
            continue;
        };
        let before = pieces.get(..open).unwrap_or_default();
        let after = pieces.get(close + 1..).unwrap_or_default();
        if let [part] = parts.as_slice() {
            let ranges = |piece: &Piece| matches!(piece, Piece::Text { text, .. } if text.contains(".."));
            if !part.iter().any(ranges) {
                from = open + 1;
                continue;
            }
            return braces(&[before, &[unknown()], after].concat(), budget);
        }
        if *budget < parts.len() {
            return vec![vec![unknown()]];
        }
        *budget -= parts.len();
        return parts.iter().flat_map(|part| braces(&[before, part, after].concat(), budget)).collect();
    }
}

/// What stands between the commas of braces, and where they close.
fn parts(pieces: &[Piece], open: usize) -> Option<(Vec<Vec<Piece>>, usize)> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0_usize;
    for (place, piece) in pieces.iter().enumerate().skip(open + 1) {
        match piece {
            Piece::Close if depth == 0 => return Some((parts, place)),
            Piece::Comma if depth == 0 => {
                parts.push(Vec::new());
                continue;
            }
            Piece::Open => depth += 1,
            Piece::Close => depth -= 1,
            _ => {}
        }
        parts.last_mut()?.push(piece.clone());
    }
    None
}
