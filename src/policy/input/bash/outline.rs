//! What a regular expression can match where parts of a text are not known.
//!
//! An outline is an automaton that fits at least what its expression fits: counts become "any number",
//! classes with ranges "any letter", and borders of words are passed over. It is only asked about texts with
//! gaps, and only says yes to a match that spells a letter of the text, not a blank, and goes through a gap:
//! `rm -rf` has nothing to do with `wc -l` and a gap, though the gap could be those very words.

use crate::limits;
use crate::policy::input::bash::{NAMES, is_gap};

/// An automaton.
#[derive(Clone, Debug)]
pub(in crate::policy::input) struct Outline {
    states: Vec<State>,
    start: usize,
    /// A sign between commands stands in it.
    pub(in crate::policy::input) names_signs: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// One of these, in lower case.
    Few(Vec<char>, usize),
    Blank(usize),
    /// A letter, a digit or what else a word has.
    Wordish(usize),
    Any(usize),
    Start(usize),
    End(usize),
    Split(usize, usize),
    Jump(usize),
    Accept,
}

/// How far a match has come: it began in the text, or in a gap and has not left it.
const BEGUN: u8 = 1;
/// It has spelt a letter of the text.
const SPELT: u8 = 2;
/// As `BEGUN`, and has gone through a gap.
const BEGUN_GAP: u8 = 4;
/// As `SPELT`, and has gone through a gap.
const SPELT_GAP: u8 = 8;
/// It began in a gap and has to spell the next letter.
const FROM_GAP: u8 = 16;

/// What can be under way in each state.
type Threads = Vec<u8>;

impl Outline {
    /// Makes an outline of an expression that has been compiled; nothing when it uses what is not known here.
    pub(in crate::policy::input) fn of(expression: &str) -> Option<Self> {
        let mut reader = Reader {
            letters: expression.chars().collect(),
            at: 0,
            states: vec![State::Accept],
            lines: false,
            depth: 0,
        };
        let start = reader.either(0)?;
        if reader.at != reader.letters.len() {
            return None;
        }
        let names = |state: &State| match state {
            State::Few(letters, _) => letters.iter().any(|letter| is_sign(*letter)),
            _ => false,
        };
        let names_signs = reader.states.iter().any(names);
        Some(Self { states: reader.states, start, names_signs })
    }

    /// Whether the expression may match a text by what its gaps stand for. Where that would take too long to
    /// tell, it may.
    pub(in crate::policy::input) fn may_match(&self, text: &str) -> bool {
        if text.len().saturating_mul(self.states.len()) > limits::OUTLINE_STEPS_MAX {
            return true;
        }
        let letters: Vec<char> = text.chars().collect();
        let mut threads: Threads = vec![0; self.states.len()];
        for (place, &letter) in letters.iter().enumerate() {
            let last = place + 1 == letters.len();
            if is_gap(letter) {
                let before = place.checked_sub(1).and_then(|place| letters.get(place));
                let dash = !(letter == NAMES && before.is_none_or(|before| before.is_whitespace()));
                threads = self.through_gap(threads, (place == 0, last), dash);
            } else {
                self.enter(&mut threads, self.start, BEGUN, (place == 0, false));
                threads = self.step(&threads, letter, last);
            }
            if threads.first().is_some_and(|modes| modes & SPELT_GAP != 0) {
                return true;
            }
        }
        false
    }

    /// Whether it fits some part of a text without gaps.
    #[cfg(any(test, fuzzing))]
    pub(in crate::policy::input) fn fits(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        let mut threads: Threads = vec![0; self.states.len()];
        self.enter(&mut threads, self.start, BEGUN, (true, letters.is_empty()));
        let mut found = threads.first().is_some_and(|modes| *modes != 0);
        for (place, &letter) in letters.iter().enumerate() {
            self.enter(&mut threads, self.start, BEGUN, (place == 0, false));
            threads = self.step(&threads, letter, place + 1 == letters.len());
            self.enter(&mut threads, self.start, BEGUN, (false, place + 1 == letters.len()));
            found |= threads.first().is_some_and(|modes| *modes != 0);
        }
        found
    }

    /// Puts a thread into a state and those that follow from it without a letter.
    fn enter(&self, threads: &mut Threads, at: usize, modes: u8, ends: (bool, bool)) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let Some(known) = threads.get_mut(at) else { continue };
            if *known & modes == modes {
                continue;
            }
            *known |= modes;
            match self.states.get(at) {
                Some(State::Start(next)) if ends.0 => open.push(*next),
                Some(State::End(next)) if ends.1 => open.push(*next),
                Some(State::Jump(next)) => open.push(*next),
                Some(State::Split(first, second)) => open.extend([*first, *second]),
                _ => {}
            }
        }
    }

    /// Goes over a letter of the text.
    fn step(&self, threads: &Threads, letter: char, last: bool) -> Threads {
        let letter = letter.to_lowercase().next().unwrap_or(letter);
        let mut out = vec![0; self.states.len()];
        for (state, &modes) in self.states.iter().zip(threads).filter(|(_, modes)| **modes != 0) {
            // One that is no ASCII may be another one where upper and lower case are the same.
            let other = !letter.is_ascii();
            let (next, spells) = match state {
                State::Few(letters, next) if other || letters.contains(&letter) => {
                    (*next, !letter.is_whitespace())
                }
                State::Blank(next) if letter.is_whitespace() => (*next, false),
                State::Wordish(next) if other || letter.is_alphanumeric() || letter == '_' => (*next, false),
                State::Any(next) => (*next, false),
                _ => continue,
            };
            let modes = match spells {
                true => {
                    let spelt = if modes & (BEGUN | SPELT) != 0 { SPELT } else { 0 };
                    spelt | if modes & (BEGUN_GAP | SPELT_GAP | FROM_GAP) != 0 { SPELT_GAP } else { 0 }
                }
                false => modes & !FROM_GAP,
            };
            if modes != 0 {
                self.enter(&mut out, next, modes, (false, last));
            }
        }
        out
    }

    /// Goes over a gap: what was under way stays, and goes on by any letters but signs between commands.
    fn through_gap(&self, before: Threads, ends: (bool, bool), dash: bool) -> Threads {
        let mut threads = before.clone();
        let mut begun = before;
        self.enter(&mut begun, self.start, FROM_GAP, (ends.0, false));
        let mut first = true;
        let mut inside: Threads = vec![0; self.states.len()];
        let mut open: Vec<(usize, u8)> =
            begun.into_iter().enumerate().filter(|(_, modes)| *modes != 0).collect();
        while !open.is_empty() {
            let mut reached: Threads = vec![0; self.states.len()];
            for (at, modes) in open.drain(..) {
                let next = match self.states.get(at) {
                    Some(State::Few(letters, next)) => {
                        let fits = |letter: &char| !is_sign(*letter) && (dash || !first || *letter != '-');
                        if !letters.iter().any(fits) {
                            continue;
                        }
                        *next
                    }
                    Some(State::Any(next) | State::Wordish(next) | State::Blank(next)) => *next,
                    _ => continue,
                };
                let spelt = if modes & (SPELT | SPELT_GAP) != 0 { SPELT_GAP } else { 0 };
                let begun = if modes & (BEGUN | BEGUN_GAP) != 0 { BEGUN_GAP } else { 0 };
                self.enter(&mut reached, next, spelt | begun | (modes & FROM_GAP), (false, ends.1));
            }
            first = false;
            for (at, modes) in reached.into_iter().enumerate() {
                let Some(known) = inside.get_mut(at) else { continue };
                let new = modes & !*known;
                if new != 0 {
                    *known |= new;
                    open.push((at, new));
                }
            }
        }
        threads.iter_mut().zip(inside).for_each(|(known, modes)| *known |= modes);
        threads
    }
}

fn is_sign(letter: char) -> bool {
    matches!(letter, '|' | '&' | ';' | '\n')
}

/// Reads an expression from its end to its beginning in states: each part is told where it goes on.
struct Reader {
    letters: Vec<char>,
    at: usize,
    states: Vec<State>,
    /// `^` and `$` fit at every line.
    lines: bool,
    depth: u32,
}

/// A part of an expression, before it is known where it goes on.
#[derive(Clone, Debug)]
enum Part {
    Few(Vec<char>),
    Blank,
    Wordish,
    Any,
    Start,
    End,
    Row(Vec<Self>),
    Either(Vec<Self>),
    /// Any number of times, but at least once where it says so.
    Many(Box<Self>, bool),
    Maybe(Box<Self>),
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn skip(&mut self, letter: char) -> bool {
        let found = self.peek() == Some(letter);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self, next: usize) -> Option<usize> {
        let part = self.choices()?;
        self.build(&part, next)
    }

    fn add(&mut self, state: State) -> Option<usize> {
        (self.states.len() < limits::INPUT_RULE_BYTES_MAX * 8).then_some(())?;
        self.states.push(state);
        Some(self.states.len() - 1)
    }

    fn build(&mut self, part: &Part, next: usize) -> Option<usize> {
        match part {
            Part::Few(letters) => self.add(State::Few(letters.clone(), next)),
            Part::Blank => self.add(State::Blank(next)),
            Part::Wordish => self.add(State::Wordish(next)),
            Part::Any => self.add(State::Any(next)),
            Part::Start | Part::End if self.lines => Some(next),
            Part::Start => self.add(State::Start(next)),
            Part::End => self.add(State::End(next)),
            Part::Row(parts) => {
                let mut next = next;
                for part in parts.iter().rev() {
                    next = self.build(part, next)?;
                }
                Some(next)
            }
            Part::Either(parts) => {
                let mut all = None;
                for part in parts {
                    let first = self.build(part, next)?;
                    all = Some(match all {
                        Some(other) => self.add(State::Split(first, other))?,
                        None => first,
                    });
                }
                all
            }
            Part::Many(part, once) => {
                let loops = self.add(State::Jump(next))?;
                let first = self.build(part, loops)?;
                *self.states.get_mut(loops)? = State::Split(first, next);
                Some(if *once { first } else { loops })
            }
            Part::Maybe(part) => {
                let first = self.build(part, next)?;
                self.add(State::Split(first, next))
            }
        }
    }

    fn choices(&mut self) -> Option<Part> {
        self.depth += 1;
        if self.depth > limits::INPUT_REGEX_DEPTH_MAX * 2 {
            return None;
        }
        let mut all = vec![];
        loop {
            let mut row = Vec::new();
            while self.peek().is_some_and(|letter| letter != '|' && letter != ')') {
                if let Some(part) = self.atom()? {
                    let part = self.counted(part)?;
                    row.push(part);
                }
            }
            all.push(Part::Row(row));
            if !self.skip('|') {
                self.depth -= 1;
                return Some(Part::Either(all));
            }
        }
    }

    fn counted(&mut self, mut part: Part) -> Option<Part> {
        loop {
            part = match self.peek() {
                Some('*') => Part::Many(Box::new(part), false),
                Some('+') => Part::Many(Box::new(part), true),
                Some('?') => Part::Maybe(Box::new(part)),
                Some('{') => {
                    let rest = self.letters.get(self.at + 1..)?;
                    let end = rest.iter().position(|letter| *letter == '}')?;
                    let least: String = rest.iter().take(end).take_while(|letter| **letter != ',').collect();
                    let once = least.trim().parse::<u64>().is_ok_and(|least| least > 0);
                    self.at += end + 1;
                    Part::Many(Box::new(part), once)
                }
                _ => return Some(part),
            };
            self.at += 1;
            // As few as can be is as many as can be, for whether it fits.
            self.skip('?');
        }
    }

    /// Reads one part; nothing where it is only flags.
    fn atom(&mut self) -> Option<Option<Part>> {
        let letter = self.peek()?;
        self.at += 1;
        Some(Some(match letter {
            '.' => Part::Any,
            '^' => Part::Start,
            '$' => Part::End,
            '[' => self.class()?,
            '\\' => self.escape()?,
            '(' => {
                if self.skip('?') && self.flags()? {
                    return Some(None);
                }
                let inner = self.choices()?;
                self.skip(')').then_some(inner)?
            }
            _ => few(letter),
        }))
    }

    /// Reads the flags or the name of a group; whether it ends with them.
    fn flags(&mut self) -> Option<bool> {
        let named = matches!(self.peek()?, '<' | 'P');
        loop {
            let flag = self.peek()?;
            self.at += 1;
            match flag {
                '>' if named => return Some(false),
                _ if named => {}
                ':' => return Some(false),
                ')' => return Some(true),
                'm' | 'R' => self.lines = true,
                'i' | 's' | 'U' | 'u' | '-' => {}
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<Part> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            's' => Part::Blank,
            'w' | 'd' => Part::Wordish,
            'S' | 'W' | 'D' => Part::Any,
            'b' if self.peek() == Some('{') => return None,
            // What is between letters fits everywhere.
            'b' | 'B' | '<' | '>' => Part::Row(Vec::new()),
            'A' => Part::Start,
            'z' => Part::End,
            'n' => few('\n'),
            't' => few('\t'),
            'r' => few('\r'),
            _ if letter.is_alphanumeric() => return None,
            _ => few(letter),
        })
    }

    /// Reads a class from behind its bracket: what is not a few letters is any.
    fn class(&mut self) -> Option<Part> {
        let mut letters = Vec::new();
        let mut wide = self.skip('^');
        let mut first = true;
        loop {
            let letter = self.peek()?;
            self.at += 1;
            let next = self.peek();
            match letter {
                ']' if !first => break,
                '[' => return None,
                '&' | '~' | '-' if next == Some(letter) => return None,
                '-' if !first && next != Some(']') => wide = true,
                '\\' => {
                    let escaped = next?;
                    self.at += 1;
                    if matches!(escaped, 'p' | 'P' | 'x' | 'u' | 'U') {
                        return None;
                    }
                    wide |= escaped.is_alphanumeric();
                    letters.push(escaped);
                }
                _ => letters.push(letter),
            }
            first = false;
        }
        if wide || letters.iter().any(|letter| !letter.is_ascii()) {
            return Some(Part::Any);
        }
        Some(Part::Few(letters.iter().map(char::to_ascii_lowercase).collect()))
    }
}

fn few(letter: char) -> Part {
    if letter.is_ascii() { Part::Few(vec![letter.to_ascii_lowercase()]) } else { Part::Any }
}
