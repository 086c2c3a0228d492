//! What a command line may run, as far as that can be told without running it, and where it cannot be told.
//!
//! A line is read by the grammar of `bash` (`reader`, `words`), variables are followed to all values that
//! the line gives them (`table`), and commands through `sudo`, `xargs`, `eval` and the like to the program
//! that runs (`runs`). What is not known stays in the texts as a letter of its own, a *gap*, and [`Why`] says
//! where a gap stands for a program or for a whole script: nobody can judge those. Gaps among the words of a
//! known program are left to `outline`, which tells whether an expression could match by them.
//!
//! Not seen: what files hold, how they are called, and what programs other than shells make of their words.

use std::fmt;

pub(super) mod outline;
mod reader;
mod runs;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub(super) use runs::{Seen, see};

/// A gap that may be any words: what a command printed, unquoted.
const WORDS: char = '\u{e000}';

/// A gap within one word.
const PART: char = '\u{e001}';

/// A gap of a variable that the line does not set.
const OUTSIDE: char = '\u{e002}';

/// A gap where names of files fit a pattern.
const NAMES: char = '\u{e003}';

/// Where the shell begins another word.
const BREAK: char = '\u{e004}';

/// Whether a letter stands for what is not known.
pub(super) fn is_gap(letter: char) -> bool {
    (WORDS..=NAMES).contains(&letter)
}

/// Why a line cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A program's name is made while the line runs.
    Program,
    /// A script that is run is made while the line runs.
    Code,
    /// The words of a program that a rule speaks of are made while the line runs.
    Words,
    /// The host that is reached is made while the line runs.
    Host,
    /// It does not follow the grammar of the shell.
    Syntax,
    /// There is too much in it.
    Size,
    /// The input itself cannot be read.
    Input,
}

impl Why {
    /// One word for it, for a mark in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Code => "code",
            Self::Words => "words",
            Self::Host => "host",
            Self::Syntax => "syntax",
            Self::Size => "size",
            Self::Input => "input",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "the program that runs is only known when it runs; name it in plain words",
            Self::Code => "a script that runs is only known when it runs; write its commands out",
            Self::Words => {
                "words of a program that the rule is about are only known when it runs; write them out"
            }
            Self::Host => "the host that is reached is only known when it runs; write it out",
            Self::Syntax => "the command line cannot be taken apart; write it more simply",
            Self::Size => "there is too much in it; do it in several steps",
            Self::Input => "it is too long, cut, or no JSON",
        })
    }
}

/// A line, taken apart.
#[derive(Debug, Default)]
struct Line {
    /// In the order in which they begin; those of substitutions stand behind the command they are in.
    commands: Vec<Command>,
    /// What it sets.
    sets: Vec<Set>,
}

/// A command with its words.
#[derive(Clone, Debug, Default)]
struct Command {
    words: Vec<Word>,
    /// Names that are set in front of it, or alone.
    sets: Vec<String>,
    input: Feed,
    /// The sign behind it.
    after: &'static str,
    /// Which list of commands it belongs to: that of the line, or that of one substitution.
    list: usize,
}

/// What a command reads.
#[derive(Clone, Debug, Default)]
enum Feed {
    /// What the tool gives it: nothing.
    #[default]
    Nothing,
    /// What another command prints; without its place, what several do.
    Pipe(Option<usize>),
    /// A text of the line.
    Text(Word),
    File,
}

/// Something that is set.
#[derive(Clone, Debug)]
struct Set {
    name: String,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Known(Word),
    /// The elements of a list; of a loop, one after the other.
    Each(Vec<Word>),
    List(Vec<Word>),
    Unknown,
}

/// A word as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text {
        text: String,
        quoted: bool,
    },
    /// A variable; `list` for `x[@]`.
    Variable {
        name: String,
        quoted: bool,
        form: Form,
    },
    /// What a substitution prints; known where it only shows a text of the line.
    Printed {
        known: Option<Word>,
        quoted: bool,
    },
    /// A sign of a pattern of file names.
    Names,
    /// A number, or the name of a pipe.
    Made,
    Open,
    Comma,
    Close,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    /// The word stands for it where it is not set.
    Or(Word),
    /// The word stands for it where it is set.
    Instead(Word),
    /// Something is made of its value.
    Changed,
}

impl Word {
    /// Its text, when it is written without quotes and signs.
    fn bare(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text { text, quoted: false }] => Some(text),
            [Piece::Open] => Some("{"),
            [Piece::Close] => Some("}"),
            _ => None,
        }
    }

    fn push_text(&mut self, letter: char, quoted: bool) {
        // Whoever writes the letters of gaps has something to hide.
        let letter = if is_gap(letter) || letter == BREAK { WORDS } else { letter };
        match self.pieces.last_mut() {
            Some(Piece::Text { text, quoted: same }) if *same == quoted => text.push(letter),
            _ => self.pieces.push(Piece::Text { text: letter.into(), quoted }),
        }
    }

    /// The variable that it sets, and to what; and whether that is added to what it has.
    fn assignment(&self) -> Option<(String, Self, bool)> {
        let Some(Piece::Text { text, quoted: false }) = self.pieces.first() else { return None };
        let (name, rest) = match text.split_once('=') {
            Some(found) => found,
            // An element of a list: `x[0]=y`.
            None if self.pieces.get(1) == Some(&Piece::Names) && crate::shell::is_name(text) => {
                let has = |piece: &Piece| matches!(piece, Piece::Text { text, .. } if text.contains('='));
                return self.pieces.iter().any(has).then(|| (text.clone(), Self::default(), true));
            }
            None => return None,
        };
        let (name, adds) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        if !crate::shell::is_name(name) {
            return None;
        }
        let mut pieces = Vec::new();
        if !rest.is_empty() {
            pieces.push(Piece::Text { text: rest.to_owned(), quoted: false });
        }
        pieces.extend(self.pieces.iter().skip(1).cloned());
        Some((name.to_owned(), Self { pieces }, adds))
    }
}
