//! Reads words: quotes, expansions, substitutions, patterns and braces.

use std::mem::take;

use crate::policy::input::bash::reader::Reader;
use crate::policy::input::bash::{Feed, Form, Line, Piece, Set, Value, Word};

impl Reader {
    /// Reads a word, which may be empty where none begins.
    pub(super) fn word(&mut self, out: &mut Line) -> Option<Word> {
        let mut word = Word::default();
        while let Some(letter) = self.peek(0) {
            match letter {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' => break,
                '<' | '>' if self.peek(1) == Some('(') => {
                    self.at += 2;
                    self.inner(out)?;
                    word.pieces.push(Piece::Made);
                    continue;
                }
                '<' | '>' => break,
                _ => {}
            }
            self.piece(letter, out, &mut word)?;
        }
        Some(word)
    }

    /// Reads what a letter outside of double quotes begins.
    fn piece(&mut self, letter: char, out: &mut Line, word: &mut Word) -> Option<()> {
        self.at += 1;
        match letter {
            '\'' => {
                word.pieces.push(Piece::Text { text: String::new(), quoted: true });
                while self.peek(0)? != '\'' {
                    word.push_text(self.peek(0)?, true);
                    self.at += 1;
                }
                self.at += 1;
            }
            '"' => {
                word.pieces.push(Piece::Text { text: String::new(), quoted: true });
                self.quoted(Some('"'), out, word)?;
            }
            '\\' => match self.peek(0) {
                Some('\n') => self.at += 1,
                Some(other) => {
                    self.at += 1;
                    word.push_text(other, true);
                }
                None => word.push_text('\\', true),
            },
            '$' | '`' => self.expansion(letter, false, out, word)?,
            '{' => word.pieces.push(Piece::Open),
            ',' => word.pieces.push(Piece::Comma),
            '}' => word.pieces.push(Piece::Close),
            '*' | '?' => word.pieces.push(Piece::Names),
            '[' => {
                let ahead = self.letters.get(self.at..).unwrap_or_default();
                let mut ahead = ahead.iter().take_while(|letter| !letter.is_whitespace());
                if ahead.any(|letter| *letter == ']') {
                    word.pieces.push(Piece::Names);
                    // What stands in it is part of the pattern, and can have expansions of its own.
                    while self.peek(0).is_some_and(char::is_alphanumeric) {
                        self.at += 1;
                    }
                    self.skip("]");
                } else {
                    word.push_text('[', false);
                }
            }
            _ => word.push_text(letter, false),
        }
        Some(())
    }

    /// Reads what double quotes hold, to the letter that ends it.
    pub(super) fn quoted(&mut self, until: Option<char>, out: &mut Line, word: &mut Word) -> Option<()> {
        loop {
            let Some(letter) = self.peek(0) else { return until.is_none().then_some(()) };
            self.at += 1;
            match letter {
                _ if until == Some(letter) => return Some(()),
                '\\' => match self.peek(0) {
                    Some('\n') => self.at += 1,
                    Some(other @ ('$' | '`' | '"' | '\\')) => {
                        self.at += 1;
                        word.push_text(other, true);
                    }
                    _ => word.push_text('\\', true),
                },
                '$' | '`' => self.expansion(letter, true, out, word)?,
                _ => word.push_text(letter, true),
            }
        }
    }

    /// Reads an expansion from behind its first letter.
    fn expansion(&mut self, letter: char, quoted: bool, out: &mut Line, word: &mut Word) -> Option<()> {
        if letter == '`' {
            return self.backquoted(quoted, out, word);
        }
        match self.peek(0) {
            Some('(') => {
                if self.looks_at("((") && self.arithmetic(2)? {
                    word.pieces.push(Piece::Made);
                    return Some(());
                }
                self.at += 1;
                let known = self.inner(out)?;
                word.pieces.push(Piece::Printed { known, quoted });
            }
            Some('{') => {
                self.at += 1;
                self.parameter(quoted, out, word)?;
            }
            Some('\'') if !quoted => {
                self.at += 1;
                self.escaped(word)?;
            }
            // A text to be translated, which is the text where there is no translation.
            Some('"') if !quoted => {}
            Some('[') => return None,
            Some(first) if first.is_ascii_alphabetic() || first == '_' => {
                let name = self.name();
                word.pieces.push(Piece::Variable { name, quoted, form: Form::Plain });
            }
            Some(first) if first.is_ascii_digit() || "@*#?!-$".contains(first) => {
                self.at += 1;
                word.pieces.push(Piece::Variable { name: first.into(), quoted, form: Form::Plain });
            }
            _ => word.push_text('$', quoted),
        }
        Some(())
    }

    pub(super) fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(letter) =
            self.peek(0).filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        {
            name.push(letter);
            self.at += 1;
        }
        name
    }

    /// Reads the commands of a substitution; what it prints, where that is a text of the line.
    fn inner(&mut self, out: &mut Line) -> Option<Option<Word>> {
        let first = out.commands.len();
        let outer = take(&mut self.pending);
        self.depth += 1;
        self.list(out, true)?;
        self.depth -= 1;
        self.pending = outer;
        let [command] = out.commands.get(first..)? else { return Some(None) };
        let is_cat = matches!(command.words.as_slice(), [word] if word.bare() == Some("cat"));
        Some(match &command.input {
            Feed::Text(word) if is_cat => Some(word.clone()),
            _ => None,
        })
    }

    fn backquoted(&mut self, quoted: bool, out: &mut Line, word: &mut Word) -> Option<()> {
        let mut letters = Vec::new();
        loop {
            let letter = self.peek(0)?;
            self.at += 1;
            match letter {
                '`' => break,
                '\\' => {
                    let next = self.peek(0)?;
                    let dropped = matches!(next, '`' | '\\' | '$') || (quoted && next == '"');
                    if !dropped {
                        letters.push('\\');
                    }
                    letters.push(next);
                    self.at += 1;
                }
                _ => letters.push(letter),
            }
        }
        let mut inner = Self { letters, depth: self.depth + 1, ..Self::default() };
        inner.list(out, false)?;
        word.pieces.push(Piece::Printed { known: None, quoted });
        Some(())
    }

    /// Reads `${...}` from behind its brace.
    fn parameter(&mut self, quoted: bool, out: &mut Line, word: &mut Word) -> Option<()> {
        let turned = self.peek(0) == Some('!') || (self.peek(0) == Some('#') && self.peek(1) != Some('}'));
        if turned {
            self.at += 1;
        }
        let mut name = self.name();
        if name.is_empty() {
            name.extend(self.peek(0).filter(|letter| "@*#?!-$".contains(*letter)));
            self.at += name.len();
        }
        if self.skip("[@]") || self.skip("[*]") {
            name.push_str("[@]");
        }
        let colon = self.peek(0) == Some(':') && self.peek(1).is_some_and(|letter| "-=+?".contains(letter));
        if colon {
            self.at += 1;
        }
        let sign = self.peek(0)?;
        if sign != '}' {
            self.at += 1;
        }
        let mut other = Word::default();
        loop {
            let letter = self.peek(0)?;
            if letter == '}' {
                self.at += 1;
                break;
            }
            if " \t\n;&|()<>,{".contains(letter) || (quoted && letter == '\'') {
                other.push_text(letter, quoted);
                self.at += 1;
            } else {
                self.piece(letter, out, &mut other)?;
            }
        }
        let form = match sign {
            _ if turned => Form::Changed,
            '}' | '?' => Form::Plain,
            '-' => Form::Or(other),
            '=' => {
                out.sets.push(Set { name: name.clone(), value: Value::Known(other.clone()) });
                Form::Or(other)
            }
            '+' => Form::Instead(other),
            _ => Form::Changed,
        };
        word.pieces.push(Piece::Variable { name, quoted, form });
        Some(())
    }

    /// Reads what stands in `$'...'`, from behind its opening quote.
    fn escaped(&mut self, word: &mut Word) -> Option<()> {
        word.pieces.push(Piece::Text { text: String::new(), quoted: true });
        loop {
            let letter = self.peek(0)?;
            self.at += 1;
            match letter {
                '\'' => return Some(()),
                '\\' => {
                    let next = self.peek(0)?;
                    self.at += 1;
                    let made = match next {
                        'n' => Some('\n'),
                        't' => Some('\t'),
                        'r' => Some('\r'),
                        'x' => self.number(16, 2, 0),
                        'u' => self.number(16, 4, 0),
                        'U' => self.number(16, 8, 0),
                        '0'..='7' => self.number(8, 2, next.to_digit(8).unwrap_or_default()),
                        '\'' | '"' | '\\' | '?' => Some(next),
                        // Signs of control, which no name has.
                        'a' | 'b' | 'e' | 'E' | 'f' | 'v' => Some(' '),
                        _ => return None,
                    };
                    word.push_text(made?, true);
                }
                _ => word.push_text(letter, true),
            }
        }
    }

    fn number(&mut self, radix: u32, most: usize, begun: u32) -> Option<char> {
        let mut number = begun;
        for _ in 0..most {
            let Some(digit) = self.peek(0).and_then(|letter| letter.to_digit(radix)) else { break };
            self.at += 1;
            number = number.checked_mul(radix)?.checked_add(digit)?;
        }
        // A text ends at a byte of zero.
        char::from_u32(number).filter(|letter| *letter != '\0')
    }
}
